"""Ollama's /api/chat, answers read: whole (`read_ollama`), or as the events of a stream (`OllamaReader`)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from helicone_gw.dialects._json import items, mapping, text
from helicone_gw.dialects.errors import read_error
from helicone_gw.dialects.ollama import ollama_usage
from helicone_gw.dialects.translate.conversation import Part, Text, Thinking, ToolCall
from helicone_gw.dialects.translate.egress_common import arguments_text
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.openai_chat_reply import read_tokens
from helicone_gw.dialects.translate.reply import (
    Choice,
    ConversationReply,
    Ended,
    Failed,
    LogprobsDelta,
    PartEnded,
    PartKind,
    PartStarted,
    Started,
    Stopped,
    StopReason,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    ToolArgumentsDelta,
    UsageReported,
)
from helicone_gw.sse import event_data, event_name


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


class OllamaReader:
    """Reads a stream; see `base.StreamReader`. Each object holds more text, more thought, or whole tool calls."""

    def __init__(self, loss: Loss) -> None:
        self._started = False
        self._over = False
        self._next = 0
        self._open: tuple[PartKind, int] | None = None
        self._calls = 0

    def feed(self, event: bytes) -> Sequence[StreamEvent]:
        """See `base.StreamReader.feed`."""
        data = event_data(event)
        if not data or self._over:
            return ()
        try:
            value = mapping(msgspec.json.decode(data))
        except (ValueError, RecursionError):
            return ()
        if value.get("error") or event_name(event) == "error":
            self._over = True
            wire = read_error(value.get("error") or value)
            return (Failed(wire.message, wire.status, dict(value)),)
        events: list[StreamEvent] = []
        if not self._started:
            self._started = True
            events.append(Started("", text(value.get("model")) or "", _moment(value.get("created_at"))))
        self._read(value, events)
        return events

    def finish(self) -> Sequence[StreamEvent]:
        """See `base.StreamReader.finish`."""
        return ()

    def _read(self, value: Any, events: list[StreamEvent]) -> None:
        message = mapping(value.get("message"))
        if thought := text(message.get("thinking")):
            events.append(ThinkingDelta(self._enter("thinking", events), thought))
        if words := text(message.get("content")):
            index = self._enter("text", events)
            if tokens := read_tokens(items(value.get("logprobs"))):
                events.append(LogprobsDelta(index, tokens))
            events.append(TextDelta(index, words))
        for call in items(message.get("tool_calls")):
            self._call(_read_call(call, self._calls), events)
        if value.get("done") is True:
            self._over = True
            self._leave(events)
            events.append(Stopped(_stop(value.get("done_reason"), called=self._calls > 0)))
            usage = ollama_usage(value)
            if usage is not None:
                events.append(UsageReported(usage))
            events.append(Ended())

    def _enter(self, kind: PartKind, events: list[StreamEvent]) -> int:
        if self._open is None or self._open[0] != kind:
            self._leave(events)
            self._open = (kind, self._next)
            events.append(PartStarted(self._next, kind))
            self._next += 1
        return self._open[1]

    def _leave(self, events: list[StreamEvent]) -> None:
        if self._open is not None:
            events.append(PartEnded(self._open[1]))
            self._open = None

    def _call(self, call: ToolCall, events: list[StreamEvent]) -> None:
        self._leave(events)
        index = self._next
        self._next += 1
        self._calls += 1
        events.append(PartStarted(index, "tool_call", id=call.id, name=call.name))
        events.append(ToolArgumentsDelta(index, call.arguments))
        events.append(PartEnded(index))
