"""Rebuild: sums made anew say what those say that were kept as the rows came."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import delete, func, select

from helicone_gw.database import Database
from helicone_gw.exchange import Exchange
from helicone_gw_logging import rebuild as rebuild_module
from helicone_gw_logging.config import LoggingConfig
from helicone_gw_logging.insert import prepare, write
from helicone_gw_logging.plugin import LoggingPlugin
from helicone_gw_logging.rebuild import rebuild, sums_are_missing
from helicone_gw_logging.record import record
from helicone_gw_logging.totals import ROLLUP, USER
from helicone_gw_logging.vocabulary import Vocabulary
from tests.plugins.logging.sums import check, many

Build = Callable[..., Exchange]


@pytest.fixture
def database(any_database: Database) -> Database:
    return any_database


async def test_sums_made_anew_are_those_that_were_kept(
    database: Database, exchange: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild_module, "AT_ONCE", 7)
    await write(database, [prepare(record(one, bodies=False), (), 1000) for one in many(exchange, 40)])
    async with database.begin() as connection:
        await connection.execute(delete(USER))
        await connection.execute(ROLLUP.update().values(requests=99))
    seen = [each async for each in rebuild(database, Vocabulary())]
    assert seen[-1] == (40, 40)
    await check(database)


async def test_an_older_log_is_summed_up_when_the_plugin_starts(
    database: Database, exchange: Build, gateway: Callable[[Database], Any]
) -> None:
    await write(database, [prepare(record(one, bodies=False), (), 1000) for one in many(exchange, 10)])
    assert not await sums_are_missing(database)
    async with database.begin() as connection:
        for table in rebuild_module._SUMS:
            await connection.execute(delete(table))
    assert await sums_are_missing(database)
    plugin = LoggingPlugin(LoggingConfig(), "logging")
    await plugin.startup(gateway(database))
    await plugin.shutdown(gateway(database))
    await check(database)


async def test_a_log_whose_requests_are_gone_keeps_its_sums(database: Database, exchange: Build) -> None:
    assert not await sums_are_missing(database)
    await write(database, [prepare(record(exchange(), bodies=False), (), 1000)])
    assert not await sums_are_missing(database)
    async with database.connect() as connection:
        assert await connection.scalar(select(func.sum(ROLLUP.c.requests))) == 1
