"""What stream writers have in common: answers of one choice only, and chunks that end in ``[DONE]``."""

from __future__ import annotations

from typing import Any

import msgspec

from helicone_gw.dialects.translate.conversation import ConversationRequest
from helicone_gw.dialects.translate.fields import only
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.reply import (
    Ended,
    PartEnded,
    PartStarted,
    Started,
    Stopped,
    StreamEvent,
    UsageReported,
)
from helicone_gw.dialects.translate.usage import chat_usage
from helicone_gw.model import Usage
from helicone_gw.sse import encode_event

_UNNAMED = Started("", "")
_FRAME = frozenset({Started, UsageReported, Ended})
"""Events of the whole answer; all others are of a choice."""


class SingleAnswerWriter:
    """Base of writers of dialects that give one answer, whose end tells usage and stop reason; see `StreamWriter`."""

    def __init__(self, asked: ConversationRequest, loss: Loss) -> None:
        self._asked = asked
        self._loss = loss
        self._usage: Usage | None = None
        self._tier: str | None = None
        self._stopped: Stopped | None = None
        self._refused = False
        self._done = False
        self.sequence = 0

    def feed(self, event: StreamEvent) -> bytes:
        """See `StreamWriter.feed`."""
        if event.__class__ in _FRAME:
            return self._framed(event)
        if getattr(event, "choice", 0) != 0:
            self._loss.note("choices")
            return b""
        if isinstance(event, Stopped):
            self._stopped = event
            return b""
        if isinstance(event, PartStarted):
            self._refused = self._refused or event.kind == "refusal"
            return self._begin(_UNNAMED) + self._start(event)
        if isinstance(event, PartEnded):
            return self._end(event)
        return self._delta(event)

    def _framed(self, event: StreamEvent) -> bytes:
        if isinstance(event, Started):
            return self._begin(event)
        if isinstance(event, UsageReported):
            self._usage, self._tier = event.usage, event.service_tier
            return b""
        return self.finish()

    def finish(self) -> bytes:
        """See `StreamWriter.finish`."""
        if self._done:
            return b""
        self._done = True
        return self._begin(_UNNAMED) + self._close()

    def _begin(self, event: Started) -> bytes:
        """The first events, unless they were written."""
        raise NotImplementedError

    def _start(self, event: PartStarted) -> bytes:
        raise NotImplementedError

    def _delta(self, event: StreamEvent) -> bytes:
        """What is between the beginning and the end of a part."""
        raise NotImplementedError

    def _end(self, event: PartEnded) -> bytes:
        raise NotImplementedError

    def _close(self) -> bytes:
        """The last events."""
        raise NotImplementedError


class ChunkWriter:
    """Base of writers of OpenAI's chunks with choices; see `StreamWriter`.

    Usage goes into a chunk of its own before ``[DONE]``, where the client asked for it.
    """

    object_name: str
    tells_tier = False
    sequence = 0

    def __init__(self, asked: ConversationRequest, loss: Loss) -> None:
        self._asked = asked
        self._loss = loss
        self._head: dict[str, Any] = {}
        self._usage: Usage | None = None
        self._done = False

    def feed(self, event: StreamEvent) -> bytes:
        """See `StreamWriter.feed`."""
        if event.__class__ not in _FRAME:
            return self._part(event)
        if isinstance(event, Started):
            self._head = {
                "id": event.id,
                "object": self.object_name,
                "created": event.created or 0,
                "model": event.model or self._asked.model,
            }
            return b""
        if isinstance(event, UsageReported):
            self._usage = event.usage
            if self.tells_tier:
                self._head |= only(service_tier=event.service_tier)
            return b""
        return self.finish()

    def finish(self) -> bytes:
        """See `StreamWriter.finish`."""
        if self._done:
            return b""
        self._done = True
        out = b""
        if self._usage is not None and self._asked.include_usage:
            out = self._encoded(choices=[], usage=chat_usage(self._usage))
        return out + encode_event(b"[DONE]")

    def _part(self, event: StreamEvent) -> bytes:
        """What a choice consists of."""
        raise NotImplementedError

    def _encoded(self, **members: Any) -> bytes:
        return encode_event(msgspec.json.encode({**self._head, **members}))
