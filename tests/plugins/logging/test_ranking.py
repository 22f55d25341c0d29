"""Ranking: a list sorted by a number is the same whether all requests are sorted or those that can come first."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, update

from helicone_gw.database import Database
from helicone_gw.exchange import Exchange
from helicone_gw_logging import zone_codes, zone_notes
from helicone_gw_logging import zones as module
from helicone_gw_logging.query import noting, ranking, requests, zoning
from helicone_gw_logging.query.filters import read_filter
from helicone_gw_logging.query.nodes import both
from helicone_gw_logging.query.requests import find
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.sorts import Order
from helicone_gw_logging.query.wanted import Wanted
from helicone_gw_logging.tables import REQUEST
from helicone_gw_logging.zones import note_zones
from tests.plugins.logging.asking import START, log_all, many

Build = Callable[..., Exchange]
SIZE, REQUESTS = 16, 150
COLUMNS = "latency", "cost_nano_usd", "time_to_first_token", "prompt_tokens", "total_tokens", "completion_tokens"
SORTS = "latency", "cost", "time_to_first_token", "prompt_tokens", "total_tokens", "completion_tokens", "status"


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    for each in (module, zoning, noting, ranking):
        monkeypatch.setattr(each, "SIZE", SIZE)
    monkeypatch.setattr(zone_notes, "SMALL", 2)
    monkeypatch.setattr(zone_notes, "RARE", 2)
    monkeypatch.setattr(zone_codes, "MOST", 5)
    monkeypatch.setattr(ranking, "AT_ONCE", 3)


def rmt(column: str, operator: str, value: Any) -> Any:
    return read_filter({"request_response_rmt": {column: {operator: value}}})


async def vary(database: Database, dice: random.Random) -> None:
    """Give requests numbers that many share, that nobody shares, that few have, and none."""
    async with database.begin() as connection:
        for seq in [*await connection.scalars(select(REQUEST.c.seq))]:
            values: dict[str, Any] = {
                name: dice.choice((None, dice.randrange(4), dice.randrange(10**12))) for name in COLUMNS
            }
            values["prompt_tokens"] = 7
            values["completion_tokens"] = dice.randrange(9) if dice.random() < 0.05 else None
            await connection.execute(update(REQUEST).where(REQUEST.c.seq == seq).values(values))


@pytest.mark.parametrize(("seed", "questions"), [(3, 40), pytest.param(4, 300, marks=pytest.mark.full)])
async def test_the_same_requests_come_first(
    any_database: Database, exchange: Build, monkeypatch: pytest.MonkeyPatch, seed: int, questions: int
) -> None:
    dice, told = random.Random(seed), 0
    await log_all(any_database, many(exchange, REQUESTS, seed))
    await vary(any_database, dice)
    assert [done async for done in note_zones(any_database)][-1] == (REQUESTS + 1) // SIZE
    filters = [
        both("and", []),
        rmt("session_name", "equals", "Course"),
        rmt("session_name", "not-equals", "Course"),
        rmt("time_to_first_token", "equals", "null"),
        rmt("latency", "gt", 2),
        rmt("status", "lt", 500),
        rmt("request_created_at", "gte", START * 1000 + 3_600_000),
        read_filter({"properties": {"app": {"contains": "hop"}}}),
        read_filter({"scores": {"good": {"gt": 0}}}),
    ]
    kept, ranked = ranking.MANY, requests.first_ranked

    async def first_ranked(*arguments: Any) -> Any:
        nonlocal told
        first = await ranked(*arguments)
        told += first is not None
        return first

    monkeypatch.setattr(requests, "first_ranked", first_ranked)
    async with any_database.connect() as connection:
        for _ in range(questions):
            some = dice.sample(filters, dice.randrange(1, 3))
            wanted = Wanted(both("and", some), cached=dice.choice((None, None, None, False)))
            order = Order(dice.choice(SORTS), dice.choice(("desc", "asc")))
            scope, page = Scope(dice.choice(("default", "default", "acme"))), {"limit": dice.randrange(1, 12)}
            offset = dice.choice((0, 0, 3))
            plain, found = [], []
            for most, into in ((-1, plain), (kept, found)):
                monkeypatch.setattr(ranking, "MANY", most)
                into += [one.row["seq"] for one in await find(connection, scope, wanted, order, **page, offset=offset)]
            assert found == plain, (wanted, order)
    assert told > questions / 3


async def test_only_those_are_read_that_can_come_first(
    any_database: Database, exchange: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zoning, "SINGLE", 1)
    await log_all(any_database, [exchange(received_at=START + number) for number in range(4 * SIZE)])
    async with any_database.begin() as connection:
        for seq in range(1, 4 * SIZE + 1):
            values = {"time_to_first_token": seq * 37 % 64, "prompt_tokens": None if seq < 60 else 5}
            await connection.execute(update(REQUEST).where(REQUEST.c.seq == seq).values(values))
    async for _ in note_zones(any_database):
        pass
    monkeypatch.setattr(zone_codes, "MOST", 64)
    asked = Wanted(both("and", []))
    async with any_database.connect() as connection:

        async def read(name: str, direction: Any, many: int) -> list[int] | None:
            first = await ranking.first_ranked(connection, Scope(), asked, Order(name, direction), many)
            if first is None:
                return None
            pieces = (first[0].among or ())[1:]
            return sorted({seq for piece in pieces for start, end in piece.ranges for seq in range(start, end)})

        slowest = await read("time_to_first_token", "desc", 1)
        assert slowest is not None
        # Zones have five codes each, and one of them of three requests or four.
        assert len(slowest) < 20
        assert {seq for seq in range(1, 64) if seq * 37 % 64 > 61} <= {*slowest}
        fastest = await read("time_to_first_token", "asc", 1)
        assert fastest is not None
        assert {seq for seq in range(1, 64) if seq * 37 % 64 < 2} <= {*fastest}
        # Of those that are alike the newest, or the oldest; those of which nothing is known come last.
        assert await read("prompt_tokens", "desc", 2) == [*range(60, 64)]
        assert await read("prompt_tokens", "desc", 3) == [*range(48, 64)]
        assert await read("prompt_tokens", "asc", 3) == [*range(16), *range(60, 64)]
        assert await read("prompt_tokens", "desc", 40) is None
        assert await read("user_id", "desc", 1) is None
