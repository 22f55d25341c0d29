"""Spread: how numbers are distributed: ten equal steps from the least to the greatest, and their average.

Numbers far from all others would leave everything else in one step. Either the greatest are left out, down to a
percentile, or what is further from the middle half than one and a half times its width.
"""

from __future__ import annotations

import asyncio
import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final, Literal

from msgspec import Struct
from sqlalchemy import CompoundSelect, Select, select

from helicone_gw_logging.query.patterns import Listed

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

Percentile = Literal["p50", "p75", "p95", "p99", "p99.9"]
STEPS: Final = 10
MOST_SPREAD: Final = 200_000
"""Sessions, or users, that are distributed at most: of more, those that were last heard of."""
FEW: Final = 10_000
"""Numbers that are counted on the event loop; more are in a thread."""


class Step(Struct, frozen=True):
    """How many numbers are from ``start`` (inclusive) to ``end`` (exclusive, but for the last step)."""

    start: float
    end: float
    count: int


class Spread(Struct, frozen=True):
    """The steps, none where there is no number; the average of the numbers in them."""

    steps: list[Step]
    average: float | None


def spread(
    counts: Mapping[int, int] | Mapping[float, int], percentile: Percentile, *, interquartile: bool = False
) -> Spread:
    """How numbers are distributed, each given with how often it is there."""
    there = sorted(counts.items())
    numbers, ranks = [number for number, _ in there], [*accumulate(times for _, times in there)]
    if not numbers:
        return Spread([], None)

    def at(share: float) -> float:
        return numbers[bisect_right(ranks, max(1, math.ceil(share * ranks[-1])) - 1)]

    if interquartile:
        low, high = at(0.25), at(0.75)
        bounds = low - 1.5 * (high - low), high + 1.5 * (high - low)
    else:
        bounds = -math.inf, at(float(percentile.removeprefix("p")) / 100)
    inside = [each for each in there if bounds[0] <= each[0] <= bounds[1]]
    first, last = inside[0][0], inside[-1][0]
    ends = [first + (last - first) / STEPS * number for number in range(1, STEPS)] if first < last else []
    steps = [0] * (len(ends) + 1)
    for number, times in inside:
        steps[bisect_right(ends, number)] += times
    average = math.fsum(number * times for number, times in inside) / sum(steps)
    return Spread([*map(Step, [first, *ends], [*ends, last], steps)], average)


async def numbers_of(connection: AsyncConnection, query: Select[Any] | CompoundSelect[Any]) -> list[Counter[int]]:
    """The whole numbers in each column of ``query``, with how often they are there; what is unknown is left out."""
    every = query.subquery()
    # One text for a column: rows of their own take five times as long.
    listed: Sequence[str | None] = (await connection.execute(select(*map(Listed, every.c)))).one()
    if sum(len(each or "") for each in listed) <= FEW * len(listed):
        return _counted(listed)
    return await asyncio.to_thread(_counted, listed)


def _counted(listed: Sequence[str | None]) -> list[Counter[int]]:
    return [Counter(map(int, each.split(","))) if each else Counter() for each in listed]
