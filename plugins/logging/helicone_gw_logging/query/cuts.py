"""Cuts: where the buckets of a time zone begin; a span as whole days and hours, which sums answer for, and the rest."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from helicone_gw_logging.measures import DAY_MS, HOUR_MS
from helicone_gw_logging.query.buckets import MINUTE_MS, Increment
from helicone_gw_logging.query.nodes import FilterError, shown
from helicone_gw_logging.query.spans import Span

MAX_BUCKETS: Final = 10_000
MAX_RANGES: Final = 200
"""Separate pieces of time that one statement is asked for; where there would be more, it is asked for all of it."""

Range = tuple[int, int]
"""From the first (inclusive) to the last (exclusive)."""


def zone(name: str | None, ahead: int = 0) -> tzinfo:
    """The time zone of that name (IANA's), else the one whose clocks are ``ahead`` minutes ahead of UTC.

    Raises `FilterError` for a name that is not known here.
    """
    if name is None:
        return timezone(timedelta(minutes=ahead))
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise FilterError(f"timeZone: there is no zone {shown(name)} on this machine") from None


def cuts(span: Span, increment: Increment, zone: tzinfo) -> list[int]:
    """Epoch milliseconds at which the buckets of ``span`` begin, ascending; the first may be before its start.

    Weeks begin on Monday. Raises `FilterError` when there are more than `MAX_BUCKETS`.
    """
    if span.start >= span.end:
        return []
    try:
        begun = _beginning(span.start, increment, zone)
        found = [begun]
        while (begun := _next(begun, increment, zone)) < span.end:
            if len(found) == MAX_BUCKETS:
                raise FilterError(f"dbIncrement: there are more than {MAX_BUCKETS} buckets in this time")
            found.append(begun)
    except FilterError:
        raise
    except (ValueError, OverflowError, OSError):
        raise FilterError("timeFilter: no calendar knows this time") from None
    return found


def steps(span: Span, length: int) -> range:
    """Epoch milliseconds at which buckets of ``length`` milliseconds begin, the first with ``span``.

    Raises `FilterError` when there are more than `MAX_BUCKETS`.
    """
    found = range(span.start, span.end, length)
    if len(found) > MAX_BUCKETS:
        raise FilterError(f"bucketMilliseconds: there are more than {MAX_BUCKETS} buckets in this time")
    return found


def _local(at: int, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(at / 1000, zone)


def _offset(at: int, zone: tzinfo) -> int:
    """Milliseconds that clocks are ahead of UTC then."""
    return round((_local(at, zone).utcoffset() or timedelta()).total_seconds() * 1000)


def _midnight(day: date, zone: tzinfo) -> int:
    return round(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1000)


def _beginning(at: int, increment: Increment, zone: tzinfo) -> int:
    if increment in ("min", "hour"):
        length, shift = HOUR_MS if increment == "hour" else MINUTE_MS, _offset(at, zone)
        return (at + shift) // length * length - shift
    day = _local(at, zone).date()
    if increment == "week":
        day -= timedelta(days=day.weekday())
    elif increment == "month":
        day = day.replace(day=1)
    elif increment == "year":
        day = day.replace(month=1, day=1)
    return _midnight(day, zone)


def _next(begun: int, increment: Increment, zone: tzinfo) -> int:
    if increment == "min":
        return begun + MINUTE_MS
    if increment == "hour":
        # Where clocks are put by less than an hour, the hour in which that is done has another length.
        following = _beginning(begun + HOUR_MS, increment, zone)
        return following if following > begun else begun + HOUR_MS
    day = _local(begun, zone).date()
    if increment == "day":
        following_day = day + timedelta(days=1)
    elif increment == "week":
        following_day = day + timedelta(days=7)
    elif increment == "month":
        following_day = (day.replace(day=1) + timedelta(days=31)).replace(day=1)
    else:
        following_day = date(day.year + 1, 1, 1)
    return _midnight(following_day, zone)


def between(span: Span, cuts: Sequence[int]) -> list[Span]:
    """``span`` in pieces, none of which lies in two buckets."""
    inner = [cut for cut in cuts if span.start < cut < span.end]
    return [Span(start, end) for start, end in zip([span.start, *inner], [*inner, span.end], strict=True)]


def whole(pieces: Sequence[Span], length: int) -> tuple[list[Range], list[Span]]:
    """The units of ``length`` milliseconds that lie in one of ``pieces``, as ranges of their numbers, and what is left.

    Where those are too many to be asked for, everything is left.
    """
    ranges: list[Range] = []
    rest: list[Span] = []
    for piece in pieces:
        first, last = -(-piece.start // length), piece.end // length
        if first >= last:
            rest.append(piece)
            continue
        if ranges and ranges[-1][1] == first:
            ranges[-1] = ranges[-1][0], last
        else:
            ranges.append((first, last))
        edges = Span(piece.start, first * length), Span(last * length, piece.end)
        rest += [edge for edge in edges if edge.start < edge.end]
    return (ranges, rest) if len(ranges) <= MAX_RANGES else ([], [*pieces])


def merged(pieces: Sequence[Span]) -> list[Range]:
    """Ranges of epoch milliseconds, those that touch being one."""
    found: list[Range] = []
    for piece in pieces:
        if piece.start >= piece.end:
            continue
        if found and found[-1][1] == piece.start:
            found[-1] = found[-1][0], piece.end
        else:
            found.append((piece.start, piece.end))
    return found


def step(cuts: Sequence[int], longest: int = DAY_MS) -> int:
    """The longest piece of time, in milliseconds, at whose multiples all buckets but the first begin."""
    for length in (DAY_MS, HOUR_MS, 15 * MINUTE_MS, MINUTE_MS, 1000):
        if length <= longest and all(cut % length == 0 for cut in cuts[1:]):
            return length
    return 1
