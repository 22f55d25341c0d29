"""Cohere's chat API v2, answers read: whole (`read_cohere`), or as the events of a stream (`CohereReader`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from helicone_gw.dialects._json import count, items, mapping, text
from helicone_gw.dialects._provider import cohere_billed
from helicone_gw.dialects.errors import read_error
from helicone_gw.dialects.translate.conversation import Citation, Part, Text, Thinking, ToolCall
from helicone_gw.dialects.translate.egress_common import arguments_text
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.reply import (
    Choice,
    CitationDelta,
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
    TokenLogprob,
    ToolArgumentsDelta,
    UsageReported,
)
from helicone_gw.sse import event_data, event_name

STOPS: dict[str, StopReason] = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop_sequence",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
    "ERROR": "content_filter",
    "TIMEOUT": "length",
}
"""Cohere's finish reasons. An error that is not told as one is what its toxicity filter makes."""
PLAN = "tool_plan"
_Key = tuple[str, int]
"""A part: content or a tool call with Cohere's number of it, or the plan."""


def read_cohere(body: bytes, loss: Loss) -> ConversationReply:
    """A whole answer, which does not name its model. Raises `ValueError` for what is not one."""
    raw = msgspec.json.decode(body)
    message = mapping(mapping(raw).get("message"))
    if not message:
        raise ValueError("the body has no message")
    parts: list[Part] = []
    if plan := text(message.get(PLAN)):
        parts.append(Thinking(plan))
    cited = [mapping(each) for each in items(message.get("citations"))]
    for index, block in enumerate(items(message.get("content"))):
        if (part := _read_block(mapping(block), index, cited)) is not None:
            parts.append(part)
    parts += [_read_call(mapping(call)) for call in items(message.get("tool_calls"))]
    tokens = [token for each in items(raw.get("logprobs")) for token in read_logprob(each)]
    return ConversationReply(
        id=text(raw.get("id")) or "",
        model="",
        choices=[Choice(parts, STOPS.get(str(raw.get("finish_reason")), "stop"), logprobs=tuple(tokens) or None)],
        usage=cohere_billed(raw.get("usage")),
    )


def _read_block(block: Any, index: int, cited: list[Any]) -> Part | None:
    if (thought := text(block.get("thinking"))) is not None:
        return Thinking(thought)
    if (words := text(block.get("text"))) is None:
        return None
    # Citations that do not say otherwise are of the first text.
    mine = [each for each in cited if each.get("type", "TEXT_CONTENT") == "TEXT_CONTENT"]
    return Text(
        words, citations=tuple(read_citation(each) for each in mine if (count(each.get("content_index")) or 0) == index)
    )


def _read_call(call: Any) -> ToolCall:
    function = mapping(call.get("function"))
    return ToolCall(
        text(call.get("id")) or "", text(function.get("name")) or "", arguments_text(function.get("arguments") or None)
    )


def read_citation(value: Any) -> Citation:
    """A citation, whose place in the text is known; its source is a document, or what a tool returned."""
    raw = mapping(value)
    source = mapping(next(iter(items(raw.get("sources"))), None))
    found = mapping(source.get("document")) or mapping(source.get("tool_output"))
    return Citation(
        url=text(found.get("url")),
        title=text(found.get("title")) or text(source.get("id")),
        cited=text(found.get("snippet")) or text(found.get("content")) or text(found.get("text")),
        start=count(raw.get("start")),
        end=count(raw.get("end")),
    )


def read_logprob(value: Any) -> list[TokenLogprob]:
    """The tokens of a chunk of text. Of several the text of each is not known, but that of all together is."""
    raw = mapping(value)
    found = [float(each) for each in items(raw.get("logprobs")) if isinstance(each, int | float)]
    words = text(raw.get("text")) or ""
    return [TokenLogprob(words if place == 0 else "", each) for place, each in enumerate(found)]


class CohereReader:
    """Reads a stream; see `base.StreamReader`. Cohere numbers its content and its tool calls each from 0."""

    def __init__(self, loss: Loss) -> None:
        self._loss = loss
        self._next = 0
        self._open: dict[_Key, int] = {}
        self._silent: set[_Key] = set()
        """Tool calls of which no argument came yet."""
        self._started = False
        self._over = False

    def feed(self, event: bytes) -> Sequence[StreamEvent]:
        """See `base.StreamReader.feed`."""
        data = event_data(event)
        if not data or self._over:
            return ()
        try:
            value = mapping(msgspec.json.decode(data))
        except (ValueError, RecursionError):
            return ()
        kind = text(value.get("type")) or event_name(event)
        delta = mapping(value.get("delta"))
        error = delta.get("error") if kind == "message-end" else value.get("error")
        if error or kind == "error":
            self._over = True
            wire = read_error(error or value)
            return (Failed(wire.message, 500 if kind == "message-end" else wire.status, dict(value)),)
        events: list[StreamEvent] = []
        if not self._started:
            self._started = True
            events.append(Started(text(value.get("id")) or "", ""))
        self._read(kind, value, delta, events)
        return events

    def finish(self) -> Sequence[StreamEvent]:
        """See `base.StreamReader.finish`."""
        return ()

    def _read(self, kind: str | None, value: Any, delta: Any, events: list[StreamEvent]) -> None:
        message = mapping(delta.get("message"))
        index = count(value.get("index")) or 0
        match kind:
            case "content-start" | "content-delta":
                self._content(("content", index), mapping(message.get("content")), value, events)
            case "content-end":
                self._end(("content", index), events)
            case "tool-plan-delta":
                if plan := text(message.get(PLAN)):
                    events.append(ThinkingDelta(self._enter((PLAN, 0), "thinking", events), plan))
            case "tool-call-start":
                call, key = mapping(message.get("tool_calls")), ("call", index)
                name = text(mapping(call.get("function")).get("name"))
                self._enter(key, "tool_call", events, text(call.get("id")), name)
                self._silent.add(key)
                self._arguments(key, call, events)
            case "tool-call-delta":
                self._arguments(("call", index), mapping(message.get("tool_calls")), events)
            case "tool-call-end":
                self._end(("call", index), events)
            case "citation-start":
                self._cite(mapping(message.get("citations")), events)
            case "message-end":
                self._stop(delta, events)

    def _enter(
        self, key: _Key, kind: PartKind, events: list[StreamEvent], id: str | None = None, name: str | None = None
    ) -> int:
        known = self._open.get(key)
        if known is not None:
            return known
        for other in [each for each in self._open if each[0] != "call"]:
            self._end(other, events)  # nothing says that the plan is complete
        self._open[key] = index = self._next
        self._next += 1
        events.append(PartStarted(index, kind, id=id, name=name))
        return index

    def _end(self, key: _Key, events: list[StreamEvent]) -> None:
        index = self._open.pop(key, None)
        if index is None:
            return
        if key in self._silent:
            self._silent.discard(key)
            events.append(ToolArgumentsDelta(index, "{}"))
        events.append(PartEnded(index))

    def _content(self, key: _Key, content: Any, value: Any, events: list[StreamEvent]) -> None:
        if thought := text(content.get("thinking")):
            events.append(ThinkingDelta(self._enter(key, "thinking", events), thought))
        elif words := text(content.get("text")):
            part = self._enter(key, "text", events)
            if tokens := read_logprob(value.get("logprobs")):
                events.append(LogprobsDelta(part, tuple(tokens)))
            events.append(TextDelta(part, words))

    def _arguments(self, key: _Key, call: Any, events: list[StreamEvent]) -> None:
        if (piece := text(mapping(call.get("function")).get("arguments"))) and key in self._open:
            self._silent.discard(key)
            events.append(ToolArgumentsDelta(self._open[key], piece))

    def _cite(self, citation: Any, events: list[StreamEvent]) -> None:
        part = self._open.get(("content", count(citation.get("content_index")) or 0))
        if citation.get("type", "TEXT_CONTENT") == "TEXT_CONTENT" and part is not None:
            events.append(CitationDelta(part, read_citation(citation)))
        else:
            self._loss.note("message.citations")

    def _stop(self, delta: Any, events: list[StreamEvent]) -> None:
        self._over = True
        for key in list(self._open):
            self._end(key, events)
        events.append(Stopped(STOPS.get(str(delta.get("finish_reason")), "stop")))
        usage = cohere_billed(delta.get("usage"))
        if usage is not None:
            events.append(UsageReported(usage))
        events.append(Ended())
