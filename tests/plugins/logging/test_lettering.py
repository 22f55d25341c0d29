"""Lettering: a list sorted by a text is the same whether all requests are sorted or those that can come first."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, update

from helicone_gw.database import Database
from helicone_gw.exchange import Exchange
from helicone_gw_logging import zone_notes, zone_rows
from helicone_gw_logging import zones as module
from helicone_gw_logging.corrections import set_property
from helicone_gw_logging.query import lettering, noting, ranking, requests, zoning
from helicone_gw_logging.query.filters import read_filter
from helicone_gw_logging.query.nodes import both
from helicone_gw_logging.query.requests import find
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.sorts import Order
from helicone_gw_logging.query.wanted import Wanted
from helicone_gw_logging.tables import REQUEST
from helicone_gw_logging.zones import note_zones
from tests.plugins.logging.asking import START, log_all, many
from tests.plugins.logging.zoning import SIZE, rmt

Build = Callable[..., Exchange]
REQUESTS = 150
SORTS = ("body_model", None), ("provider", None), ("user_id", None), ("properties", "APP"), ("properties", "stage")
FILTERS: tuple[Any, ...] = (
    rmt("session_name", "equals", "Course"),
    rmt("session_name", "not-equals", "Course"),
    rmt("latency", "gt", 2),
    rmt("status", "lt", 500),
    rmt("user_id", "not-equals", "ann"),
    rmt("model", "contains", "mini"),
    rmt("request_created_at", "gte", round(START * 1000) + 3_600_000),
    {"properties": {"app": {"contains": "hop"}}},
    {"properties": {"stage": {"equals": "null"}}},
)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    for each in (module, zoning, noting, ranking, lettering):
        monkeypatch.setattr(each, "SIZE", SIZE)
    for each in (zoning, noting):
        monkeypatch.setattr(each, "SINGLE", 2)
    monkeypatch.setattr(ranking, "DAY_MS", 1000)
    monkeypatch.setattr(zone_notes, "SMALL", 2)
    monkeypatch.setattr(zone_notes, "RARE", 2)
    monkeypatch.setattr(lettering, "AT_ONCE", 3)


async def vary(database: Database, dice: random.Random) -> None:
    """Give requests texts that databases put in different orders, that few and many have, and none."""
    async with database.begin() as connection:
        for seq in [*await connection.scalars(select(REQUEST.c.seq))]:
            values = {
                "model": dice.choice((None, None, "b", "B", "a", "ä", "a-b", "ab", f"m{dice.randrange(40)}")),
                "request_model": dice.choice((None, "a", "Z", "é")),
                "provider": None if seq < 70 else dice.choice((None, "openai", "openai", "Azure")),
                "user_id": dice.choice((None, "ann", "Ann", "bob", f"user-{seq}", f"user-{seq}")),
            }
            await connection.execute(update(REQUEST).where(REQUEST.c.seq == seq).values(values))


@pytest.mark.parametrize(("seed", "questions"), [(3, 60), pytest.param(4, 600, marks=pytest.mark.full)])
async def test_the_same_requests_come_first(
    any_database: Database, exchange: Build, monkeypatch: pytest.MonkeyPatch, seed: int, questions: int
) -> None:
    dice, told, first_lettered = random.Random(seed), 0, lettering.first_lettered
    done = many(exchange, REQUESTS, seed)
    await log_all(any_database, done)
    await vary(any_database, dice)
    async for _ in note_zones(any_database):
        pass
    mine = [one.id for one in done if one.organization == "default"]
    for one in dice.sample(mine, 3):
        await set_property(any_database, "default", one, "App", f"late-{one}")

    async def counted(*arguments: Any) -> Any:
        nonlocal told
        first = await first_lettered(*arguments)
        told += first is not None
        return first

    async def nothing(*_: Any) -> None:
        return None

    async with any_database.connect() as connection:
        for number in range(questions):
            some = [read_filter(one) for one in dice.sample(FILTERS, dice.choice((0, 1, 1, 2)))]
            wanted = Wanted(both("and", some), cached=dice.choice((None, None, None, False)))
            name, key = SORTS[number % len(SORTS)]
            order = Order(name, dice.choice(("desc", "asc")), key)
            scope, page = Scope(dice.choice(("default", "default", "acme"))), {"limit": dice.randrange(1, 12)}
            offset, plain, found = dice.choice((0, 0, 3, 20)), list[int](), list[int]()
            for way, into in ((nothing, plain), (counted, found)):
                monkeypatch.setattr(requests, "first_lettered", way)
                into += [one.row["seq"] for one in await find(connection, scope, wanted, order, **page, offset=offset)]
            assert found == plain, (wanted, order)
    assert told > questions / 3


async def test_only_those_are_read_that_can_come_first(any_database: Database, exchange: Build) -> None:
    await log_all(any_database, [exchange(received_at=START + number) for number in range(4 * SIZE)])
    async with any_database.begin() as connection:
        for seq in range(1, 4 * SIZE + 1):
            values = {
                "provider": "beta" if seq % 2 else "alpha",
                "model": "last" if seq == 20 else None,
                "request_model": "first" if seq > 60 else None,
                "user_id": f"user-{seq:03}",
            }
            await connection.execute(update(REQUEST).where(REQUEST.c.seq == seq).values(values))
    async for _ in note_zones(any_database):
        pass
    odd = Wanted(read_filter(rmt("provider", "equals", "beta")))
    async with any_database.connect() as connection:

        async def read(
            name: str, direction: Any, many: int, wanted: Wanted, key: str | None = None
        ) -> list[int] | None:
            first = await lettering.first_lettered(connection, Scope(), wanted, Order(name, direction, key), many)
            if first is None:
                return None
            *pieces, _ = sorted(first[0].among or (), key=lambda piece: piece.ranges)
            return sorted({seq for piece in pieces for start, end in piece.ranges for seq in range(start, end)})

        everyone = Wanted(read_filter("all"))
        # Twice as many as are asked for, the newest of those that are alike, or the oldest.
        assert await read("provider", "desc", 2, everyone) == [57, 59, 61, 63]
        assert await read("provider", "asc", 2, everyone) == [2, 4, 6, 8]
        assert await read("provider", "asc", 2, odd) == [1, 3, 5, 7]
        assert await read("body_model", "desc", 1, everyone) == [20, 63]
        assert await read("body_model", "asc", 1, everyone) == [61, 62]
        assert await read("body_model", "asc", 2, odd) == [1, 3, 61, 63]
        assert await read("properties", "desc", 1, everyone, "nobody's") == [62, 63]
        assert await read("user_id", "asc", 1, odd) == [1, 3]
        assert await read("latency", "desc", 1, everyone) is None
        assert await read("provider", "desc", 60, everyone) is None


async def test_nothing_is_told_of_texts_that_are_too_many(
    any_database: Database, exchange: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zone_rows, "MOST_KEYS", 1)
    monkeypatch.setattr(zone_notes, "MOST", 4)
    done = [
        exchange(
            headers={"Helicone-Property-Number": str(number), **({"Helicone-Property-B": "x"} if number > 30 else {})},
            received_at=START + number,
        )
        for number in range(4 * SIZE)
    ]
    await log_all(any_database, done)
    async for _ in note_zones(any_database):
        pass
    numbered, other = Order("properties", "desc", "number"), Order("properties", "desc", "b")
    async with any_database.connect() as connection:
        assert await lettering.first_lettered(connection, Scope(), Wanted(read_filter("all")), numbered, 2) is None
        # Where keys are too many, anybody may have it.
        first = await lettering.first_lettered(connection, Scope(), Wanted(read_filter("all")), other, 2)
        assert first is not None
        whole = [piece.ranges[0] for piece in first[0].among or () if zoning.is_whole(piece)]
        assert sorted(whole) == [(2 * SIZE, 3 * SIZE), (3 * SIZE, 4 * SIZE)]
        found = await find(connection, Scope(), Wanted(read_filter("all")), other, limit=3)
        assert [one.row["seq"] for one in found] == [64, 63, 62]


async def test_whose_user_is_unknown_comes_behind_the_few_that_are_known(
    any_database: Database, exchange: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zone_notes, "SMALL", 4)
    monkeypatch.setattr(zoning, "SINGLE", 1)
    users = {10: "b", 40: "a", 41: "c"}
    done = [
        exchange(
            headers={"Helicone-User-Id": users[number]} if number in users else {},
            received_at=START + number,
            organization="acme" if 16 < number < 29 else "default",
        )
        for number in range(1, 4 * SIZE + 1)
    ]
    await log_all(any_database, done)
    async for _ in note_zones(any_database):
        pass
    order, everyone = Order("user_id", "asc"), Wanted(read_filter("all"))
    async with any_database.connect() as connection:
        first = await lettering.first_lettered(connection, Scope(), everyone, order, 4)
        assert first is not None
        *pieces, _ = sorted(first[0].among or (), key=lambda piece: piece.ranges)
        # A zone of which next to nothing is noted is read as a whole.
        read = {seq for piece in pieces for start, end in piece.ranges for seq in range(start, end)}
        assert read == {*range(1, 9), 10, *range(16, 32), 40, 41}
        found = await find(connection, Scope(), everyone, order, limit=4)
        assert [one.row["seq"] for one in found] == [40, 10, 41, 1]
