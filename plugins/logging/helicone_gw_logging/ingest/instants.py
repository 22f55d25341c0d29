"""Instants: times as clients tell them, in epoch seconds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

_MILLISECONDS_FROM = 4_102_444_800
"""What is at least this (the year 2100 in seconds) counts milliseconds."""
OLDEST = 315_576_000.0
"""Seconds (ten years) that an exchange may lie in the past. A row has its month's partition, of which there are to be
few."""
AHEAD = 86_400.0
"""Seconds that a clock may be ahead of ours."""


def instant(value: Any) -> float | None:
    """Epoch seconds of ``{"seconds": ..., "milliseconds": ...}``, of a number or a string; ``None`` for anything else.

    Numbers from 4,102,444,800 on, and strings of such digits, are milliseconds. Other strings are dates (ISO 8601), in
    UTC where they name no zone.

    >>> instant({"seconds": 1700000000, "milliseconds": 250}), instant("1700000000250"), instant("2023-11-14T22:13:20Z")
    (1700000000.25, 1700000000.25, 1700000000.0)
    """
    if isinstance(value, dict):
        seconds, milliseconds = number(value.get("seconds")), number(value.get("milliseconds", 0))
        return None if seconds is None or milliseconds is None else seconds + milliseconds / 1000
    plain = number(value)
    if plain is not None:
        return plain if plain < _MILLISECONDS_FROM else plain / 1000
    return _date(value) if isinstance(value, str) and len(value) <= 64 else None


def number(value: Any) -> float | None:
    """A number, or a string of digits, of a size that times have."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 17:
        return float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if -1e17 < value < 1e17 else None


def _date(text: str) -> float | None:
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()


def in_range(started_at: float, ended_at: float, now: float) -> bool:
    """Whether an exchange may have been then."""
    return now - OLDEST <= started_at <= ended_at <= now + AHEAD
