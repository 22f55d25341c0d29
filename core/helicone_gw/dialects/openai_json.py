"""OpenAI's operations with plain JSON bodies: embeddings, moderations, images, audio, rerank.

Their replies matter for model and usage; those that stream (images, speech, transcriptions) share a family of events
that end in ``*.completed`` or ``*.done``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from helicone_gw.dialects._envelope import read_fields
from helicone_gw.dialects._format import JsonFormat
from helicone_gw.dialects._json import count, decode_exactly, mapping, text
from helicone_gw.dialects.base import Envelope, EventFacts, NeverRepeating, Reply
from helicone_gw.dialects.errors import failure, unreadable, with_error
from helicone_gw.dialects.usage import openai_usage
from helicone_gw.model import Usage
from helicone_gw.sse import event_data, event_name

_ABSENT = (b"", b"null")
_ENDS = frozenset({"image_generation.completed", "image_edit.completed", "speech.audio.done", "transcript.text.done"})


class _Body(msgspec.Struct):
    model: str | None = None
    stream: bool | None = None
    user: str | None = None
    metadata: Mapping[str, Any] | None = None


class _Reply(msgspec.Struct):
    type: Any = None
    model: Any = None
    usage: msgspec.Raw = msgspec.Raw()
    meta: msgspec.Raw = msgspec.Raw()
    error: Any = None


_BODY = msgspec.json.Decoder(_Body)
_REPLY = msgspec.json.Decoder(_Reply)


class OpenAIJsonFormat(JsonFormat):
    """Any operation of OpenAI's whose body is JSON with ``model``; ``input_only`` for those that generate nothing."""

    dialect = "openai"
    prompt_top: ClassVar[frozenset[str]] = frozenset({"input", "prompt", "instructions", "query", "documents"})
    reply_top: ClassVar[frozenset[str]] = frozenset({"text", "data", "results"})
    text_keys: ClassVar[frozenset[str]] = frozenset({"text", "revised_prompt", "document"})

    def __init__(self, operation: str, *, input_only: bool = False) -> None:
        super().__init__(operation)
        self._input_only = input_only

    def envelope(self, body: bytes) -> Envelope:
        """See `WireFormat.envelope`."""
        fields = read_fields(_BODY, body)
        return Envelope(model=fields.model, stream=fields.stream or False, user=fields.user, metadata=fields.metadata)

    def reply(self, body: bytes) -> Reply:
        """See `WireFormat.reply`."""
        try:
            fields = _REPLY.decode(body)
        except (ValueError, RecursionError):
            return Reply()
        reply = Reply(model=text(fields.model), usage=_usage(fields, input_only=self._input_only))
        return with_error(reply, fields.error)

    def stream_reader(self) -> JsonEventsReader:
        """See `WireFormat.stream_reader`."""
        return JsonEventsReader()


class JsonEventsReader(NeverRepeating):
    """Reads a stream of typed events: partial images, audio deltas, transcript deltas."""

    sequence = 0

    def __init__(self) -> None:
        self.model: str | None = None
        self.stop_reason: str | None = None
        self.complete = False
        self._usage: Usage | None = None

    @property
    def usage(self) -> Usage | None:
        """The last usage reported."""
        return self._usage

    def feed(self, event: bytes) -> EventFacts:
        """See `StreamReader.feed`."""
        data = event_data(event)
        if not data:
            return EventFacts(preamble=True)
        if data.startswith(b"[DONE]"):
            self.complete = True
            return EventFacts(terminal=True)
        try:
            fields = _REPLY.decode(data)
        except (ValueError, RecursionError):
            return unreadable(event, data)
        kind = text(fields.type) or event_name(event) or ""
        if fields.error or kind == "error":
            return failure(fields.error or decode_exactly(data))
        self.model = text(fields.model) or self.model
        self._usage = _usage(fields) or self._usage
        terminal = kind in _ENDS
        self.complete = self.complete or terminal
        return EventFacts(content=kind.endswith((".delta", ".partial_image", ".completed")), terminal=terminal)

    def closing_events(self, reason: str) -> bytes:
        """Nothing: these streams have no end of their own beside the finished image or text."""
        return b""


def _usage(fields: _Reply, *, input_only: bool = False) -> Usage | None:
    usage = bytes(fields.usage)
    if usage not in _ABSENT:
        return openai_usage(decode_exactly(usage), input_only=input_only)
    # Cohere's shape, which rerank services share: meta.tokens.
    tokens = mapping(mapping(decode_exactly(fields.meta)).get("tokens")) if bytes(fields.meta) not in _ABSENT else {}
    tokens_in, tokens_out = count(tokens.get("input_tokens")), count(tokens.get("output_tokens"))
    return None if tokens_in is None and tokens_out is None else Usage(tokens_in, tokens_out)
