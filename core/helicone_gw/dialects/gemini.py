"""Google Gemini: generateContent, streamGenerateContent, countTokens and embeddings (ai.google.dev, "API reference").

Model and streaming are named by the address, not by the body.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
from msgspec.structs import replace

from helicone_gw.dialects._envelope import largest, read_fields, with_nested_models
from helicone_gw.dialects._format import JsonFormat
from helicone_gw.dialects._json import count, decode_exactly, items, mapping, text
from helicone_gw.dialects._words import stop_reason
from helicone_gw.dialects.base import Envelope, EventFacts, NeverRepeating, Reply
from helicone_gw.dialects.errors import encode, failure, unreadable
from helicone_gw.dialects.usage import gemini_usage
from helicone_gw.model import Usage
from helicone_gw.sse import encode_event, event_data

_ABSENT = (b"", b"null")
_MOST_CANDIDATES = 128
"""Candidates whose end is kept track of; Google allows 8."""


class _Body(msgspec.Struct):
    model: str | None = None
    # Google reads both spellings of every name.
    camel_config: Any = msgspec.field(default=None, name="generationConfig")
    snake_config: Any = msgspec.field(default=None, name="generation_config")


class _Candidate(msgspec.Struct, rename="camel"):
    index: Any = 0
    content: Any = None
    finish_reason: Any = None


class _Head(msgspec.Struct, rename="camel"):
    model_version: Any = None
    response_id: Any = None
    prompt_feedback: Any = None
    error: Any = None
    usage_metadata: msgspec.Raw = msgspec.Raw()


class _Chunk(_Head, rename="camel"):
    candidates: list[_Candidate] | None = None


_BODY = msgspec.json.Decoder(_Body)
_HEAD = msgspec.json.Decoder(_Head)
_CHUNK = msgspec.json.Decoder(_Chunk)
_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])


class GeminiFormat(JsonFormat):
    """One operation of Gemini's; ``model_path`` says where a body of it repeats the model of the address."""

    dialect = "gemini"
    prompt_top: ClassVar[frozenset[str]] = frozenset(
        {
            "systemInstruction",
            "system_instruction",
            "contents",
            "content",
            "requests",
            "generateContentRequest",
            "generate_content_request",
        }
    )
    reply_top: ClassVar[frozenset[str]] = frozenset({"candidates"})
    text_keys: ClassVar[frozenset[str]] = frozenset(
        {
            *prompt_top,
            "parts",
            "text",
            "title",
            "functionCall",
            "function_call",
            "partialArgs",
            "stringValue",
            "functionResponse",
            "function_response",
            "executableCode",
            "executable_code",
            "code",
            "codeExecutionResult",
            "code_execution_result",
            "output",
        }
    )
    whole_keys: ClassVar[frozenset[str]] = frozenset({"args", "response"})

    def __init__(self, operation: str, model_path: tuple[str, ...] = ("model",)) -> None:
        super().__init__(operation)
        self._model_path = model_path

    def envelope(self, body: bytes) -> Envelope:
        """See `WireFormat.envelope`: only what the body says, which is never whether to stream."""
        fields = read_fields(_BODY, body)
        config = mapping(fields.camel_config or fields.snake_config)
        return Envelope(
            model=fields.model,
            max_tokens=largest(config.get("maxOutputTokens"), config.get("max_output_tokens")),
        )

    def with_model(self, body: bytes, model: str) -> bytes:
        """The body with the model changed wherever it repeats the address's; most bodies do not."""
        return with_nested_models(body, model, self._model_path)

    def without_metadata(self, body: bytes, names: frozenset[str]) -> bytes:
        """The body itself: Gemini's have no ``metadata``."""
        return body

    def reply(self, body: bytes) -> Reply:
        """See `WireFormat.reply`; a stream without ``alt=sse`` is an array of chunks, of which the last word counts."""
        reader = GeminiReader()
        facts = [reader.read(chunk) for chunk in _chunks(body)]
        failed = next((fact for fact in facts if fact.error is not None), EventFacts())
        return Reply(
            model=reader.model,
            usage=reader.usage,
            stop_reason=reader.stop_reason,
            error=failed.error,
            error_status=failed.error_status,
        )

    def stream_reader(self) -> GeminiReader:
        """See `WireFormat.stream_reader`."""
        return GeminiReader()


class GeminiReader(NeverRepeating):
    """Reads the chunks of a streamed reply, whose end is a finish reason for every candidate.

    The chunk that brings it is `EventFacts.terminal`; a further one may still carry usage.
    """

    sequence = 0

    def __init__(self) -> None:
        self.model: str | None = None
        self.stop_reason: str | None = None
        self.complete = False
        self._usage: bytes | None = None
        self._response_id: str | None = None
        self._open: dict[int, bool] = {}
        """Every candidate seen, and whether it has not finished yet."""

    @property
    def usage(self) -> Usage | None:
        """The last ``usageMetadata``; its output is unknown while a candidate has not finished."""
        if self._usage is None:
            return None
        usage = gemini_usage(decode_exactly(self._usage))
        return replace(usage, output_tokens=None) if usage is not None and any(self._open.values()) else usage

    def feed(self, event: bytes) -> EventFacts:
        """See `StreamReader.feed`."""
        data = event_data(event)
        if not data:
            return EventFacts(preamble=True)
        chunks = _chunks(data)
        if not chunks:
            return unreadable(event, data)
        return self.read(chunks[-1])

    def read(self, chunk: _Head) -> EventFacts:
        """The facts of one decoded chunk."""
        if chunk.error:
            return failure(chunk.error)
        self.model = text(chunk.model_version) or self.model
        self._response_id = text(chunk.response_id) or self._response_id
        if (usage := bytes(chunk.usage_metadata)) not in _ABSENT:
            self._usage = usage
        candidates = chunk.candidates if isinstance(chunk, _Chunk) and chunk.candidates else []
        for candidate in candidates:
            self._note(candidate)
        blocked = text(mapping(chunk.prompt_feedback).get("blockReason"))
        finished = bool(self._open) and not any(self._open.values())
        terminal = not self.complete and (finished or (blocked is not None and not candidates))
        if terminal:
            self.complete = True
            self.stop_reason = self.stop_reason or blocked
        content = any(_has_content(candidate) for candidate in candidates)
        return EventFacts(content=content, terminal=terminal, preamble=not (content or terminal))

    def closing_events(self, reason: str) -> bytes:
        """A chunk that finishes every candidate still open."""
        if self.complete:
            return b""
        finish = stop_reason(reason, "gemini")
        unfinished = [index for index, is_open in self._open.items() if is_open] or [0]
        chunk: dict[str, Any] = {
            "candidates": [
                {"content": {"parts": [{"text": ""}], "role": "model"}, "finishReason": finish, "index": index}
                for index in unfinished
            ]
        }
        if self._usage is not None:
            chunk["usageMetadata"] = msgspec.Raw(self._usage)
        if self.model is not None:
            chunk["modelVersion"] = self.model
        if self._response_id is not None:
            chunk["responseId"] = self._response_id
        return encode_event(encode(chunk))

    def _note(self, candidate: _Candidate) -> None:
        index = count(candidate.index)
        reason = text(candidate.finish_reason)
        if index is not None and index < _MOST_CANDIDATES:
            self._open[index] = self._open.get(index, True) and reason is None
        if reason is not None and (self.stop_reason is None or index == 0):
            self.stop_reason = reason


def _has_content(candidate: _Candidate) -> bool:
    # A part that is only a signature of thoughts ends what went before and says nothing itself.
    ignored = ("thought", "thoughtSignature")
    parts = (mapping(part) for part in items(mapping(candidate.content).get("parts")))
    return any(value for part in parts for name, value in part.items() if name not in ignored)


def _chunks(data: bytes) -> list[_Head]:
    """The chunk in ``data``, or those of an array; empty when it is neither."""
    try:
        return [_CHUNK.decode(data)]
    except (ValueError, RecursionError):
        pass
    if not data.lstrip().startswith(b"["):
        return _heads(data)
    try:
        return [head for raw in _ARRAY.decode(data) for head in _chunks(bytes(raw)) if not bytes(raw).startswith(b"[")]
    except (ValueError, RecursionError):
        return []


def _heads(data: bytes) -> list[_Head]:
    """The chunk without its candidates, when those have another shape than Google's."""
    try:
        return [_HEAD.decode(data)]
    except (ValueError, RecursionError):
        return []
