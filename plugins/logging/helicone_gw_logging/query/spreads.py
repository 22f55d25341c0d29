"""Spreads: how sessions are distributed: by what is noted of days that are over, and by the sessions beside these."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from sqlalchemy import ColumnElement, and_, select

from helicone_gw_logging.histograms import bucket, value
from helicone_gw_logging.measures import DAY_MS
from helicone_gw_logging.query.columns import NANO
from helicone_gw_logging.query.sessions import Sessions, whole_days
from helicone_gw_logging.query.spread import MOST_SPREAD, Percentile, Spread, numbers_of, spread
from helicone_gw_logging.spreading import MEASURES, Counts, noted_spreads
from helicone_gw_logging.texts import text
from helicone_gw_logging.totals import SESSION

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

EXACT: Final = 5000
"""Sessions of whole days up to which each of them is looked at."""
_SCALES: Final = (1, 1000, NANO)


class Spreads(Struct, frozen=True):
    """How sessions are distributed: by their requests, their seconds, their dollars."""

    requests: Spread
    seconds: Spread
    dollars: Spread


async def spreads(
    connection: AsyncConnection, wanted: Sessions, percentile: Percentile, *, interquartile: bool
) -> Spreads:
    """How many requests sessions have, how long they take, what they cost (where that is known).

    Of more than `EXACT` sessions within one per cent; with a filter, of those `MOST_SPREAD` that were last heard of.
    """
    noted = await _noted(connection, wanted)
    counted = noted if noted is not None else await _counted(connection, wanted.where())
    found = []
    for each, scale in zip(counted, _SCALES, strict=True):
        numbers: dict[float, int] = {
            (number if noted is None else value(number)) / scale: times for number, times in each.items() if times
        }
        found.append(spread(numbers, percentile, interquartile=interquartile))
    return Spreads(*found)


async def _counted(connection: AsyncConnection, where: ColumnElement[bool]) -> Counts:
    """The numbers of sessions themselves."""
    named = [column.label(name) for column, name in zip(MEASURES, ("requests", "milliseconds", "cost"), strict=True)]
    query = select(*named).where(where).order_by(SESSION.c.last_at.desc()).limit(MOST_SPREAD)
    return await numbers_of(connection, query)


async def _noted(connection: AsyncConnection, wanted: Sessions) -> Counts | None:
    """The buckets of histograms; ``None`` where sessions are few, or days do not tell what is asked."""
    days = await whole_days(connection, wanted)
    if days is None:
        return None
    own, name = wanted.scope.of(SESSION), None
    if wanted.name is not None:
        name = text(wanted.name) or ""
        own = and_(own, SESSION.c.session_name == name)
    counts, left = await noted_spreads(connection, wanted.scope.organization, (days.first, days.behind), name)
    if sum(counts[0].values()) + sum(left.values()) <= EXACT:
        return None
    for each in (*days.beside, *_on(left)):
        for into, numbers in zip(counts, await _counted(connection, and_(own, each)), strict=True):
            for number, times in numbers.items():
                into[bucket(number)] += times
    return counts


def _on(days: Iterable[int]) -> list[ColumnElement[bool]]:
    """The sessions that were last heard of on one of ``days``, those that follow each other together."""
    found: list[tuple[int, int]] = []
    for day in sorted(days):
        if found and found[-1][1] == day:
            found[-1] = found[-1][0], day + 1
        else:
            found.append((day, day + 1))
    at = SESSION.c.last_at
    return [and_(at >= first * DAY_MS, at < behind * DAY_MS) for first, behind in found]
