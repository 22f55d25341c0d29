"""Ollama's /api/chat, answers read: whole (`read_ollama`), or as the events of a stream (`OllamaReader`)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from helicone_gw.dialects._json import items, mapping, text
from helicone_gw.dialects.ollama import ollama_usage
from helicone_gw.dialects.translate.conversation import Part, Text, Thinking, ToolCall
from helicone_gw.dialects.translate.egress_common import arguments_text
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.openai_chat_reply import read_tokens
from helicone_gw.dialects.translate.provider_stream import ObjectStreamReader
from helicone_gw.dialects.translate.reply import (
    Choice,
    ConversationReply,
    LogprobsDelta,
    Started,
    StopReason,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    ToolArgumentsDelta,
)


def read_ollama(body: bytes, loss: Loss) -> ConversationReply:
    """A whole answer, which has no id of its own. Raises `ValueError` for what is not one."""
    raw = msgspec.json.decode(body)
    message = mapping(mapping(raw).get("message"))
    if not message:
        raise ValueError("the body has no message")
    parts: list[Part] = []
    if thought := text(message.get("thinking")):
        parts.append(Thinking(thought))
    if words := text(message.get("content")):
        parts.append(Text(words))
    calls = [_read_call(call, place) for place, call in enumerate(items(message.get("tool_calls")))]
    tokens = read_tokens(items(raw.get("logprobs")))
    return ConversationReply(
        id="",
        model=text(raw.get("model")) or "",
        created=_moment(raw.get("created_at")),
        choices=[Choice([*parts, *calls], _stop(raw.get("done_reason"), called=bool(calls)), logprobs=tokens or None)],
        usage=ollama_usage(raw),
    )


def _read_call(value: Any, place: int) -> ToolCall:
    call = mapping(value)
    function = mapping(call.get("function"))
    # Older servers give calls no ids; their place in the answer tells them apart.
    return ToolCall(
        text(call.get("id")) or f"call_{place}",
        text(function.get("name")) or "",
        arguments_text(function.get("arguments")),
    )


def _stop(reason: Any, *, called: bool) -> StopReason:
    if reason == "length":
        return "length"
    return "tool_calls" if called else "stop"


def _moment(value: Any) -> int | None:
    """Epoch seconds of RFC 3339 with nanoseconds."""
    if not isinstance(value, str):
        return None
    head, dot, rest = value.partition(".")
    zone = rest.lstrip("0123456789") if dot else ""
    try:
        return int(datetime.fromisoformat(f"{head}{zone}" if dot else head).timestamp())
    except (ValueError, OverflowError, OSError):
        return None


class OllamaReader(ObjectStreamReader):
    """Reads a stream; see `base.StreamReader`. Each object holds more text, more thought, or whole tool calls."""

    def __init__(self, loss: Loss) -> None:
        super().__init__(loss)
        self._calls = 0

    def _begin(self, value: Any) -> Started:
        return Started("", text(value.get("model")) or "", _moment(value.get("created_at")))

    def _read(self, name: str | None, value: Any, events: list[StreamEvent]) -> None:
        message = mapping(value.get("message"))
        if thought := text(message.get("thinking")):
            events.append(ThinkingDelta(self._parts.enter("thinking", "thinking", events), thought))
        if words := text(message.get("content")):
            index = self._parts.enter("text", "text", events)
            if tokens := read_tokens(items(value.get("logprobs"))):
                events.append(LogprobsDelta(index, tokens))
            events.append(TextDelta(index, words))
        for raw in items(message.get("tool_calls")):
            call, key = _read_call(raw, self._calls), ("call", self._calls)
            self._calls += 1
            index = self._parts.enter(key, "tool_call", events, id=call.id, name=call.name)
            if self._parts.arguments(key, call.arguments):
                events.append(ToolArgumentsDelta(index, call.arguments))
            self._parts.end(key, events)
        if value.get("done") is True:
            self._end(_stop(value.get("done_reason"), called=self._calls > 0), ollama_usage(value), events)
