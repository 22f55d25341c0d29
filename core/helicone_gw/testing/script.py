"""What a scripted provider answers: `ScriptedResponse`, a value that says every byte, pause and misbehaviour."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec

How = Literal["close", "half_close", "reset", "hang"]
"""How a connection ends early: FIN both ways, FIN of the provider's side only, RST, or not at all: silence."""

Framing = Literal["length", "chunked", "close"]
"""How the end of the body is marked (RFC 9112 section 6): ``Content-Length``, chunks, or the end of the connection."""


@dataclass(frozen=True, slots=True)
class Send:
    """Bytes of the body that are written at once (one chunk, if it is chunked)."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Pause:
    """Seconds in which nothing is sent."""

    seconds: float


@dataclass(frozen=True, slots=True)
class End:
    """The answer stops here although it is not complete."""

    how: How


@dataclass(frozen=True, slots=True)
class ScriptedResponse:
    """One answer. Build it with `of_json`, `of_events` or a module of `helicone_gw.testing.dialects`, then misbehave:

    >>> of_json({"ok": True}).delayed(2).cut(bytes=5, how="reset").cut_at
    5

    ``parts`` are the body as it is written, part by part, ``pace`` seconds between them and ``delay`` before the head.
    ``cut_at`` is where it ends early: "before_head", "after_head" or a number of body bytes, and ``how``.
    ``content_length`` is sent in place of the true one. ``reads_body`` is false for an answer that is sent before the
    request's body was read. ``raw`` is sent in place of any HTTP.
    """

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    parts: tuple[bytes, ...] = ()
    framing: Framing = "length"
    delay: float = 0.0
    pace: float = 0.0
    cut_at: Literal["before_head", "after_head"] | int | None = None
    how: How = "close"
    content_length: int | None = None
    reads_body: bool = True
    raw: bytes | None = None

    @property
    def body(self) -> bytes:
        """The whole body, were it not cut."""
        return b"".join(self.parts)

    def with_status(self, status: int) -> ScriptedResponse:
        """With another status."""
        return replace(self, status=status)

    def with_headers(self, headers: Mapping[str, str]) -> ScriptedResponse:
        """With these fields in place of any of the same name."""
        names = {name.lower() for name in headers}
        kept = tuple(field for field in self.headers if field[0].lower() not in names)
        return replace(self, headers=(*kept, *headers.items()))

    def delayed(self, seconds: float) -> ScriptedResponse:
        """Silent for ``seconds`` before the head."""
        return replace(self, delay=seconds)

    def paced(self, seconds: float) -> ScriptedResponse:
        """With ``seconds`` between two parts (events)."""
        return replace(self, pace=seconds)

    def dripped(self, size: int = 1, every: float = 0.0) -> ScriptedResponse:
        """In writes of ``size`` bytes, ``every`` seconds: events and even characters are torn apart."""
        body = self.body
        parts = tuple(body[at : at + size] for at in range(0, len(body), size))
        return replace(self, parts=parts, pace=every)

    def cut(
        self,
        where: Literal["before_head", "after_head"] | None = None,
        *,
        events: int | None = None,
        bytes: int | None = None,
        how: How = "close",
    ) -> ScriptedResponse:
        """Ending early, at exactly one of: ``where``, after ``events`` parts of the body, after ``bytes`` of it.

        Counted over the body as it is now, so encode or drip it first. Raises `ValueError` for a place that it does
        not have.
        """
        if sum(place is not None for place in (where, events, bytes)) != 1:
            raise ValueError("say one of where, events and bytes")
        if where is not None:
            return replace(self, cut_at=where, how=how)
        if events is not None and not 0 <= events <= len(self.parts):
            raise ValueError(f"there are {len(self.parts)} events")
        at = sum(map(len, self.parts[:events])) if bytes is None else bytes
        if not 0 <= at <= len(self.body):
            raise ValueError(f"there are {len(self.body)} bytes")
        return replace(self, cut_at=at, how=how)

    def interrupted(self, by: bytes, *, events: int) -> ScriptedResponse:
        """The first ``events`` of a stream, then ``by`` (an error event), then a proper end: an error inside a 200."""
        return replace(self, parts=(*self.parts[:events], by))

    def gzipped(self) -> ScriptedResponse:
        """Compressed (RFC 1952), flushed after every part so that a stream still flows."""
        squeeze = zlib.compressobj(wbits=31)
        parts = [squeeze.compress(part) + squeeze.flush(zlib.Z_SYNC_FLUSH) for part in self.parts]
        parts.append(squeeze.flush(zlib.Z_FINISH))
        return replace(self, parts=tuple(parts)).with_headers({"Content-Encoding": "gzip"})

    def claiming_length(self, length: int) -> ScriptedResponse:
        """With a ``Content-Length`` that is not true."""
        return replace(self, framing="length", content_length=length)

    def framed(self, framing: Framing) -> ScriptedResponse:
        """With the end of the body marked in another way."""
        return replace(self, framing=framing)

    def early(self) -> ScriptedResponse:
        """Sent as soon as the request's head is there; its body is left unread."""
        return replace(self, reads_body=False)

    def steps(self) -> Iterator[Send | Pause | End]:
        """What happens after the head, in order. Without an `End` at its end the body is complete."""
        if self.cut_at == "after_head":
            yield End(self.how)
            return
        left = self.cut_at if isinstance(self.cut_at, int) else None
        for number, part in enumerate(self.parts):
            if left == 0:
                break
            if number and self.pace:
                yield Pause(self.pace)
            data = part if left is None else part[:left]
            if data:
                yield Send(data)
            if left is not None:
                left -= len(data)
        if left is not None:
            yield End(self.how)


def of_json(
    value: Any, status: int = 200, headers: Mapping[str, str] | None = None, *, indent: int | None = None
) -> ScriptedResponse:
    """A unary JSON answer; ``indent`` as some providers write it."""
    body = msgspec.json.encode(value)
    if indent is not None:
        body = msgspec.json.format(body, indent=indent)
    fields = {"Content-Type": "application/json", **(headers or {})}
    return ScriptedResponse(status=status, headers=tuple(fields.items()), parts=(body,))


def of_bytes(body: bytes, content_type: str, status: int = 200) -> ScriptedResponse:
    """A unary answer of any type."""
    return ScriptedResponse(status=status, headers=(("Content-Type", content_type),), parts=(body,))


def of_events(*events: bytes, headers: Mapping[str, str] | None = None) -> ScriptedResponse:
    """A stream of server-sent events, each with its blank line, one write (and chunk) each."""
    fields = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache", **(headers or {})}
    return ScriptedResponse(headers=tuple(fields.items()), parts=events, framing="chunked")


def event(data: Any, name: str | None = None, *, newline: bytes = b"\n") -> bytes:
    """One server-sent event: ``data`` as JSON (bytes as they are), with an ``event:`` line if it has a name."""
    payload = data if isinstance(data, bytes) else msgspec.json.encode(data)
    first = b"" if name is None else b"event: " + name.encode() + newline
    return first + b"data: " + payload + newline + newline
