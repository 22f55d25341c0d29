"""Replies and streams of ``choices``: what OpenAI's chat completions and legacy completions have in common."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import msgspec

from helicone_gw.dialects._json import count, text
from helicone_gw.dialects._repeating import Repeating
from helicone_gw.dialects._words import stop_reason
from helicone_gw.dialects.base import EventFacts, Reply
from helicone_gw.dialects.errors import encode, failure, with_error
from helicone_gw.dialects.usage import read_openai_usage
from helicone_gw.model import Usage
from helicone_gw.sse import encode_event, event_data, event_name

_ABSENT = (b"", b"null")


class Choice(msgspec.Struct):
    """A choice of a chunk or of a reply, as far as it matters here."""

    index: Any = 0
    delta: Any = None
    text: Any = None
    finish_reason: Any = None
    usage: msgspec.Raw = msgspec.Raw()
    error: Any = None


class _Head(msgspec.Struct):
    """What a chunk or a reply says besides its choices."""

    model: Any = None
    error: Any = None
    object: Any = None
    message: Any = None
    code: Any = None
    service_tier: Any = None
    usage: msgspec.Raw = msgspec.Raw()
    x_groq: msgspec.Raw = msgspec.Raw()


class _Groq(msgspec.Struct):
    usage: msgspec.Raw = msgspec.Raw()


class _Chunk(_Head):
    choices: list[Choice] | None = None
    id: Any = None
    created: Any = None


_HEAD = msgspec.json.Decoder(_Head)
_CHUNK = msgspec.json.Decoder(_Chunk)
_GROQ = msgspec.json.Decoder(_Groq)


def read_choices(body: bytes) -> Reply:
    """Facts of a unary reply with choices."""
    chunk = _decode(body)
    if chunk is None:
        return Reply()
    choices = chunk.choices if isinstance(chunk, _Chunk) and chunk.choices else []
    usage = _reported(chunk, choices)
    reason: str | None = None
    for choice in choices:
        reason = reason or text(choice.finish_reason)
    reply = Reply(
        model=text(chunk.model),
        usage=None if usage is None else read_openai_usage(usage, service_tier=chunk.service_tier),
        stop_reason=reason,
    )
    error = _error(chunk, choices)
    return reply if error is None else with_error(reply, error)


class ChoicesReader:
    """Reads a stream of chunks with choices, ended by ``[DONE]``.

    Args:
        object_name: the ``object`` of a chunk ("chat.completion.chunk", "text_completion").
        has_content: whether a choice of a chunk carries content.
        empty: the members that stand for "nothing more" in a choice of a chunk.
    """

    ends_with: tuple[bytes, ...] = (b"[DONE]",)
    sequence = 0

    def __init__(self, object_name: str, has_content: Callable[[Choice], bool], empty: dict[str, Any]) -> None:
        self.model: str | None = None
        self.stop_reason: str | None = None
        self.complete = False
        self._object = object_name
        self._has_content = has_content
        self._empty = empty
        self._usage: bytes | None = None
        self._service_tier: str | None = None
        self._id: Any = None
        self._created: Any = None
        self._repeating = Repeating()
        self.repeated = self._repeating.span
        self._open: dict[int, bool] = {}
        """Every choice seen, and whether it has not finished yet."""

    @property
    def usage(self) -> Usage | None:
        """The last usage reported."""
        if self._usage is None:
            return None
        return read_openai_usage(self._usage, service_tier=self._service_tier)

    @property
    def finished(self) -> bool:
        """See `StreamReader.finished`: SDKs take the end of the body for ``[DONE]``, which some providers never send.

        Then every choice that was seen has its finish reason.
        """
        return self.complete or (self.stop_reason is not None and not any(self._open.values()))

    def feed(self, event: bytes) -> EventFacts:
        """See `StreamReader.feed`."""
        data = event_data(event)
        if not data:
            return EventFacts(preamble=True)
        if data.startswith(b"[DONE]"):
            self.complete = True
            return EventFacts(terminal=True)
        chunk = _decode(data)
        # The name is looked for only where there may be one: this runs for every token of every stream.
        named_error = b"error" in event and event_name(event) == "error"
        if chunk is None:
            return EventFacts(error=data.decode("utf-8", "replace")) if named_error else EventFacts()
        choices = chunk.choices if isinstance(chunk, _Chunk) else None
        usage = _reported(chunk, choices or []) if _may_report(data) else None
        self._usage = usage or self._usage
        self._note(chunk)
        error = chunk.error
        content = finished = False
        for choice in choices or ():
            error = error or choice.error
            content = content or self._has_content(choice)
            finished = self._note_choice(choice) or finished
        if error or named_error or chunk.object == "error":
            return failure(error or {"message": chunk.message, "code": chunk.code})
        if choices is None:
            return EventFacts()
        if content and not finished and usage is None:
            self._repeating.learn(event)
        return EventFacts(
            content=content,
            usage_only=usage is not None and not choices,
            preamble=not (content or finished or usage is not None),
        )

    def closing_events(self, reason: str) -> bytes:
        """A chunk that finishes every choice still open, and ``[DONE]``."""
        if self.complete:
            return b""
        unfinished = [index for index, is_open in self._open.items() if is_open]
        if not self._open:
            unfinished = [0]
        done = encode_event(b"[DONE]")
        if not unfinished:
            return done
        finish = stop_reason(reason, "chat")
        chunk: dict[str, Any] = {"id": self._id or "", "object": self._object, "created": self._created or 0}
        chunk["model"] = self.model or ""
        chunk["choices"] = [
            {"index": index, **self._empty, "logprobs": None, "finish_reason": finish} for index in unfinished
        ]
        return encode_event(encode(chunk)) + done

    def _note(self, chunk: _Head) -> None:
        if chunk.model and chunk.model != self.model:
            self.model = text(chunk.model) or self.model
            self._repeating.forget()
        if chunk.service_tier and chunk.service_tier != self._service_tier:
            self._service_tier = text(chunk.service_tier)
            self._repeating.forget()
        if self._id is None and isinstance(chunk, _Chunk):
            self._id = chunk.id
            self._created = chunk.created

    def _note_choice(self, choice: Choice) -> bool:
        """Keep track of a choice's end; whether this is it."""
        reason, index = choice.finish_reason, choice.index
        if reason is None and index.__class__ is int and index in self._open:
            return False
        reason, index = text(reason), count(index)
        if index is not None and index < _MOST_CHOICES:
            self._open[index] = self._open.get(index, True) and reason is None
        if reason is not None and (self.stop_reason is None or index == 0):
            self.stop_reason = reason
        return reason is not None


_MOST_CHOICES = 128
"""Choices whose end is kept track of: OpenAI's own limit of ``n``."""


def _decode(data: bytes) -> _Head | None:
    try:
        return _CHUNK.decode(data)
    except msgspec.ValidationError:
        pass
    except (ValueError, RecursionError):
        return None
    try:
        # Choices of another shape: what stands beside them still counts.
        return _HEAD.decode(data)
    except (ValueError, RecursionError):
        return None


def _may_report(data: bytes) -> bool:
    """Whether a chunk may report usage: nearly all say nothing of it, or null."""
    mentions = data.count(b'"usage"')
    return mentions > 0 and mentions != data.count(b'"usage":null')


def _error(chunk: _Head, choices: list[Choice]) -> Any:
    """What the provider put at ``error`` in place of choices, or into one, if it is not falsy (as SDKs see it)."""
    if chunk.error and not choices:
        return chunk.error
    if chunk.object == "error":
        return {"message": chunk.message, "code": chunk.code}
    for choice in choices:
        if choice.error:
            return choice.error
    return None


def _reported(chunk: _Head, choices: list[Choice]) -> bytes | None:
    """The text of the usage object: at its place, in Groq's ``x_groq``, or in a choice as Moonshot has it."""
    if (reported := bytes(chunk.usage)) not in _ABSENT:
        return reported
    places: list[msgspec.Raw] = []
    if b'"usage"' in (groq := bytes(chunk.x_groq)):
        with contextlib.suppress(ValueError, RecursionError):
            places.append(_GROQ.decode(groq).usage)
    places += [choice.usage for choice in choices]
    return next((usage for place in places if (usage := bytes(place)) not in _ABSENT), None)
