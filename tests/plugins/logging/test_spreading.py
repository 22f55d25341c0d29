"""Spreading: how sessions are distributed is told by days that are noted, and by sessions where these say nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import case, func, select, update

from helicone_gw.database import Database
from helicone_gw.exchange import Exchange
from helicone_gw.model import Cost
from helicone_gw_logging import spreading
from helicone_gw_logging.config import Retention
from helicone_gw_logging.noted import SESSION_SPREAD
from helicone_gw_logging.query import spreads as module
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.sessions import Sessions
from helicone_gw_logging.query.spans import Span
from helicone_gw_logging.query.spread import Spread, Step, spread
from helicone_gw_logging.query.spreads import Spreads, spreads
from helicone_gw_logging.repricing import recompute
from helicone_gw_logging.retention import prune
from helicone_gw_logging.spreading import note_spreads
from tests.plugins.logging.asking import START, log_all
from tests.plugins.logging.test_naming import AT, DAY, SPANS, many

Build = Callable[..., Exchange]
OVER = START + 30 * 86_400
EVER = Span(AT - 90 * DAY, AT + 90 * DAY)
MANY = 10**9


def test_ten_steps_from_the_least_to_the_greatest() -> None:
    found = spread({0: 1, 10: 2, 95: 3, 100: 4}, "p99.9")
    assert [step.count for step in found.steps] == [1, 2, 0, 0, 0, 0, 0, 0, 0, 7]
    assert (found.steps[0].start, found.steps[0].end, found.steps[-1].end) == (0, 10, 100)
    assert found.average == pytest.approx(70.5)


def test_the_greatest_are_left_out_down_to_a_percentile() -> None:
    counts = dict.fromkeys(range(1, 101), 1)
    assert [spread(counts, percentile).steps[-1].end for percentile in ("p50", "p75", "p95")] == [50, 75, 95]
    assert spread({1: 3, 1000: 1}, "p75") == Spread([Step(1, 1, 3)], 1.0)


def test_what_is_far_from_the_middle_half_is_left_out() -> None:
    counts = {-500: 1, 10: 3, 20: 3, 30: 3, 45: 1, 46: 1}
    found = spread(counts, "p50", interquartile=True)
    assert (found.steps[0].start, found.steps[-1].end, sum(step.count for step in found.steps)) == (10, 46, 11)


def test_of_nothing_there_are_no_steps() -> None:
    assert spread({}, "p75", interquartile=True) == Spread([], None)


async def noted(database: Database) -> int:
    return len([done async for done in note_spreads(database, OVER)])


def alike(one: Spread, other: Spread) -> bool:
    """Whether they are the same within one per cent, but for those whose step is another one by that."""
    if one.average is None or other.average is None:
        return one == other
    ends = [(each.steps[0].start, each.steps[-1].end) for each in (one, other)]
    numbers = [sum(step.count for step in each.steps) for each in (one, other)]
    return numbers[0] == numbers[1] and ends[0] == pytest.approx(ends[1], rel=0.01)


async def by(
    monkeypatch: pytest.MonkeyPatch, database: Database, exact: int, wanted: Sessions, interquartile: bool = False
) -> Spreads:
    monkeypatch.setattr(module, "EXACT", exact)
    async with database.connect() as connection:
        return await spreads(connection, wanted, "p99.9", interquartile=interquartile)


async def test_days_and_sessions_tell_the_same(
    any_database: Database, exchange: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = many(exchange)
    await log_all(any_database, done[:80])
    assert await noted(any_database) == 10
    assert await noted(any_database) == 0
    for round_ in range(3):
        for span in SPANS[:: 2 if round_ else 1]:
            for name in (None, "Trip"):
                wanted = Sessions(Scope(), span, name=name)
                days, rows = [await by(monkeypatch, any_database, exact, wanted) for exact in (0, MANY)]
                for one, other in ((days.requests, rows.requests), (days.seconds, rows.seconds)):
                    assert alike(one, other), (round_, span, name)
                assert alike(days.dollars, rows.dollars), (round_, span, name)
        if round_ == 0:
            # Sessions are heard of again, and leave the days on which they were noted.
            await log_all(any_database, done[80:])
        elif round_ == 1:
            assert 0 < await noted(any_database) <= 10


async def test_days_are_read_and_not_their_sessions(
    database: Database, exchange: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    await log_all(database, many(exchange))
    await noted(database)
    before = await by(monkeypatch, database, 0, Sessions(Scope(), EVER))
    async with database.begin() as connection:
        # Were sessions read, they would have others.
        await connection.execute(update(spreading.SESSION).values(requests=spreading.SESSION.c.requests + 1000))
    assert await by(monkeypatch, database, 0, Sessions(Scope(), EVER)) == before
    assert await by(monkeypatch, database, MANY, Sessions(Scope(), EVER)) != before
    async with database.begin() as connection:
        least = select(func.min(SESSION_SPREAD.c.day)).scalar_subquery()
        requests = SESSION_SPREAD.c.requests
        wrong = case((SESSION_SPREAD.c.day == least, requests + 1), else_=requests)
        await connection.execute(update(SESSION_SPREAD).values(requests=wrong))
    changed = await by(monkeypatch, database, 0, Sessions(Scope(), EVER))
    assert before.requests.steps[-1].end < 500 < changed.requests.steps[-1].end


async def test_a_cost_of_nothing_that_was_unknown_changes_what_is_noted(
    any_database: Database, exchange: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = [exchange(headers={"Helicone-Session-Id": f"s{number}"}, cost=None) for number in range(3)]
    await log_all(any_database, [*done, exchange(headers={"Helicone-Session-Id": "known"}, cost=Cost(10**9))])
    assert await noted(any_database) == 1
    recomputed = recompute(any_database, lambda *_: Cost(0), since=0, now=AT + DAY, organization="default")
    assert [progress.changed async for progress in recomputed][-1] == 4
    told = [await by(monkeypatch, any_database, exact, Sessions(Scope(), EVER)) for exact in (0, MANY)]
    assert told[0].dollars == told[1].dollars == Spread([Step(0, 0, 4)], 0)
    assert await noted(any_database) == 1


async def test_many_names_of_a_day_are_noted_together(
    database: Database, exchange: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spreading, "MOST_NAMES", 2)
    await log_all(database, many(exchange))
    await noted(database)
    async with database.connect() as connection:
        named = select(func.count()).select_from(SESSION_SPREAD).where(SESSION_SPREAD.c.named.is_(True))
        assert 0 < (await connection.scalar(named) or 0) < 20
    wanted = Sessions(Scope(), EVER, name="Trip")
    days, rows = [await by(monkeypatch, database, exact, wanted) for exact in (0, MANY)]
    assert alike(days.requests, rows.requests)


async def test_what_is_noted_goes_with_the_sessions(database: Database, exchange: Build) -> None:
    await log_all(database, many(exchange))
    await noted(database)

    async def left() -> int:
        async with database.connect() as connection:
            return await connection.scalar(select(func.count()).select_from(SESSION_SPREAD)) or 0

    assert await left() > 0
    async for _ in prune(database, Retention(summaries=1), OVER + 400 * 86_400):
        pass
    assert await left() == 0
