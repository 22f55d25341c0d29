"""Chunks: a stream that was told as a list of objects or as lines of text, made the events it was, and read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from helicone_gw import Usage, wire_format

_NAMED = frozenset({("anthropic", "messages"), ("openai", "responses")})
"""Dialects whose events have names: the chunk's ``type``."""
_ENDED = frozenset({("openai", "chat"), ("openai", "completions")})
"""Dialects whose streams end with ``[DONE]``."""
_CHUNK_OBJECTS = ("chat.completion.chunk", "text_completion.chunk")
_FIELDS = ("event:", "id:", "retry:", ":")


class Streamed(Struct, frozen=True):
    """A stream as server-sent events, and what they say."""

    body: bytes
    model: str | None = None
    usage: Usage | None = None
    stop_reason: str | None = None
    error: str | None = None


def rebuild(chunks: Sequence[dict[str, Any]], dialect: str, operation: str) -> Streamed:
    """The events of ``chunks`` in the dialect's framing, read by the dialect's own reader."""
    named = (dialect, operation) in _NAMED
    events = [_event(chunk, named=named) for chunk in chunks]
    if (dialect, operation) in _ENDED:
        events.append(b"data: [DONE]\n\n")
    wire = wire_format(dialect, operation)
    if wire is None:
        return Streamed(b"".join(events))
    reader = wire.stream_reader()
    error = None
    for event in events:
        facts = reader.feed(event)
        error = error or facts.error
    return Streamed(b"".join(events), reader.model, reader.usage, reader.stop_reason, error)


def split(text: str) -> tuple[list[dict[str, Any]], str]:
    """The chunks in ``text``, one a line (bare JSON, or the ``data:`` of an event), and what else stands there.

    Without any chunk the second is the whole text.
    """
    chunks: list[dict[str, Any]] = []
    others: list[str] = []
    for line in text.split("\n"):
        plain = line.strip()
        data = plain.removeprefix("data:").strip()
        if not data or data == "[DONE]" or plain.startswith(_FIELDS):
            continue
        value = as_json(data) if data.startswith("{") else None
        if isinstance(value, dict):
            chunks.append(value)
        else:
            others.append(line)
    return (chunks, "\n".join(others).strip()) if chunks else ([], text)


def is_chunk(value: Any) -> bool:
    """Whether ``value`` is a piece of a streamed answer, and no whole one."""
    if not isinstance(value, dict):
        return False
    if value.get("object") in _CHUNK_OBJECTS:
        return True
    kind = value.get("type")
    if isinstance(kind, str) and (kind.startswith(("response.", "content_block")) or kind in _EVENTS):
        return True
    choices = value.get("choices")
    return isinstance(choices, list) and any(isinstance(each, dict) and "delta" in each for each in choices)


_EVENTS = frozenset({"message_start", "message_delta", "message_stop", "ping"})


def as_json(text: str | bytes) -> Any:
    """The value of a JSON text; ``None`` for what is none."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def _event(chunk: dict[str, Any], *, named: bool) -> bytes:
    data = b"data: " + msgspec.json.encode(chunk) + b"\n\n"
    name = chunk.get("type") if named else None
    # What would break the line is no name.
    return b"event: %b\n%b" % (name.encode(), data) if isinstance(name, str) and name.isprintable() else data
