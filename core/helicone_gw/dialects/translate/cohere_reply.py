"""Cohere's chat API v2, answers read: whole (`read_cohere`), or as the events of a stream (`CohereReader`)."""

from __future__ import annotations

from typing import Any

import msgspec

from helicone_gw.dialects._json import count, items, mapping, text
from helicone_gw.dialects._provider import cohere_billed
from helicone_gw.dialects.errors import WireError, read_error
from helicone_gw.dialects.translate.conversation import Citation, Part, Text, Thinking, ToolCall
from helicone_gw.dialects.translate.egress_common import arguments_text
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.provider_stream import ObjectStreamReader
from helicone_gw.dialects.translate.reply import (
    Choice,
    CitationDelta,
    ConversationReply,
    LogprobsDelta,
    Started,
    StopReason,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    TokenLogprob,
    ToolArgumentsDelta,
)

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
"""A part: content or a tool call, with Cohere's number of it."""


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


class CohereReader(ObjectStreamReader):
    """Reads a stream; see `base.StreamReader`. Cohere numbers its content and its tool calls each from 0."""

    def _failure(self, name: str | None, value: Any) -> WireError | None:
        if value.get("type", name) != "message-end":
            return super()._failure("error" if value.get("type") == "error" else name, value)
        error = mapping(value.get("delta")).get("error")
        return WireError(read_error(error).message, 500) if error else None

    def _begin(self, value: Any) -> Started:
        return Started(text(value.get("id")) or "", "")

    def _read(self, name: str | None, value: Any, events: list[StreamEvent]) -> None:
        delta = mapping(value.get("delta"))
        message = mapping(delta.get("message"))
        index = count(value.get("index")) or 0
        match text(value.get("type")) or name:
            case "content-start" | "content-delta":
                self._content(("content", index), mapping(message.get("content")), value, events)
            case "content-end":
                self._parts.end(("content", index), events)
            case "tool-plan-delta":
                if plan := text(message.get(PLAN)):
                    events.append(ThinkingDelta(self._parts.enter(PLAN, "thinking", events), plan))
            case "tool-call-start":
                call, key = mapping(message.get("tool_calls")), ("call", index)
                name = text(mapping(call.get("function")).get("name"))
                self._parts.enter(key, "tool_call", events, id=text(call.get("id")), name=name)
                self._arguments(key, call, events)
            case "tool-call-delta":
                self._arguments(("call", index), mapping(message.get("tool_calls")), events)
            case "tool-call-end":
                self._parts.end(("call", index), events)
            case "citation-start":
                self._cite(mapping(message.get("citations")), events)
            case "message-end":
                reason = STOPS.get(str(delta.get("finish_reason")), "stop")
                self._end(reason, cohere_billed(delta.get("usage")), events)

    def _content(self, key: _Key, content: Any, value: Any, events: list[StreamEvent]) -> None:
        if thought := text(content.get("thinking")):
            events.append(ThinkingDelta(self._parts.enter(key, "thinking", events), thought))
        elif words := text(content.get("text")):
            part = self._parts.enter(key, "text", events)
            if tokens := read_logprob(value.get("logprobs")):
                events.append(LogprobsDelta(part, tuple(tokens)))
            events.append(TextDelta(part, words))

    def _arguments(self, key: _Key, call: Any, events: list[StreamEvent]) -> None:
        piece = text(mapping(call.get("function")).get("arguments"))
        if piece and self._parts.arguments(key, piece):
            events.append(ToolArgumentsDelta(self._parts.enter(key, "tool_call", events), piece))

    def _cite(self, citation: Any, events: list[StreamEvent]) -> None:
        key = ("content", count(citation.get("content_index")) or 0)
        if citation.get("type", "TEXT_CONTENT") == "TEXT_CONTENT" and self._parts.is_open(key):
            events.append(CitationDelta(self._parts.enter(key, "text", events), read_citation(citation)))
        else:
            self._loss.note("message.citations")
