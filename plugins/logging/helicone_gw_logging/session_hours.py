"""Session hours: what sessions come to, and how they are distributed, noted of hours that are over.

A session counts in the hour when it was last heard of. Before hours are noted, writers are told up to which: from then
on they put down what leaves these and what comes late (`helicone_gw_logging.leaving`), so that a note with its changes
is true at any time; where changes are many, an hour is noted anew. That all hours of a day that is over come to the
sums of that day (`totals.NAME_DAY`) is looked at whenever they are read: where they do not, sessions are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from sqlalchemy import ColumnElement, Table, and_, false, func, or_, select

from helicone_gw_logging.histograms import bucket
from helicone_gw_logging.leaving import BOUND
from helicone_gw_logging.noted import SESSION_CHANGE, SESSION_HOUR
from helicone_gw_logging.spreading import Counts, add_packed, nothing_counted
from helicone_gw_logging.totals import NAME_DAY, NOTED_SUMS, SEQUENCE

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

HOURS: Final = 24

Sums = tuple[int, ...]
"""A number for every name of `totals.NOTED_SUMS`."""
NOTHING: Final[Sums] = (0,) * len(NOTED_SUMS)
_MOST_LISTED: Final = 10_000


class Noted(Struct):
    """What is known of an hour from its note and changes.

    That is what it comes to, when the first of its sessions began, at the earliest (epoch milliseconds; ``None``: there
    is none), whether there is a note, and one of each name.
    """

    sums: Sums = NOTHING
    first_at: int | None = None
    noted: bool = False
    by_name: bool = True

    def add(self, sums: Iterable[int], first_at: int) -> None:
        """Add a note, or changes."""
        self.sums = added((self.sums, tuple(map(int, sums))))
        self.first_at = first_at if self.first_at is None else min(first_at, self.first_at)


async def noted_hours(
    connection: AsyncConnection, organization: str, days: Iterable[int], *, by_name: bool = True
) -> dict[int, Noted]:
    """The hours of ``days`` of which notes and their changes tell; ``by_name``: with whether each name has its own."""
    pieces = ranges(days)
    bound = await told_value(connection, BOUND)
    if not pieces or bound is None:
        return {}
    columns = NAME_DAY.c
    there = await days_of(connection, columns.organization_id == organization, _within(columns.day, pieces))
    hours = [(first * HOURS, behind * HOURS) for first, behind in pieces]
    known = await notes_of(connection, organization, hours, by_name=by_name)
    found: dict[int, Noted] = {}
    for day in (day for piece in pieces for day in range(*piece)):
        own = range(day * HOURS, (day + 1) * HOURS)
        if own[-1] >= bound:
            # Of a day that is not over nobody knows what all noted hours come to.
            found.update((hour, known[hour]) for hour in own if hour < bound and known[hour].noted)
        elif added(known[hour].sums for hour in own) == there.get((organization, day), NOTHING):
            found.update((hour, known[hour]) for hour in own)
    return found


async def hour_counts(
    connection: AsyncConnection, organization: str, hours: Sequence[tuple[int, int]], name: str | None
) -> Counts:
    """How the sessions of noted ``hours``, each from the first to the last (exclusive), are distributed: those of one
    name, or all (``None``)."""
    counts = nothing_counted()
    if not hours:
        return counts
    named = SESSION_HOUR.c.session_name == name if name is not None else SESSION_HOUR.c.named.is_(False)
    own = and_(of_hours(SESSION_HOUR, organization, hours), SESSION_HOUR.c.named.is_(name is not None), named)
    for data in await connection.scalars(select(SESSION_HOUR.c.counts).where(own)):
        add_packed(counts, data)
    columns = SESSION_CHANGE.c
    told = ("sessions", "requests", "first_at", "last_at", "cost_nano_usd", "unknown_costs")
    query = select(*(columns[each] for each in told)).where(of_hours(SESSION_CHANGE, organization, hours))
    if name is not None:
        query = query.where(columns.session_name == name)
    for sign, requests, first, last, cost, unknown in await connection.execute(query):
        known = cost * sign if unknown * sign < requests * sign else None
        for into, number in zip(counts, (requests * sign, last - first, known), strict=True):
            if number is not None:
                into[bucket(number)] += sign
    return counts


def of_hours(table: Table, organization: str, hours: Sequence[tuple[int, int]]) -> ColumnElement[bool]:
    """The rows of ``table`` of some hours, each from the first to the last (exclusive)."""
    return and_(table.c.organization_id == organization, _within(table.c.hour, hours))


def ranges(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Whole numbers as ranges (the first, and the one behind the last) of those that follow each other."""
    found: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if found and found[-1][1] == number:
            found[-1] = found[-1][0], number + 1
        else:
            found.append((number, number + 1))
    return found


def added(several: Iterable[Sums]) -> Sums:
    """Sums of sums."""
    return tuple(map(sum, zip(NOTHING, *several, strict=True)))


async def notes_of(
    connection: AsyncConnection, organization: str, hours: Sequence[tuple[int, int]], *, by_name: bool = True
) -> dict[int, Noted]:
    """What is known of ``hours``, each from the first to the last (exclusive)."""
    found = {hour: Noted() for piece in hours for hour in range(*piece)}
    every, change = SESSION_HOUR.c, SESSION_CHANGE.c
    for named in (False, True) if by_name else (False,):
        sums = [func.sum(every[name]) for name in NOTED_SUMS]
        own = and_(of_hours(SESSION_HOUR, organization, hours), every.named.is_(named))
        query = select(every.hour, func.min(every.first_at), *sums).where(own).group_by(every.hour)
        for hour, first, *come_to in await connection.execute(query):
            if not named:
                found[hour].add(come_to, first)
                found[hour].noted, found[hour].by_name = True, False
            else:
                found[hour].by_name = int(come_to[0]) == found[hour].sums[0]
    sums = [func.sum(change[name]) for name in NOTED_SUMS]
    query = select(change.hour, func.min(change.first_at), *sums).where(of_hours(SESSION_CHANGE, organization, hours))
    for hour, first, *come_to in await connection.execute(query.group_by(change.hour)):
        found[hour].add(come_to, first)
    return found


async def days_of(connection: AsyncConnection, *where: ColumnElement[bool]) -> dict[tuple[str, int], Sums]:
    """What the sessions of some days come to, by organization and day; days that come to nothing are left out."""
    columns = NAME_DAY.c
    sums = [func.sum(columns[name]) for name in NOTED_SUMS]
    query = select(columns.organization_id, columns.day, *sums).where(*where)
    rows = await connection.execute(query.group_by(columns.organization_id, columns.day))
    found = {(organization, day): tuple(map(int, come_to)) for organization, day, *come_to in rows}
    return {key: sums for key, sums in found.items() if any(sums)}


async def told_value(connection: AsyncConnection, name: str) -> int | None:
    """A number that is kept in `totals.SEQUENCE`."""
    found: int | None = await connection.scalar(select(SEQUENCE.c.value).where(SEQUENCE.c.name == name))
    return found


def _within(column: ColumnElement[int], pieces: Sequence[tuple[int, int]]) -> ColumnElement[bool]:
    """Whether a whole number is in one of ``pieces``."""
    if len(pieces) == 1 or sum(behind - first for first, behind in pieces) > _MOST_LISTED:
        return or_(false(), *(and_(column >= first, column < behind) for first, behind in pieces))
    # SQLite reads all of a table without row numbers where one of two ranges is asked for.
    return column.in_([number for piece in pieces for number in range(*piece)])
