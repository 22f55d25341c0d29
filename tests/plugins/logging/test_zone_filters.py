"""Whatever is asked of requests, and whatever is noted of their zones: what is found is what is in all of them."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, update

from helicone_gw.database import Database
from helicone_gw.exchange import Exchange
from helicone_gw.model import Cost, Usage
from helicone_gw_logging import zone_codes, zone_notes, zone_rows
from helicone_gw_logging import zones as module
from helicone_gw_logging.corrections import set_feedback, set_property, set_scores
from helicone_gw_logging.query import among, beside, counting, noting, ranking, requests, zoning
from helicone_gw_logging.query.columns import KEYED, TABLES
from helicone_gw_logging.query.nodes import OPERATORS, Both, Condition, Field, FilterError, Node, condition
from helicone_gw_logging.query.requests import count, find
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.searching import search
from helicone_gw_logging.query.sessions import set_tag
from helicone_gw_logging.query.sorts import Order
from helicone_gw_logging.query.wanted import Wanted
from helicone_gw_logging.query.zoning import zoned
from helicone_gw_logging.repricing import recompute
from helicone_gw_logging.tables import PROPERTY, REQUEST
from helicone_gw_logging.zones import note_zones
from tests.plugins.logging.asking import START, log_all, many

Build = Callable[..., Exchange]
Ask = Callable[[random.Random, list[Any], list[Any], int], list[Node]]
SIZE, REQUESTS = 16, 100
NOW = round(START * 1000)
VALUES: dict[str, tuple[Any, ...]] = {
    "request_response_rmt.scores": (0, 1, 0.5),
    "feedback.rating": (True, False),
    "sessions_request_response_rmt.session_tag": ("good", "goo"),
}
"""Values to ask for that are in no column of a request."""


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Zones of few requests, whose notes tell of little, so that everything that can be known of them is asked."""
    for each in (module, zoning, noting, ranking, counting):
        monkeypatch.setattr(each, "SIZE", SIZE)
    monkeypatch.setattr(zoning, "MOST", 3)
    monkeypatch.setattr(zoning, "DENSE", 1)
    for each in (zoning, noting):
        monkeypatch.setattr(each, "SINGLE", 2)
    monkeypatch.setattr(requests, "MOST_AMONG", 70)
    monkeypatch.setattr(beside, "MOST", 12)
    monkeypatch.setattr(beside, "OLD", 30)
    monkeypatch.setattr(among, "FIRST", 20)
    monkeypatch.setattr(zone_rows, "MOST_KEYS", 2)
    monkeypatch.setattr(zone_codes, "MOST", 6)
    monkeypatch.setattr(zoning, "COMMON", 2)
    monkeypatch.setattr(noting, "AT_ONCE", 2)
    for name, few in {"SMALL": 5, "RARE": 2, "EDGE": 2, "FEW_NUMBERS": 4, "MOST": 5, "MOST_TEXT": 400}.items():
        monkeypatch.setattr(zone_notes, name, few)


async def vary(database: Database, dice: random.Random) -> None:
    """Give requests numbers and texts of all kinds: what all have, what few have, what is unknown of most."""
    async with database.begin() as connection:
        for seq in [*await connection.scalars(select(REQUEST.c.seq))]:
            values: dict[str, Any] = {}
            for name in ("latency", "prompt_tokens", "request_size", "cost_nano_usd", "first_byte_at", "saved_ms"):
                values[name] = dice.choice((None, 7, 7, dice.randrange(20), dice.randrange(10**12)))
            for name in ("threat", "cache_enabled", "usage_estimated"):
                values[name] = dice.random() < 0.02
            values["trace_id"] = f"{dice.randrange(2**64):016x}"
            values["provider_request_id"] = dice.choice((None, "chatcmpl-Ä%_", f"chatcmpl-{seq}"))
            values["cache_status"] = dice.choice((None, None, None, "miss", "hit"))
            values["attempt_count"] = 1 + (dice.random() < 0.05)
            await connection.execute(update(REQUEST).where(REQUEST.c.seq == seq).values(values))


async def change(database: Database, dice: random.Random) -> None:
    """Say something of requests, and price them anew."""
    async with database.connect() as connection:
        ids = [*await connection.scalars(select(REQUEST.c.id).where(REQUEST.c.organization_id == "default"))]
    for one in dice.sample(ids, 6):
        assert await set_property(database, "default", one, "App", f"late-{one}")
        assert await set_property(database, "default", one, "Late", "yes")
        assert await set_scores(database, "default", one, {"good": dice.choice((0, 1, 0.5))}, now=NOW)
        assert await set_feedback(database, "default", one, now=NOW, rating=dice.random() < 0.5)
    assert await set_tag(database, Scope(), "x", "good", NOW)

    def price(provider: str, model: str | None, usage: Usage, asked: str | None, at: int) -> Cost | None:
        return Cost(dice.choice((5, 10**13)), (), "new", str(dice.randrange(9)))

    since = NOW + dice.randrange(3 * 3600 * 1000)
    async for _ in recompute(database, price, since=since, now=NOW + dice.randrange(10)):
        pass


def fields() -> list[Field]:
    """Every column that can be asked, once."""
    every = [field for table in TABLES.values() for field in table.values()] + [*KEYED.values()]
    asked = {(each.source, each.column, each.scale, each.keyed): each for each in every if each.kind != "body"}
    return [*asked.values()]


def draw(
    dice: random.Random, rows: list[Any], properties: list[Any], field: Field, *, unknown: float = 0.05
) -> Condition:
    """A condition for that column, about what some request has or nearly has, or about what is ``unknown``."""
    operator, key = dice.choice(OPERATORS[field.kind]), None
    if unknown > 0.1 and dice.random() < 0.6:
        operator = dice.choice([each for each in OPERATORS[field.kind] if each.startswith("not-")] or ["equals"])
    held: Any = getattr(dice.choice(rows), field.column, None) if field.source == "request" else None
    if field.source in ("property", "property-key"):
        one = dice.choice(properties)
        held, key = (one.value if field.source == "property" else one.key), one.key
    elif field.keyed:
        key = "good"
    if held is None:
        told = VALUES.get(f"{field.table}.{field.name}")
        held = dice.choice(told) if told else {"text": "nothing", "boolean": True}.get(field.kind, dice.randrange(20))
    if field.kind == "text" and operator in ("contains", "not-contains", "like", "ilike"):
        part = held[dice.randrange(len(held) + 1) :][:6].upper()
        held = part if "contains" in operator else f"{'%' * dice.randrange(2)}{part if operator == 'ilike' else held}%"
    elif field.kind in ("number", "timestamp"):
        held = held / field.scale + dice.choice((0, 0, 0, 1, -1, 0.5) if field.kind == "number" else (0, 1))
    value = None if operator in ("equals", "not-equals", "is") and dice.random() < unknown else held
    return condition(field, operator, [value, value] if operator == "in" else value, key)


def negative(dice: random.Random, rows: list[Any], properties: list[Any], count: int) -> list[Node]:
    """What is unknown, or another one, of two columns or three."""
    asked = [field for field in fields() if field.source in ("request", "property")]
    found: list[Node] = []
    for _ in range(count):
        some = [draw(dice, rows, properties, dice.choice(asked), unknown=0.4) for _ in range(dice.randrange(2, 4))]
        found.append(Both(dice.choice(("and", "and", "or")), tuple(some)))
    return found


def trees(dice: random.Random, rows: list[Any], properties: list[Any], count: int) -> list[Node]:
    """Conditions for columns of all kinds, some of them joined."""
    found: list[Node] = []
    asked = fields()
    dice.shuffle(asked)
    for number in range(count):
        one = draw(dice, rows, properties, asked[number % len(asked)])
        if number % 3 == 0:
            found.append(one)
            continue
        others = [draw(dice, rows, properties, dice.choice(asked)) for _ in range(dice.randrange(1, 3))]
        if number % 6 == 1:
            others.append(draw(dice, rows, properties, one.field))
        found.append(Both(dice.choice(("and", "or")), (one, *others)))
    return found


@pytest.mark.parametrize("ask", [trees, negative])
@pytest.mark.parametrize(("seed", "questions"), [(2, 14), pytest.param(1, 120, marks=pytest.mark.full)])
async def test_the_same_requests_are_found(
    any_database: Database, exchange: Build, ask: Ask, seed: int, questions: int
) -> None:
    dice = random.Random(seed)
    await log_all(any_database, many(exchange, REQUESTS, seed))
    await vary(any_database, dice)
    await change(any_database, dice)
    assert [done async for done in note_zones(any_database)][-1] == (REQUESTS + 1) // SIZE
    await change(any_database, dice)
    if seed == 2:
        assert [done async for done in note_zones(any_database)][-1] > 0
    await log_all(any_database, many(exchange, 9, seed + 10))
    told = 0
    async with any_database.connect() as connection:
        rows = [*await connection.execute(select(REQUEST))]
        properties = [*await connection.execute(select(PROPERTY))]
        for number, node in enumerate(ask(dice, rows, properties, questions)):
            scope = Scope("acme") if number % 7 == 0 else Scope()
            beside_it = dice.choice((None, None, None, True, False)), dice.choice((None, None, None, True, False))
            wanted = Wanted(node, cached=beside_it[0], scored=beside_it[1])
            other = await zoned(connection, scope, wanted)
            told += other is not wanted
            if other is not wanted:
                await compare(connection, scope, wanted, other, dice, in_pieces=number % 3 == 0)
    assert told > questions / 4


async def compare(
    connection: Any, scope: Scope, wanted: Wanted, other: Wanted, dice: random.Random, *, in_pieces: bool
) -> None:
    """Whether both find the same in every way."""
    order = Order(direction=dice.choice(("desc", "asc")))
    try:
        plain = [each.row["seq"] for each in await find(connection, scope, wanted, order, limit=200)]
    except FilterError:
        return
    assert [await count(connection, scope, each) for each in (wanted, other)] == [len(plain)] * 2, wanted
    limit, offset = dice.randrange(1, 9), dice.randrange(3)
    some = await find(connection, scope, other, order, limit=limit, offset=offset)
    assert [each.row["seq"] for each in some] == plain[offset : offset + limit], wanted
    slowest = Order("latency")
    same = [await find(connection, scope, each, slowest, limit=20) for each in (wanted, other)]
    assert [each.row["seq"] for each in same[0]] == [each.row["seq"] for each in same[1]], wanted
    # Piece by piece, by somebody who never has time for a second one.
    found: list[int] = []
    after, ticks = None, iter(range(10**6))
    while in_pieces:
        page, after = await search(
            connection, scope, other, order, limit=limit, seconds=0, monotonic=lambda: next(ticks), after=after
        )
        found += [each.row["seq"] for each in page]
        assert next(ticks) < 10_000, wanted
        if after is None:
            break
    assert found == plain or not in_pieces, wanted
