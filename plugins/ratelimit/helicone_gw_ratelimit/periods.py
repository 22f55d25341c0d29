"""Periods: when a budget begins anew, by the calendar of a time zone or by a window that rolls on."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Literal, NamedTuple, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

Every = Literal["day", "week", "month", "total"]
WeekStart = Literal["monday", "sunday"]

BUCKETS = 60
"""Parts of a rolling window: what was spent counts for the window, and for at most one part of it longer."""

SHORTEST, LONGEST = 60.0, 366 * 86400.0
"""Bounds of a rolling window, in seconds."""

_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s*(s|m|h|d|w)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class Span(NamedTuple):
    """A period: epoch seconds of its beginning and end (``None``: it never ends), and a name for keys and tables."""

    start: int
    end: int | None

    @property
    def label(self) -> str:
        """What tells this period of a budget from its others."""
        return str(self.start)


class Period(Protocol):
    """When a budget begins anew."""

    @property
    def bucket(self) -> float:
        """Seconds of a rolling window's part; 0 for a calendar period, which is spent in one piece."""

    def at(self, now: float) -> Span:
        """The period that ``now`` (epoch seconds) lies in; of a rolling window the one span that all time is."""

    def describe(self) -> str:
        """In a few words, for people."""


class Calendar:
    """Days, weeks and months as the clocks of a time zone tell them; a day may have 23, 24 or 25 hours.

    A period begins with the first moment of its first date: where midnight is skipped, that is the moment after the
    gap; where it comes twice, the first of the two.
    """

    bucket = 0.0

    def __init__(self, every: Literal["day", "week", "month"], zone: tzinfo, week_starts: WeekStart = "monday") -> None:
        self._every = every
        self._zone = zone
        self._first_weekday = 0 if week_starts == "monday" else 6
        self._span = Span(0, 0)
        self._next: Callable[[date], date] = {"day": _tomorrow, "week": _next_week, "month": _next_month}[every]

    def at(self, now: float) -> Span:
        """The period that ``now`` (epoch seconds) lies in."""
        span = self._span
        # Asked for every request, and the answer changes once a day at most.
        if span.end is not None and span.start <= now < span.end:
            return span
        first = self._first_date(datetime.fromtimestamp(now, self._zone).date())
        self._span = span = Span(self._beginning(first), self._beginning(self._next(first)))
        return span

    def _first_date(self, day: date) -> date:
        if self._every == "month":
            return day.replace(day=1)
        if self._every == "week":
            return day - timedelta(days=(day.weekday() - self._first_weekday) % 7)
        return day

    def _beginning(self, day: date) -> int:
        # With fold 0 a time in a gap is read by the clock before it, which makes it the very moment of the change.
        return int(datetime.combine(day, time(), self._zone).timestamp())

    def describe(self) -> str:
        """In a few words, for people."""
        return f"a {self._every} ({zone_name(self._zone)})"


class Total:
    """One period that never ends."""

    bucket = 0.0

    def at(self, now: float) -> Span:
        """All time."""
        return Span(0, None)

    def describe(self) -> str:
        """In a few words, for people."""
        return "in total"


class Rolling:
    """The last ``seconds``, whenever one asks; spent in `BUCKETS` parts that leave one after the other."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.bucket = seconds / BUCKETS

    def at(self, now: float) -> Span:
        """All time: the window rolls inside it."""
        return Span(0, None)

    def describe(self) -> str:
        """In a few words, for people."""
        return f"within any {brief(self.seconds)}"


def parse_duration(value: object) -> float:
    """Seconds of ``90``, ``"90s"``, ``"15m"``, ``"12h"``, ``"30d"`` or ``"2w"``. Raises `ValueError`."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    match = _DURATION.fullmatch(value.strip().lower()) if isinstance(value, str) else None
    if match is None:
        raise ValueError("not a duration, such as 12h or 30d (s, m, h, d, w)")
    return float(match[1]) * _SECONDS[match[2]]


def brief(seconds: float) -> str:
    """``seconds`` in the largest unit that says them whole.

    >>> brief(43200), brief(90), brief(0.5)
    ('12h', '90s', '0.5s')
    """
    for unit, size in sorted(_SECONDS.items(), key=lambda item: -item[1]):
        if unit != "w" and seconds >= size and seconds % size == 0:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:g}s"


def zone(name: str) -> tzinfo:
    """The time zone ``name`` (IANA). Raises `ValueError` for one that this machine does not know."""
    if name.upper() in ("UTC", "GMT", "Z"):
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            "not a time zone that this machine knows, such as Europe/Berlin (where it knows none: pip install tzdata)"
        ) from None


def zone_name(zone: tzinfo) -> str:
    """The zone's IANA name."""
    return zone.key if isinstance(zone, ZoneInfo) else "UTC"


def _tomorrow(day: date) -> date:
    return day + timedelta(days=1)


def _next_week(day: date) -> date:
    return day + timedelta(days=7)


def _next_month(day: date) -> date:
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)
