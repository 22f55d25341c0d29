"""Notes: columns that hold what other plugins noted on the exchange about caches, limits, checks and translations."""

from __future__ import annotations

from collections.abc import Mapping
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
_NAMES_OF_SAVED = {cache: tuple(f"{cache}.{saved}" for saved in _SAVED) for cache in _CACHES}
_UNSAVED = (None,) * len(_SAVED)
_NOTHING: tuple[Any, ...] = (False, *[None] * (len(NOTED) - 1))
_CACHED_ANYWAY: tuple[Any, ...] = (True, *_NOTHING[1:])


def noted(notes: Mapping[str, Any], cache_asked: bool | None) -> tuple[Any, ...]:
    """Values of `NOTED`: what follows from an exchange's annotations. ``cache_asked``: whether the client asked for a
    cache.

    A cache counts as enabled when its client asked for it, or when it was looked into.
    """
    if not notes:
        return _CACHED_ANYWAY if cache_asked else _NOTHING
    cache, status = _cache(notes)
    lost = notes.get("translation.loss")
    threat = notes.get("threat", notes.get("security.threat"))
    return (
        bool(cache_asked) or status is not None,
        status,
        text(notes.get(f"{cache}.reference_id")) if status in _HITS else None,
        *(_UNSAVED if status is None else map(_known, map(notes.get, _NAMES_OF_SAVED[cache]))),
        text(notes.get("ratelimit.status")),
        None if threat is None else bool(threat),
        text(", ".join(map(str, lost))) if isinstance(lost, (list, tuple)) else text(lost),
    )


def _cache(notes: Mapping[str, Any]) -> tuple[str, str | None]:
    """Whose notes on caching count, and the status there."""
    found: tuple[str, str | None] = ("cache", None)
    for cache in _CACHES:
        status = text(notes.get(f"{cache}.status"))
        if status in _HITS:
            return cache, status
        if status is not None and found[1] is None:
            found = cache, status
    return found


def _known(value: Any) -> int | None:
    return count(value) if value.__class__ is int else None
