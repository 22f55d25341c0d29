"""Session notes: what the sessions of hours that are over come to, and how they are distributed, is noted, in the
background.

First writers are told up to which hour: from then on they put down what changes there
(`helicone_gw_logging.leaving`). Then the sessions of an hour are read, in one view with the number of the last change,
and what is noted of them takes the place of the changes up to this number. Nobody waits meanwhile.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from operator import sub
from typing import TYPE_CHECKING, Final

from sqlalchemy import and_, delete, func, select, update

from helicone_gw_logging.insert import take_numbers
from helicone_gw_logging.leaving import BOUND, NUMBER
from helicone_gw_logging.measures import HOUR_MS, hours_over
from helicone_gw_logging.noted import SESSION_CHANGE, SESSION_HOUR
from helicone_gw_logging.session_hours import (
    HOURS,
    NOTHING,
    Sums,
    added,
    days_of,
    notes_of,
    of_hours,
    told_value,
)
from helicone_gw_logging.spreading import COST, Spreading, by_name
from helicone_gw_logging.statements import Values, put
from helicone_gw_logging.totals import NAME_DAY, NAME_SUMS, NOTED_SUMS, SEQUENCE, SESSION

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from helicone_gw import Database

MOST_NAMES: Final = 200
"""Names of sessions of one hour that are noted each by itself; where there are more, only all together are."""
CHANGED: Final = 32
"""An hour is noted anew that has more than one change for so many sessions."""
MOST_HOURS: Final = 2000
"""Hours that are noted at one time, some minutes: retention waits for these. The others are noted next time."""
_AT_ONCE: Final = 1000


async def note_hours(database: Database, now: float, days: int | None = None) -> AsyncIterator[int]:
    """Note the hours that are over at ``now`` (epoch seconds) and are not noted, or have many changes; yields how many
    so far. ``days``: how many are looked at, the newest; ``None``: all.

    Every hour is a transaction of its own, so that it may be broken off and begun again at any time, by several
    processes at once. Raises what SQLAlchemy raises.
    """
    bound, done = await _tell_writers(database, hours_over(now)), 0
    async with database.connect() as connection:
        wanted = await _days(connection, bound, None if days is None else bound // HOURS - days + 1)
    for organization, day in wanted:
        async with database.connect() as connection:
            hours = await _hours(connection, organization, day, bound)
        for hour in hours:
            await _note(database, organization, hour)
            done += 1
            yield done
            if done >= MOST_HOURS:
                return


async def _tell_writers(database: Database, wanted: int) -> int:
    """The hour before which writers tell of changes from now on: ``wanted``, or the one behind it."""
    async with database.connect() as connection:
        there = await told_value(connection, BOUND)
    if there is not None and wanted <= there <= wanted + 1:
        return there
    async with database.begin() as connection:
        # Whoever writes behind the commit knows of it, and whoever did before it is read.
        await connection.run_sync(take_numbers, 0)
        there = await told_value(connection, BOUND)
        if there is None:
            await connection.run_sync(put, SEQUENCE, [(BOUND, "", wanted)])
        elif there < wanted or there > wanted + 1:
            await connection.execute(update(SEQUENCE).where(SEQUENCE.c.name == BOUND).values(value=wanted))
        if there is not None and there > wanted + 1:
            # A clock was ahead.
            for table in (SESSION_HOUR, SESSION_CHANGE):
                await connection.execute(delete(table).where(table.c.hour >= wanted))
    return wanted


async def _days(connection: AsyncConnection, bound: int, first: int | None) -> list[tuple[str, int]]:
    """Organizations and days, the newest first, that are not over, or have other sums than their hours, or hours with
    many changes."""
    since = [] if first is None else [NAME_DAY.c.day >= first]
    there = await days_of(connection, NAME_DAY.c.day * HOURS < bound, *since)
    told: dict[tuple[str, int], list[Sums]] = defaultdict(list)
    changed: Counter[tuple[str, int]] = Counter()
    for table in (SESSION_HOUR, SESSION_CHANGE):
        columns = table.c
        sums = [func.sum(columns[name]) for name in NOTED_SUMS]
        query = select(columns.organization_id, columns.hour, func.count(), *sums)
        if first is not None:
            query = query.where(columns.hour >= first * HOURS)
        if table is SESSION_HOUR:
            query = query.where(columns.named.is_(False))
        for organization, hour, number, *come_to in await connection.execute(
            query.group_by(columns.organization_id, columns.hour)
        ):
            told[organization, hour // HOURS].append(tuple(map(int, come_to)))
            if table is SESSION_CHANGE:
                changed[organization, hour // HOURS] += number
    found = {
        key
        for key, sums in there.items()
        if (key[1] + 1) * HOURS > bound or sums != added(told[key]) or changed[key] * CHANGED > sums[0]
    }
    return sorted(found, key=lambda key: (-key[1], key[0]))


async def _hours(connection: AsyncConnection, organization: str, day: int, bound: int) -> list[int]:
    """The hours of a day that are to be noted, the newest first."""
    first, behind = day * HOURS, min((day + 1) * HOURS, bound)
    at = SESSION.c.last_at
    own = and_(SESSION.c.organization_id == organization, at >= first * HOUR_MS, at < behind * HOUR_MS)
    hour = (at // HOUR_MS).label("hour")
    query = select(hour, func.count().label("number")).where(own).group_by(hour)
    there: dict[int, int] = {row.hour: row.number for row in await connection.execute(query)}
    hours = await notes_of(connection, organization, [(first, behind)])
    columns = SESSION_CHANGE.c
    changes = select(columns.hour, func.count().label("number")).where(
        of_hours(SESSION_CHANGE, organization, [(first, behind)])
    )
    changed = {row.hour: row.number for row in await connection.execute(changes.group_by(columns.hour))}
    found = {
        hour
        for hour in range(first, behind)
        if (hour in there and not hours[hour].noted)
        or there.get(hour, 0) != hours[hour].sums[0]
        or changed.get(hour, 0) * CHANGED > there.get(hour, 0)
    }
    if not found and behind % HOURS == 0:
        own_day = NAME_DAY.c.organization_id == organization, NAME_DAY.c.day == day
        come_to = (await days_of(connection, *own_day)).get((organization, day), NOTHING)
        if come_to != added(each.sums for each in hours.values()):
            found = {*range(first, behind)}
    return sorted(found, reverse=True)


async def _note(database: Database, organization: str, hour: int) -> None:
    this = [(hour, hour + 1)]
    own = of_hours(SESSION_HOUR, organization, this)
    async with database.connect() as connection:
        # One view of both: what is changed up to this number is in the sessions.
        number = await told_value(connection, NUMBER) or 0
        rows = await _rows(connection, organization, hour, number)
    async with database.begin() as connection:
        await connection.run_sync(take_numbers, 0)
        noted = await connection.scalar(select(func.max(SESSION_HOUR.c.number)).where(own))
        bound = await told_value(connection, BOUND)
        if (noted or 0) > number or bound is None or hour >= bound:
            return  # somebody was quicker, or hours are noted no more
        await connection.execute(delete(SESSION_HOUR).where(own))
        part = and_(of_hours(SESSION_CHANGE, organization, this), SESSION_CHANGE.c.number <= number)
        await connection.execute(delete(SESSION_CHANGE).where(part))
        await connection.run_sync(put, SESSION_HOUR, rows)


async def _rows(connection: AsyncConnection, organization: str, hour: int, number: int) -> list[Values]:
    """The rows of `SESSION_HOUR` for one hour."""
    columns = SESSION.c
    at = columns.last_at
    told = [columns[name] for name in ("session_name", "first_at", "last_at", *NAME_SUMS[1:])]
    query = select(*told, COST).where(
        columns.organization_id == organization, at >= hour * HOUR_MS, at < (hour + 1) * HOUR_MS
    )
    names = defaultdict[str, _Hour](_Hour)
    async with connection.stream(query) as result:
        async for some in result.partitions(_AT_ONCE):
            for name, sessions in by_name(some).items():
                names[name].add_sessions(*zip(*sessions, strict=True))
    told_of: list[tuple[Values, _Hour]] = []
    if names:
        every = _Hour()
        for each in names.values():
            every.merge(each)
            every.reach(each.first_at, each.last_at)
        told_of.append(((False, hour, ""), every))
    if len(names) <= MOST_NAMES:
        told_of += [((True, hour, name), each) for name, each in names.items()]
    return [
        (organization, *key, each.first_at, each.last_at, *each.sums, number, each.packed()) for key, each in told_of
    ]


class _Hour(Spreading):
    """What the sessions of an hour with one name, or of any, come to."""

    sums: tuple[int, ...] = (0,) * len(NAME_SUMS)
    first_at: int = 2**63
    last_at: int = -(2**63)

    def reach(self, first: int, last: int) -> None:
        """Be at least from the first time to the last."""
        self.first_at, self.last_at = min(first, self.first_at), max(last, self.last_at)

    def add_sessions(self, firsts: Values, lasts: Values, requests: Values, *others: Values) -> None:
        """Add some, column by column: ``others`` are what else is summed up of a name, and costs that are known."""
        *sums, known = others
        self.reach(min(firsts), max(lasts))
        self.add((requests, [*map(sub, lasts, firsts)], known), requests, *sums)
