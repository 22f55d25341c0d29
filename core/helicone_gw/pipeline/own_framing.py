"""Own framing: streams of Ollama's and Cohere's first API (a JSON value per line) and of Bedrock's (binary frames).

Everything in the pipeline sees events (see `reframing`); the last thing before the client writes them as its SDK reads
them. So such a stream, too, is read, counted, guarded and relayed piece by piece.
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from helicone_gw.dialects._json import decode_exactly, mapping, text
from helicone_gw.eventstream import CONTENT_TYPE, encode_frame
from helicone_gw.headers import RawHeaders
from helicone_gw.model import Request
from helicone_gw.pipeline.sink import Sink
from helicone_gw.sse import EventSplitter, event_data, event_name

_UNBOUNDED = 1 << 62  # whoever wrote the events has bounded them
_JSON = "application/json"


class Framing(NamedTuple):
    """A content type, and how an event (name, data) is written in it."""

    content_type: str
    write: Callable[[str | None, bytes], bytes]


def own_framing(request: Request) -> Framing | None:
    """How the client reads a stream, where that is not as server-sent events."""
    if request.dialect == "cohere" and _FIRST_API.fullmatch(request.path) is not None:
        return None if "text/event-stream" in (request.headers.get("accept") or "") else _STREAMED_JSON
    return _FRAMINGS.get((request.dialect, request.operation))


class FramedSink:
    """A client that is sent a stream of events in another framing."""

    def __init__(self, client: Sink, framing: Framing) -> None:
        self._client = client
        self._framing = framing
        self._splitter = EventSplitter(_UNBOUNDED)

    @property
    def disconnected(self) -> bool:
        """See `Sink.disconnected`."""
        return self._client.disconnected

    async def start(self, status: int, headers: RawHeaders) -> None:
        """See `Sink.start`; the content type is the framing's."""
        others = [field for field in headers if field[0] != b"content-type"]
        await self._client.start(status, ((b"content-type", self._framing.content_type.encode()), *others))

    async def send(self, data: bytes) -> None:
        """See `Sink.send`: ``data`` is events, cut anywhere."""
        if written := self._written(self._splitter.feed(data)):
            await self._client.send(written)

    async def finish(self, last: bytes = b"") -> None:
        """See `Sink.finish`."""
        await self._client.finish(self._written([*self._splitter.feed(last), self._splitter.flush()]))

    async def abort(self) -> None:
        """See `Sink.abort`."""
        await self._client.abort()

    def _written(self, events: list[bytes]) -> bytes:
        write = self._framing.write
        return b"".join([write(event_name(event), data) for event in events if (data := event_data(event))])


def _line(name: str | None, data: bytes) -> bytes:
    if data.startswith(b'{"error":{'):
        # One of the gateway's own; Ollama's errors are a message.
        data = msgspec.json.encode({"error": _complaint(data)[1]})
    return data + b"\n"


def _chunk(name: str | None, data: bytes) -> bytes:
    """An event of an invoked model, in base64 inside of a frame."""
    if name == "error" or data.startswith(b'{"error":{'):
        return _frame("error", data)
    if data == b"[DONE]":
        return b""  # which is no event of theirs
    return _frame("chunk", b'{"bytes":"%s"}' % b2a_base64(data, newline=False))


def _frame(name: str | None, data: bytes) -> bytes:
    if name is not None and name != "error":
        headers = {":event-type": name, ":content-type": _JSON, ":message-type": "event"}
        return encode_frame(data, headers)
    kind, message = _complaint(data)
    kind = kind if kind.endswith("Exception") else "internalServerException"
    headers = {":exception-type": kind, ":content-type": _JSON, ":message-type": "exception"}
    return encode_frame(msgspec.json.encode({"message": message}), headers)


def _complaint(data: bytes) -> tuple[str, str]:
    error: Any = mapping(mapping(decode_exactly(data)).get("error"))
    return text(error.get("type")) or "", text(error.get("message")) or "The stream was broken off."


_FIRST_API = re.compile(r".*/v1/(?:chat|generate)")
"""Paths of Cohere's API v1 that stream as a JSON value per line, where nobody asks for events."""
_STREAMED_JSON = Framing("application/stream+json", _line)
_LINES = Framing("application/x-ndjson", _line)
_FRAMINGS = {
    ("ollama", "chat"): _LINES,
    ("ollama", "generate"): _LINES,
    ("bedrock", "converse"): Framing(CONTENT_TYPE, _frame),
    ("bedrock", "invoke"): Framing(CONTENT_TYPE, _chunk),
}
