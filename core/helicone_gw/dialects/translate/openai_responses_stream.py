"""OpenAI responses, streams read (platform.openai.com, "Streaming events")."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from helicone_gw.dialects._json import Unreadable, count, decode, items, mapping, text
from helicone_gw.dialects.translate.conversation import Part, Refusal, ToolCall
from helicone_gw.dialects.translate.failing import failed, unreadable
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.openai_chat_reply import read_annotation, read_tokens
from helicone_gw.dialects.translate.openai_responses_reply import read_stop
from helicone_gw.dialects.translate.openparts import OpenParts
from helicone_gw.dialects.translate.reply import (
    CitationDelta,
    Ended,
    LogprobsDelta,
    RefusalDelta,
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
from helicone_gw.dialects.usage import openai_usage
from helicone_gw.sse import event_data, event_name

_TERMINAL = frozenset({"response.completed", "response.incomplete", "response.failed"})
_ARGUMENTS = frozenset({"response.function_call_arguments.delta", "response.custom_tool_call_input.delta"})
_THOUGHTS = frozenset({"response.reasoning_summary_text.delta", "response.reasoning_text.delta"})


class ResponsesStreamReader:
    """Reads the events of a streamed response, ended by its last state."""

    def __init__(self, loss: Loss) -> None:
        self._loss = loss
        self._parts = OpenParts()
        self._made: list[Part] = []
        """One part of each kind that decides the stop reason."""
        self._argued: set[Hashable] = set()
        self._started = False
        self._ended = False

    def feed(self, event: bytes) -> list[StreamEvent]:
        """See `StreamReader.feed`."""
        data = event_data(event)
        if not data or self._ended:
            return []
        try:
            fields = mapping(decode(data))
        except Unreadable:
            return unreadable(event, data)
        kind = text(fields.get("type")) or event_name(event) or ""
        if kind == "error":
            return [failed(fields.get("error") or fields)]
        events: list[StreamEvent] = []
        response = mapping(fields.get("response"))
        if response and not self._started:
            self._started = True
            created = count(response.get("created_at"))
            events.append(Started(text(response.get("id")) or "", text(response.get("model")) or "", created))
        if kind in _TERMINAL:
            self._end(kind, response, events)
        elif kind.startswith("response.output_item."):
            self._item(kind, fields, events)
        else:
            self._delta(kind, fields, events)
        return events

    def finish(self) -> list[StreamEvent]:
        """See `StreamReader.finish`: only its last state ends a response."""
        return []

    def _item(self, kind: str, fields: Any, events: list[StreamEvent]) -> None:
        item = mapping(fields.get("item"))
        key = count(fields.get("output_index"))
        match item.get("type"):
            case "function_call" | "custom_tool_call":
                custom = item["type"] == "custom_tool_call"
                call_id, name = text(item.get("call_id")) or "", text(item.get("name")) or ""
                if not self._parts.known(("call", key)):
                    self._made.append(ToolCall(call_id, name))
                index = self._parts.enter(("call", key), "tool_call", events, id=call_id, name=name, custom=custom)
                if kind.endswith(".done"):
                    whole = text(item.get("input" if custom else "arguments"))
                    if whole and key not in self._argued and self._parts.is_open(("call", key)):
                        events.append(ToolArgumentsDelta(index, whole))
                    self._parts.end(("call", key), events)
            case "reasoning":
                index = self._parts.enter(("thought", key), "thinking", events, id=text(item.get("id")))
                if kind.endswith(".done"):
                    self._end_thought(key, index, item, events)
            case "message":
                if kind.endswith(".done"):
                    for place in range(len(items(item.get("content")))):
                        self._parts.end(("text", key, place), events)
                        self._parts.end(("refusal", key, place), events)
            case other:
                if kind.endswith(".done"):
                    self._loss.note(f"output.{other}")

    def _end_thought(self, key: Any, index: int, item: Any, events: list[StreamEvent]) -> None:
        if key not in self._argued:
            pieces = (text(mapping(piece).get("text")) for piece in items(item.get("summary")))
            words = "\n\n".join(piece for piece in pieces if piece)
            if words:
                events.append(ThinkingDelta(index, words))
        if encrypted := text(item.get("encrypted_content")):
            sealed = unseal(encrypted, "openai")
            events.append(SignatureDelta(index, sealed.value, sealed.vendor))
        self._parts.end(("thought", key), events)

    def _delta(self, kind: str, fields: Any, events: list[StreamEvent]) -> None:
        key = count(fields.get("output_index"))
        place = count(fields.get("content_index")) or 0
        words = text(fields.get("delta"))
        if kind == "response.output_text.delta" and words:
            index = self._parts.enter(("text", key, place), "text", events)
            if tokens := read_tokens(items(fields.get("logprobs"))):
                events.append(LogprobsDelta(index, tokens))
            events.append(TextDelta(index, words))
        elif kind in _ARGUMENTS and words:
            self._argued.add(key)
            if self._parts.known(("call", key)):
                index = self._parts.enter(("call", key), "tool_call", events)
                if self._parts.arguments(("call", key), words):
                    events.append(ToolArgumentsDelta(index, words))
        elif kind in _THOUGHTS and words:
            self._argued.add(key)
            events.append(ThinkingDelta(self._parts.enter(("thought", key), "thinking", events), words))
        elif kind == "response.reasoning_summary_part.added" and count(fields.get("summary_index")):
            events.append(ThinkingDelta(self._parts.enter(("thought", key), "thinking", events), "\n\n"))
        elif kind == "response.refusal.delta" and words:
            if not self._parts.known(("refusal", key, place)):
                self._made.append(Refusal(""))
            events.append(RefusalDelta(self._parts.enter(("refusal", key, place), "refusal", events), words))
        elif kind == "response.output_text.annotation.added":
            citation = read_annotation(fields.get("annotation"))
            if citation is not None:
                events.append(CitationDelta(self._parts.enter(("text", key, place), "text", events), citation))

    def _end(self, kind: str, response: Any, events: list[StreamEvent]) -> None:
        self._ended = True
        if kind == "response.failed":
            events.append(failed(response.get("error") or "The provider says that the response failed."))
            return
        self._parts.end_all(events)
        events.append(Stopped(read_stop(response, self._made)))
        usage = openai_usage(response.get("usage"), service_tier=response.get("service_tier"))
        if usage is not None:
            events.append(UsageReported(usage, text(response.get("service_tier"))))
        events.append(Ended())
