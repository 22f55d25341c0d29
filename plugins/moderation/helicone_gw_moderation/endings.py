"""Endings: which channels of a stream an event ends, so that what they held need not wait for the stream's end."""

from __future__ import annotations

from typing import Any, Final

Prefix = tuple[str | int, ...]
"""What the channels that end begin with (see `helicone_gw.TextPiece`); the empty one ends all."""

_ALL: Final[list[Prefix]] = [()]
_LAST: Final = frozenset(
    {
        "message_stop",
        "message-end",
        "response.completed",
        "response.done",
        "response.incomplete",
        "response.failed",
        "transcript.text.done",
    }
)
_BLOCKS: Final = frozenset({"content_block_stop", "content-end", "tool-call-end"})
_SAYS: Final = frozenset({"messageStop", "stopReason", "amazon-bedrock-invocationMetrics"})
_REASONS: Final = ("stop_reason", "completionReason")
_OVER: Final = frozenset({"completed", "incomplete", "failed", "cancelled", "expired"})
_PARTS: Final = ("output_index", "content_index", "summary_index")


def ended_channels(value: Any, data: bytes) -> list[Prefix]:
    """Prefixes of the channels that end with this event, which is ``data`` and, decoded, ``value``."""
    if not isinstance(value, dict):
        return _ALL if b"[DONE]" in data else []
    kind = value.get("type")
    if kind in _LAST or value.get("done") is True or value.get("is_finished") is True or not _SAYS.isdisjoint(value):
        return _ALL
    if any(value.get(name) for name in _REASONS):
        return _ALL
    if isinstance(thing := value.get("object"), str) and thing.startswith("thread."):
        return [(value["id"],)] if isinstance(value.get("id"), str) and value.get("status") in _OVER else []
    if kind in _BLOCKS:
        return [(value["index"],)] if isinstance(value.get("index"), int) else []
    if isinstance(kind, str) and kind.startswith("response.") and kind.endswith(".done"):
        numbers = tuple(value[name] for name in _PARTS if isinstance(value.get(name), int))
        return [numbers] if numbers else []
    return [
        *_finished(value.get("choices"), "choices", "finish_reason"),
        *_finished(value.get("candidates"), "candidates", "finishReason"),
    ]


def _finished(parts: Any, name: str, reason: str) -> list[Prefix]:
    if not isinstance(parts, list):
        return []
    ended = [part for part in parts if isinstance(part, dict) and part.get(reason)]
    return [(name, part["index"]) if isinstance(part.get("index"), int) else (name,) for part in ended]
