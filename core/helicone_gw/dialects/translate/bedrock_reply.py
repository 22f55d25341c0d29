"""Bedrock's Converse, answers read: whole (`read_converse`), or as the events of a stream (`ConverseReader`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from helicone_gw.dialects._json import count, items, mapping, text
from helicone_gw.dialects.bedrock import converse_usage
from helicone_gw.dialects.translate.conversation import Citation, Image, Part, Text, Thinking, ToolCall
from helicone_gw.dialects.translate.egress_common import arguments_text
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.provider_stream import ObjectStreamReader
from helicone_gw.dialects.translate.reply import (
    Choice,
    CitationDelta,
    ConversationReply,
    Ended,
    PartKind,
    SignatureDelta,
    Stopped,
    StopReason,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    ToolArgumentsDelta,
    UsageReported,
)

STOPS: dict[str, StopReason] = {
    "end_turn": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "stop_sequence": "stop_sequence",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "model_context_window_exceeded": "context",
}
"""Bedrock's stop reasons; any other (a malformed answer of the model's) is an ordinary stop."""
_KINDS: tuple[PartKind, ...] = ("text", "thinking", "tool_call")
_PLACES = ("documentChar", "documentPage", "documentChunk")


def read_converse(body: bytes, loss: Loss) -> ConversationReply:
    """A whole answer; it names neither itself nor its model. Raises `ValueError` for what is not one."""
    raw = msgspec.json.decode(body)
    message = mapping(mapping(mapping(raw).get("output")).get("message"))
    if not message:
        raise ValueError("the body has no message")
    parts = [part for block in items(message.get("content")) if (part := _read_block(mapping(block), loss))]
    stop = STOPS.get(str(raw.get("stopReason")), "stop")
    usage = converse_usage(raw)
    return ConversationReply(
        id="",
        model="",
        choices=[Choice(parts, stop)],
        usage=usage,
        service_tier=None if usage is None else usage.service_tier,
    )


def _read_block(block: Any, loss: Loss) -> Part | None:
    if (words := text(block.get("text"))) is not None:
        return Text(words)
    if use := mapping(block.get("toolUse")):
        return ToolCall(text(use.get("toolUseId")) or "", text(use.get("name")) or "", arguments_text(use.get("input")))
    if reasoning := mapping(block.get("reasoningContent")):
        return _read_thought(reasoning)
    if cited := mapping(block.get("citationsContent")):
        words = "".join(text(mapping(piece).get("text")) or "" for piece in items(cited.get("content")))
        return Text(words, citations=tuple(read_citation(each) for each in items(cited.get("citations"))))
    if image := mapping(block.get("image")):
        data = text(mapping(image.get("source")).get("bytes"))
        if data is not None:
            return Image(data=data, media_type=f"image/{image.get('format')}")
    if block and "text" not in block:
        loss.note(f"output.message.content.{next(iter(block))}")
    return None


def _read_thought(reasoning: Any) -> Thinking:
    redacted = text(reasoning.get("redactedContent"))
    if redacted is not None:
        return Thinking(redacted=redacted, vendor="anthropic")
    thought = mapping(reasoning.get("reasoningText"))
    signature = text(thought.get("signature"))
    return Thinking(text(thought.get("text")) or "", signature, vendor=None if signature is None else "anthropic")


def read_citation(value: Any) -> Citation:
    """A citation: of a page, or of a place in a document."""
    raw = mapping(value)
    location = mapping(raw.get("location"))
    place = next((mapping(location[name]) for name in _PLACES if mapping(location.get(name))), {})
    quoted = "".join(text(mapping(piece).get("text")) or "" for piece in items(raw.get("sourceContent")))
    return Citation(
        url=text(mapping(location.get("web")).get("url")),
        title=text(raw.get("title")),
        cited=quoted or None,
        document=count(place.get("documentIndex")),
    )


class ConverseReader(ObjectStreamReader):
    """Reads a stream; see `base.StreamReader`. Only blocks of tool calls say that they begin; all say that they end."""

    def __init__(self, loss: Loss) -> None:
        super().__init__(loss)
        self._stopped = False

    def finish(self) -> Sequence[StreamEvent]:
        """See `base.StreamReader.finish`."""
        if not self._stopped or self._over:
            return ()
        self._over = True
        return (Ended(),)

    def _read(self, name: str | None, value: Any, events: list[StreamEvent]) -> None:
        block = count(value.get("contentBlockIndex"))
        match name:
            case "contentBlockStart" if block is not None and not self._stopped:
                self._start(block, mapping(value.get("start")), events)
            case "contentBlockDelta" if block is not None and not self._stopped:
                self._delta(block, mapping(value.get("delta")), events)
            case "contentBlockStop" if block is not None:
                for kind in _KINDS:
                    self._parts.end((block, kind), events)
            case "messageStop" if not self._stopped:
                self._parts.end_all(events)
                self._stopped = True
                events.append(Stopped(STOPS.get(str(value.get("stopReason")), "stop")))
            case "metadata":
                usage = converse_usage(value)
                if usage is not None:
                    events.append(UsageReported(usage, usage.service_tier))
                if self._stopped:
                    self._over = True
                    events.append(Ended())

    def _start(self, block: int, start: Any, events: list[StreamEvent]) -> None:
        if use := mapping(start.get("toolUse")):
            call_id, name = text(use.get("toolUseId")), text(use.get("name"))
            self._parts.enter((block, "tool_call"), "tool_call", events, id=call_id, name=name)
        elif start:
            self._loss.note(f"contentBlockStart.start.{next(iter(start))}")

    def _enter(self, block: int, kind: PartKind, events: list[StreamEvent]) -> int:
        return self._parts.enter((block, kind), kind, events)

    def _delta(self, block: int, delta: Any, events: list[StreamEvent]) -> None:
        if (words := delta.get("text")) is not None:
            events.append(TextDelta(self._enter(block, "text", events), str(words)))
        elif use := mapping(delta.get("toolUse")):
            piece = text(use.get("input"))
            if piece is not None and self._parts.arguments((block, "tool_call"), piece):
                events.append(ToolArgumentsDelta(self._enter(block, "tool_call", events), piece))
        elif reasoning := mapping(delta.get("reasoningContent")):
            self._think(self._enter(block, "thinking", events), reasoning, events)
        elif cited := mapping(delta.get("citation")):
            events.append(CitationDelta(self._enter(block, "text", events), read_citation(cited)))
        elif delta:
            self._loss.note(f"contentBlockDelta.delta.{next(iter(delta))}")

    def _think(self, index: int, reasoning: Any, events: list[StreamEvent]) -> None:
        if words := text(reasoning.get("text")):
            events.append(ThinkingDelta(index, words))
        if signature := text(reasoning.get("signature")):
            events.append(SignatureDelta(index, signature, "anthropic"))
        if redacted := text(reasoning.get("redactedContent")):
            events.append(SignatureDelta(index, redacted, "anthropic", redacted=True))
