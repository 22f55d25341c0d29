"""When a provider wants to be asked again: ``Retry-After`` (RFC 9110 10.2.3) and ``retry-after-ms`` (OpenAI, Azure)."""

from __future__ import annotations

import math
from datetime import UTC
from email.utils import parsedate_to_datetime

from helicone_gw.headers import Headers


def retry_after(headers: Headers, now: float) -> float | None:
    """Seconds to wait from ``now`` (epoch seconds), finite, never negative; ``None`` when the provider did not say."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return max(0.0, milliseconds / 1000)
    value = headers.get("retry-after")
    if value is None:
        return None
    seconds = _number(value)
    if seconds is None:
        seconds = _until(value, now)
    return None if seconds is None else max(0.0, seconds)


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _until(date: str, now: float) -> float | None:
    try:
        then = parsedate_to_datetime(date)
        # The obsolete asctime form names no zone, and is UTC (RFC 9110 section 5.6.7).
        return (then if then.tzinfo is not None else then.replace(tzinfo=UTC)).timestamp() - now
    except (ValueError, OverflowError):
        return None
