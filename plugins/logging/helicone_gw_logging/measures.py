"""Measures: times, durations and counts, as columns hold them. What is out of range is unknown."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from operator import attrgetter, is_not
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from helicone_gw import Usage

HOUR_MS = 3_600_000
"""Milliseconds of an hour."""
DAY_MS = 24 * HOUR_MS
"""Milliseconds of a day."""
GRACE_MS = HOUR_MS
"""Milliseconds after the end of a day in which it is left alone: much may still come."""
LATE_MS = 600_000
"""Milliseconds after the end of an hour in which most of what still belongs to it comes."""
LARGEST = 10**14
"""Tokens or nano-dollars (100,000 USD) that are believed of one exchange. Columns hold 64 bits, and so must their sums
over many exchanges: two rows near that bound would leave everybody's sums inexact, or get later rows refused."""


def milliseconds(times: Iterable[float | None]) -> list[int | None]:
    """Epoch milliseconds of each of some epoch seconds."""
    # Not a number is not between anything.
    return [round(seconds * 1000) if seconds is not None and -1e12 < seconds < 1e12 else None for seconds in times]


def duration(start: float, end: float | None) -> int | None:
    """Milliseconds between two times in epoch seconds, never negative."""
    if end is None or not -1e12 < end - start < 1e12:
        return None
    # A wall clock may be set back in the meantime; no answer is ready before its request.
    return max(0, round((end - start) * 1000))


def known_sum(total: int, unknown: int, requests: int) -> int | None:
    """A sum over requests; ``None`` where it is ``unknown`` of all that there are, which then add nothing to it."""
    return None if 0 < requests <= unknown and not total else total


def days_over(now: float) -> int:
    """The day (since the epoch, in UTC) before which all are over, at ``now`` (epoch seconds), with what came late."""
    return (round(now * 1000) - GRACE_MS) // DAY_MS


def hours_over(now: float) -> int:
    """The hour (since the epoch) before which all are over, at ``now`` (epoch seconds)."""
    return (round(now * 1000) - LATE_MS) // HOUR_MS


def count(value: int | None) -> int | None:
    """A number of things, ``None`` where it is beyond belief (`LARGEST`)."""
    return value if value is None or (isinstance(value, int) and 0 <= value <= LARGEST) else None


def tokens(usage: Usage | None) -> tuple[Any, ...]:
    """Values of `TOKEN_COLUMNS`, of a request and of an attempt."""
    return _UNKNOWN if usage is None else (*_counts(_tokens(usage)), usage.estimated)


def _counts(values: tuple[Any, ...]) -> tuple[int | None, ...]:
    """Each `count` of ``values``. Usually they stay as they are, which is told of all of them together."""
    known = tuple(filter(is_known, values))
    if _WHOLE.issuperset(map(type, known)) and (not known or (min(known) >= 0 and max(known) <= LARGEST)):
        return values
    return tuple(map(count, values))


is_known = partial(is_not, None)
"""Whether a value is not ``None``."""
_WHOLE = frozenset({int})
_TOKENS = {
    "prompt_tokens": "input_tokens",
    "completion_tokens": "output_tokens",
    "reasoning_tokens": "reasoning_tokens",
    "prompt_cache_read_tokens": "cache_read_tokens",
    "prompt_cache_write_tokens": "cache_write_tokens",
    "total_tokens": "total_tokens",
    "prompt_cache_write_1h_tokens": "cache_write_1h_tokens",
    "prompt_audio_tokens": "input_audio_tokens",
    "completion_audio_tokens": "output_audio_tokens",
    "prompt_cache_audio_tokens": "cache_audio_read_tokens",
    "prompt_image_tokens": "input_image_tokens",
    "completion_image_tokens": "output_image_tokens",
    "web_searches": "web_searches",
}
"""Columns, and what of a usage they hold."""
_tokens = attrgetter(*_TOKENS.values())
TOKEN_COLUMNS = (*_TOKENS, "usage_estimated")
"""Columns: tokens, what else is counted, and whether that was estimated."""
_UNKNOWN: tuple[Any, ...] = (*[None] * len(_TOKENS), False)
