"""Odds: how likely each token of an answer was (logprobs), which say the text again, as Gemini's groundingSupports do.

Where something in a text is replaced, they have to go, or they tell what it was.
"""

from __future__ import annotations

import json
from typing import Any, Final

_NAMES: Final = frozenset({"logprobs", "logprobsResult", "groundingSupports"})
_ABOVE: Final = frozenset(
    {"choices", "candidates", "groundingMetadata", "output", "response", "item", "part", "content"}
)
"""Members, and elements of them, in which they are: of chat and legacy completions, Gemini, and responses."""


def drop_odds(value: Any) -> Any:
    """``value``, an answer or an event of one, without them; what has none is shared with it."""
    if isinstance(value, list):
        items = [drop_odds(item) for item in value]
        return value if all(new is old for new, old in zip(items, value, strict=True)) else items
    if not isinstance(value, dict):
        return value
    changed = {name: _nothing(value[name]) for name in _NAMES & value.keys() if value[name]}
    for name in _ABOVE & value.keys():
        if (left := drop_odds(value[name])) is not value[name]:
            changed[name] = left
    return {**value, **changed} if changed else value


def without_odds(body: bytes) -> bytes:
    """The JSON ``body`` without them, byte by byte as it was if it has none, or is no JSON."""
    if not any(b'"%s"' % name.encode() in body for name in _NAMES):
        return body
    try:
        value = json.loads(body.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return body
    left = drop_odds(value)
    return body if left is value else json.dumps(left, separators=(",", ":")).encode()


def _nothing(value: Any) -> list[Any] | None:
    return [] if isinstance(value, list) else None
