"""Gemini streamGenerateContent, streams written: every event is a GenerateContentResponse with what came since."""

from __future__ import annotations

from typing import Any

import msgspec

from helicone_gw.dialects.translate.conversation import (
    Citation,
    ConversationRequest,
    Part,
    Text,
    Thinking,
    ToolCall,
)
from helicone_gw.dialects.translate.fields import only
from helicone_gw.dialects.translate.gemini_reply import write_citations, write_logprobs, write_reply_part, write_stop
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.reply import (
    CitationDelta,
    Ended,
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
from helicone_gw.dialects.translate.usage import gemini_usage
from helicone_gw.model import Usage
from helicone_gw.sse import encode_event

MOST_ARGUMENTS = 16 << 20
"""Characters of a call's arguments that are held until they are complete; a longer call is left out, which is noted."""


class GeminiStreamWriter:
    """Writes responses. Calls go out whole, when their arguments are complete; the last event holds the finish reasons
    and the usage.
    """

    sequence = 0

    def __init__(self, asked: ConversationRequest, loss: Loss) -> None:
        self._asked = asked
        self._loss = loss
        self._tail: dict[str, Any] = {"modelVersion": asked.model}
        self._usage: Usage | None = None
        self._calls: dict[tuple[int, int], tuple[PartStarted, list[str]]] = {}
        self._held = 0
        self._citations: dict[int, list[Citation]] = {}
        self._logprobs: dict[int, tuple[TokenLogprob, ...]] = {}
        self._refused: set[int] = set()
        self._stopped: dict[int, Stopped] = {}
        self._done = False

    def feed(self, event: StreamEvent) -> bytes:
        """See `StreamWriter.feed`."""
        match event:
            case Started():
                self._tail = only(modelVersion=event.model or self._asked.model, responseId=event.id or None)
            case TextDelta():
                return self._part(event.choice, Text(event.text))
            case RefusalDelta():
                self._refused.add(event.choice)
                return self._part(event.choice, Text(event.text))
            case ThinkingDelta():
                return self._part(event.choice, Thinking(event.text))
            case SignatureDelta():
                return self._sign(event)
            case PartStarted(kind="tool_call"):
                self._calls[event.choice, event.index] = (event, [])
            case ToolArgumentsDelta():
                call = self._calls.get((event.choice, event.index))
                if call is not None:
                    self._hold(event, call[1])
            case PartEnded():
                ended = self._calls.pop((event.choice, event.index), None)
                return b"" if ended is None else self._call(*ended)
            case CitationDelta():
                self._citations.setdefault(event.choice, []).append(event.citation)
            case LogprobsDelta():
                self._logprobs[event.choice] = event.logprobs
            case Stopped():
                self._stopped[event.choice] = event
            case UsageReported():
                self._usage = event.usage
            case Ended():
                return self.finish()
            case _:
                pass
        return b""

    def finish(self) -> bytes:
        """See `StreamWriter.finish`."""
        if self._done:
            return b""
        self._done = True
        candidates = [
            {
                "content": {"parts": [{"text": ""}], "role": "model"},
                "finishReason": write_stop(stopped.reason, refused=number in self._refused),
                "index": number,
            }
            | only(groundingMetadata=write_citations(self._citations.get(number, []), self._loss))
            for number, stopped in (self._stopped or {0: Stopped("stop")}).items()
        ]
        usage = None if self._usage is None else gemini_usage(self._usage)
        return _event({"candidates": candidates} | only(usageMetadata=usage) | self._tail)

    def _hold(self, event: ToolArgumentsDelta, arguments: list[str]) -> None:
        self._held += len(event.text)
        if self._held <= MOST_ARGUMENTS:
            arguments.append(event.text)
        else:
            self._loss.note("content.toolcall")
            self._held -= len(event.text) + sum(map(len, arguments))
            del self._calls[event.choice, event.index]

    def _call(self, started: PartStarted, arguments: list[str]) -> bytes:
        self._held -= sum(map(len, arguments))
        call = ToolCall(
            started.id or "", started.name or "", "".join(arguments) or "{}", started.signature, started.custom
        )
        return self._part(started.choice, call)

    def _sign(self, event: SignatureDelta) -> bytes:
        if event.vendor == "google":
            return self._part(event.choice, Thinking("", event.signature, vendor="google"))
        if event.redacted:
            return self._part(event.choice, Thinking(redacted=event.signature, vendor=event.vendor))
        return self._part(event.choice, Thinking("", event.signature, vendor=event.vendor))

    def _part(self, number: int, part: Part) -> bytes:
        written = write_reply_part(part, self._loss)
        if written is None:
            return b""
        candidate: dict[str, Any] = {"content": {"parts": [written], "role": "model"}, "index": number}
        logprobs = self._logprobs.pop(number, None)
        if logprobs is not None:
            candidate["logprobsResult"] = write_logprobs(logprobs)
        return _event({"candidates": [candidate], **self._tail})


def _event(value: dict[str, Any]) -> bytes:
    return encode_event(msgspec.json.encode(value))
