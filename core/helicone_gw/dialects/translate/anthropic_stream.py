"""Anthropic messages, streams read (docs.claude.com, "Streaming messages")."""

from __future__ import annotations

from typing import Any

from helicone_gw.dialects._json import Unreadable, count, decode, mapping, text
from helicone_gw.dialects.translate.anthropic_blocks import compact, read_citation
from helicone_gw.dialects.translate.anthropic_reply import read_stop
from helicone_gw.dialects.translate.failing import failed, unreadable
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.reply import (
    CitationDelta,
    Ended,
    PartEnded,
    PartKind,
    PartStarted,
    SignatureDelta,
    Started,
    Stopped,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    ToolArgumentsDelta,
    UsageReported,
)
from helicone_gw.dialects.translate.signatures import unseal
from helicone_gw.dialects.usage import anthropic_usage, overlaid
from helicone_gw.sse import event_data, event_name

_KINDS: dict[str, PartKind] = {
    "text": "text",
    "thinking": "thinking",
    "redacted_thinking": "thinking",
    "tool_use": "tool_call",
}


class MessagesStreamReader:
    """Reads the events of a streamed message, ended by ``message_stop``. Blocks of the provider's own tools are left
    out, which is noted.
    """

    def __init__(self, loss: Loss) -> None:
        self._loss = loss
        self._usage: dict[str, Any] = {}
        self._indexes: dict[int, int] = {}
        """The part of each open block."""
        self._calls: dict[int, bool] = {}
        """Whether arguments have come yet, by the part of an open tool call."""
        self._next = 0
        self._stopped = False

    def feed(self, event: bytes) -> list[StreamEvent]:
        """See `StreamReader.feed`."""
        data = event_data(event)
        if not data:
            return []
        try:
            fields = mapping(decode(data))
        except Unreadable:
            return unreadable(event, data)
        kind = text(fields.get("type")) or event_name(event)
        if kind == "error" or fields.get("error"):
            return [failed(fields.get("error"))]
        match kind:
            case "content_block_delta":
                return self._delta(fields)
            case "content_block_start":
                return self._begin(fields)
            case "content_block_stop":
                return self._end(count(fields.get("index")))
            case "message_start":
                message = mapping(fields.get("message"))
                self._usage = overlaid(self._usage, message.get("usage"))
                usage = anthropic_usage(self._usage)
                return [Started(text(message.get("id")) or "", text(message.get("model")) or "", usage=usage)]
            case "message_delta":
                return self._stop(fields)
            case "message_stop":
                return [Ended()]
        return []

    def finish(self) -> list[StreamEvent]:
        """See `StreamReader.finish`: only ``message_stop`` ends a message."""
        return []

    def _begin(self, fields: Any) -> list[StreamEvent]:
        block = mapping(fields.get("content_block"))
        kind = _KINDS.get(str(block.get("type")))
        number = count(fields.get("index"))
        if kind is None or number is None:
            self._loss.note(f"content.{block.get('type')}")
            return []
        index = self._indexes[number] = self._next
        self._next += 1
        events: list[StreamEvent] = [PartStarted(index, kind, text(block.get("id")), text(block.get("name")))]
        if kind == "tool_call":
            self._calls[index] = False
            if isinstance(block.get("input"), dict) and block["input"]:
                self._calls[index] = True
                events.append(ToolArgumentsDelta(index, compact(block["input"])))
        elif (data := text(block.get("data"))) is not None:
            sealed = unseal(data, "anthropic")
            events.append(SignatureDelta(index, sealed.value, sealed.vendor, redacted=True))
        elif kind == "thinking":
            events += self._of_thought(index, block)
        elif (words := text(block.get("text"))) is not None:
            events.append(TextDelta(index, words))
        return events

    def _of_thought(self, index: int, raw: Any) -> list[StreamEvent]:
        events: list[StreamEvent] = []
        if (words := text(raw.get("thinking"))) is not None:
            events.append(ThinkingDelta(index, words))
        if (signature := text(raw.get("signature"))) is not None:
            sealed = unseal(signature, "anthropic")
            events.append(SignatureDelta(index, sealed.value, sealed.vendor))
        return events

    def _delta(self, fields: Any) -> list[StreamEvent]:
        number = count(fields.get("index"))
        index = None if number is None else self._indexes.get(number)
        if index is None:
            return []
        delta = mapping(fields.get("delta"))
        match delta.get("type"):
            case "text_delta":
                words = text(delta.get("text"))
                return [] if words is None else [TextDelta(index, words)]
            case "thinking_delta" | "signature_delta":
                return self._of_thought(index, delta)
            case "input_json_delta":
                words = text(delta.get("partial_json"))
                if words is None:
                    return []
                self._calls[index] = True
                return [ToolArgumentsDelta(index, words)]
            case "citations_delta":
                return [CitationDelta(index, read_citation(delta.get("citation")))]
        return []

    def _end(self, number: int | None) -> list[StreamEvent]:
        index = None if number is None else self._indexes.pop(number, None)
        if index is None:
            return []
        # A tool without arguments is called with none at all here; elsewhere that is an empty object.
        empty = self._calls.pop(index, True) is False
        return [*([ToolArgumentsDelta(index, "{}")] if empty else []), PartEnded(index)]

    def _stop(self, fields: Any) -> list[StreamEvent]:
        self._usage = overlaid(self._usage, fields.get("usage"))
        delta = mapping(fields.get("delta"))
        events: list[StreamEvent] = []
        reason = read_stop(text(delta.get("stop_reason")))
        if reason is not None and not self._stopped:
            self._stopped = True
            for number in list(self._indexes):
                events += self._end(number)
            events.append(Stopped(reason, text(delta.get("stop_sequence"))))
        usage = anthropic_usage(self._usage)
        if usage is not None:
            events.append(UsageReported(usage, usage.service_tier))
        return events
