"""Known: a part of a user's id is looked for among users; which requests are found is the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import delete

from helicone_gw.database import Database
from helicone_gw.exchange import Exchange
from helicone_gw_logging.config import Retention
from helicone_gw_logging.presence import note
from helicone_gw_logging.query import known as module
from helicone_gw_logging.query.filters import read_filter
from helicone_gw_logging.query.known import known
from helicone_gw_logging.query.requests import count, find
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.sorts import Order
from helicone_gw_logging.query.wanted import Wanted
from helicone_gw_logging.retention import prune
from helicone_gw_logging.totals import USER
from tests.plugins.logging.asking import START, log_all, many

Build = Callable[..., Exchange]
OK = {"request_response_rmt": {"status": {"equals": 200}}}


def user(**asked: str) -> Any:
    return {"request_response_rmt": {"user_id": asked}}


ASKED = [
    user(contains="an"),
    user(contains="nobody"),
    user(like="A%"),
    user(ilike="a%"),
    {"left": user(contains="n"), "operator": "and", "right": OK},
    {"left": user(contains="n"), "operator": "or", "right": OK},
    user(**{"not-contains": "an"}),
]


@pytest.mark.parametrize("few", [module.FEW, 3], ids=["few", "many"])
async def test_the_same_requests_are_found(
    database: Database, exchange: Build, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(module, "FEW", few)
    await log_all(database, many(exchange, 80))
    async for _ in note(database, START + 30 * 86_400):
        pass
    changed = 0
    async with database.connect() as connection:
        for asked in ASKED:
            wanted = Wanted(read_filter(asked))
            other = await known(connection, Scope(), wanted)
            changed += other != wanted
            for order in (Order(), Order("created_at", "asc"), Order("latency")):
                plain, found = [
                    await find(connection, Scope(), one, order, limit=40, offset=2) for one in (wanted, other)
                ]
                assert [each.row["seq"] for each in found] == [each.row["seq"] for each in plain], asked
            assert await count(connection, Scope(), other) == await count(connection, Scope(), wanted)
    assert changed == 5, "of all that must hold"


async def test_users_that_were_forgotten_are_found_in_their_requests(database: Database, exchange: Build) -> None:
    await log_all(database, many(exchange, 60))
    wanted = Wanted(read_filter(user(contains="an")))
    async with database.connect() as connection:
        assert await known(connection, Scope(), wanted) == wanted, "no day is over"
    async for _ in note(database, START + 30 * 86_400):
        pass
    async with database.begin() as connection:
        assert await known(connection, Scope(), wanted) != wanted
        await connection.execute(delete(USER).where(USER.c.user_id == "ann"))
    async for _ in prune(database, Retention(summaries=1000), START + 40 * 86_400):
        pass
    async with database.connect() as connection:
        assert await known(connection, Scope(), wanted) == wanted
        assert await find(connection, Scope(), wanted, Order(), limit=1)
