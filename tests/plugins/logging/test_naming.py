"""Naming: names of sessions are summed up by the day on which these were last heard of, and asked for by any time."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import delete, func, select

from helicone_gw.database import Database
from helicone_gw.exchange import Exchange
from helicone_gw.model import Cost
from helicone_gw_logging.query import heard
from helicone_gw_logging.query.nodes import ALL
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.sessions import Sessions, names
from helicone_gw_logging.query.spans import Span
from helicone_gw_logging.totals import NAME_DAY, SESSION
from tests.plugins.logging import sums
from tests.plugins.logging.asking import START, log_all

Build = Callable[..., Exchange]
AT, HOUR, DAY = round(START * 1000), 3_600_000, 86_400_000
SPANS = [
    Span(AT, AT + 5 * DAY),
    Span(AT - 90 * DAY, AT + 90 * DAY),
    Span(AT + 7 * HOUR, AT + 3 * DAY + 5),
    Span(AT + DAY, AT + 2 * DAY),
    Span(AT + 30 * HOUR, AT + 32 * HOUR),
    Span(AT + 4 * DAY + HOUR, AT + 9 * DAY),
]


def many(exchange: Build) -> list[Exchange]:
    """Sessions that go on over days, in no order; several have ids of the same name, and one id has several names."""
    dice = random.Random(4)
    made = []
    for _ in range(120):
        number = dice.randrange(15)
        headers = {"Helicone-Session-Id": f"s{number}"}
        if number % 4:
            headers["Helicone-Session-Name"] = dice.choice(("Trip", "Course", f"n{number % 3}"))
        at = START + dice.randrange(5 * DAY) / 1000
        organization = dice.choice(("default", "default", "acme"))
        cost = dice.choice((None, Cost(dice.randrange(10**9))))
        made.append(exchange(headers=headers, received_at=at, cost=cost, organization=organization))
    return made


async def plainly(database: Database, span: Span, part: str) -> list[dict[str, Any]]:
    """The same, one session after the other."""
    found: dict[str, dict[str, Any]] = {}
    async with database.connect() as connection:
        for row in await connection.execute(select(SESSION).where(SESSION.c.organization_id == "default")):
            if row.last_at < span.start or row.first_at >= span.end or part.lower() not in row.session_name.lower():
                continue
            told = found.setdefault(
                row.session_name, {"first_used": row.first_at, "last_used": row.last_at, "sums": []}
            )
            told["first_used"] = min(told["first_used"], row.first_at)
            told["last_used"] = max(told["last_used"], row.last_at)
            costs = row.cost_nano_usd, row.unknown_costs
            told["sums"].append((1, row.requests, *costs, row.latency_sum, row.latency_count))
    rows = []
    for name, told in found.items():
        count, requests, cost, unknown, latency, latencies = map(sum, zip(*told.pop("sums"), strict=True))
        figures = {"session_count": count, "requests": requests, "cost_nano_usd": cost, "unknown_costs": unknown}
        rows.append({"name": name, **told, **figures, "avg_latency": latency / latencies if latencies else None})
    return sorted(rows, key=lambda row: (-row["last_used"], row["name"]))


async def test_names_are_those_of_the_sessions_of_any_time(
    any_database: Database, exchange: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = many(exchange)
    for start in range(0, len(some), 17):
        await log_all(any_database, some[start : start + 17])
    await sums.check(any_database)
    async with any_database.connect() as connection:
        for number, span in enumerate([*SPANS, *SPANS]):
            if number == len(SPANS):
                monkeypatch.setattr(heard, "FEW_SESSIONS", 2)
            for part in ("", "r")[: 1 + number % 2]:
                found = await names(connection, Sessions(Scope(), span), part, 50)
                told = [{**row, "avg_latency": row["avg_latency"] and float(row["avg_latency"])} for row in found]
                assert told == await plainly(any_database, span, part), (span, part)


async def test_they_are_read_from_days(database: Database, exchange: Build) -> None:
    await log_all(database, many(exchange))
    async with database.begin() as connection:
        await connection.execute(delete(NAME_DAY))
        assert await names(connection, Sessions(Scope(), SPANS[0], ALL), "", 50) == []


async def test_a_session_is_on_one_day(database: Database, exchange: Build) -> None:
    session = {"Helicone-Session-Id": "s", "Helicone-Session-Name": "Trip"}
    for day in (0, 3, 1):
        await log_all(database, [exchange(headers=session, received_at=START + day * 86_400)])
    async with database.connect() as connection:
        days = select(NAME_DAY.c.day, NAME_DAY.c.sessions, NAME_DAY.c.requests)
        found = [tuple(row) for row in await connection.execute(days.where(NAME_DAY.c.sessions != 0))]
        assert found == [(AT // DAY + 3, 1, 3)]
        assert await connection.scalar(select(func.sum(NAME_DAY.c.requests))) == 3
