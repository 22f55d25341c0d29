"""Spreading: how the sessions of days that are over are distributed, by their requests, their time and their cost.

A session counts on the day when it was last heard of, as in `totals.NAME_DAY`. One that is heard of again leaves its
day, whose sums then are others than those that were noted with it: it says nothing until it is noted anew. Numbers are
in the buckets of `helicone_gw_logging.histograms`, within one per cent of exact, and days are added up.
"""

from __future__ import annotations

import struct
import zlib
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct
from sqlalchemy import ColumnElement, Select, and_, case, delete, func, null, or_, select

from helicone_gw_logging.histograms import bucket
from helicone_gw_logging.insert import take_numbers
from helicone_gw_logging.measures import DAY_MS, days_over
from helicone_gw_logging.noted import SESSION_SPREAD
from helicone_gw_logging.packing import packed, unpacked
from helicone_gw_logging.statements import Values, put
from helicone_gw_logging.totals import NAME_DAY, SESSION

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


class _Day(Struct):
    """What the sessions of a day with one name, or of any, come to."""

    sums: tuple[int, int, int] = (0, 0, 0)
    counts: Counts = []

    def add(self, requests: int, milliseconds: int, cost: int | None, sum_of_costs: int) -> None:
        """Add a session."""
        self.counts = self.counts or [Counter(), Counter(), Counter()]
        sessions, every, costs = self.sums
        self.sums = sessions + 1, every + requests, costs + sum_of_costs
        for counts, number in zip(self.counts, (requests, milliseconds, cost), strict=True):
            if number is not None:
                counts[bucket(number)] += 1


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
    sums = [func.sum(NAME_DAY.c[each]) for each in ("sessions", "requests", "cost_nano_usd")]
    own = _inside(NAME_DAY.c, organization, days)
    there = select(NAME_DAY.c.day, *sums).where(own).group_by(NAME_DAY.c.day)
    columns = SESSION_SPREAD.c
    noted = select(columns.day, columns.sessions, columns.requests, columns.cost_nano_usd, columns.counts)
    noted = noted.where(_inside(columns, organization, days), columns.named.is_(name is not None))
    if name is not None:
        there, noted = there.where(NAME_DAY.c.session_name == name), noted.where(columns.session_name == name)
    left: dict[int, Sequence[int]] = {}
    for day, *come_to in await connection.execute(there):
        left[day] = [*map(int, come_to)]
    counts: Counts = [Counter(), Counter(), Counter()]
    for day, *come_to, data in await connection.execute(noted):
        if left.get(day) == come_to:
            del left[day]
            for into, (buckets, numbers) in zip(counts, _unpacked(data), strict=True):
                for index, number in zip(buckets, numbers, strict=True):
                    into[index] += number
    return counts, {day: sessions for day, (sessions, *_) in left.items() if sessions > 0}


def _inside(columns: Any, organization: str, days: tuple[int, int]) -> ColumnElement[bool]:
    return and_(columns.organization_id == organization, columns.day >= days[0], columns.day < days[1])


def _changed(before: int) -> Select[Any]:
    """Organizations and days of which nothing is noted, or other sums than there are now."""
    named, every = NAME_DAY.c, SESSION_SPREAD.c
    sums = [func.sum(named[each]).label(each) for each in ("sessions", "requests", "cost_nano_usd")]
    there = (
        select(named.organization_id, named.day, *sums)
        .where(named.day < before)
        .group_by(named.organization_id, named.day)
        .having(func.sum(named.sessions) > 0)
        .subquery()
    )
    same = and_(every.organization_id == there.c.organization_id, every.day == there.c.day, every.named.is_(False))
    others = or_(*(every[each] != there.c[each] for each in ("sessions", "requests", "cost_nano_usd")))
    query = select(there.c.organization_id, there.c.day).select_from(there.outerjoin(SESSION_SPREAD, same))
    return query.where(or_(every.sessions.is_(None), others)).order_by(there.c.organization_id, there.c.day)


async def _rows(connection: AsyncConnection, organization: str, day: int) -> list[Values]:
    """The rows of `SESSION_SPREAD` for one day, with the sums of the very sessions that were read."""
    columns, days = SESSION.c, defaultdict[str, _Day](_Day)
    every = _Day()
    own = and_(
        columns.organization_id == organization, columns.last_at >= day * DAY_MS, columns.last_at < (day + 1) * DAY_MS
    )
    query = select(columns.session_name, *MEASURES, columns.cost_nano_usd).where(own)
    async with connection.stream(query) as result:
        async for some in result.partitions(_AT_ONCE):
            for name, *measures in some:
                every.add(*measures)
                days[name].add(*measures)
    named: Mapping[tuple[bool, str], _Day] = {(False, ""): every}
    if len(days) <= MOST_NAMES:
        named = {**named, **{(True, name): each for name, each in days.items()}}
    return [(organization, day, *key, *each.sums, _packed(each.counts)) for key, each in named.items() if each.counts]


def _packed(counts: Counts) -> bytes:
    pieces = [*map(packed, counts)]
    return zlib.compress(_LENGTHS.pack(*map(len, pieces)) + b"".join(pieces), 1)


def _unpacked(data: bytes) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    plain = zlib.decompress(data)
    found, at = [], _LENGTHS.size
    for length in _LENGTHS.unpack_from(plain):
        found.append(unpacked(plain[at : at + length]))
        at += length
    return found
