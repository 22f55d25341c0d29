"""Notes: columns that hold what other plugins noted on the exchange about caches, limits, checks and translations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from helicone_gw_logging.measures import count
from helicone_gw_logging.texts import text

_CACHES = ("cache", "semantic-cache")
"""Plugins that answer from memory, as they name their notes; the first that had the answer is the one that gave it."""
_HITS = frozenset({"hit", "joined"})
_SAVED = ("saved_nano_usd", "saved_ms", "saved_prompt_tokens", "saved_completion_tokens")
NOTED = (
    "cache_enabled",
    "cache_status",
    "cache_reference_id",
    *_SAVED,
    "ratelimit_status",
    "threat",
    "translation_loss",
)
"""Columns."""
_FROM_CACHE = ("status", "reference_id", *_SAVED)
_EACH = len(_FROM_CACHE)
_READ = (
    *(f"{cache}.{name}" for cache in _CACHES for name in _FROM_CACHE),
    "ratelimit.status",
    "threat",
    "security.threat",
    "translation.loss",
)
"""The notes that count, in the order in which `_columns` takes them."""
_UNSAVED = (None,) * len(_SAVED)
_NOTHING: tuple[Any, ...] = (False, *[None] * (len(NOTED) - 1))
_LIMITED = NOTED.index("ratelimit_status")
OVER_LIMIT = "bucket_rate_limited"
"""What Helicone calls a request that a limit refused, in the property `LIMITED`."""
LIMITED = "Helicone-Rate-Limit-Status"
_REFUSED = {429: OVER_LIMIT, 402: "budget_exceeded"}
"""By what the gateway answered: a limit may also refuse what waited at it, or another plugin's limit."""
_CACHED_ANYWAY: tuple[Any, ...] = (True, *_NOTHING[1:])


def noted(notes: Mapping[str, Any], cache_asked: bool | None) -> tuple[Any, ...]:
    """Values of `NOTED`: what follows from an exchange's annotations. ``cache_asked``: whether the client asked for a
    cache.

    A cache counts as enabled when its client asked for it, or when it was looked into.
    """
    if not notes:
        return _CACHED_ANYWAY if cache_asked else _NOTHING
    read = tuple(map(notes.get, _READ))
    try:
        # Hits on one answer, and all misses, say the same. The types count: True is 1 to a dictionary, and no number.
        return _remembered(read, tuple(map(type, read)), cache_asked)
    except TypeError:  # a list, for one
        return _columns(read, cache_asked)


def limited(columns: tuple[Any, ...], refused: int) -> tuple[Any, ...]:
    """`noted` columns of an exchange that the gateway itself ``refused`` with that status, 429 or 402."""
    return (*columns[:_LIMITED], _REFUSED[refused], *columns[_LIMITED + 1 :])


def _columns(read: tuple[Any, ...], cache_asked: bool | None) -> tuple[Any, ...]:
    *of_caches, status_of_limits, threat, found, lost = read
    status, reference, *saved = _cache([tuple(of_caches[:_EACH]), tuple(of_caches[_EACH:])])
    if threat is None:
        threat = found
    return (
        bool(cache_asked) or status is not None,
        status,
        text(reference) if status in _HITS else None,
        *(_UNSAVED if status is None else map(_known, saved)),
        text(status_of_limits),
        None if threat is None else bool(threat),
        text(", ".join(map(str, lost))) if isinstance(lost, (list, tuple)) else text(lost),
    )


@lru_cache(maxsize=1024)
def _remembered(read: tuple[Any, ...], types: tuple[type, ...], cache_asked: bool | None) -> tuple[Any, ...]:
    return _columns(read, cache_asked)


def _cache(caches: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
    """Whose notes on caching count: the first that had the answer, or else the first that was asked."""
    asked = [(text(status), *rest) for status, *rest in caches]
    counting = [notes for notes in asked if notes[0] in _HITS] or [notes for notes in asked if notes[0] is not None]
    return counting[0] if counting else asked[0]


def _known(value: Any) -> int | None:
    return count(value) if value.__class__ is int else None
