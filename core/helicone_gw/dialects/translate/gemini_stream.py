"""Gemini streamGenerateContent, streams read: every event is a GenerateContentResponse with what came since."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from helicone_gw.dialects._json import Unreadable, count, decode, items, mapping, text
from helicone_gw.dialects.translate.conversation import Part, Text, Thinking, ToolCall
from helicone_gw.dialects.translate.failing import failed, unreadable
from helicone_gw.dialects.translate.gemini_reply import (
    blocked,
    call_id,
    read_citations,
    read_logprobs,
    read_reply_part,
    read_stop,
)
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.openparts import OpenParts
from helicone_gw.dialects.translate.reply import (
    CitationDelta,
    Ended,
    LogprobsDelta,
    SignatureDelta,
    Started,
    Stopped,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    ToolArgumentsDelta,
    UsageReported,
)
from helicone_gw.dialects.usage import gemini_usage
from helicone_gw.sse import event_data

MOST_CANDIDATES = 128
"""Candidates that are kept track of; Google allows 8."""


class GeminiStreamReader:
    """Reads responses; the stream has ended when it stops after a finish reason for every candidate."""

    def __init__(self, loss: Loss) -> None:
        self._loss = loss
        self._id: str | None = None
        self._ended = False
        self._candidates: dict[int, _Candidate] = {}

    def feed(self, event: bytes) -> list[StreamEvent]:
        """See `StreamReader.feed`."""
        data = event_data(event)
        if not data:
            return []
        try:
            raw = mapping(decode(data))
        except Unreadable:
            return unreadable(event, data)
        if raw.get("error"):
            return [failed(raw["error"])]
        events: list[StreamEvent] = []
        if self._id is None:
            self._id = text(raw.get("responseId")) or ""
            events.append(Started(self._id, text(raw.get("modelVersion")) or ""))
        for place, item in enumerate(items(raw.get("candidates"))):
            candidate = mapping(item)
            index = count(candidate.get("index"))
            number = place if index is None else index
            if number not in self._candidates:
                if len(self._candidates) >= MOST_CANDIDATES:
                    continue
                self._candidates[number] = _Candidate(number, self._id or uuid4().hex, self._loss)
            self._candidates[number].read(candidate, events)
        if blocked(raw) and not self._candidates:
            stopped = self._candidates[0] = _Candidate(0, "", self._loss)
            stopped.stopped = True
            events.append(Stopped("content_filter"))
        usage = gemini_usage(raw.get("usageMetadata"))
        if usage is not None and self._stopped():
            events.append(UsageReported(usage))
        return events

    def finish(self) -> list[StreamEvent]:
        """See `StreamReader.finish`."""
        if self._ended or not self._stopped():
            return []
        self._ended = True
        return [Ended()]

    def _stopped(self) -> bool:
        return bool(self._candidates) and all(candidate.stopped for candidate in self._candidates.values())


class _Candidate:
    """One candidate of a stream."""

    def __init__(self, number: int, reply_id: str, loss: Loss) -> None:
        self._number = number
        self._reply_id = reply_id
        self._loss = loss
        self._parts = OpenParts(number)
        self._calls = 0
        self.stopped = False

    def read(self, raw: Any, events: list[StreamEvent]) -> None:
        tokens = read_logprobs(raw.get("logprobsResult"))
        for item in items(mapping(raw.get("content")).get("parts")):
            part = read_reply_part(item, self._loss)
            if part is not None:
                self._read_part(part, events)
        citations = read_citations(raw)
        if (citations or tokens) and not self.stopped:
            index = self._parts.enter("text", "text", events)
            if tokens:
                events.append(LogprobsDelta(index, tokens, self._number))
            events += (CitationDelta(index, citation, self._number) for citation in citations)
        reason = read_stop(raw.get("finishReason"), calls=self._calls > 0)
        if reason is not None and not self.stopped:
            self.stopped = True
            self._parts.end_all(events)
            events.append(Stopped(reason, choice=self._number))

    def _read_part(self, part: Part, events: list[StreamEvent]) -> None:
        match part:
            case Text():
                if part.text or self._parts.is_open("text"):
                    index = self._parts.enter("text", "text", events)
                    if part.text:
                        events.append(TextDelta(index, part.text, self._number))
                    if part.signature is not None:
                        events.append(SignatureDelta(index, part.signature, "google", choice=self._number))
            case Thinking():
                index = self._parts.enter("thinking", "thinking", events)
                if part.text:
                    events.append(ThinkingDelta(index, part.text, self._number))
                if part.signature is not None:
                    events.append(SignatureDelta(index, part.signature, part.vendor, choice=self._number))
            case ToolCall():
                key = ("tool", self._calls)
                made_up = call_id(self._reply_id, self._number, self._parts.started)
                self._calls += 1
                index = self._parts.enter(
                    key, "tool_call", events, id=part.id or made_up, name=part.name, signature=part.signature
                )
                events.append(ToolArgumentsDelta(index, part.arguments, self._number))
                self._parts.end(key, events)
            case _:
                self._loss.note(f"content.{type(part).__name__.lower()}")
