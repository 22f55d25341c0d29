"""Zones: a text is looked for where it can be; which requests are found is the same as in all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete, event, select
from sqlalchemy.dialects import postgresql, sqlite

from helicone_gw.database import Database
from helicone_gw.exchange import Exchange
from helicone_gw.model import Cost, Usage
from helicone_gw_logging import zone_notes, zone_rows
from helicone_gw_logging import zones as module
from helicone_gw_logging.corrections import set_property
from helicone_gw_logging.noted import TEXT_ZONE
from helicone_gw_logging.query import among as first_among
from helicone_gw_logging.query import counting, noting, ranking, zoning
from helicone_gw_logging.query.filters import read_filter
from helicone_gw_logging.query.nodes import both
from helicone_gw_logging.query.pieces import ALWAYS, Piece
from helicone_gw_logging.query.requests import count, find
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.searching import search
from helicone_gw_logging.query.sorts import Order
from helicone_gw_logging.query.wanted import Wanted
from helicone_gw_logging.query.zoning import zoned
from helicone_gw_logging.repricing import recompute
from helicone_gw_logging.tables import REQUEST
from helicone_gw_logging.zone_notes import folded
from tests.plugins.logging.asking import START, log_all, many
from tests.plugins.logging.zoning import SIZE, among, noted, numbers, rmt

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

Build = Callable[..., Exchange]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Zones of few requests, most of which are few enough."""
    for each in (module, zoning, noting, ranking, counting):
        monkeypatch.setattr(each, "SIZE", SIZE)
    monkeypatch.setattr(zone_notes, "SMALL", 1_000)


def either(*filters: Any) -> Any:
    return {"type": "or", "expressions": [expression(*one) for one in filters]}


def expression(column: str, operator: str, value: Any) -> Any:
    field = {"table": "request_response_rmt", "column": column}
    return {"type": "condition", "field": field, "operator": operator, "value": value}


async def log_named(database: Database, exchange: Build, names: Sequence[str], organization: str = "default") -> None:
    """Log a request for each of these names of a session."""
    rows = []
    for number, name in enumerate(names):
        headers = {"Helicone-Session-Id": "s", "Helicone-Session-Name": name}
        rows.append(exchange(headers=headers, received_at=START + number, organization=organization))
    await log_all(database, rows)


ASKED = [
    rmt("model", "contains", "4O-2024"),
    rmt("request_model", "equals", "gpt-4o"),
    rmt("model", "contains", "nobody"),
    rmt("session_name", "like", "C%se"),
    rmt("session_name", "ilike", "c_urse"),
    rmt("session_name", "like", "c%"),
    rmt("session_name", "in", ["Trip", "nobody"]),
    rmt("session_name", "not-contains", "Trip"),
    rmt("session_name", "equals", "null"),
    rmt("path", "contains", "%"),
    [rmt("request_model", "contains", "mini"), rmt("session_name", "equals", "Course")],
    [rmt("request_model", "contains", "mini"), rmt("latency", "gte", 0)],
    {"properties": {"App": {"contains": "HOP"}}},
    {"properties": {"app": {"like": "a%b"}}},
    {"properties": {"nothing": {"contains": "shop"}}},
    either(("request_model", "contains", "mini"), ("session_name", "contains", "rip")),
    either(("request_model", "contains", "mini"), ("latency", "lt", 0)),
]
UNTOLD = (7, 8)
"""Those of which nothing is noted."""


async def test_the_same_requests_are_found(
    any_database: Database, exchange: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zoning, "MOST", 100)
    await log_all(any_database, many(exchange, 60))
    assert await noted(any_database) == 61 // SIZE
    await log_all(any_database, many(exchange, 20, seed=7))
    async with any_database.connect() as connection:
        for number, asked in enumerate(ASKED):
            for scope in (Scope(), Scope("acme")) if number == 0 else (Scope(),):
                wanted = Wanted(read_filter(asked))
                other = await zoned(connection, scope, wanted)
                assert (other == wanted) == (number in UNTOLD), asked
                for order in (Order(), Order("latency", "asc")) if number < 2 else (Order(),):
                    plain, found = [
                        await find(connection, scope, one, order, limit=40, offset=1) for one in (wanted, other)
                    ]
                    assert [each.row["seq"] for each in found] == [each.row["seq"] for each in plain], asked
                assert await count(connection, scope, other) == await count(connection, scope, wanted)


async def test_only_zones_that_have_the_text_are_read_and_what_is_not_noted(
    database: Database, exchange: Build
) -> None:
    names = ["plain"] * (10 * SIZE)
    names[3 * SIZE - 1] = names[4 * SIZE - 1] = names[7 * SIZE - 1] = "Rare"  # the first of a zone: numbers are from 1
    await log_named(database, exchange, names)
    rest = (10 * SIZE, 2**63 - 1)
    assert await among(database, rmt("session_name", "contains", "rar")) == ((0, 2**63 - 1),)
    assert await noted(database) == 10
    assert await noted(database) == 0
    assert await among(database, rmt("session_name", "contains", "rar")) == (numbers(3, 5), numbers(7, 8), rest)
    assert await among(database, rmt("session_name", "contains", "nobody")) == (rest,)
    assert await among(database, rmt("session_name", "contains", "rar"), "acme") == (rest,)
    # It is everywhere: a page of it is found at once.
    assert await among(database, rmt("session_name", "contains", "lain")) is None


async def test_a_text_of_many_zones_is_looked_for_in_the_order_that_is_asked_for(
    database: Database, exchange: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    await log_named(database, exchange, ["plain"] * (5 * SIZE))
    await noted(database)
    monkeypatch.setattr(zoning, "MOST", 4)
    assert await among(database, rmt("session_name", "contains", "plain")) is None
    assert await among(database, rmt("session_name", "contains", "nobody")) is not None
    # Much that is not noted is as good as many zones.
    await log_named(database, exchange, ["plain"] * (5 * SIZE))
    assert await among(database, rmt("session_name", "contains", "nobody")) is None


async def test_where_texts_are_too_many_to_be_noted_any_may_be_there(
    database: Database, exchange: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zone_notes, "MOST", SIZE - 1)
    monkeypatch.setattr(zone_notes, "MOST_TEXT", 1000)
    await log_named(database, exchange, ["plain"] * SIZE)
    await log_named(database, exchange, [f"one of {number}" for number in range(SIZE)])
    await log_named(database, exchange, ["x" * 600, "y" * 600] * (SIZE // 2))
    await noted(database)
    rest = (3 * SIZE, 2**63 - 1)
    assert await among(database, rmt("session_name", "contains", "nobody")) == (numbers(1, 3), rest)


@pytest.mark.parametrize("column", ["path", "request_created_at", "latency", "status", "user_id"])
async def test_zones_are_gone_to_by_the_numbers_of_their_requests(database: Database, column: str) -> None:
    operator = {"path": "contains", "user_id": "equals"}.get(column, "gte")
    wanted = Wanted(
        read_filter(rmt(column, operator, "nobody" if operator != "gte" else 20_000)),
        among=(Piece(tuple(numbers(n, n + 1) for n in (1, 3, 9)), *ALWAYS, 1),),
    )
    query = wanted.numbers(Scope()).compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
    async with database.connect() as connection:
        plan = [row[3] for row in await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}".replace("%%", "%"))]
    steps = [step for step in plan if "request" in step]
    assert len(steps) == 1, plan
    assert "seq>? AND seq<?" in steps[0], plan


def test_of_few_requests_each_is_asked_by_itself_what_is_beside_it() -> None:
    node = both("and", [read_filter({kind: {"a": {"equals": "null"}}}) for kind in ("properties", "scores")])
    for some, times in ((None, 0), ((Piece((numbers(1, 2),), *ALWAYS, 1),), 3)):
        query = Wanted(node, scored=True, among=some).numbers(Scope())
        # What begins somewhere Postgres does not make a join.
        said = str(query.compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]
        inner = said[said.index("WHERE", said.rindex("AS request") if some else 0) :]
        assert (inner.count("EXISTS"), inner.count("OFFSET 0")) == (3, times)


async def test_a_short_time_is_looked_through_as_it_is(database: Database, exchange: Build) -> None:
    await log_named(database, exchange, ["plain"] * SIZE)
    await noted(database)
    day = [rmt("session_name", "contains", "nobody"), rmt("request_created_at", "gte", START * 1000)]
    assert await among(database, [*day, rmt("request_created_at", "lt", (START + 86_400) * 1000)]) is None
    assert await among(database, [*day, rmt("request_created_at", "lt", (START + 90_000) * 1000)]) is not None


async def test_what_is_looked_for_piece_by_piece_is_found_at_once(
    database: Database, exchange: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    await log_named(database, exchange, ["Rare", *["plain"] * (4 * SIZE)])
    await noted(database)
    looks: list[int] = []

    def monotonic() -> float:
        looks.append(1)
        return float(len(looks))

    monkeypatch.setattr("helicone_gw_logging.query.searching.FIRST", 1)
    async with database.connect() as connection:
        wanted = await zoned(connection, Scope(), Wanted(read_filter(rmt("session_name", "contains", "Rare"))))
        found, reached = await search(connection, Scope(), wanted, Order(), limit=5, seconds=0.5, monotonic=monotonic)
    assert ([each.row["session_name"] for each in found], reached) == (["Rare"], None)


async def test_a_property_that_is_changed_is_found_where_it_was_not_noted(
    any_database: Database, exchange: Build
) -> None:
    done = [exchange(headers={"Helicone-Property-App": "shop"}, received_at=START + n) for n in range(4 * SIZE)]
    await log_all(any_database, done)
    assert await set_property(any_database, "default", done[SIZE + 3].id, "App", "early")  # before it is noted
    assert await noted(any_database) == 4
    rest = (4 * SIZE, 2**63 - 1)
    for value in ("early", "late"):
        asked = {"properties": {"APP": {"contains": value.upper()}}}
        if value == "late":
            assert await among(any_database, asked) == (rest,)
            assert await set_property(any_database, "default", done[3 * SIZE + 3].id, "App", "late")
            assert await among(any_database, asked) == (numbers(3, 4), rest)
        async with any_database.connect() as connection:
            wanted = await zoned(connection, Scope(), Wanted(read_filter(asked)))
            assert wanted.among is not None
            assert await count(connection, Scope(), wanted) == 1


async def test_a_zone_that_has_changed_is_noted_anew(
    any_database: Database, exchange: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = [exchange(received_at=START + n) for n in range(4 * SIZE)]
    await log_all(any_database, done)
    assert await noted(any_database) == 4
    rest = (4 * SIZE, 2**63 - 1)
    dear = rmt("cost", "gt", 0.001)
    assert await among(any_database, dear) == (rest,)

    def price(provider: str, model: str | None, usage: Usage, asked: str | None, at: int) -> Cost | None:
        return Cost(2 * 10**6, (), "anew") if at == (START + 2 * SIZE) * 1000 else Cost(7_500)

    async for _ in recompute(any_database, price, since=0, now=1):
        pass
    # Everything has another source, and nobody knows yet what else.
    assert await among(any_database, dear) == (numbers(0, 4), rest)
    assert await among(any_database, rmt("cost_source", "equals", "anew")) == (numbers(0, 4), rest)
    assert await among(any_database, rmt("time_to_first_token", "gt", 10**6)) == (rest,)
    monkeypatch.setattr(module, "ANEW", 3)
    assert await noted(any_database) == 3
    assert await among(any_database, dear) == (numbers(0, 1), numbers(2, 3), rest)
    assert await noted(any_database) == 1
    assert await noted(any_database) == 0
    assert await among(any_database, dear) == (numbers(2, 3), rest)
    assert await among(any_database, rmt("cost_source", "equals", "anew")) == (numbers(2, 3), rest)


async def test_what_changes_while_it_is_noted_is_not_noted(
    database: Database, exchange: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = [exchange(headers={"Helicone-Property-App": "shop"}, received_at=START + n) for n in range(SIZE)]
    await log_all(database, done)
    reading, late = zone_rows.read_zone, iter(["late"])

    async def read_zone(connection: AsyncConnection, zone: int, size: int) -> Any:
        rows = await reading(connection, zone, size)
        for value in late:
            assert await set_property(database, "default", done[3].id, "App", value)
        return rows

    monkeypatch.setattr(zone_rows, "read_zone", read_zone)
    assert await noted(database) == 2  # the first time in vain
    assert await among(database, {"properties": {"app": {"equals": "nobody"}}}) is None  # its own index has it
    late_ones = {"properties": {"app": {"contains": "lat"}}}
    assert await among(database, late_ones) == (numbers(0, 1), (SIZE, 2**63 - 1))


async def test_the_newest_zones_are_read_first_and_no_more_than_a_page_needs(
    database: Database, exchange: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zoning, "MOST", 2)
    monkeypatch.setattr(zoning, "DENSE", 0)
    monkeypatch.setattr(first_among, "FIRST", 2 * SIZE)
    await log_named(database, exchange, ["plain"] * (7 * SIZE) + ["other"] * (3 * SIZE))
    await noted(database)
    asked = Wanted(read_filter(rmt("session_name", "contains", "lain")))
    statements: list[str] = []
    async with database.connect() as connection:
        wanted = await zoned(connection, Scope(), asked)
        assert wanted.among is not None

        @event.listens_for(connection.sync_connection, "before_cursor_execute")
        def _(*arguments: Any) -> None:
            statements.append(arguments[2])

        for direction, first in (("desc", 7 * SIZE), ("asc", 1)):
            statements.clear()
            found = await find(connection, Scope(), wanted, Order(direction=direction), limit=5)  # type: ignore[arg-type]
            step = -1 if direction == "desc" else 1
            assert [each.row["seq"] for each in found] == [*range(first, first + 5 * step, step)]
            assert len([one for one in statements if "json_each" in one]) <= 2


async def test_a_zone_of_many_keys_may_have_any_property(
    database: Database, exchange: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zone_rows, "MOST_KEYS", 3)
    for keys in (3, 4):
        headers = {f"Helicone-Property-K{number}": "shop" for number in range(keys)}
        await log_all(database, [exchange(headers=headers, received_at=START + n) for n in range(SIZE)])
    await noted(database)
    rest = (2 * SIZE, 2**63 - 1)
    # Numbers are from 1: the last of the first is in the second zone.
    assert await among(database, {"properties": {"k1": {"contains": "nobody"}}}) == (numbers(1, 2), rest)
    assert await among(database, {"properties": {"k1": {"contains": "HOP"}}}) == (numbers(0, 2), rest)


async def test_zones_of_which_nothing_is_left_are_forgotten(database: Database, exchange: Build) -> None:
    await log_named(database, exchange, ["plain"] * (3 * SIZE))
    await noted(database)

    async def left() -> list[int]:
        async with database.connect() as connection:
            return [*await connection.scalars(select(TEXT_ZONE.c.zone).distinct().order_by(TEXT_ZONE.c.zone))]

    assert await left() == [0, 1, 2]
    async with database.begin() as connection:
        await connection.execute(delete(REQUEST).where(REQUEST.c.seq < 2 * SIZE + 3))
    await noted(database)
    assert await left() == [2]
    async with database.begin() as connection:
        await connection.execute(delete(REQUEST))
    await noted(database)
    assert await left() == []
    await log_named(database, exchange, ["Rare"] * SIZE)
    await noted(database)
    async with database.connect() as connection:
        wanted = await zoned(connection, Scope(), Wanted(read_filter(rmt("session_name", "contains", "rare"))))
        assert await count(connection, Scope(), wanted) == SIZE


def test_letters_that_any_database_takes_for_alike_become_the_same() -> None:
    for each in map(chr, range(0x20000)):  # beyond, no letter has a case
        lower, upper = each.lower(), each.upper()
        if (lower, upper) == (each, each):
            continue
        assert folded(lower) == folded(each), each
        if len(upper) == 1 and upper.lower() == each:
            assert folded(upper) == folded(each), each
    assert folded("\u0130stanbul") == "istanbul"
    assert folded("GR\u00dcN") == folded("gru\u0308n") == "grun"
