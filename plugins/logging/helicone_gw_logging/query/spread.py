"""Spread: how numbers are distributed: ten equal steps from the least to the greatest, and their average.

Numbers far from all others would leave everything else in one step. Either the greatest are left out, down to a
percentile, or what is further from the middle half than one and a half times its width.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, Literal

from msgspec import Struct
from sqlalchemy import ColumnElement, Select, case, func, select

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

Percentile = Literal["p50", "p75", "p95", "p99", "p99.9"]
STEPS: Final = 10


class Step(Struct, frozen=True):
    """How many numbers are from ``start`` (inclusive) to ``end`` (exclusive, but for the last step)."""

    start: float
    end: float
    count: int


class Spread(Struct, frozen=True):
    """The steps, none where there is no number; the average of the numbers in them."""

    steps: list[Step]
    average: float | None


async def spread(
    connection: AsyncConnection, numbers: Select[Any], percentile: Percentile, *, interquartile: bool = False
) -> Spread:
    """How the numbers of the one column of ``numbers`` are distributed; what is unknown (NULL) is left out."""
    every = numbers.subquery()
    column = every.c[0]
    known = column.is_not(None)
    count = int(await connection.scalar(select(func.count()).select_from(every).where(known)) or 0)
    if not count:
        return Spread([], None)

    async def at(share: float) -> float:
        rank = max(1, math.ceil(share * count))
        found = await connection.scalar(select(column).where(known).order_by(column).limit(1).offset(rank - 1))
        return float(found or 0)

    if interquartile:
        low, high = await at(0.25), await at(0.75)
        bounds = low - 1.5 * (high - low), high + 1.5 * (high - low)
    else:
        bounds = -math.inf, await at(float(percentile.removeprefix("p")) / 100)
    inside: ColumnElement[bool] = known
    if math.isfinite(bounds[0]):
        inside = inside & (column >= bounds[0])
    inside = inside & (column <= bounds[1])
    least, greatest, average = (
        await connection.execute(select(func.min(column), func.max(column), func.avg(column)).where(inside))
    ).one()
    if least is None:
        return Spread([], None)
    first, last = float(least), float(greatest)
    width = (last - first) / STEPS
    if not width:
        there = int(await connection.scalar(select(func.count()).select_from(every).where(inside)) or 0)
        return Spread([Step(first, last, there)], float(average))
    ends = [first + width * number for number in range(1, STEPS)]
    step: ColumnElement[int] = case(*((column < end, number) for number, end in enumerate(ends)), else_=STEPS - 1)
    steps = select(step.label("step")).where(inside).subquery()
    found = await connection.execute(select(steps.c.step, func.count()).group_by(steps.c.step))
    counts = {int(number): int(times) for number, times in found}
    begins = [first, *ends]
    return Spread(
        [
            Step(begin, end, counts.get(number, 0))
            for number, (begin, end) in enumerate(zip(begins, [*ends, last], strict=True))
        ],
        float(average),
    )
