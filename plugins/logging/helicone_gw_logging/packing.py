"""Packing: the histogram of a day that is over, as one value in place of some hundred rows.

A day of one provider and model has its buckets in `totals.HISTOGRAM_PACKED`, and what came later as rows of
`totals.HISTOGRAM_DAY`: the two are added up by whoever reads them, so that writers know nothing of it. What came later
is packed in its turn.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Select, Table, and_, delete, select

from helicone_gw_logging.insert import take_numbers
from helicone_gw_logging.measures import days_over
from helicone_gw_logging.statements import Values, put
from helicone_gw_logging.totals import HISTOGRAM_DAY, HISTOGRAM_PACKED

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from helicone_gw import Database

AT_ONCE: Final = 16
"""Histograms that one transaction packs, of up to two thousand buckets each: whoever wants to write waits for these."""

_KEY = ("organization_id", "metric", "provider", "model", "day")
_PAIR: Final = 10
"""Bytes of a bucket and its count."""


def packed(counts: Mapping[int, int]) -> bytes:
    """Counts by bucket as bytes: all buckets (16 bits each), then all counts (64 bits), the lowest byte first."""
    buckets = sorted(counts)
    return struct.pack(f"<{len(buckets)}h{len(buckets)}q", *buckets, *[counts[each] for each in buckets])


def unpacked(data: bytes) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The buckets, and their counts."""
    number = len(data) // _PAIR
    values = struct.unpack(f"<{number}h{number}q", data)
    return values[:number], values[number:]


async def pack(database: Database, now: float) -> AsyncIterator[int]:
    """Pack the days that are over at ``now`` (epoch seconds); yields how many histograms that were so far.

    Every step is a transaction of its own, so that it may be broken off and begun again at any time, by several
    processes at once. Raises what SQLAlchemy raises.
    """
    before, done = days_over(now), 0
    while True:
        async with database.connect() as connection:
            if not await connection.scalar(_over(before).limit(1)):
                return
        async with database.begin() as connection:
            # Nobody writes from here to the commit, other workers that pack among them.
            await connection.run_sync(take_numbers, 0)
            keys = [tuple(row) for row in await connection.execute(_over(before).limit(AT_ONCE))]
            for key in keys:
                await _pack(connection, key)
        done += len(keys)
        yield done


def _over(before: int) -> Select[Any]:
    columns = HISTOGRAM_DAY.c
    return select(*(columns[name] for name in _KEY)).where(columns.day < before).distinct()


async def _pack(connection: AsyncConnection, key: Values) -> None:
    counts: dict[int, int] = defaultdict(int)
    columns = HISTOGRAM_DAY.c
    rows = select(columns.bucket, columns["count"]).where(_own(HISTOGRAM_DAY, key))
    for bucket, number in await connection.execute(rows):
        counts[bucket] += number
    there = await connection.scalar(select(HISTOGRAM_PACKED.c.counts).where(_own(HISTOGRAM_PACKED, key)))
    for bucket, number in zip(*unpacked(there or b""), strict=True):
        counts[bucket] += number
    for table in (HISTOGRAM_DAY, HISTOGRAM_PACKED):
        await connection.execute(delete(table).where(_own(table, key)))
    left = {bucket: number for bucket, number in counts.items() if number}
    if left:
        await connection.run_sync(put, HISTOGRAM_PACKED, [(*key, packed(left))])


def _own(table: Table, key: Values) -> Any:
    return and_(*(table.c[name] == value for name, value in zip(_KEY, key, strict=True)))
