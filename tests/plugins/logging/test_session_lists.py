"""Session lists: those of a past time are the same whichever way they are found, and not looked for among all later."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Literal, get_args

import pytest
from sqlalchemy import select, update

from helicone_gw.database import Database
from helicone_gw.exchange import Exchange
from helicone_gw_logging.api.sessions import Between, SessionQuery, SortBy
from helicone_gw_logging.query import sessions as module
from helicone_gw_logging.query.filters import read_filter
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.sessions import Sessions, count, find, set_tag
from helicone_gw_logging.query.spans import Span
from helicone_gw_logging.session_notes import note_hours
from helicone_gw_logging.totals import SESSION
from tests.plugins.logging.asking import START, log_all
from tests.plugins.logging.test_naming import AT, DAY, HOUR
from tests.plugins.logging.test_session_hours import some

Build = Callable[..., Exchange]
MANY = 25
"""Fewer than the later sessions here, and more than the sums of their names."""
SPANS = [
    Span(AT + 3 * HOUR, AT + 7 * HOUR),
    Span(AT + 90_000, AT + 5 * HOUR + 17),
    Span(AT + 4 * HOUR + 5, AT + 4 * HOUR + 1_800_000),
    Span(AT - DAY, AT + DAY),
    Span(AT + 30 * HOUR, AT + 31 * HOUR),
    Span(AT + 20 * HOUR, AT + 20 * HOUR),
    Span(AT + 9 * HOUR, AT + 90 * HOUR),
]
FAILED = read_filter({"request_response_rmt": {"cost": {"gt": 0.5}}})


async def filled(database: Database, exchange: Build, seed: int = 5) -> None:
    """Sessions of three days, some of which go on; those of two days are noted, and some come later."""
    dice = random.Random(seed)
    await log_all(database, some(exchange, dice, (0, 70), 400))
    async for _ in note_hours(database, START + 48 * 3600):
        pass
    await log_all(database, some(exchange, dice, (0, 72), 20))


async def plainly(database: Database, wanted: Sessions) -> list[Any]:
    """The sessions that are wanted, as one condition finds them."""
    async with database.connect() as connection:
        return [*await connection.execute(select(SESSION).where(wanted.where()))]


def sort_key(row: Any, sort: SortBy, descending: bool) -> Any:
    value: Any = {
        "created_at": row.first_at,
        "latest_request_created_at": row.last_at,
        "total_requests": row.requests,
        "errors": row.errors,
        "total_cost": row.cost_nano_usd,
        "total_tokens": row.total_tokens,
        "avg_latency": row.latency_sum / row.latency_count if row.latency_count else None,
        "duration": row.last_at - row.first_at,
    }[sort]
    known = 0 if value is None else value
    return (
        value is None,
        -known if descending else known,
        0 if sort.startswith("latest") else -row.last_at,
        (row.session_id),
    )


async def test_lists_of_a_past_time_are_those_of_its_sessions(
    any_database: Database, exchange: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(any_database, exchange)
    await set_tag(any_database, Scope(), "s3", "good", AT)
    pieces: set[int] = set()
    for number, span in enumerate(SPANS):
        for wanted in (
            Sessions(Scope(), span),
            Sessions(Scope(), span, FAILED),
            Sessions(Scope(), span, search="s1"),
            Sessions(Scope(), span, name="Trip"),
        ):
            monkeypatch.setattr(module, "MANY", MANY)
            async with any_database.connect() as connection:
                pieces.add(len(await module._pieces(connection, wanted)))
                number_of = await count(connection, wanted)
            rows = await plainly(any_database, wanted)
            assert number_of == len(rows), wanted
            for sort in get_args(SortBy)[number % 4 :: 4]:
                between = Between(span.start - 1, span.end)
                direction: Literal["asc", "desc"] = "asc" if number % 3 == 0 else "desc"
                asked = SessionQuery(timeFilter=between, sort=sort, direction=direction)
                expected = sorted(rows, key=lambda row: sort_key(row, sort, direction == "desc"))
                for limit, offset in ((10, 0), (7, 5), (1000, 0)):
                    async with any_database.connect() as connection:
                        found = await find(connection, wanted, asked.order, limit, offset)
                    part = expected[offset : offset + limit]
                    assert [{**row, "tag": None} for row in found] == [{**row._mapping, "tag": None} for row in part]
                    assert all(row["tag"] == ("good" if row["session_id"] == "s3" else None) for row in found)
    assert 1 in pieces
    assert max(pieces) > 2


async def test_hours_in_which_nobody_began_before_the_end_are_not_looked_at(
    any_database: Database, exchange: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = random.Random(2)
    await log_all(any_database, some(exchange, dice, (0, 10), 80))
    headers = {"Helicone-Session-Name": "Trip"}
    later = [
        exchange(
            headers={**headers, "Helicone-Session-Id": f"later-{each}"}, received_at=START + (30 + each / 10) * 3600
        )
        for each in range(100)
    ]
    await log_all(any_database, later)
    async for _ in note_hours(any_database, START + 90 * 3600):
        pass
    wanted = Sessions(Scope(), Span(AT, AT + 11 * HOUR))
    before = len(await plainly(any_database, wanted))
    async with any_database.begin() as connection:
        # Were they looked at one by one, they would be found now.
        await connection.execute(update(SESSION).where(SESSION.c.session_id.like("later-%")).values(first_at=AT))

    async def numbers() -> tuple[int, int]:
        async with any_database.connect() as connection:
            found = await find(connection, wanted, lambda columns: [columns.last_at.desc()], 1000, 0)
            return len(found), await count(connection, wanted)

    assert await numbers() == (before + 100, before + 100), "of few, each is looked at"
    monkeypatch.setattr(module, "MANY", MANY)
    assert await numbers() == (before, before)
    monkeypatch.setattr(module, "MANY", 1)
    assert await numbers() == (before + 100, before + 100), "as many names tell nothing sooner"


async def test_a_session_that_goes_on_is_found_where_it_is_now(
    any_database: Database, exchange: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MANY", MANY)
    headers = {"Helicone-Session-Name": "Trip"}
    done = [
        exchange(headers={**headers, "Helicone-Session-Id": one}, received_at=START + hour * 3600)
        for hour in range(60)
        for one in ("always", f"one-{hour}")
    ]
    for at in range(0, len(done), 30):
        await log_all(any_database, done[at : at + 30])
        async for _ in note_hours(any_database, START + 3600 * at / 2):
            pass
    wanted = Sessions(Scope(), Span(AT + 2 * HOUR, AT + 3 * HOUR))
    async with any_database.connect() as connection:
        found = await find(connection, wanted, lambda columns: [columns.last_at.desc()], 50, 0)
        assert [row["session_id"] for row in found] == ["always", "one-2"]
        assert await count(connection, wanted) == 2
