"""Retention: what is too old goes, with everything beside it; what is not stays, and so do the sums of what went."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from pydantic import ValidationError
from sqlalchemy import Table, func, select
from typer.testing import CliRunner

from helicone_gw.database import Database
from helicone_gw.exchange import Exchange
from helicone_gw_logging import retention as retention_module
from helicone_gw_logging.config import LoggingConfig, Retention
from helicone_gw_logging.corrections import set_feedback
from helicone_gw_logging.counters import Counters
from helicone_gw_logging.database_commands import database_commands
from helicone_gw_logging.insert import Knowledge, prepare, write
from helicone_gw_logging.janitor import Janitor
from helicone_gw_logging.noted import SESSION_HOUR, SESSION_SPREAD
from helicone_gw_logging.partitions import months
from helicone_gw_logging.plugin import VERSIONS
from helicone_gw_logging.query import requests
from helicone_gw_logging.query.nodes import ALL
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.record import record
from helicone_gw_logging.retention import Pruned, prune
from helicone_gw_logging.tables import ATTEMPT, BODY, FEEDBACK, PARTITIONED, PROPERTY, REQUEST, SCORE
from helicone_gw_logging.totals import DIMENSION, HISTOGRAM, NAME_DAY, ROLLUP, SESSION, USER

Build = Callable[..., Exchange]
DAY = 86_400.0
START = 1_767_225_600.0  # 2026-01-01T00:00:00Z
NOW = START + 100 * DAY


@pytest.fixture
def database(any_database: Database) -> Database:
    return any_database


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few rows at once, so that more than one step is needed."""
    monkeypatch.setattr(retention_module, "AT_ONCE", 3)


async def no_sleep(seconds: float) -> None:
    await asyncio.sleep(0)


async def log(database: Database, exchange: Build, *days: float, organization: str = "default") -> None:
    knowledge = Knowledge(now=lambda: NOW)
    for day in days:
        headers = {"Helicone-Property-App": "shop", "Helicone-Session-Id": f"s-{day}"}
        done = exchange(received_at=START + day * DAY, headers=headers, user=f"u-{day}", organization=organization)
        await write(database, [prepare(record(done), (), 1000)], knowledge)
        await set_feedback(database, organization, done.id, rating=True, now=1)


async def run(database: Database, dry_run: bool = False, **days: int) -> list[Pruned]:
    done: dict[str, Pruned] = {}
    async for pruned in prune(database, Retention(**days), NOW, dry_run=dry_run, sleep=no_sleep):
        done[pruned.kind] = pruned
    return list(done.values())


async def count(database: Database, *tables: Table) -> list[int]:
    async with database.connect() as connection:
        return [(await connection.scalar(select(func.count()).select_from(table))) or 0 for table in tables]


async def test_requests_go_with_everything_beside_them(database: Database, exchange: Build) -> None:
    await log(database, exchange, 0, 1, 2, 3, 40, 90, 99)
    await log(database, exchange, 5, 95, organization="acme")
    (done,) = await run(database, requests=30)
    assert (done.kind, done.rows, done.of, done.before) == ("requests", 6, 6, round((START + 70 * DAY) * 1000))
    assert await count(database, REQUEST, ATTEMPT, PROPERTY, BODY, SCORE, FEEDBACK) == [3, 3, 6, 3, 3, 3]
    assert await count(database, ROLLUP, USER) == [9, 9]


async def test_bodies_may_go_before_their_requests(database: Database, exchange: Build) -> None:
    await log(database, exchange, 0, 1, 2, 3, 4, 98, 99)
    bodies, requests = await run(database, bodies=30, requests=99)
    assert (bodies.rows, requests.rows) == (5, 1)
    assert await count(database, REQUEST, BODY) == [6, 2]


async def test_what_is_as_old_as_that_stays(database: Database, exchange: Build) -> None:
    await log(database, exchange, 70, 70 - 1 / DAY)
    (done,) = await run(database, requests=30)
    assert done.rows == 1
    assert await count(database, REQUEST) == [1]


async def test_sums_have_a_retention_of_their_own(database: Database, exchange: Build) -> None:
    await log(database, exchange, 0, 1, 2, 3, 4, 98, 99)
    rollups, summaries = await run(database, rollups=30, summaries=99)
    assert (rollups.rows, summaries.rows) == (5 * (2 * 1 + 2 * 3 + 2 * 4), 3)
    assert await count(database, REQUEST, ROLLUP, DIMENSION, HISTOGRAM) == [7, 2, 6, 8]
    assert await count(database, SESSION, NAME_DAY, USER) == [6, 6, 6]


async def test_requests_are_counted_that_are_still_there(database: Database, exchange: Build) -> None:
    minute = 1 / 1440
    await log(database, exchange, 0, 70 + 15 * minute, 70 + 25 * minute, 71, 99)
    assert await how_many(database) == 5
    # In the middle of an hour, of which the sums keep everything.
    async for _ in prune(database, Retention(requests=30), NOW + 1200, sleep=no_sleep):
        pass
    assert await how_many(database) == await how_many(database, cached=False) == 3
    # Where sums go before the requests, these are counted themselves.
    await run(database, rollups=10)
    assert await how_many(database) == 3
    assert await how_many(database, organization="nobody") == 0


async def how_many(database: Database, cached: bool | None = None, organization: str = "default") -> int:
    async with database.connect() as connection:
        return await requests.count(connection, Scope(organization), requests.Wanted(ALL, cached=cached))


async def test_a_dry_run_deletes_nothing_and_says_what_it_would(database: Database, exchange: Build) -> None:
    await log(database, exchange, 0, 1, 99)
    done = await run(database, dry_run=True, bodies=30, requests=30, rollups=30, summaries=30)
    assert [(each.kind, each.rows, each.of) for each in done] == [
        ("bodies", 0, 2),
        ("requests", 0, 2),
        ("rollups", 0, 32),
        ("summaries", 0, 6),
    ]
    assert await count(database, REQUEST, BODY, ROLLUP, USER) == [3, 3, 3, 3]


async def test_it_may_be_broken_off_and_goes_on(database: Database, exchange: Build) -> None:
    await log(database, exchange, *range(61, 69))
    steps = prune(database, Retention(requests=30), NOW, sleep=no_sleep)
    seen = [pruned.rows async for pruned in _first(steps, 2)]
    assert seen == [0, 3]
    assert await count(database, REQUEST, ATTEMPT) == [5, 5]
    await run(database, requests=30)
    assert await count(database, REQUEST, ATTEMPT) == [0, 0]


async def _first(steps: Any, number: int) -> Any:
    for _ in range(number):
        yield await anext(steps)
    await steps.aclose()


async def test_numbers_are_not_given_again(database: Database, exchange: Build) -> None:
    await log(database, exchange, 1, 2)
    await run(database, requests=30)
    await log(database, exchange, 99)
    async with database.connect() as connection:
        assert await connection.scalar(select(REQUEST.c.seq)) == 3


async def test_months_on_postgres_are_dropped_as_a_whole(postgres_url: str, exchange: Build) -> None:
    database = Database(postgres_url)
    await database.migrate("logging", VERSIONS)
    await log(database, exchange, 0, 31, 60, 65, 99)
    (done,) = await run(database, requests=38)
    assert (done.rows, done.of) == (3, 3)
    async with database.connect() as connection:
        for table in PARTITIONED:
            assert [month % 12 + 1 for month in await connection.run_sync(months, table.name)] == [3, 4, 5]
    assert await count(database, REQUEST, ATTEMPT, BODY) == [2, 2, 2]
    await database.close()


class Clock:
    """A clock that stands still, and remembers what was slept."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> float:
        return NOW

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)
        if len(self.slept) > 20:
            await asyncio.Event().wait()


class Log:
    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []

    def info(self, event: str, **facts: Any) -> None:
        self.events.append((event, facts))

    error = info


DONE = {"days_of_users": 4, "days_of_sessions": 4, "hours_of_sessions": 5}


async def test_the_janitor_packs_and_deletes_and_says_so(database: Database, exchange: Build) -> None:
    await log(database, exchange, 0, 1, 2, 3, 99)
    written, counters, clock = Log(), Counters(), Clock()
    janitor = Janitor(database, Retention(requests=30, bodies=10), clock, written, counters)
    janitor.start()
    while len(written.events) < 2:
        await asyncio.sleep(0.001)
    await janitor.close()
    assert counters.rows_pruned == 8
    assert written.events == [
        ("what is over is packed", DONE | {"histograms": 16, "zones": 0}),
        ("rows deleted that were too old", {"bodies": 4, "requests": 4}),
    ]
    assert 60 <= clock.slept[0] <= 300


async def test_hours_of_sessions_are_noted_four_times_an_hour(database: Database, exchange: Build) -> None:
    clock, now = Clock(), NOW - DAY
    clock.now = lambda: now  # type: ignore[method-assign]
    janitor = Janitor(database, Retention(), clock, Log(), Counters())
    janitor.start()
    while not any(800 < each < 1000 for each in clock.slept):
        await asyncio.sleep(0.001)
    await log(database, exchange, 98.9)
    while await count(database, SESSION_HOUR) != [2]:
        await asyncio.sleep(0.001)
    await janitor.close()
    assert await count(database, SESSION_SPREAD) == [0], "days are noted by the hour"


async def test_a_janitor_that_fails_says_so_and_tries_again_later(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/without-tables.db")
    written = Log()
    janitor = Janitor(database, Retention(requests=30), Clock(), written, Counters())
    await janitor.once()
    await janitor.last_hours()
    assert [event for event, _ in written.events] == [
        "what is over could not be packed",
        "what is too old could not be deleted",
        "hours of sessions could not be noted",
    ]
    await database.close()


def test_days_are_told_with_or_without_their_letter() -> None:
    config = LoggingConfig.model_validate({"retention": {"bodies": "30d", "requests": 365}})
    assert config.retention.days() == [("bodies", 30), ("requests", 365)]
    for wrong in ("30h", 0, "0d", "forever", -1):
        with pytest.raises(ValidationError):
            LoggingConfig.model_validate({"retention": {"bodies": wrong}})


def command(url: str, config: LoggingConfig) -> typer.Typer:
    cli = typer.Typer()

    @cli.callback()
    def root(context: typer.Context) -> None:
        context.obj = SimpleNamespace(config=SimpleNamespace(database=SimpleNamespace(url=url)))

    database_commands(config, cli)
    return cli


def test_the_command_line(tmp_path: Path, exchange: Build) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    cli = command(url, LoggingConfig(retention=Retention(requests=30)))
    runner = CliRunner()
    missing = runner.invoke(cli, ["db", "prune"])
    assert missing.exit_code == 1
    assert missing.stderr.startswith("There is no database yet: sqlite:///")
    assert not (tmp_path / "log.db").exists()

    async def fill() -> None:
        database = Database(url)
        await database.migrate("logging", VERSIONS)
        await log(database, exchange, 0, 1)
        await database.close()

    async def left() -> int:
        database = Database(url)
        async with database.connect() as connection:
            rows = (await connection.scalar(select(func.count()).select_from(REQUEST))) or 0
        await database.close()
        return rows

    asyncio.run(fill())
    dry = runner.invoke(cli, ["db", "prune", "--dry-run"])
    assert dry.exit_code == 0, dry.output
    assert dry.stdout.startswith("requests: 2 rows from before ")
    assert dry.stdout.endswith("would be deleted\n")
    assert "2 rows" in runner.invoke(cli, ["db", "prune"]).stdout
    assert asyncio.run(left()) == 0
    for_ever = runner.invoke(command(url, LoggingConfig()), ["db", "prune"])
    assert (for_ever.exit_code, "kept for ever" in for_ever.stderr) == (1, True)
