"""Reframing: streams of other framings (AWS's binary frames, a JSON value per line) as server-sent events.

Behind it every stream is the same to the pipeline: one splitter, one commit gate, one relay. The JSON inside is the
provider's own, byte for byte, but for line ends that an event cannot hold.
"""

from __future__ import annotations

from binascii import Error as NotBase64
from binascii import a2b_base64
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any

import msgspec

from helicone_gw.errors import UpstreamProtocolError
from helicone_gw.eventstream import CONTENT_TYPE, MAX_PAYLOAD, BrokenFrame, Frame, FrameDecoder
from helicone_gw.sse import encode_event

Reframe = Callable[[AsyncIterator[bytes], int], AsyncGenerator[bytes, None]]
"""The raw body, undone of content codings, and the longest event in bytes -> whole server-sent events."""

EVENTS = "text/event-stream"
_LINES = frozenset(
    {
        "application/x-ndjson",
        "application/ndjson",
        "application/jsonl",
        "application/x-jsonlines",
        "application/stream+json",
    }
)


class _Wrapped(msgspec.Struct):
    bytes: str | None = None


class _Typed(msgspec.Struct):
    type: Any = None


class _Complaint(msgspec.Struct):
    message: Any = None
    Message: Any = None


_WRAPPED = msgspec.json.Decoder(_Wrapped)
_TYPED = msgspec.json.Decoder(_Typed)
_COMPLAINT = msgspec.json.Decoder(_Complaint)


def reframing(content_type: str) -> Reframe | None:
    """How a body of this type becomes server-sent events; ``None`` for one that is not a stream of either framing."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == CONTENT_TYPE:
        return _frames
    return _lines if kind in _LINES else None


async def _frames(body: AsyncIterator[bytes], max_event: int) -> AsyncGenerator[bytes, None]:
    """One event per frame, in one piece for what arrived in one.

    Raises `UpstreamProtocolError` for damage, a frame longer than ``max_event``, and an end in the middle of one.
    """
    decoder = FrameDecoder(min(max_event, MAX_PAYLOAD))
    async for data in body:
        try:
            frames, problem = decoder.feed(data), None
        except BrokenFrame as broken:
            frames, problem = broken.frames, broken
        if frames:
            yield b"".join([frame_event(frame) for frame in frames])
        if problem is not None:
            raise UpstreamProtocolError(f"The provider's event stream is damaged: {problem}")
    if decoder.pending:
        raise UpstreamProtocolError("The provider's event stream was cut in the middle of a frame.")


async def _lines(body: AsyncIterator[bytes], max_event: int) -> AsyncGenerator[bytes, None]:
    """One event per line that is not blank; the last one needs no line end."""
    held = b""
    async for data in body:
        *whole, held = (held + data if held else data).split(b"\n")
        events = [encode_event(line) for each in whole if (line := each.strip())]
        if len(held) > max_event or any(len(line) > max_event for line in whole):
            raise UpstreamProtocolError(f"A line of the provider's stream is longer than {max_event} bytes.")
        if events:
            yield b"".join(events)
    if held.strip():
        yield encode_event(held.strip())


def frame_event(frame: Frame) -> bytes:
    """A frame as a server-sent event, named by its ``:event-type``.

    Bedrock's invoked models have an event of their own dialect, in base64, inside each ``chunk``: that one is taken
    out, and named by its ``type``. Exceptions and errors become an event "error" with ``{"type": "error", "error":
    {"type", "message"}}``, which readers of every dialect understand.
    """
    if frame.text(":message-type") in ("exception", "error"):
        return _error_event(frame)
    name, data = frame.text(":event-type"), frame.payload
    if name == "chunk":
        data = _unwrapped(data)
        name = _type_of(data)
    return encode_event(data, name if name is not None and name.isprintable() else None)


def _unwrapped(payload: bytes) -> bytes:
    try:
        inner = _WRAPPED.decode(payload).bytes
        return payload if inner is None else a2b_base64(inner, strict_mode=True)
    except (ValueError, NotBase64):
        return payload


def _type_of(data: bytes) -> str | None:
    try:
        found = _TYPED.decode(data).type
    except ValueError:
        return None
    return found if isinstance(found, str) else None


def _error_event(frame: Frame) -> bytes:
    kind = frame.text(":exception-type") or frame.text(":error-code") or "unknown"
    message: Any = frame.text(":error-message")
    try:
        complaint = _COMPLAINT.decode(frame.payload)
        message = complaint.message or complaint.Message or message
    except (ValueError, RecursionError):
        pass
    error = {"type": kind, "message": message if isinstance(message, str) else kind}
    return encode_event(msgspec.json.encode({"type": "error", "error": error}), "error")
