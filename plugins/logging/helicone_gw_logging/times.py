"""Times as people write and read them on the command line."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_AGO = re.compile(r"(\d{1,9})\s*(s|m|h|d|w)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def parse_since(text: str, now: float) -> int:
    """Epoch milliseconds of ``10m`` (ago; s, m, h, d, w) or of an ISO 8601 date or time, local unless it says so.

    ``now`` is epoch seconds. Raises `ValueError`.
    """
    ago = _AGO.fullmatch(text.strip())
    if ago:
        return round((now - int(ago[1]) * _SECONDS[ago[2]]) * 1000)
    try:
        return round(datetime.fromisoformat(text.strip()).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is neither a time ago (10m, 2h, 1d) nor an ISO date or time") from None


def iso(milliseconds: int | None) -> str | None:
    """ISO 8601 in UTC with milliseconds."""
    if milliseconds is None:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")


def local(milliseconds: int) -> str:
    """Date and time where the reader is."""
    return datetime.fromtimestamp(milliseconds / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S")
