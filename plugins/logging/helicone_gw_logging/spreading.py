"""Spreading: how the sessions of days that are over are distributed, by their requests, their time and their cost.

A session counts on the day when it was last heard of, as in `totals.NAME_DAY`. One that is heard of again leaves its
day, whose sums then are others than those that were noted with it: it says nothing until it is noted anew. Numbers are
in the buckets of `helicone_gw_logging.histograms`, within one per cent of exact, and days are added up.
"""

from __future__ import annotations

import struct
import zlib
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from operator import add
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct, field
from sqlalchemy import ColumnElement, Select, and_, case, delete, func, null, or_, select

from helicone_gw_logging.histograms import bucket
from helicone_gw_logging.insert import take_numbers
from helicone_gw_logging.measures import DAY_MS, days_over, is_known
from helicone_gw_logging.noted import SESSION_SPREAD
from helicone_gw_logging.packing import packed, unpacked
from helicone_gw_logging.statements import Values, put
from helicone_gw_logging.totals import NAME_DAY, NOTED_SUMS, SESSION

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from helicone_gw import Database

MOST_NAMES: Final = 200
"""Names of sessions of one day that are noted each by itself; where there are more, only all together are."""
_AT_ONCE: Final = 1000
_LENGTHS: Final = struct.Struct("<3I")

Counts = list[Counter[int]]
"""Histograms of requests, milliseconds and nano-dollars, in this order: how many sessions are in each bucket."""

COST: Final[ColumnElement[Any]] = case(
    (SESSION.c.unknown_costs < SESSION.c.requests, SESSION.c.cost_nano_usd), else_=null()
)
"""What a session cost in nano-dollars; unknown where it is of all its requests."""
MEASURES: Final = (SESSION.c.requests, SESSION.c.last_at - SESSION.c.first_at, COST)
"""What sessions are distributed by: requests, milliseconds, nano-dollars."""


def nothing_counted() -> Counts:
    """Histograms of no session."""
    return [Counter(), Counter(), Counter()]


class Spreading(Struct):
    """What some sessions come to: how many they are, what is summed up of them, and how they are distributed."""

    sums: tuple[int, ...] = (0,) * len(NOTED_SUMS)
    counts: Counts = field(default_factory=nothing_counted)

    def add(self, measures: Sequence[Sequence[int | None]], *sums: Sequence[int]) -> None:
        """Add sessions, column by column: what they are distributed by, and what is summed up of them."""
        self.sums = self.sums[0] + len(measures[0]), *map(add, self.sums[1:], map(sum, sums))
        for counts, numbers in zip(self.counts, measures, strict=True):
            counts.update(map(bucket, filter(is_known, numbers)))

    def merge(self, others: Spreading) -> None:
        """Add what others come to."""
        self.sums = tuple(map(add, self.sums, others.sums))
        for counts, more in zip(self.counts, others.counts, strict=True):
            counts.update(more)

    def packed(self) -> bytes:
        """Its histograms as bytes."""
        pieces = [*map(packed, self.counts)]
        return zlib.compress(_LENGTHS.pack(*map(len, pieces)) + b"".join(pieces), 1)


def by_name(rows: Iterable[Sequence[Any]]) -> dict[str, list[Sequence[Any]]]:
    """What is behind the first value of each row, by this."""
    found: dict[str, list[Sequence[Any]]] = {}
    for name, *rest in rows:
        found.setdefault(name, []).append(rest)
    return found


def add_packed(counts: Counts, data: bytes) -> None:
    """Add histograms that were packed to ``counts``."""
    plain, at = zlib.decompress(data), _LENGTHS.size
    for into, length in zip(counts, _LENGTHS.unpack_from(plain), strict=True):
        known = into.get
        for index, number in zip(*unpacked(plain[at : at + length]), strict=True):
            into[index] = known(index, 0) + number
        at += length


async def note_spreads(database: Database, now: float) -> AsyncIterator[int]:
    """Note the days that are over at ``now`` (epoch seconds) and are not noted as they are; yields how many so far.

    Every day is a transaction of its own, so that it may be broken off and begun again at any time, by several
    processes at once. Raises what SQLAlchemy raises.
    """
    async with database.connect() as connection:
        days = [*await connection.execute(_changed(days_over(now)))]
    for done, (organization, day) in enumerate(days, 1):
        async with database.connect() as connection:
            rows = await _rows(connection, organization, day)
        columns = SESSION_SPREAD.c
        async with database.begin() as connection:
            # Whoever else notes this day waits from here to the commit.
            await connection.run_sync(take_numbers, 0)
            await connection.execute(
                delete(SESSION_SPREAD).where(columns.organization_id == organization, columns.day == day)
            )
            await connection.run_sync(put, SESSION_SPREAD, rows)
        yield done


async def noted_spreads(
    connection: AsyncConnection, organization: str, days: tuple[int, int], name: str | None
) -> tuple[Counts, dict[int, int]]:
    """What is noted of the days from the first to the last (exclusive), of sessions of one name or of all (``None``),
    and the others among them that have any, with how many."""
    sums = [func.sum(NAME_DAY.c[each]) for each in NOTED_SUMS]
    own = _inside(NAME_DAY.c, organization, days)
    there = select(NAME_DAY.c.day, *sums).where(own).group_by(NAME_DAY.c.day)
    columns = SESSION_SPREAD.c
    noted = select(columns.day, *(columns[each] for each in NOTED_SUMS), columns.counts)
    noted = noted.where(_inside(columns, organization, days), columns.named.is_(name is not None))
    if name is not None:
        there, noted = there.where(NAME_DAY.c.session_name == name), noted.where(columns.session_name == name)
    left: dict[int, Sequence[int]] = {}
    for day, *come_to in await connection.execute(there):
        left[day] = [*map(int, come_to)]
    counts = nothing_counted()
    for day, *come_to, data in await connection.execute(noted):
        if left.get(day) == come_to:
            del left[day]
            add_packed(counts, data)
    return counts, {day: sessions for day, (sessions, *_) in left.items() if sessions > 0}


def _inside(columns: Any, organization: str, days: tuple[int, int]) -> ColumnElement[bool]:
    return and_(columns.organization_id == organization, columns.day >= days[0], columns.day < days[1])


def _changed(before: int) -> Select[Any]:
    """Organizations and days of which nothing is noted, or other sums than there are now."""
    named, every = NAME_DAY.c, SESSION_SPREAD.c
    sums = [func.sum(named[each]).label(each) for each in NOTED_SUMS]
    there = (
        select(named.organization_id, named.day, *sums)
        .where(named.day < before)
        .group_by(named.organization_id, named.day)
        .having(func.sum(named.sessions) > 0)
        .subquery()
    )
    same = and_(every.organization_id == there.c.organization_id, every.day == there.c.day, every.named.is_(False))
    others = or_(*(every[each] != there.c[each] for each in NOTED_SUMS))
    query = select(there.c.organization_id, there.c.day).select_from(there.outerjoin(SESSION_SPREAD, same))
    return query.where(or_(every.sessions.is_(None), others)).order_by(there.c.organization_id, there.c.day)


async def _rows(connection: AsyncConnection, organization: str, day: int) -> list[Values]:
    """The rows of `SESSION_SPREAD` for one day, with the sums of the very sessions that were read."""
    columns, days = SESSION.c, defaultdict[str, Spreading](Spreading)
    own = and_(
        columns.organization_id == organization, columns.last_at >= day * DAY_MS, columns.last_at < (day + 1) * DAY_MS
    )
    query = select(columns.session_name, *MEASURES, columns.cost_nano_usd, columns.unknown_costs).where(own)
    async with connection.stream(query) as result:
        async for some in result.partitions(_AT_ONCE):
            for name, sessions in by_name(some).items():
                *measures, costs, unknown = zip(*sessions, strict=True)
                days[name].add(measures, measures[0], costs, unknown)
    every = Spreading()
    for each in days.values():
        every.merge(each)
    named: Mapping[tuple[bool, str], Spreading] = {(False, ""): every}
    if len(days) <= MOST_NAMES:
        named = {**named, **{(True, name): each for name, each in days.items()}}
    return [(organization, day, *key, *each.sums, each.packed()) for key, each in named.items() if each.sums[0]]
