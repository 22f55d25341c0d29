"""Partitions: on Postgres each month of the log is a table of its own, made by whoever writes its first row."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy import select, text

from helicone_gw.database import Database
from helicone_gw.exchange import Exchange
from helicone_gw_logging import get_request
from helicone_gw_logging.insert import Knowledge, prepare, write
from helicone_gw_logging.partitions import beginning, make_ahead, month, months, partition
from helicone_gw_logging.plugin import VERSIONS
from helicone_gw_logging.record import record
from helicone_gw_logging.tables import PARTITIONED

Build = Callable[..., Exchange]
DAY = 86_400.0
NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z
JANUARY = 2026 * 12


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    database = Database(postgres_url)
    await database.migrate("logging", VERSIONS)
    yield database
    await database.close()


async def log(database: Database, done: Exchange, now: float = NOW) -> None:
    await write(database, [prepare(record(done), (), 1000)], Knowledge(now=lambda: now))


async def count(database: Database, table: str) -> int:
    async with database.connect() as connection:
        number: int = (await connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one()
    return number


async def test_the_first_row_of_a_month_makes_its_tables(database: Database, exchange: Build) -> None:
    for days in (0, 1, 31):
        await log(database, exchange(received_at=NOW + days * DAY, headers={"Helicone-Property-App": "shop"}))
    async with database.connect() as connection:
        for table in PARTITIONED:
            assert await connection.run_sync(months, table.name) == [JANUARY, JANUARY + 1]
    for table in ("request", "request_attempt", "request_property", "request_body"):
        assert await count(database, partition(table, JANUARY)) == 2
        assert await count(database, f"{table}_default") == 0


async def test_rows_of_times_far_from_now_make_no_tables(database: Database, exchange: Build) -> None:
    for year in range(1975, 1995):
        await log(database, exchange(received_at=datetime(year, 5, 1, tzinfo=UTC).timestamp()))
    assert await count(database, "request_default") == 20
    async with database.connect() as connection:
        assert await connection.run_sync(months, "request") == []


async def test_rows_that_came_from_the_future_move_when_it_is_there(database: Database, exchange: Build) -> None:
    early = exchange(received_at=NOW + 100 * DAY, headers={"Helicone-Property-App": "shop"})
    await log(database, early)
    assert await count(database, "request_default") == 1
    await log(database, exchange(received_at=NOW + 101 * DAY), now=NOW + 101 * DAY)
    assert await count(database, "request_default") == 0
    assert await count(database, partition("request", month(round((NOW + 100 * DAY) * 1000)))) == 2
    detail = await get_request(database, early.id)
    assert detail is not None
    assert (len(detail.attempts), dict(detail.request.properties)) == (1, {"app": "shop"})


async def test_months_are_made_ahead_once(database: Database) -> None:
    for _ in range(2):
        async with database.begin() as connection:
            await connection.run_sync(make_ahead, round((NOW + 30 * DAY) * 1000))
    async with database.connect() as connection:
        assert await connection.run_sync(months, "request_body") == [JANUARY, JANUARY + 1]
        assert (
            await connection.scalar(
                select(text("count(*)"))
                .select_from(text("pg_class"))
                .where(text("relname = 'request_y2026m02' AND relispartition"))
            )
            == 1
        )


@pytest.mark.parametrize("at", [0, 1, 1_767_225_599_999, 1_767_225_600_000, -1])
def test_a_time_lies_in_its_month(at: int) -> None:
    assert beginning(month(at)) <= at < beginning(month(at) + 1)


def test_times_beyond_every_calendar_have_no_month() -> None:
    assert month(10**17) == 0
    assert month(-(10**17)) == 0


async def test_writers_that_make_the_same_months_take_turns(
    database: Database, postgres_url: str, exchange: Build
) -> None:
    other = Database(postgres_url)

    async def ahead(on: Database, now: float) -> None:
        async with on.begin() as connection:
            await connection.run_sync(make_ahead, round(now * 1000))

    async def rows(on: Database, now: float) -> None:
        two = [prepare(record(exchange(received_at=at)), (), 1000) for at in (now, now + 31 * DAY)]
        await write(on, two, Knowledge(now=lambda: now), again=True)

    for number in range(6):
        now = NOW + number * 61 * DAY
        await asyncio.gather(ahead(database, now), rows(other, now), rows(database, now), ahead(other, now))
    assert await count(database, "request") == 24
    assert await count(database, "request_default") == 0
    await other.close()
