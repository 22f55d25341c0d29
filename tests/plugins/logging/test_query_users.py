"""Users in a time: the same by sums and by rows, and of the newest requests only where that is wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from helicone_gw.database import Database
from helicone_gw.exchange import Exchange
from helicone_gw_logging.query.filters import read_filter
from helicone_gw_logging.query.plan import Question
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.spans import Span
from helicone_gw_logging.query.users import SUMS, count_during, during, listed
from helicone_gw_logging.tables import REQUEST
from tests.plugins.logging.asking import START, log_all, many
from tests.plugins.logging.sums import expected

Build = Callable[..., Exchange]
AT, HOUR = round(START * 1000), 3_600_000
SPANS = [Span(AT, AT + 3 * HOUR), Span(AT - HOUR, AT + 100 * 60_000 + 7), Span(AT, AT)]
MODEL = "gpt-4o-2024-08-06"
FILTERS: list[tuple[Any, Callable[[Any], bool]]] = [
    ("all", lambda row: True),
    ({"request_response_rmt": {"model": {"equals": MODEL}}}, lambda row: row.model == MODEL),
    ({"request_response_rmt": {"latency": {"gte": 1}, "status": {"equals": 200}}}, lambda row: row.status == 200),
    ({"request_response_rmt": {"user_id": {"equals": "ann"}}}, lambda row: row.user_id == "ann"),
    ({"request_response_rmt": {"path": {"equals": "/nowhere"}}}, lambda row: False),
]


async def test_they_are_those_of_the_rows(any_database: Database, exchange: Build) -> None:
    await log_all(any_database, many(exchange, 150))
    seen = 0
    async with any_database.connect() as connection:
        rows = [row for row in await connection.execute(select(REQUEST)) if row.organization_id == "default"]
        for asked, holds in FILTERS:
            for span in SPANS:
                question = Question(Scope(), span, read_filter(asked))
                there: dict[str, list[Any]] = {}
                for row in rows:
                    if holds(row) and row.user_id and span.start <= row.received_at < span.end:
                        there.setdefault(row.user_id, []).append(row)
                for sums in (("cost_nano_usd", None), ("total_tokens", "requests")):
                    found, total, since = await listed(connection, question, sums, 10, 0)
                    assert found == await during(connection, question, sums, 10, 0), asked
                    assert (total, since) == (len(there), None)
                    assert total == await count_during(connection, question)
                    for user in found:
                        told = expected(there[user.user_id])
                        assert {name: getattr(user, name) for name in SUMS} == {name: told[name] for name in SUMS}
                        assert user.last_at == max(row.received_at for row in there[user.user_id])
                    seen += total
                    one, total, _ = await listed(connection, question, sums, 1, 1)
                    assert (one, total) == (found[1:2], len(there))
                    assert await listed(connection, question, sums, 1, 50) == ([], len(there), None)
    assert seen > 20


@pytest.mark.parametrize("asked", [FILTERS[1], ({"properties": {"app": {"equals": "shop"}}}, None)])
async def test_of_the_newest_only_those_are_read(any_database: Database, exchange: Build, asked: Any) -> None:
    which = {"properties": {"app": {"equals": "shop"}}} if asked[1] is None else asked[0]
    late = {"request_response_rmt": {"latency": {"gte": 1}}}
    await log_all(any_database, many(exchange, 150))
    async with any_database.connect() as connection:
        question = Question(Scope(), SPANS[0], read_filter([which, late]))
        everybody, total, since = await listed(connection, question, ("requests", None), 10, 0, 10_000)
        assert (since, total) == (None, len(everybody))
        found, _, since = await listed(connection, question, ("requests", None), 10, 0, 8)
        assert since is not None
        part = Question(Scope(), Span(since, SPANS[0].end), read_filter([which, late]))
        assert found == await during(connection, part, ("requests", None), 10, 0)
        assert 0 < sum(user.requests for user in found) <= 8
        everyone = Question(Scope(), SPANS[0])
        assert (await listed(connection, everyone, ("requests", None), 10, 0, 8))[2] is None, "sums have no such bound"
