"""Formatting: numbers, money, durations and times as people read them. What is unknown is a dash, never zero."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

UNKNOWN = "–"


def count(value: float | None) -> str:
    """A whole number with separators.

    >>> count(1234567)
    '1,234,567'
    """
    return UNKNOWN if value is None else f"{value:,.0f}"


def compact(value: float | None) -> str:
    """A number in four characters or so.

    >>> [compact(number) for number in (7, 9_999, 12_345, 4_560_000)]
    ['7', '9,999', '12.3k', '4.56M']
    """
    if value is None:
        return UNKNOWN
    for limit, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            scaled = value / (1e3 if unit == "k" else limit)
            return f"{scaled:.3g}{unit}" if abs(scaled) < 999.5 else f"{scaled:,.0f}{unit}"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"


def money(value: float | None) -> str:
    """Dollars, with as many digits as a small sum needs.

    >>> [money(dollars) for dollars in (0, 1234.5, 0.5, 0.00012345, 0.0000000021)]
    ['$0', '$1,234.50', '$0.50', '$0.000123', '$2.1e-09']
    """
    if value is None:
        return UNKNOWN
    size = abs(value)
    sign = "-" if value < 0 else ""
    if size == 0:
        return "$0"
    if size >= 0.1:
        return f"{sign}${size:,.2f}"
    if size >= 0.01:
        return f"{sign}${size:.3f}"
    if size >= 1e-6:
        digits = f"{size:.9f}".rstrip("0")
        kept = len(digits) - len(digits.lstrip("0.")) + 3
        return f"{sign}${digits[:kept]}"
    return f"{sign}${size:.2g}"


def duration(milliseconds: float | None) -> str:
    """A duration.

    >>> [duration(ms) for ms in (0.4, 340, 1240, 125_000, 300_000, 7_260_000)]
    ['<1 ms', '340 ms', '1.24 s', '2 min 5 s', '5 min', '2 h 1 min']
    """
    if milliseconds is None:
        return UNKNOWN
    if 0 < milliseconds < 1:
        return "<1 ms"
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / 1000
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return _two(minutes, "min", rest, "s")
    hours, minutes = divmod(minutes, 60)
    return _two(hours, "h", minutes, "min") if hours < 48 else _two(hours // 24, "d", hours % 24, "h")


def _two(large: int, of: str, small: int, one: str) -> str:
    return f"{large} {of} {small} {one}" if small else f"{large} {of}"


def percent(value: float | None) -> str:
    """A share of one.

    >>> [percent(share) for share in (0, 0.004, 0.123, 0.9996, 1)]
    ['0 %', '0.4 %', '12.3 %', '>99.9 %', '100 %']
    """
    if value is None:
        return UNKNOWN
    if 0 < value < 0.001:
        return "<0.1 %"
    if 0.9995 <= value < 1:
        return ">99.9 %"
    return f"{value * 100:.1f}".removesuffix(".0") + " %"


def size(octets: float | None) -> str:
    """Bytes.

    >>> [size(octets) for octets in (512, 4_096, 5_500_000)]
    ['512 B', '4.0 KiB', '5.2 MiB']
    """
    if octets is None:
        return UNKNOWN
    for unit in ("B", "KiB", "MiB"):
        if octets < 1024:
            return f"{octets:.0f} B" if unit == "B" else f"{octets:.1f} {unit}"
        octets /= 1024
    return f"{octets:.1f} GiB"


def change(now: float | None, before: float | None) -> str:
    """How ``now`` differs from ``before``, with a sign; nothing where there is nothing to compare with.

    >>> [change(150, 100), change(99.9, 100), change(5, 0), change(400, 100)]
    ['+50 %', '0 %', '', '×4']
    """
    if now is None or not before:
        return ""
    ratio = now / before
    if ratio >= 3:
        return f"×{ratio:.3g}" if ratio < 100 else f"×{ratio:,.0f}"
    shift = (ratio - 1) * 100
    return f"{shift:+.0f} %" if abs(shift) >= 0.5 else "0 %"


def moment(value: Any) -> str:
    """A time in UTC, as a page without scripts shows it; ISO 8601 text or epoch milliseconds.

    >>> moment("2026-11-26T18:45:37.250Z"), moment(1_700_000_000_000)
    ('2026-11-26 18:45:37', '2023-11-14 22:13:20')
    """
    at = instant(value)
    return UNKNOWN if at is None else at.strftime("%Y-%m-%d %H:%M:%S")


def iso(value: Any) -> str:
    """A time for ``<time datetime>``: ISO 8601 in UTC."""
    at = instant(value)
    return "" if at is None else at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def instant(value: Any) -> datetime | None:
    """A time from ISO 8601 text or epoch milliseconds; ``None`` where it is neither."""
    try:
        if isinstance(value, (int, float)):
            return datetime.fromtimestamp(value / 1000, UTC)
        at = datetime.fromisoformat(value)
    except (TypeError, ValueError, OverflowError, OSError):
        return None
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def pretty(value: Any) -> str:
    """A value as JSON for reading; text stays as it is."""
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)


FILTERS = {
    "count": count,
    "compact": compact,
    "money": money,
    "duration": duration,
    "percent": percent,
    "size": size,
    "moment": moment,
    "iso": iso,
    "pretty": pretty,
}
"""What templates have of this module; in Jinja's words, filters."""
