"""Buckets: minutes, hours, days, weeks, months and years of a time zone, as instants."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from helicone_gw_logging.measures import HOUR_MS

Increment = Literal["min", "hour", "day", "week", "month", "year"]

MINUTE_MS: Final = 60_000
_LENGTHS: Final[dict[Increment, int]] = {
    "min": MINUTE_MS,
    "hour": HOUR_MS,
    "day": 24 * HOUR_MS,
    "week": 7 * 24 * HOUR_MS,
    "month": 28 * 24 * HOUR_MS,
    "year": 365 * 24 * HOUR_MS,
}


def bucket_start(at: int, increment: Increment, ahead: int) -> int:
    """The beginning of the bucket that holds ``at``, both in epoch milliseconds.

    ``ahead``: minutes that the zone's clocks are ahead of UTC. Weeks begin on Monday.
    """
    shift = ahead * MINUTE_MS
    local = at + shift
    if increment in ("min", "hour", "day"):
        return local // _LENGTHS[increment] * _LENGTHS[increment] - shift
    day = datetime.fromtimestamp(local // 1000, UTC).replace(hour=0, minute=0, second=0)
    if increment == "week":
        day -= timedelta(days=day.weekday())
    elif increment == "month":
        day = day.replace(day=1)
    else:
        day = day.replace(month=1, day=1)
    return round(day.timestamp()) * 1000 - shift


def grain(increment: Increment, ahead: int) -> int:
    """The longest piece of time, in milliseconds, that never lies in two buckets and that all of them are made of."""
    if increment == "min":
        return MINUTE_MS
    if ahead % 60 == 0:
        return HOUR_MS
    return MINUTE_MS * (15 if ahead % 15 == 0 else 1)


def most_buckets(start: int, end: int, increment: Increment) -> int:
    """How many buckets there may be between two instants."""
    return (end - start) // _LENGTHS[increment] + 2
