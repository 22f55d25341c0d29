"""Anthropic messages (docs.claude.com, "Messages", "Streaming messages" and "Errors")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec
from msgspec.structs import replace

from helicone_gw.dialects._envelope import largest, read_fields
from helicone_gw.dialects._format import JsonFormat
from helicone_gw.dialects._json import count, decode_exactly, mapping, text
from helicone_gw.dialects._repeating import Repeating
from helicone_gw.dialects._words import stop_reason
from helicone_gw.dialects.base import Envelope, EventFacts, Reply
from helicone_gw.dialects.errors import encode, failure, unreadable, with_error
from helicone_gw.dialects.usage import anthropic_usage, overlaid
from helicone_gw.model import Usage
from helicone_gw.sse import encode_event, event_data, event_name

_ABSENT = (b"", b"null")


class _Body(msgspec.Struct):
    model: str | None = None
    stream: bool | None = None
    metadata: Mapping[str, Any] | None = None
    max_tokens: Any = None


class _Message(msgspec.Struct):
    type: Any = None
    model: Any = None
    stop_reason: Any = None
    error: Any = None
    usage: msgspec.Raw = msgspec.Raw()


class _Event(msgspec.Struct):
    type: Any = None
    index: Any = None
    message: msgspec.Raw = msgspec.Raw()
    content_block: Any = None
    delta: Any = None
    error: Any = None
    usage: msgspec.Raw = msgspec.Raw()


_BODY = msgspec.json.Decoder(_Body)
_MESSAGE = msgspec.json.Decoder(_Message)
_EVENT = msgspec.json.Decoder(_Event)


class MessagesFormat(JsonFormat):
    """``POST /v1/messages``, and ``/v1/messages/count_tokens``, whose reply uses no tokens up."""

    dialect = "anthropic"
    prompt_top: ClassVar[frozenset[str]] = frozenset({"system", "messages"})
    reply_top: ClassVar[frozenset[str]] = frozenset({"content"})
    text_keys: ClassVar[frozenset[str]] = frozenset(
        {"content", "text", "thinking", "title", "context", "source", "stdout", "stderr", "citations", "cited_text"}
    )
    whole_keys: ClassVar[frozenset[str]] = frozenset({"input"})

    def envelope(self, body: bytes) -> Envelope:
        """See `WireFormat.envelope`."""
        fields = read_fields(_BODY, body)
        return Envelope(
            model=fields.model,
            stream=fields.stream or False,
            user=text((fields.metadata or {}).get("user_id")),
            metadata=fields.metadata,
            max_tokens=largest(fields.max_tokens),
        )

    def reply(self, body: bytes) -> Reply:
        """See `WireFormat.reply`."""
        try:
            message = _MESSAGE.decode(body)
        except (ValueError, RecursionError):
            return Reply()
        reply = Reply(
            model=text(message.model),
            usage=anthropic_usage(_object(message.usage)),
            stop_reason=text(message.stop_reason),
        )
        return with_error(reply, message.error)

    def stream_reader(self) -> MessagesReader:
        """See `WireFormat.stream_reader`."""
        return MessagesReader()


class MessagesReader:
    """Reads the events of a streamed message."""

    ends_with: tuple[bytes, ...] = (b"message_stop",)
    sequence = 0

    def __init__(self) -> None:
        self.model: str | None = None
        self.stop_reason: str | None = None
        self.complete = False
        self._started = False
        self._usage: dict[str, Any] = {}
        self._counted = False
        self._repeating = Repeating()
        self.repeated = self._repeating.span
        self._open: dict[int, None] = {}
        """Indexes of the content blocks that were started and not stopped, in order."""

    @property
    def usage(self) -> Usage | None:
        """The usage of ``message_start``, overlaid with what every ``message_delta`` said.

        The output that ``message_start`` reports is a placeholder: until a ``message_delta`` came it is unknown.
        """
        usage = anthropic_usage(self._usage)
        return usage if usage is None or self._counted else replace(usage, output_tokens=None)

    @property
    def finished(self) -> bool:
        """See `StreamReader.finished`: a message without its ``message_stop`` is none yet, whatever its stop reason."""
        return self.complete

    def feed(self, event: bytes) -> EventFacts:
        """See `StreamReader.feed`."""
        data = event_data(event)
        if not data:
            return EventFacts(preamble=True)
        try:
            fields = _EVENT.decode(data)
        except (ValueError, RecursionError):
            return unreadable(event, data)
        kind = text(fields.type) or event_name(event)
        if kind == "error" or fields.error:
            return failure(fields.error)
        facts = self._facts(kind, fields)
        if facts.content and kind == "content_block_delta":
            self._repeating.learn(event)
        return facts

    def _facts(self, kind: str | None, fields: _Event) -> EventFacts:
        delta = mapping(fields.delta)
        match kind:
            case "content_block_delta":
                content = any(value for name, value in delta.items() if name != "type")
                return EventFacts(content=content, preamble=not content)
            case "ping":
                return EventFacts(preamble=True)
            case "message_start":
                self._start(bytes(fields.message))
                return EventFacts(preamble=True)
            case "content_block_start":
                self._note_block(fields.index, is_open=True)
                content = _has_content(mapping(fields.content_block))
                return EventFacts(content=content, preamble=not content)
            case "content_block_stop":
                self._note_block(fields.index, is_open=False)
            case "message_delta":
                newer = _object(fields.usage)
                self._usage = overlaid(self._usage, newer)
                self._counted = self._counted or "output_tokens" in mapping(newer)
                self.stop_reason = text(delta.get("stop_reason")) or self.stop_reason
            case "message_stop":
                self.complete = True
                return EventFacts(terminal=True)
        return EventFacts()

    def closing_events(self, reason: str) -> bytes:
        """Stops of the open blocks, ``message_delta`` with the stop reason, ``message_stop``."""
        if self.complete:
            return b""
        events: list[dict[str, Any]] = []
        if not self._started:
            events.append({"type": "message_start", "message": _empty_message(self.model)})
        events += ({"type": "content_block_stop", "index": index} for index in self._open)
        if self.stop_reason is None:
            # The member must be there; it is what the stream itself last said.
            usage = {"output_tokens": count(self._usage.get("output_tokens")) or 0}
            stop = {"stop_reason": stop_reason(reason, "anthropic"), "stop_sequence": None}
            events.append({"type": "message_delta", "delta": stop, "usage": usage})
        events.append({"type": "message_stop"})
        return b"".join(encode_event(encode(event), event["type"]) for event in events)

    def _start(self, raw: bytes) -> None:
        self._started = True
        try:
            message = _MESSAGE.decode(raw)
        except (ValueError, RecursionError):
            return
        self.model = text(message.model) or self.model
        self._usage = overlaid(self._usage, _object(message.usage))

    def _note_block(self, index: Any, *, is_open: bool) -> None:
        number = count(index)
        if number is None:
            return
        if is_open:
            self._open[number] = None
        else:
            self._open.pop(number, None)


def _has_content(block: Mapping[str, Any]) -> bool:
    # A tool's name is generated too; empty text, thinking and input are only room for what follows.
    return any(value for name, value in block.items() if name not in ("type", "id", "citations", "caller"))


def _object(raw: msgspec.Raw) -> Any:
    return decode_exactly(raw) if bytes(raw) not in _ABSENT else None


def _empty_message(model: str | None) -> dict[str, Any]:
    return {
        "id": "",
        "type": "message",
        "role": "assistant",
        "model": model or "",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 0, "output_tokens": 0},
    }
