"""Heard: the sessions of a time, by days and hours of which it is known what they come to, and by those beside these.

A session is in a time when it was last heard of at its start or later, and began before its end. It counts when it was
last heard of: between the start and the last whole hour it is inside. Behind that hour, only whoever began before the
end is; these are looked for where notes say that there may be any.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from sqlalchemy import ColumnElement, Table, and_, func, select

from helicone_gw_logging.measures import DAY_MS, HOUR_MS
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.spans import Span
from helicone_gw_logging.session_hours import HOURS, Noted, noted_hours, of_hours, ranges
from helicone_gw_logging.totals import NAME_DAY, SESSION

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

FEW_SESSIONS: Final = 100_000
"""Sessions beside whole days and noted hours up to which these are asked for."""
SEARCHED: Final = 5
"""Sessions heard of later, among which those that began before the end are looked for, that cost as much as one."""
_MOST_PIECES: Final = 8

_AT: Final = SESSION.c.last_at


class Heard(Struct, frozen=True):
    """The sessions of a time.

    ``hours`` (each from the first to the last, exclusive) are noted, ``beside`` these and whole days are single ones;
    ``every``: all of them, one by one.
    """

    hours: Sequence[tuple[int, int]]
    beside: Sequence[ColumnElement[bool]]
    every: Sequence[ColumnElement[bool]]

    def noted(self, scope: Scope, table: Table) -> ColumnElement[bool]:
        """The rows of ``table`` of these hours."""
        return of_hours(table, scope.organization, self.hours)


class Frame(Struct, frozen=True):
    """A time: the hours from ``first`` to ``behind`` (exclusive) are wholly inside.

    ``end`` is ``None`` where nobody was heard of since then. Otherwise those of the ``later`` days may be inside that
    began before.
    """

    scope: Scope
    start: int
    first: int
    behind: int
    end: int | None
    later: Sequence[int] = ()

    @property
    def days(self) -> tuple[int, int]:
        """The first day that is wholly inside, and the one behind the last; equal where there is none."""
        first, behind = -(-self.first // HOURS), self.behind // HOURS
        return (first, behind) if first < behind else (first, first)

    async def heard(
        self, connection: AsyncConnection, days: Iterable[int] = (), *, by_name: bool = False
    ) -> Heard | None:
        """The sessions beside its whole days, and of ``days`` among these.

        ``by_name``: each name is asked for. ``None``: too many are in hours that are not noted.
        """
        first, last = self.days
        wanted = {*range(self.first, self.behind)}.difference(range(first * HOURS, last * HOURS))
        wanted.update(hour for day in days for hour in range(day * HOURS, (day + 1) * HOURS))
        later = self._hours_behind()
        asked = {hour // HOURS for hour in (*wanted, *later)}
        noted = await noted_hours(connection, self.scope.organization, asked, by_name=by_name)
        told = {hour for hour in wanted if hour in noted and (noted[hour].by_name or not by_name)}
        beside = [and_(a * HOUR_MS <= _AT, b * HOUR_MS > _AT) for a, b in ranges(wanted - told)]
        edge = min(self.first, self.behind) * HOUR_MS
        if self.start < edge:
            beside.append(and_(self.start <= _AT, edge > _AT))
        pieces = self._pieces(later, noted)
        # How many were heard of is told by an index, how many of them began before the end is not.
        number = await self._number(connection, beside, FEW_SESSIONS)
        searched = await self._number(connection, [*map(self._since, pieces)], SEARCHED * FEW_SESSIONS)
        if number + searched // SEARCHED >= FEW_SESSIONS:
            return None
        behind = self._behind(pieces)
        return Heard(ranges(told), [*beside, *behind], [self._inside(), *behind])

    async def every(self, connection: AsyncConnection) -> Sequence[ColumnElement[bool]]:
        """All of its sessions, one by one: several conditions, of which no two hold for the same."""
        later = self._hours_behind()
        days = {hour // HOURS for hour in later}
        noted = await noted_hours(connection, self.scope.organization, days, by_name=False)
        return [self._inside(), *self._behind(self._pieces(later, noted))]

    def _hours_behind(self) -> Collection[int]:
        """The hours behind the whole ones in which there may be sessions that began before the end."""
        if self.end is None:
            return ()
        day = self.behind // HOURS
        later = (hour for each in self.later for hour in range(each * HOURS, (each + 1) * HOURS))
        return {*range(self.behind, (day + 1) * HOURS), *later}

    def _pieces(self, hours: Iterable[int], noted: Mapping[int, Noted]) -> list[tuple[int, int]]:
        """Those of ``hours`` in which there may be sessions that began before the end, few ranges of them."""
        pieces = ranges(hour for hour in hours if self._may_be(noted.get(hour)))
        return pieces if len(pieces) <= _MOST_PIECES else [(pieces[0][0], pieces[-1][1])]

    def _inside(self) -> ColumnElement[bool]:
        return and_(self.start <= _AT, self.behind * HOUR_MS > _AT)

    def _behind(self, pieces: Iterable[tuple[int, int]]) -> list[ColumnElement[bool]]:
        return [and_(self._since(piece), SESSION.c.first_at < self.end) for piece in pieces]

    def _may_be(self, hour: Noted | None) -> bool:
        assert self.end is not None
        return hour is None or (hour.first_at is not None and hour.first_at < self.end)

    def _since(self, hours: tuple[int, int]) -> ColumnElement[bool]:
        return and_(max(self.start, hours[0] * HOUR_MS) <= _AT, hours[1] * HOUR_MS > _AT)

    async def _number(self, connection: AsyncConnection, pieces: Sequence[ColumnElement[bool]], most: int) -> int:
        """How many sessions these are, each of ``pieces`` up to ``most``."""
        numbers: list[ColumnElement[int]] = []
        for each in pieces:
            some = select(_AT).where(self.scope.of(SESSION), each).limit(most).subquery()
            numbers.append(select(func.count()).select_from(some).scalar_subquery())
        return sum(map(int, (await connection.execute(select(*numbers))).one())) if numbers else 0


async def frame(connection: AsyncConnection, scope: Scope, span: Span) -> Frame | None:
    """``span`` as a frame; ``None`` where there is no session, or no time."""
    if span.start >= span.end:
        return None
    last = await connection.scalar(select(_AT).where(scope.of(SESSION)).order_by(_AT.desc()).limit(1))
    if last is None:
        return None
    first = -(-span.start // HOUR_MS)
    if span.end > last:
        return Frame(scope, span.start, first, (last // DAY_MS + 1) * HOURS, None)
    behind = span.end // HOUR_MS
    columns = NAME_DAY.c
    # The first times of names are no later than those of the sessions of that day.
    own = and_(scope.of(NAME_DAY), columns.day > behind // HOURS)
    query = select(columns.day).where(own).group_by(columns.day).having(func.min(columns.first_at) < span.end)
    return Frame(scope, span.start, first, behind, span.end, [*await connection.scalars(query)])
