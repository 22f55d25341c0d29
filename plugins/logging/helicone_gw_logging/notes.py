"""Notes: columns that hold what other plugins noted on the exchange about caches, limits, checks and translations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from helicone_gw_logging.measures import count

_CACHES = ("cache", "semantic-cache")
"""Plugins that answer from memory, as they name their notes; the first that had the answer is the one that gave it."""
_HITS = frozenset({"hit", "joined"})
LONGEST = 1024
"""Characters of a note that goes into a column."""

_COLUMNS = (
    "cache_status",
    "cache_reference_id",
    "saved_nano_usd",
    "saved_ms",
    "saved_prompt_tokens",
    "saved_completion_tokens",
    "ratelimit_status",
    "threat",
    "translation_loss",
)
_NOTHING: dict[str, Any] = {**dict.fromkeys(_COLUMNS), "cache_enabled": False}
_CACHED_ANYWAY: dict[str, Any] = {**_NOTHING, "cache_enabled": True}


def noted(notes: Mapping[str, Any], cache_asked: bool | None) -> dict[str, Any]:
    """The columns that follow from an exchange's annotations. ``cache_asked``: whether the client asked for a cache.

    A cache counts as enabled when its client asked for it, or when it was looked into.
    """
    if not notes:
        return _CACHED_ANYWAY if cache_asked else _NOTHING
    cache, status = _cache(notes)
    lost = notes.get("translation.loss")
    return {
        "cache_enabled": bool(cache_asked) or status is not None,
        "cache_status": status,
        "cache_reference_id": _text(notes.get(f"{cache}.reference_id")) if status in _HITS else None,
        "saved_nano_usd": _known(notes.get(f"{cache}.saved_nano_usd")),
        "saved_ms": _known(notes.get(f"{cache}.saved_ms")),
        "saved_prompt_tokens": _known(notes.get(f"{cache}.saved_prompt_tokens")),
        "saved_completion_tokens": _known(notes.get(f"{cache}.saved_completion_tokens")),
        "ratelimit_status": _text(notes.get("ratelimit.status")),
        "threat": None if (threat := notes.get("security.threat")) is None else bool(threat),
        "translation_loss": _text(", ".join(map(str, lost))) if isinstance(lost, (list, tuple)) else _text(lost),
    }


def _cache(notes: Mapping[str, Any]) -> tuple[str, str | None]:
    """Whose notes on caching count, and the status there."""
    found: tuple[str, str | None] = ("cache", None)
    for cache in _CACHES:
        status = notes.get(f"{cache}.status")
        if status in _HITS:
            return cache, str(status)
        if status is not None and found[1] is None:
            found = cache, _text(status)
    return found


def _known(value: Any) -> int | None:
    return None if value is None else count(value)


def _text(value: object) -> str | None:
    if value is None:
        return None
    string = str(value)[:LONGEST].replace("\0", "\ufffd")
    return string if string.isascii() else string.encode("utf-8", "replace").decode()
