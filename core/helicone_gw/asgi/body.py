"""Request bodies off ASGI: read whole within a bound, or streamed through with the server's own back-pressure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from helicone_gw.asgi.types import Receive
from helicone_gw.errors import BadRequest, ClientTimeout, MalformedBody, PayloadTooLarge
from helicone_gw.exchange import Exchange
from helicone_gw.headers import Headers
from helicone_gw.pipeline.decoding import inflate
from helicone_gw.scope_extensions import WholeBody
from helicone_gw.waiting import within

DISCARD_TIMEOUT = 5.0
"""Seconds that the rest of an answered request's body is still read and thrown away, so that the client gets to see
the answer."""


class ClientGone(Exception):
    """The client left while its request was still being read."""


class RequestBody:
    """The body of one request. ``idle`` is the longest silence in seconds while it arrives; ``length`` is its
    Content-Length where ``headers`` do not have it; ``at_once`` gives all of it if it is there already.

    Raises, from every method: `ClientTimeout`, `ClientGone`, and `PayloadTooLarge` past the method's limit.
    """

    def __init__(
        self,
        headers: Headers,
        receive: Receive,
        idle: float,
        http_version: str = "1.1",
        length: int | None = None,
        at_once: WholeBody | None = None,
    ) -> None:
        self._receive = receive
        self._at_once = at_once
        self._idle = idle
        self.finished = False
        self.abandoned = False
        """Whether the client left before the end."""
        self.announced = _length(headers) if length is None else length
        """``Content-Length``, ``None`` when the body is chunked or there is none."""
        # From HTTP/2 on, a body needs neither field; whether there is one shows when it is read.
        framed = b"transfer-encoding" in headers.first or http_version not in ("1.0", "1.1")
        self.present = self.announced is not None or framed

    async def read(self, limit: int) -> bytes:
        """All of it."""
        if self.finished:
            return b""
        if self.announced is not None and self.announced > limit:
            raise _too_large(limit, "server.max_body")
        whole = None if self._at_once is None else self._at_once()
        if whole is not None:
            self.finished = True
            if len(whole) > limit:
                raise _too_large(limit, "server.max_body")
            return whole
        first = await self._piece()
        if self.finished and len(first) <= limit:
            return first
        pieces = [first]
        size = len(first)
        if size > limit:
            raise _too_large(limit, "server.max_body")
        while not self.finished:
            piece = await self._piece()
            size += len(piece)
            if size > limit:
                raise _too_large(limit, "server.max_body")
            pieces.append(piece)
        return b"".join(pieces)

    def stream(self, exchange: Exchange, limit: int) -> AsyncIterator[bytes]:
        """Piece by piece, once; what was handed on is counted on the exchange."""
        if self.announced is not None and self.announced > limit:
            raise _too_large(limit, "server.max_upload")
        return self._counted(exchange, limit)

    async def _counted(self, exchange: Exchange, limit: int) -> AsyncIterator[bytes]:
        while not self.finished:
            piece = await self._piece()
            exchange._uploaded += len(piece)
            if exchange._uploaded > limit:
                raise _too_large(limit, "server.max_upload")
            if piece:
                yield piece

    async def discard(self) -> None:
        """Read on without keeping anything, for a few seconds; never raises."""
        if self.finished:
            return
        try:
            async with asyncio.timeout(DISCARD_TIMEOUT):
                while not self.finished:
                    await self._piece()
        except (TimeoutError, ClientTimeout, ClientGone):
            return

    async def _piece(self) -> bytes:
        """What comes next, possibly nothing; ``finished`` says whether more follows."""
        try:
            message = await within(self._idle, self._receive())
        except TimeoutError:
            raise ClientTimeout(f"No more of the request body came within {self._idle:g} seconds.") from None
        if message["type"] == "http.disconnect":
            self.finished = self.abandoned = True
            raise ClientGone
        self.finished = not message.get("more_body", False)
        piece: bytes = message.get("body", b"")
        return piece


def decoded(body: bytes, headers: Headers, limit: int) -> bytes:
    """The body without its ``Content-Encoding`` (gzip, deflate). Raises `BadRequest` for any other coding."""
    if b"content-encoding" not in headers.first:
        return body
    coding = (headers.get("content-encoding") or "identity").strip().lower()
    if coding in ("identity", ""):
        return body
    if coding not in ("gzip", "x-gzip", "deflate"):
        raise BadRequest(
            f"The request body is encoded as {coding!r}; send it as gzip, deflate or without content-encoding.",
            status=415,
            code="unsupported_content_encoding",
        )
    try:
        plain = inflate(body, limit)
    except ValueError as problem:
        raise MalformedBody(f"The request body is not what content-encoding {coding!r} says: {problem}.") from None
    if len(plain) > limit:
        raise _too_large(limit, "server.max_body")
    return plain


def _length(headers: Headers) -> int | None:
    value = headers.first.get(b"content-length")
    return int(value) if value is not None and value.isdigit() else None


def _too_large(limit: int, setting: str) -> PayloadTooLarge:
    return PayloadTooLarge(f"The request body is larger than {limit} bytes ({setting}).")
