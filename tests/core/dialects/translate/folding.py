"""Events of a stream folded into the answer that they amount to; every rule about their order is checked on the way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from helicone_gw.dialects.translate.conversation import Citation, Part, Refusal, Text, Thinking, ToolCall
from helicone_gw.dialects.translate.reply import (
    Choice,
    CitationDelta,
    ConversationReply,
    Ended,
    Failed,
    LogprobsDelta,
    PartEnded,
    PartStarted,
    RefusalDelta,
    SignatureDelta,
    Started,
    Stopped,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    TokenLogprob,
    ToolArgumentsDelta,
    UsageReported,
)
from helicone_gw.model import Usage


class Reader(Protocol):
    def feed(self, event: bytes) -> Sequence[StreamEvent]: ...

    def finish(self) -> Sequence[StreamEvent]: ...


def read_all(reader: Reader, sent: Iterable[bytes]) -> list[StreamEvent]:
    """What a reader makes of a whole stream."""
    events = [event for each in sent for event in reader.feed(each)]
    return [*events, *reader.finish()]


class _Part:
    def __init__(self, started: PartStarted) -> None:
        self.started = started
        self.text = ""
        self.signature: str | None = None
        self.redacted: str | None = None
        self.vendor: Any = None
        self.citations: list[Citation] = []
        self.open = True

    def part(self) -> Part:
        match self.started.kind:
            case "text":
                return Text(self.text, citations=tuple(self.citations))
            case "thinking":
                return Thinking(self.text, self.signature, self.redacted, self.vendor)
            case "refusal":
                return Refusal(self.text)
            case "tool_call":
                return ToolCall(self.started.id or "", self.started.name or "", self.text)


KINDS = {
    TextDelta: "text",
    CitationDelta: "text",
    ThinkingDelta: "thinking",
    ToolArgumentsDelta: "tool_call",
    RefusalDelta: "refusal",
}


def fold(events: Sequence[StreamEvent]) -> ConversationReply:
    """The answer. Fails where the order of the events is not the one that `base.StreamReader` promises."""
    first, *rest = events
    assert isinstance(first, Started), "a stream begins with Started"
    parts: list[_Part] = []
    logprobs: list[TokenLogprob] = []
    stopped: Stopped | None = None
    usage: Usage | None = first.usage
    tier: str | None = None
    ended = False
    for event in rest:
        assert not ended, "nothing follows Ended"
        match event:
            case PartStarted():
                assert stopped is None
                assert event.index == len(parts), "parts are numbered in order"
                parts.append(_Part(event))
            case PartEnded():
                assert parts[event.index].open
                parts[event.index].open = False
            case Stopped():
                assert stopped is None
                assert not any(part.open for part in parts), "every part ends before its choice stops"
                stopped = event
            case UsageReported():
                usage, tier = event.usage, event.service_tier
            case Ended():
                assert stopped is not None
                ended = True
            case LogprobsDelta():
                logprobs += event.logprobs
            case Started() | Failed():
                raise AssertionError(event)
            case _:
                part = parts[event.index]
                assert part.open, "a part that ended goes on"
                if isinstance(event, SignatureDelta):
                    part.vendor = event.vendor
                    if event.redacted:
                        part.redacted = (part.redacted or "") + event.signature
                    else:
                        part.signature = (part.signature or "") + event.signature
                    continue
                assert part.started.kind == KINDS[type(event)]
                if isinstance(event, CitationDelta):
                    part.citations.append(event.citation)
                else:
                    part.text += event.text
    assert ended, "the stream was cut"
    assert stopped is not None
    choice = Choice([part.part() for part in parts], stopped.reason, stopped.stop_sequence, tuple(logprobs) or None)
    return ConversationReply(first.id, first.model, [choice], first.created, usage, tier)
