"""Spreads: how sessions are distributed: by what is noted of days and hours that are over, and by the
sessions beside these."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from sqlalchemy import ColumnElement, and_, select, union_all

from helicone_gw_logging.histograms import bucket, value
from helicone_gw_logging.query.columns import NANO
from helicone_gw_logging.query.heard import Frame, frame
from helicone_gw_logging.query.sessions import Sessions
from helicone_gw_logging.query.spread import MOST_SPREAD, Percentile, Spread, numbers_of, spread
from helicone_gw_logging.session_hours import hour_counts
from helicone_gw_logging.spreading import MEASURES, Counts, noted_spreads, nothing_counted
from helicone_gw_logging.texts import text
from helicone_gw_logging.totals import SESSION

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

EXACT: Final = 5000
"""Sessions of whole days up to which each of them is looked at."""
_SCALES: Final = (1, 1000, NANO)
_NAMED: Final = [
    column.label(name) for column, name in zip(MEASURES, ("requests", "milliseconds", "cost"), strict=True)
]


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
    noted, found = False, []
    inside = await frame(connection, wanted.scope, wanted.span) if wanted.plain and wanted.span is not None else None
    if inside is None:
        counted = await _counted(connection, wanted.where())
    else:
        counted, noted = await counted_inside(connection, wanted, inside)
    for each, scale in zip(counted, _SCALES, strict=True):
        numbers: dict[float, int] = {
            (value(number) if noted else number) / scale: times for number, times in each.items() if times
        }
        found.append(spread(numbers, percentile, interquartile=interquartile))
    return Spreads(*found)


async def _counted(connection: AsyncConnection, where: ColumnElement[bool]) -> Counts:
    """The numbers of sessions themselves."""
    query = select(*_NAMED).where(where).order_by(SESSION.c.last_at.desc()).limit(MOST_SPREAD)
    return await numbers_of(connection, query)


async def counted_inside(connection: AsyncConnection, wanted: Sessions, inside: Frame) -> tuple[Counts, bool]:
    """The numbers of the sessions of a time, or their buckets, and whether they are these."""
    organization, own, name = wanted.scope.organization, wanted.scope.of(SESSION), None
    if wanted.name is not None:
        name = text(wanted.name) or ""
        own = and_(own, SESSION.c.session_name == name)
    counts, left = await noted_spreads(connection, organization, inside.days, name)
    heard = await inside.heard(connection, left, by_name=name is not None)
    if heard is None:
        return await _counted(connection, wanted.where()), False
    _add(counts, await hour_counts(connection, organization, heard.hours, name))
    noted = sum(counts[0].values()) > EXACT
    if not noted:
        counts = nothing_counted()
    pieces = [select(*_NAMED).where(own, each) for each in (heard.beside if noted else heard.every)]
    if pieces:
        found = await numbers_of(connection, union_all(*pieces))
        _add(counts, [*map(_in_buckets, found)] if noted else found)
    return counts, noted


def _add(counts: Counts, more: Counts) -> None:
    for into, numbers in zip(counts, more, strict=True):
        into.update(numbers)


def _in_buckets(numbers: Counter[int]) -> Counter[int]:
    found: Counter[int] = Counter()
    for number, times in numbers.items():
        found[bucket(number)] += times
    return found
