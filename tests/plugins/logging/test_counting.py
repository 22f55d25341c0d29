"""Counting: how many there are is the same whether all requests are read or those of which codes do not tell."""

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
from helicone_gw_logging.config import Retention
from helicone_gw_logging.corrections import set_property
from helicone_gw_logging.query import counting, noting, zoning
from helicone_gw_logging.query.filters import read_filter
from helicone_gw_logging.query.nodes import both
from helicone_gw_logging.query.pieces import Piece
from helicone_gw_logging.query.requests import count
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.wanted import Wanted
from helicone_gw_logging.retention import prune
from helicone_gw_logging.tables import REQUEST
from helicone_gw_logging.zones import note_zones
from tests.plugins.logging.asking import START, log_all, many
from tests.plugins.logging.zoning import SIZE, rmt

Build = Callable[..., Exchange]
REQUESTS = 200
NOW = round(START * 1000)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    for each in (module, zoning, noting, counting):
        monkeypatch.setattr(each, "SIZE", SIZE)
    monkeypatch.setattr(counting, "AT_ONCE", 3)
    monkeypatch.setattr(counting, "DAY_MS", 1000)
    monkeypatch.setattr(zone_codes, "MOST", 6)
    for name, few in {"SMALL": 2, "RARE": 2, "EDGE": 2, "FEW_NUMBERS": 4}.items():
        monkeypatch.setattr(zone_notes, name, few)
    for each in (zoning, noting):
        monkeypatch.setattr(each, "SINGLE", 2)


async def vary(database: Database, dice: random.Random) -> None:
    """Give requests numbers and texts that many have, few have, and nobody knows."""
    async with database.begin() as connection:
        for seq in [*await connection.scalars(select(REQUEST.c.seq))]:
            values: dict[str, Any] = {
                name: dice.choice((None, dice.randrange(4), dice.randrange(100)))
                for name in ("latency", "time_to_first_token", "total_tokens", "cost_nano_usd")
            }
            values["request_size"] = dice.choice((None, 7, seq, 2**63 - 1))
            values["threat"] = dice.choice((None, True, False))
            values["session_name"] = dice.choice(
                ("Été", "ÉTÉ", "ete", "Iris", "iris", "a%b", "a" * 1500, "x", "x", None)
            )
            values["user_id"] = dice.choice((None, "ann", "ann", "bob", f"user-{seq % 40}"))
            values["provider_request_id"] = dice.choice((None, f"id-{seq}"))
            values["cache_status"] = dice.choice((None, "miss", "hit"))
            values["model"] = dice.choice((None, "gpt-4o", "other"))
            await connection.execute(update(REQUEST).where(REQUEST.c.seq == seq).values(values))


CONDITIONS: tuple[Any, ...] = (
    rmt("latency", "gt", 2),
    rmt("latency", "lte", 50.5),
    rmt("latency", "equals", 3),
    rmt("latency", "not-equals", 3),
    *(rmt("size_bytes", operator, 10**30) for operator in ("gt", "lt", "lte", "not-equals", "equals")),
    rmt("size_bytes", "gt", 100),
    rmt("time_to_first_token", "in", [1, 2, 77, 0.5]),
    rmt("time_to_first_token", "equals", "null"),
    rmt("total_tokens", "gte", 10),
    rmt("cost", "lt", 0.00000005),
    rmt("cost", "not-equals", "null"),
    rmt("threat", "equals", True),
    rmt("threat", "not-equals", True),
    rmt("status", "gte", 400),
    rmt("status", "not-equals", 200),
    *(
        rmt("session_name", operator, "ÉTÉ")
        for operator in ("equals", "not-equals", "contains", "not-contains", "ilike")
    ),
    *(rmt("session_name", operator, "IRI") for operator in ("contains", "not-contains")),
    *(rmt("session_name", "not-equals", value) for value in ("null", "a" * 1500, "x")),
    rmt("session_name", "in", ["x", "a" * 1500, "ete"]),
    rmt("session_name", "like", "%ri_"),
    rmt("session_name", "like", "a\\%%"),
    rmt("model", "equals", "gpt-4o"),
    rmt("model", "not-equals", "gpt-4o"),
    rmt("model", "contains", "GPT"),
    rmt("user_id", "not-equals", "ann"),
    rmt("user_id", "not-equals", "nobody"),
    rmt("user_id", "not-equals", "user-7"),
    rmt("user_id", "not-equals", "null"),
    rmt("user_id", "contains", "AN"),
    rmt("response_id", "not-equals", "id-7"),
    rmt("response_id", "contains", "d-7"),
    rmt("request_created_at", "gte", NOW + 3_600_000),
    rmt("request_created_at", "lt", NOW + 7_200_000),
    {"properties": {"app": {"equals": "shop"}}},
    {"properties": {"app": {"contains": "SHOP"}}},
    {"properties": {"stage": {"not-equals": "prod"}}},
    {"properties": {"stage": {"equals": "null"}}},
    {"properties": {"nobody": {"not-equals": "x"}}},
    {"scores": {"good": {"gt": 0}}},
)


@pytest.mark.parametrize(("seed", "questions"), [(5, 80), pytest.param(6, 800, marks=pytest.mark.full)])
async def test_there_are_as_many(
    any_database: Database, exchange: Build, monkeypatch: pytest.MonkeyPatch, seed: int, questions: int
) -> None:
    dice, told = random.Random(seed), 0
    done = many(exchange, REQUESTS, seed)
    # The first to be deleted are in every zone, and most are of nearly the same time within one.
    done.sort(key=lambda one: one.received_at + dice.randrange(600))
    await log_all(any_database, done)
    await vary(any_database, dice)
    async for _ in note_zones(any_database):
        pass
    mine = [one.id for one in done if one.organization == "default"]
    for one in dice.sample(mine, 4):
        await set_property(any_database, "default", one, "App", "late")
    async with any_database.connect() as connection:
        for number in range(questions):
            drawn = [read_filter(one) for one in dice.sample(CONDITIONS, dice.randrange(1, 4))]
            if number < len(CONDITIONS):
                drawn[0] = read_filter(CONDITIONS[number])
            wanted = Wanted(
                both(dice.choice(("and", "and", "or")), drawn), cached=dice.choice((None, None, True, False))
            )
            scope = Scope(dice.choice(("default", "default", "acme")))
            found = await counting.counted(connection, scope, wanted)
            query = wanted.numbers(scope)
            plain = len([*await connection.scalars(query)])
            assert found in (None, plain), wanted
            told += found is not None
    assert told > questions / 2


async def test_only_those_are_read_of_which_codes_do_not_tell(
    any_database: Database, exchange: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = list[tuple[Piece, ...]]()
    numbers = Wanted.numbers

    def noticed(wanted: Wanted, *arguments: Any) -> Any:
        read.append(wanted.among or ())
        return numbers(wanted, *arguments)

    await log_all(any_database, [exchange(received_at=START + number) for number in range(5 * SIZE)])
    async with any_database.begin() as connection:
        for seq in range(1, 5 * SIZE + 1):
            values = {"time_to_first_token": seq * 37 % 64, "session_name": "odd" if seq % 2 else "Even"}
            await connection.execute(update(REQUEST).where(REQUEST.c.seq == seq).values(values))
    async for _ in note_zones(any_database):
        pass
    monkeypatch.setattr(Wanted, "numbers", noticed)
    async with any_database.connect() as connection:

        async def asked(*conditions: Any) -> tuple[int | None, list[int]]:
            wanted = Wanted(both("and", [read_filter(one) for one in conditions]))
            read.clear()
            found = await counting.counted(connection, Scope(), wanted)
            # Of the oldest nobody knows whether retention has taken some of them.
            later = [piece for piece in read[-1][1:] if piece.ranges[0][0] >= SIZE]
            return found, sorted(seq for piece in later for first, last in piece.ranges for seq in range(first, last))

        assert await asked(rmt("session_name", "equals", "odd")) == (5 * SIZE // 2, [])
        assert await asked(rmt("session_name", "contains", "EV")) == (5 * SIZE // 2, [])
        assert await asked(rmt("session_name", "not-contains", "EV")) == (5 * SIZE // 2, [])
        assert await asked(rmt("session_name", "like", "E%n")) == (5 * SIZE // 2, [])
        since = rmt("request_created_at", "gte", NOW + 1000 * (2 * SIZE + 3))
        found, several = await asked(rmt("session_name", "equals", "odd"), since)
        assert (found, several) == (3 * SIZE // 2 - 2, [*range(2 * SIZE, 3 * SIZE)])
        # Of a code that stands for several numbers those are read that have it, and no others.
        found, several = await asked(rmt("time_to_first_token", "gt", 40))
        assert found == sum(seq * 37 % 64 > 40 for seq in range(1, 5 * SIZE + 1))
        assert len(several) < SIZE
        assert all(abs(seq * 37 % 64 - 40) < 20 for seq in several)


async def test_what_retention_has_deleted_is_not_counted(any_database: Database, exchange: Build) -> None:
    await log_all(any_database, [exchange(received_at=START + 3600 * number) for number in range(6 * SIZE)])
    async for _ in note_zones(any_database):
        pass
    wanted = Wanted(read_filter(rmt("dialect", "not-equals", "nobody's")))
    for left in (70, 69, 16, 3):
        now = START + 3600 * (6 * SIZE - left) + 86_400
        async for _ in prune(any_database, Retention(requests=1), now):
            pass
        async with any_database.connect() as connection:
            assert await counting.counted(connection, Scope(), wanted) == left
            assert await count(connection, Scope(), wanted) == left


async def test_all_are_counted_where_nothing_is_told(any_database: Database, exchange: Build) -> None:
    asked = read_filter(rmt("method", "not-equals", "GET"))
    await log_all(any_database, [exchange(received_at=START + number) for number in range(3 * SIZE)])
    async with any_database.connect() as connection:
        assert await counting.counted(connection, Scope(), Wanted(asked)) is None  # nothing is noted
        assert await count(connection, Scope(), Wanted(asked)) == 3 * SIZE
    async for _ in note_zones(any_database):
        pass
    async with any_database.connect() as connection:
        assert await counting.counted(connection, Scope(), Wanted(asked)) == 3 * SIZE
        for scope, wanted in (
            (Scope("default", "1"), Wanted(asked)),
            (Scope(), Wanted(asked, scored=False)),
            (Scope(), Wanted(asked, among=())),
            (Scope(), Wanted(read_filter("all"))),
            (Scope(), Wanted(read_filter({"scores": {"good": {"gt": 0}}}))),
        ):
            assert await counting.counted(connection, scope, wanted) is None, wanted
