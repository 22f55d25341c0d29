"""Deltas: the text that one event of a stream adds to its answer, told from the event alone."""

from __future__ import annotations

from typing import Any, NamedTuple

from helicone_gw.dialects._json import Unreadable, decode, mapping, text, texts
from helicone_gw.sse import event_data, event_name

_NOTHING: frozenset[str] = frozenset()


class _Place(NamedTuple):
    """Where generated text is: members at the top, members below them, and those below which every string counts."""

    top: frozenset[str]
    keys: frozenset[str]
    whole: frozenset[str] = _NOTHING


_CHOICES = _Place(
    frozenset({"choices"}),
    frozenset(
        {
            "arguments",
            "content",
            "custom",
            "delta",
            "function",
            "function_call",
            "input",
            "reasoning",
            "reasoning_content",
            "refusal",
            "text",
            "tool_calls",
        }
    ),
)
_CANDIDATES = _Place(
    frozenset({"candidates"}),
    frozenset({"content", "parts", "text", "functionCall", "executableCode", "code", "codeExecutionResult", "output"}),
    frozenset({"args"}),
)
_PLACES: dict[tuple[str, str], _Place] = {
    ("openai", "chat"): _CHOICES,
    ("openai", "completions"): _CHOICES,
    ("openai", "responses"): _Place(frozenset({"delta"}), _NOTHING),
    ("anthropic", "messages"): _Place(frozenset({"delta"}), frozenset({"text", "thinking", "partial_json"})),
    ("gemini", "generate_content"): _CANDIDATES,
    ("gemini", "stream_generate_content"): _CANDIDATES,
    ("cohere", "chat"): _Place(
        frozenset({"delta"}),
        frozenset({"message", "content", "text", "thinking", "tool_plan", "tool_calls", "function", "arguments"}),
    ),
    ("bedrock", "converse"): _Place(frozenset({"delta"}), frozenset({"text", "toolUse", "input", "reasoningContent"})),
    ("ollama", "chat"): _Place(
        frozenset({"message"}),
        frozenset({"content", "thinking", "tool_calls", "function"}),
        frozenset({"arguments"}),
    ),
}
_PREDICTIONS = ("replicate", "predictions")


def has_deltas(dialect: str, operation: str) -> bool:
    """Whether the text in streams of this operation can be told."""
    return (dialect, operation) in _PLACES or (dialect, operation) == _PREDICTIONS


def delta_texts(dialect: str, operation: str, event: bytes) -> list[str]:
    """The pieces of text, thought, refusal and tool arguments in one whole event. Never raises."""
    data = event_data(event)
    if (dialect, operation) == _PREDICTIONS:
        return [data.decode("utf-8", "replace")] if event_name(event) == "output" and data else []
    place = _PLACES.get((dialect, operation))
    if place is None:
        return []
    try:
        value: Any = mapping(decode(data))
    except Unreadable:
        return []
    if operation == "responses" and not (text(value.get("type")) or "").endswith(".delta"):
        return []
    return texts([item for name, item in value.items() if name in place.top], place.keys, place.whole)
