"""Session hours: whatever becomes of sessions, notes of hours with their changes tell what these themselves do."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import ColumnElement, and_, delete, func, select, update

from helicone_gw.database import Database
from helicone_gw.exchange import Exchange
from helicone_gw.model import Cost
from helicone_gw_logging import session_notes
from helicone_gw_logging.columns import columns
from helicone_gw_logging.config import Retention
from helicone_gw_logging.corrections import Logged, move, read
from helicone_gw_logging.histograms import bucket
from helicone_gw_logging.insert import Knowledge, take_numbers
from helicone_gw_logging.noted import SESSION_CHANGE, SESSION_HOUR
from helicone_gw_logging.query import heard
from helicone_gw_logging.query import spreads as module
from helicone_gw_logging.query.heard import frame
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.sessions import Sessions, names
from helicone_gw_logging.query.spans import Span
from helicone_gw_logging.rebuild import rebuild
from helicone_gw_logging.retention import prune
from helicone_gw_logging.session_hours import noted_hours, ranges
from helicone_gw_logging.session_notes import note_hours
from helicone_gw_logging.spreading import note_spreads
from helicone_gw_logging.tables import REQUEST
from helicone_gw_logging.totals import NAME_DAY, SESSION
from helicone_gw_logging.vocabulary import Vocabulary
from tests.plugins.logging.asking import START, log_all
from tests.plugins.logging.test_naming import AT, DAY, HOUR, plainly

Build = Callable[..., Exchange]
NAMES = "", "Trip", "Course"
EVER = Span(AT - DAY, AT + 30 * DAY)


def some(exchange: Build, dice: random.Random, hours: tuple[int, int], count: int = 25) -> list[Exchange]:
    """Requests of many sessions, some of which go on for days, received in these hours since the start."""
    made = []
    for _ in range(count):
        at = START + dice.randrange(hours[0] * HOUR, hours[1] * HOUR) / 1000
        headers = {"Helicone-Session-Id": f"s{dice.choice((dice.randrange(8), dice.randrange(8, 500)))}"}
        if name := dice.choice(NAMES):
            headers["Helicone-Session-Name"] = name
        cost = dice.choice((None, Cost(dice.randrange(10**9))))
        organization = dice.choice(("default", "default", "default", "acme"))
        made.append(exchange(headers=headers, received_at=at, cost=cost, organization=organization))
    return made


async def note(database: Database, hours: float, days: int | None = None) -> int:
    """Note what is over so many hours since the start."""
    return len([done async for done in note_hours(database, START + hours * 3600, days)])


async def correct(database: Database, dice: random.Random) -> None:
    """Another price, and another name of its session, for one request."""
    async with database.begin() as connection:
        await connection.run_sync(take_numbers, 0)
        numbers = [*await connection.scalars(select(REQUEST.c.seq).where(REQUEST.c.session_id.is_not(None)))]
        before = (await read(connection, select(REQUEST).where(REQUEST.c.seq == dice.choice(numbers))))[0]
        new = {"session_name": dice.choice(NAMES) or None, "cost_nano_usd": dice.choice((None, 17, 10**8))}
        values = [name for name in columns(REQUEST) if name != "seq"]
        after = tuple(new.get(name, value) for name, value in zip(values, before.request, strict=True))
        await connection.execute(update(REQUEST).where(REQUEST.c.seq == before.seq).values(**new))
        await move(connection, [(before, Logged(before.seq, after, before.properties))], Knowledge())


async def distributed(database: Database, span: Span, name: str | None) -> list[Counter[int]]:
    """The buckets of the sessions themselves."""
    found: list[Counter[int]] = [Counter(), Counter(), Counter()]
    async with database.connect() as connection:
        for row in await connection.execute(select(SESSION).where(SESSION.c.organization_id == "default")):
            inside = row.last_at >= span.start and row.first_at < span.end
            if inside and name in (None, row.session_name):
                known = row.cost_nano_usd if row.unknown_costs < row.requests else None
                for counts, number in zip(found, (row.requests, row.last_at - row.first_at, known), strict=True):
                    if number is not None:
                        counts[bucket(number)] += 1
    return found


async def check(database: Database, dice: random.Random, last: int) -> None:
    """Names and distributions of some times against the sessions."""
    ends = [*(AT + dice.randrange(last * HOUR) for _ in range(6)), AT + dice.randrange(last) * HOUR, AT + DAY]
    spans = [
        dice.choice((EVER, Span(ends[0], AT + 30 * DAY))),
        *(Span(*sorted(dice.sample(ends, 2))) for _ in range(2)),
    ]
    spans.append(Span(ends[1], ends[1] + 1000 * dice.randrange(1, 3000)))
    for number, span in enumerate(spans):
        async with database.connect() as connection:
            found = await names(connection, Sessions(Scope(), span), "", 50)
        told = [{**row, "avg_latency": row["avg_latency"] and float(row["avg_latency"])} for row in found]
        assert told == await plainly(database, span, ""), span
        name = "Trip" if number % 2 else None
        async with database.connect() as connection:
            inside = await frame(connection, Scope(), span)
            if inside is None:
                continue
            counts, noted = await module.counted_inside(connection, Sessions(Scope(), span, name=name), inside)
        assert noted
        assert [+each for each in counts] == await distributed(database, span, name), (span, name)


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.full) for seed in range(2, 6))])
async def test_whatever_becomes_of_sessions_hours_tell_what_they_do(
    any_database: Database, exchange: Build, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(module, "EXACT", -1)
    dice = random.Random(seed)
    await log_all(any_database, some(exchange, dice, (0, 30)))
    await check(any_database, dice, 30)
    assert await note(any_database, 27.5) > 5
    await check(any_database, dice, 30)
    # They are heard of again, and some come late.
    await log_all(any_database, some(exchange, dice, (20, 40)))
    await log_all(any_database, some(exchange, dice, (0, 40), 8))
    await check(any_database, dice, 40)
    assert await note(any_database, 40, dice.choice((None, 2))) > 0
    for _ in range(3):
        await correct(any_database, dice)
    await check(any_database, dice, 40)
    # Many changes are made one with their notes.
    monkeypatch.setattr(session_notes, "CHANGED", dice.choice((2, 100_000)))
    await note(any_database, 55)
    async for _ in note_spreads(any_database, START + 55 * 3600):
        pass
    await log_all(any_database, some(exchange, dice, (30, 80)))
    await check(any_database, dice, 80)
    await note(any_database, 70)
    async for _ in prune(any_database, Retention(summaries=1), START + 50 * 3600):
        pass
    await log_all(any_database, some(exchange, dice, (60, 80), 8))
    await check(any_database, dice, 80)
    async for _ in rebuild(any_database, Vocabulary()):
        pass
    await check(any_database, dice, 80)
    assert await note(any_database, 70) > 10
    await log_all(any_database, some(exchange, dice, (60, 80), 8))
    await check(any_database, dice, 80)


async def rows(database: Database, *tables: Any, where: ColumnElement[bool] | None = None) -> list[int]:
    async with database.connect() as connection:
        counts = [select(func.count()).select_from(table) for table in tables]
        return [await connection.scalar(count if where is None else count.where(where)) or 0 for count in counts]


async def told(database: Database) -> set[int]:
    """The hours since the start that are told."""
    async with database.connect() as connection:
        found = await noted_hours(connection, "default", range(AT // DAY, AT // DAY + 4))
    return {hour - AT // HOUR for hour in found}


async def test_hours_are_noted_once_and_again_where_much_has_changed(
    database: Database, exchange: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    def one(session: str, hour: float) -> Exchange:
        return exchange(headers={"Helicone-Session-Id": session}, received_at=START + hour * 3600)

    await log_all(database, [one(f"s{number}", number / 100) for number in range(300)])
    assert await note(database, 2.1) == 1, "an hour is over some minutes after its end"
    assert await note(database, 2.5) == 1
    assert await note(database, 2.5) == 0
    assert await told(database) == {0, 1}
    async with database.begin() as connection:
        await connection.execute(delete(SESSION_HOUR))
    monkeypatch.setattr(session_notes, "MOST_HOURS", 1)
    assert [await note(database, 2.5) for _ in range(3)] == [1, 1, 0], "the newest first, and others next time"
    await log_all(database, [one("new", 2.6)])
    assert await rows(database, SESSION_HOUR, SESSION_CHANGE) == [4, 0], "nobody left an hour that is noted"
    await log_all(database, [one("s7", 2.7)])
    assert await rows(database, SESSION_CHANGE) == [1]
    assert await note(database, 2.7) == 0
    await log_all(database, [one(f"s{number}", 2.7) for number in range(20)])
    assert await note(database, 2.7) == 1
    assert await rows(database, SESSION_CHANGE) == [0]


async def test_a_day_that_comes_to_something_else_than_its_hours_is_read(
    database: Database, exchange: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EXACT", -1)
    dice = random.Random(3)
    await log_all(database, some(exchange, dice, (0, 30), 60))
    assert await note(database, 50) > 10
    assert await told(database) == {*range(48)}
    async with database.begin() as connection:
        # Whoever does not tell of changes, such as an older version that still runs.
        inside = and_(SESSION.c.organization_id == "default", SESSION.c.last_at < AT + DAY)
        await connection.execute(update(SESSION).where(inside).values(requests=SESSION.c.requests + 1))
        own = and_(NAME_DAY.c.organization_id == "default", NAME_DAY.c.day == AT // DAY)
        await connection.execute(update(NAME_DAY).where(own).values(requests=NAME_DAY.c.requests + NAME_DAY.c.sessions))
    assert await told(database) == {*range(24, 48)}
    await check(database, dice, 30)
    assert await note(database, 50) >= 10
    assert await told(database) == {*range(48)}
    await check(database, dice, 30)


async def test_noted_hours_are_read_and_not_their_sessions(
    database: Database, exchange: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EXACT", -1)
    await log_all(database, some(exchange, random.Random(5), (0, 30), 60))
    await note(database, 50)
    span = Span(AT + HOUR, AT + 20 * HOUR)

    async def asked() -> tuple[Any, Any]:
        async with database.connect() as connection:
            wanted = Sessions(Scope(), span)
            spread = await module.spreads(connection, wanted, "p99.9", interquartile=False)
            return await names(connection, wanted, "", 50), spread

    before = await asked()
    async with database.begin() as connection:
        behind = SESSION.c.last_at < AT + 20 * HOUR
        await connection.execute(update(SESSION).where(behind).values(requests=1000, cost_nano_usd=1))
    assert await asked() == before
    monkeypatch.setattr(heard, "FEW_SESSIONS", 0)
    assert await asked() != before


async def test_of_many_names_only_all_together_are_noted(
    database: Database, exchange: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EXACT", -1)
    monkeypatch.setattr(session_notes, "MOST_NAMES", 1)
    dice = random.Random(7)
    await log_all(database, some(exchange, dice, (0, 30), 60))
    await note(database, 50)
    every, named = [
        (await rows(database, SESSION_HOUR, where=SESSION_HOUR.c.named.is_(named)))[0] for named in (False, True)
    ]
    assert 0 < named < every
    await check(database, dice, 30)


async def test_a_clock_that_was_ahead_is_made_good(
    database: Database, exchange: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EXACT", -1)
    dice = random.Random(9)
    await log_all(database, some(exchange, dice, (0, 30), 60))
    await note(database, 1000)
    await log_all(database, some(exchange, dice, (0, 30), 60))
    assert await rows(database, SESSION_CHANGE) != [0]
    await note(database, 20)
    assert await rows(database, SESSION_HOUR, where=SESSION_HOUR.c.hour >= AT // HOUR + 20) == [0]
    await check(database, dice, 30)


def test_numbers_that_follow_each_other_are_a_range() -> None:
    assert ranges([4, 1, 2, 7, 3]) == [(1, 5), (7, 8)]
    assert ranges([]) == []
