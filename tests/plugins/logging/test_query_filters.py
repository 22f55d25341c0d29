"""Filters: what is refused, by name; and that SQL says what the filter says, on every database."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from helicone_gw.database import Database
from helicone_gw.exchange import Exchange
from helicone_gw_logging.corrections import set_scores
from helicone_gw_logging.query.filters import read_filter
from helicone_gw_logging.query.nodes import ALL, Both, Condition, FilterError, conditions
from helicone_gw_logging.query.requests import count, find
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.sorts import Order, RequestSort, chosen
from helicone_gw_logging.query.told import intervals
from helicone_gw_logging.query.wanted import Wanted
from helicone_gw_logging.query.where import where
from helicone_gw_logging.tables import PROPERTY, REQUEST
from helicone_gw_logging.times import iso
from tests.plugins.logging.asking import holds, log_all, many
from tests.plugins.logging.generating import drawn

Build = Callable[..., Exchange]


def rmt(column: str, operator: str, value: Any) -> dict[str, Any]:
    return {"request_response_rmt": {column: {operator: value}}}


class TestReading:
    @pytest.mark.parametrize(
        "filter", ["all", {}, [], {"type": "all"}, ["all", {}], {"type": "and", "expressions": []}]
    )
    def test_what_holds_for_everything(self, filter: Any) -> None:
        assert read_filter(filter) == ALL

    def test_a_leaf_is_one_condition(self) -> None:
        node = read_filter(rmt("status", "gte", 400))
        assert isinstance(node, Condition)
        assert (node.field.name, node.operator, node.value) == ("status", "gte", 400)

    def test_branches_of_one_operator_become_flat(self) -> None:
        one, two, three = (rmt("status", "equals", number) for number in (1, 2, 3))
        folded = {"left": one, "operator": "and", "right": {"left": two, "operator": "and", "right": three}}
        node = read_filter(folded)
        assert isinstance(node, Both)
        assert [part.value for part in node.parts if isinstance(part, Condition)] == [1, 2, 3]
        assert read_filter([one, two, three]) == node

    def test_all_beside_or_is_all(self) -> None:
        assert read_filter({"left": "all", "operator": "or", "right": rmt("status", "equals", 1)}) == ALL

    def test_several_operators_of_one_column_must_all_hold(self) -> None:
        node = read_filter({"request_response_rmt": {"latency": {"gte": 1, "lt": 5}, "status": {"equals": 200}}})
        assert [(one.field.name, one.operator) for one in conditions(node)] == [
            ("latency", "gte"),
            ("latency", "lt"),
            ("status", "equals"),
        ]

    @pytest.mark.parametrize(
        ("expression", "same"),
        [
            (("request_response_rmt", "status", "eq", 200), rmt("status", "equals", 200)),
            (("request_response_rmt", "model", "neq", "x"), rmt("model", "not-equals", "x")),
            (("request_response_rmt", "user_id", "is", None), rmt("user_id", "is", None)),
            (("request_response_rmt", "status", "in", [1, 2]), rmt("status", "in", [1, 2])),
        ],
    )
    def test_expressions_say_the_same(self, expression: tuple[str, str, str, Any], same: Any) -> None:
        table, column, operator, value = expression
        field = {"table": table, "column": column}
        said = {"type": "condition", "field": field, "operator": operator, "value": value}
        assert read_filter(said) == read_filter(same)
        assert read_filter({"type": "or", "expressions": [said]}) == read_filter(same)

    @pytest.mark.parametrize("column", ["properties", "app"])
    def test_an_expression_about_a_property(self, column: str) -> None:
        field = {"table": "request_response_rmt", "column": column, "subtype": "property", "key": "app"}
        said = {"type": "condition", "field": field, "operator": "contains", "value": "x"}
        assert read_filter(said) == read_filter(rmt("properties", "app", {"contains": "x"}) | {})

    @pytest.mark.parametrize(
        ("filter", "named"),
        [
            (None, "None"),
            ("nothing", "'nothing'"),
            (5, "'5'"),
            ({"nowhere": {"status": {"equals": 1}}}, "'nowhere'"),
            (rmt("colour", "equals", "red"), "'colour'"),
            (rmt("status", "like", "2%"), "'like'"),
            (rmt("status", "equals", "many"), "'many'"),
            (rmt("status", "equals", math.nan), "'nan'"),
            (rmt("latency", "gt", "NaN"), "'NaN'"),
            (rmt("request_created_at", "lt", math.nan), "'nan'"),
            (rmt("status", "gt", None), "gt null"),
            (rmt("user_id", "equals", 5), "'5'"),
            (rmt("user_id", "equals", "x" * 10_001), "'xxx"),
            (rmt("threat", "equals", "maybe"), "'maybe'"),
            (rmt("request_created_at", "gte", "yesterday"), "'yesterday'"),
            (rmt("request_created_at", "not-equals", "2026-01-01"), "'not-equals'"),
            (rmt("organization_id", "equals", "acme"), "'organization_id'"),
            (rmt("user_id", "in", "ann"), "'in'"),
            (rmt("user_id", "in", ["x"] * 1001), "'in'"),
            (rmt("properties", "", {"equals": "x"}), "key"),
            ({"request_response_rmt": {}}, "'request_response_rmt'"),
            ({"request_response_rmt": {"status": {}}}, "'status'"),
            ({"request_response_rmt": {"status": 5}}, "'status'"),
            ({"left": "all", "operator": "and"}, "right"),
            ({"left": "all", "operator": "xor", "right": "all"}, "'xor'"),
            ({"left": "all", "operator": "and", "right": rmt("colour", "equals", 1)}, "'colour'"),
            ({"type": "some"}, "'some'"),
            ({"type": "all", "more": 1}, "more"),
            ({"type": "or", "expressions": []}, "'or'"),
            ({"type": "and", "expressions": "all"}, "'and'"),
            ({"type": "and", "expressions": ["all"]}, "'all'"),
            ({"type": "condition", "field": {"column": "x"}, "operator": "eq", "value": 1}, "'x'"),
            ({"type": "condition", "field": {"column": "status"}, "operator": "equals", "value": 1}, "'equals'"),
            ({"type": "condition", "field": {"coulmn": "status"}, "operator": "eq", "value": 1}, "coulmn"),
            ([rmt("status", "equals", 1)] * 501, "500"),
        ],
    )
    def test_what_is_wrong_is_named(self, filter: Any, named: str) -> None:
        with pytest.raises(FilterError) as refused:
            read_filter(filter)
        assert named in str(refused.value)
        assert len(str(refused.value)) < 500

    @pytest.mark.parametrize("side", ["left", "right"])
    @pytest.mark.parametrize("operators", [("and", "and"), ("and", "or")])
    def test_no_filter_is_too_deep_to_be_refused(self, side: str, operators: tuple[str, str]) -> None:
        folded: Any = rmt("status", "equals", 1)
        for depth in range(5000):
            other = "right" if side == "left" else "left"
            folded = {side: folded, "operator": operators[depth % 2], other: rmt("status", "equals", 2)}
        with pytest.raises(FilterError):
            read_filter(folded)

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["all", "and", "equals", "null"]),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        [
                            "left",
                            "right",
                            "operator",
                            "type",
                            "expressions",
                            "field",
                            "value",
                            "request_response_rmt",
                            "status",
                        ]
                    ),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=20,
        )
    )
    def test_anything_is_read_or_refused(self, filter: Any) -> None:
        with contextlib.suppress(FilterError):
            read_filter(filter)


TEXTS = [
    "ann",
    "Ann",
    "bob",
    "an",
    "",
    "null",
    "gpt-4o",
    "gpt-4o-mini",
    "shop",
    "a%b",
    "%o%",
    "A_b",
    "[x]*?",
    "\\",
    "\0",
]
_text = st.tuples(
    st.sampled_from(["equals", "not-equals", "like", "ilike", "contains", "not-contains", "is"]), st.sampled_from(TEXTS)
)
_number = st.tuples(
    st.sampled_from(["equals", "not-equals", "gt", "gte", "lt", "lte"]),
    st.sampled_from([0, 1, 5, 12, 13, 200, 429, -3, -100, 0.5, 12.5, 10**30, -(10**30), "null"]),
).filter(lambda asked: asked[1] != "null" or asked[0] in ("equals", "not-equals"))
COLUMNS: dict[str, Any] = {
    "user_id": _text,
    "model": _text,
    "request_id": _text,
    "node_id": _text,
    "status": _number,
    "latency": _number,
    "total_tokens": _number,
    "prompt_tokens": _number,
    "threat": st.tuples(st.just("equals"), st.sampled_from([True, False, "null"])),
    "app": _text,
    "stage": _text,
    "good": _number,
}
_of_property = st.tuples(
    st.sampled_from(["app", "stage"]),
    st.tuples(st.just("equals"), st.sampled_from(["shop", "blog", "prod", "a%b", "none", "null"])),
)
_of_score = st.tuples(st.just("good"), _number)
_leaf = st.sampled_from([*COLUMNS]).flatmap(lambda column: st.tuples(st.just(column), COLUMNS[column]))
_tree = st.recursive(_leaf, lambda inner: st.tuples(inner, st.sampled_from(["and", "or"]), inner), max_leaves=6)


ALWAYS: list[Any] = [
    *[("app", ("equals", value)) for value in ("shop", "Shop", "none")],
    *[
        ("app", (operator, value))
        for operator in ("like", "ilike")
        for value in ("[x]%", "%*?", "a\\%b", "sho_", "a_b")
    ],
    *[
        ("good", (operator, value))
        for operator in ("equals", "not-equals", "gt", "gte", "lt", "lte")
        for value in (0.5, 7)
    ],
    (("good", ("gte", 0)), "and", ("app", ("equals", "shop"))),
    (("good", ("gte", 0)), "and", ("good", ("lt", 1))),
    *[
        ("total_tokens", (operator, value))
        for operator in ("equals", "not-equals", "gt", "gte", "lt", "lte")
        for value in (9.5, 10, 10.5, 12)
    ],
]
"""What is too seldom drawn to be left to chance."""


def as_filter(tree: Any) -> Any:
    if len(tree) == 3:
        return {"left": as_filter(tree[0]), "operator": tree[1], "right": as_filter(tree[2])}
    column, (operator, value) = tree
    if column == "good":
        return {"request_response_rmt": {"scores": {"good": {operator: value}}}}
    if column in ("app", "stage"):
        return {"request_response_rmt": {"properties": {column.upper(): {operator: value}}}}
    return rmt(column, operator, value)


def told(tree: Any, row: Any, properties: dict[str, str], scores: dict[int, float]) -> bool:
    if len(tree) == 3:
        left, right = (told(tree[side], row, properties, scores) for side in (0, 2))
        return (left and right) if tree[1] == "and" else (left or right)
    column, (operator, value) = tree
    held = {
        "app": lambda: properties.get("app"),
        "good": lambda: scores.get(row.seq),
        "stage": lambda: properties.get("stage"),
        "node_id": lambda: None,
        "model": lambda: row.model or row.request_model,
        "status": lambda: row.status or {"timeout": -2, "client_disconnected": -3}.get(row.outcome, -100),
    }.get(column, lambda: getattr(row, column))()
    if isinstance(value, str):
        value = value.replace("\0", "\ufffd")
    return holds(operator, held, value)


async def test_sql_says_what_the_filter_says(any_database: Database, exchange: Build) -> None:
    await log_all(any_database, many(exchange, 120))
    async with any_database.connect() as connection:
        rows = [row for row in await connection.execute(select(REQUEST)) if row.organization_id == "default"]
        properties: dict[int, dict[str, str]] = {row.seq: {} for row in rows}
        for one in await connection.execute(select(PROPERTY)):
            properties.get(one.seq, {})[one.key_lower] = one.value
    scores = {row.seq: (row.seq % 5) / 2 for row in rows[::3]}
    for row in rows[::3]:
        given = {"good": scores[row.seq], "fast": 1.0}
        assert await set_scores(any_database, "default", row.id, given, now=row.received_at)

    every = (
        _tree
        | st.tuples(_of_property, st.just("and"), _tree)
        | st.tuples(_of_property, st.just("and"), _of_property)
        | st.tuples(_of_score, st.just("and"), _tree)
    )
    async with any_database.connect() as connection:
        orders = (Order(), Order(direction="asc"), Order("latency"))
        # What is drawn is listed in one order each, in turn: that is many enough for every order.
        asked = [(tree, orders) for tree in ALWAYS]
        asked += [(tree, orders[place % 3 :][:1]) for place, tree in enumerate(drawn(every, 150))]
        for tree, wanted in asked:
            expected = {row.seq for row in rows if told(tree, row, properties[row.seq], scores)}
            node = read_filter(as_filter(tree))
            found = [*await connection.scalars(select(REQUEST.c.seq).where(where(node, Scope())))]
            assert set(found) == expected, as_filter(tree)
            # Where the index of a property or a score leads, the statement is another one.
            assert await count(connection, Scope(), Wanted(node)) == len(expected), as_filter(tree)
            for order in wanted:
                listed = await find(connection, Scope(), Wanted(node), order, limit=1000)
                assert {one.row["seq"] for one in listed} == expected, as_filter(tree)
                if order.name == "created_at":
                    places = [(one.row["received_at"], one.row["seq"]) for one in listed]
                    assert places == sorted(places, reverse=order.direction == "desc")
        # The index that leads is read for the time that is asked about only, whichever way that is said.
        start, end = sorted(row.received_at for row in rows)[10:90:79]
        during = {"request_created_at": {"gte": iso(start), "lt": iso(end)}}
        for asked, there in (
            ({"scores": {"good": {"gte": 0}}}, scores),
            (
                {"properties": {"app": {"equals": "shop"}}},
                {seq for seq, told_of in properties.items() if told_of.get("app") == "shop"},
            ),
        ):
            node = read_filter([{"request_response_rmt": asked}, {"request_response_rmt": during}])
            number = sum(start <= row.received_at < end for row in rows if row.seq in there)
            assert 0 < number == await count(connection, Scope(), Wanted(node)) < len(there)


FAR = [1e300, -(10**400), 2**63, -math.inf, "1e999"]
"""Numbers beyond all that is stored, of which most have no place in a column."""


async def test_a_number_beyond_all_is_compared_as_such(any_database: Database, exchange: Build) -> None:
    made = many(exchange, 40)
    await log_all(any_database, made)
    async with any_database.connect() as connection:
        rows = [row for row in await connection.execute(select(REQUEST)) if row.organization_id == "default"]
    scored = rows[:9]
    for row in scored:
        assert await set_scores(any_database, "default", row.id, {"good": 1.0}, now=row.received_at)

    def of(held: list[Any]) -> tuple[int, int]:
        return len(rows), sum(one is not None for one in held)

    fields = {
        "cost": of([row.cost_nano_usd for row in rows]),
        "total_tokens": of([row.total_tokens for row in rows]),
        "latency": of([row.latency for row in rows]),
        "status": (len(rows), len(rows)),
        "scores": (len(rows), len(scored)),
        "session_total_cost": (sum(row.session_id is not None for row in rows),) * 2,
        "user_total_requests": (sum(row.user_id is not None for row in rows),) * 2,
        "request_created_at": (len(rows), len(rows)),
    }
    tables = {"session_total_cost": "sessions_request_response_rmt", "user_total_requests": "users_view"}
    async with any_database.connect() as connection:
        for (name, (every, known)), value in product(fields.items(), FAR):
            above = float(value) > 0 if isinstance(value, str | float) else value > 0
            expected = {"gt": 0, "gte": 0, "equals": 0, "lt": known, "lte": known}
            if not above:
                expected |= {"gt": known, "gte": known, "lt": 0, "lte": 0}
            if name != "request_created_at":
                expected |= {"not-equals": every, "in": 0}
            elif isinstance(value, str):
                continue
            for operator, number in expected.items():
                said = {operator: [value] if operator == "in" else value}
                asked = {"good": said} if name == "scores" else said
                node = read_filter({tables.get(name, "request_response_rmt"): {name: asked}})
                told_of = f"{name} {operator} {str(value)[:9]}"
                assert await count(connection, Scope(), Wanted(node)) == number, told_of
                if operator == "lt":
                    assert len(await find(connection, Scope(), Wanted(node), Order(), limit=100)) == number, told_of


@pytest.mark.parametrize("value", FAR)
@pytest.mark.parametrize("operator", ["gt", "gte", "lt", "lte", "equals", "in"])
def test_a_number_beyond_all_has_its_place_where_zones_are_left_out(operator: str, value: Any) -> None:
    condition = read_filter(rmt("cost", operator, [value] if operator == "in" else value))
    assert isinstance(condition, Condition)
    ((start, end),) = intervals(condition)
    assert all(abs(one) < 2**63 for one in (start, end) if one is not None)
    if operator in ("gt", "gte"):
        assert start == (2**63 - 1 if condition.value > 0 else start)


async def test_every_sort_is_served(any_database: Database, exchange: Build) -> None:
    await log_all(any_database, many(exchange, 20))
    keyed = {"properties": "app", "values": "input", "scores": "good"}
    async with any_database.connect() as connection:
        whole = [
            one.row["seq"] for one in await find(connection, Scope(), Wanted(ALL), Order(direction="asc"), limit=99)
        ]
        for name in RequestSort.__struct_fields__:
            for direction in ("asc", "desc"):
                said: Any = {keyed[name]: direction} if name in keyed else name == "random" or direction
                if name in ("request_prompt", "response_text"):
                    with pytest.raises(FilterError, match=name):
                        chosen(RequestSort(**{name: said}))
                    continue
                order = chosen(RequestSort(**{name: said}))
                # Also where an index of a property leads.
                for node in (ALL, read_filter({"properties": {"stage": {"equals": "prod"}}})):
                    found = [one.row["seq"] for one in await find(connection, Scope(), Wanted(node), order, limit=99)]
                    assert len(found) == await count(connection, Scope(), Wanted(node)) > 0, name
                    if name == "values":  # of which no request has any
                        assert found == sorted(found, reverse=direction == "desc")
                    elif node == ALL:
                        assert sorted(found) == sorted(whole), name


async def test_all_scores_as_one_column(any_database: Database, exchange: Build) -> None:
    await log_all(any_database, [exchange() for _ in range(5)])
    async with any_database.connect() as connection:
        rows = [*await connection.execute(select(REQUEST).order_by(REQUEST.c.seq))]
    for row, name in zip(rows, ("good", "fast", "Goodness"), strict=False):
        assert await set_scores(any_database, "default", row.id, {name: 1.0}, now=row.received_at)

    async def found(operator: str, value: Any) -> int:
        async with any_database.connect() as connection:
            return await count(connection, Scope(), Wanted(read_filter(rmt("scores_column", operator, value))))

    assert [await found("not-equals", none) for none in ("{}", "null", None)] == [3, 3, 3]
    assert [await found("equals", none) for none in ("{}", "null", None)] == [2, 2, 2]
    assert [await found("contains", "good"), await found("not-contains", "good")] == [2, 3]
    assert [await found("equals", "fast"), await found("in", ["fast", "good"])] == [1, 2]
    field = {"table": "request_response_rmt", "column": "scores_column"}
    said = {"type": "condition", "field": field, "operator": "neq", "value": "{}"}
    assert read_filter(said) == read_filter(rmt("scores_column", "not-equals", "{}"))
    of_one = {"type": "condition", "field": {**field, "key": "good"}, "operator": "gte", "value": 0.5}
    assert read_filter(of_one) == read_filter({"request_response_rmt": {"scores": {"good": {"gte": 0.5}}}})


async def test_a_key_may_be_all_that_is_seen(any_database: Database, exchange: Build) -> None:
    await log_all(any_database, many(exchange, 60))
    async with any_database.connect() as connection:
        mine = Scope("default", "1")
        expected = set(
            await connection.scalars(
                select(REQUEST.c.seq).where(REQUEST.c.organization_id == "default", REQUEST.c.key_id == "1")
            )
        )
        shop = read_filter({"properties": {"app": {"contains": ""}}})
        for node in (ALL, shop):
            listed = await find(connection, mine, Wanted(node), Order(), limit=1000)
            assert {one.row["seq"] for one in listed} == expected
        for value in ("shop", "blog"):
            node = read_filter({"properties": {"app": {"equals": value}}})
            listed = await find(connection, mine, Wanted(node), Order(), limit=1000)
            assert {one.row["seq"] for one in listed} <= expected
            assert await count(connection, mine, Wanted(node)) == len(listed)
