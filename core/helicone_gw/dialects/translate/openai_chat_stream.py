"""OpenAI chat completions, streams read (platform.openai.com, "The chat completion chunk object")."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from helicone_gw.dialects._json import Unreadable, count, decode, items, mapping, text
from helicone_gw.dialects.translate.failing import failed, unreadable
from helicone_gw.dialects.translate.fields import Fields
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.openai_chat_messages import LEGACY_ID, read_thinking
from helicone_gw.dialects.translate.openai_chat_reply import read_annotation, read_finish, read_logprobs
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
from helicone_gw.dialects.usage import openai_usage
from helicone_gw.sse import event_data, event_name

MOST_CHOICES = 128
"""Choices that are kept track of: OpenAI's own limit of ``n``."""
_THOUGHTS = frozenset({"reasoning_content", "reasoning", "reasoning_details", "thinking_blocks"})


class ChatStreamReader:
    """Reads chunks, ended by ``[DONE]``; a stream that stops without one, after its finish reasons, has ended too."""

    def __init__(self, loss: Loss) -> None:
        self._loss = loss
        self._started = False
        self._ended = False
        self._choices: dict[int, _Choice] = {}

    def feed(self, event: bytes) -> list[StreamEvent]:
        """See `StreamReader.feed`."""
        data = event_data(event)
        if not data or self._ended:
            return []
        if data.startswith(b"[DONE]"):
            return self._end()
        try:
            chunk = mapping(decode(data))
        except Unreadable:
            return unreadable(event, data)
        if chunk.get("error") or chunk.get("object") == "error" or event_name(event) == "error":
            return [failed(chunk.get("error") or chunk)]
        events: list[StreamEvent] = []
        choices = items(chunk.get("choices"))
        if not self._started and (choices or text(chunk.get("id"))):
            self._started = True
            events.append(
                Started(text(chunk.get("id")) or "", text(chunk.get("model")) or "", count(chunk.get("created")))
            )
        for place, choice in enumerate(choices):
            self._read(mapping(choice), place, events)
        usage = openai_usage(chunk.get("usage") or _groq(chunk), service_tier=chunk.get("service_tier"))
        if usage is not None:
            events.append(UsageReported(usage, text(chunk.get("service_tier"))))
        return events

    def finish(self) -> list[StreamEvent]:
        """See `StreamReader.finish`."""
        stopped = bool(self._choices) and all(choice.stopped for choice in self._choices.values())
        return self._end() if stopped and not self._ended else []

    def _end(self) -> list[StreamEvent]:
        self._ended = True
        return [Ended()]

    def _read(self, raw: Any, place: int, events: list[StreamEvent]) -> None:
        index = count(raw.get("index"))
        number = place if index is None else index
        choice = self._choices.get(number)
        if choice is None:
            if len(self._choices) >= MOST_CHOICES:
                return
            choice = self._choices[number] = _Choice(number)
        if raw.get("error"):
            events.append(failed(raw["error"]))
            return
        choice.read(raw, events)


class _Choice:
    """One choice of a stream."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._parts = OpenParts(number)
        self._refused = False
        self.stopped = False

    def read(self, raw: Any, events: list[StreamEvent]) -> None:
        delta = mapping(raw.get("delta")) or mapping(raw.get("message"))
        number, parts = self._number, self._parts
        if not _THOUGHTS.isdisjoint(delta):
            self._read_thinking(delta, events)
        tokens = read_logprobs(raw.get("logprobs"))
        if content := text(delta.get("content")):
            index = parts.enter("text", "text", events)
            if tokens:
                events.append(LogprobsDelta(index, tokens, number))
            events.append(TextDelta(index, content, number))
        for item in items(delta.get("annotations")):
            if citation := read_annotation(item):
                events.append(CitationDelta(parts.enter("text", "text", events), citation, number))
        if refusal := text(delta.get("refusal")):
            self._refused = True
            events.append(RefusalDelta(parts.enter("refusal", "refusal", events), refusal, number))
        for place, call in enumerate(items(delta.get("tool_calls"))):
            self._read_call(mapping(call), place, events)
        if legacy := mapping(delta.get("function_call")):
            self._read_call({"index": 0, "id": LEGACY_ID, "function": legacy}, 0, events)
        reason = raw.get("finish_reason")
        if reason is not None and not self.stopped:
            self.stopped = True
            parts.end_all(events)
            events.append(Stopped(read_finish(reason, refused=self._refused) or "stop", choice=number))

    def _read_thinking(self, delta: Any, events: list[StreamEvent]) -> None:
        blocks = items(delta.get("thinking_blocks"))
        number = mapping(blocks[0]).get("index") if blocks else None
        for thought in read_thinking(Fields(delta)):
            key: Hashable = ("thinking", count(number)) if thought.redacted is None else object()
            index = self._parts.enter(key, "thinking", events, id=thought.id)
            if thought.text:
                events.append(ThinkingDelta(index, thought.text, self._number))
            if (signature := thought.redacted or thought.signature) is not None:
                redacted = thought.redacted is not None
                events.append(SignatureDelta(index, signature, thought.vendor, redacted, self._number))

    def _read_call(self, raw: Any, place: int, events: list[StreamEvent]) -> None:
        custom = mapping(raw.get("custom"))
        function = custom or mapping(raw.get("function"))
        index = count(raw.get("index"))
        call_id, name = text(raw.get("id")), text(function.get("name"))
        # Servers that number nothing send every call whole.
        key = ("tool", (call_id or place) if index is None else index)
        if not self._parts.known(key) and name is None:
            return
        extra = mapping(mapping(raw.get("extra_content")).get("google")).get("thought_signature")
        part = self._parts.enter(
            key,
            "tool_call",
            events,
            id=call_id or LEGACY_ID,
            name=name,
            custom=bool(custom),
            signature=text(extra),
        )
        piece = text(function.get("input" if custom else "arguments"))
        if piece and self._parts.arguments(key, piece):
            events.append(ToolArgumentsDelta(part, piece, self._number))


def _groq(chunk: Any) -> Any:
    return mapping(chunk.get("x_groq")).get("usage")
