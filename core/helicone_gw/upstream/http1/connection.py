"""One connection to a provider: bytes to the parser and back-pressure both ways; silence, its end and cancellation.

No task and no timer is made for an ordinary request; one future is waited for at a time.
"""

from __future__ import annotations

import asyncio
import re
from math import inf
from typing import TYPE_CHECKING

import httpx

from helicone_gw.upstream.http1.link import Link, because
from helicone_gw.upstream.http1.parser import ReplyParser
from helicone_gw.upstream.http1.upload import LARGE, Upload
from helicone_gw.upstream.http1.wire import Patience, WireRequest

if TYPE_CHECKING:
    from helicone_gw.upstream.http1.pool import Host, Pool

HIGH_WATER = 256 * 1024
"""Bytes of a reply that wait for whoever reads it; beyond it the socket is not read, and TCP slows the server down."""
_KEEP_ALIVE = re.compile(rb"(?:^|[,;\s])timeout\s*=\s*\"?([0-9]{1,9})", re.IGNORECASE)


class Connection(Link):
    """A connection that serves one request after another, one at a time. Made by the pool's dialer."""

    def __init__(self, pool: Pool, host: Host) -> None:
        self.host = host
        self.placed = False
        """Whether a place in the pool is its own."""
        self.used = 0
        """Requests that were sent over it."""
        self.expires = 0.0
        """Loop time at which it is too old to be used again."""
        self.closed = False
        """Whether it has given back its place; its socket may take a moment longer."""
        self.answered = False
        """Whether anything had come of a reply when it was closed."""
        super().__init__(pool.loop, pool.tick)
        self._pool = pool
        self._parser: ReplyParser | None = None
        self._upload: Upload | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._for_head = False
        self._error: BaseException | None = None
        self._idle = inf
        self._head_by = inf
        self._sent_at = 0.0
        self._buffered = 0
        self._limit = HIGH_WATER
        self._collecting = False

    # asyncio.Protocol

    def data_received(self, data: bytes) -> None:
        """Some of the reply, or what nobody asked for, which ends the connection."""
        parser = self._parser
        if parser is None:
            if not self.closed:
                self._pool.counters.dropped += 1
                self.abort()
            return
        try:
            parser.feed(data)
        except httpx.RemoteProtocolError as problem:
            self.fail(problem)
            return
        if parser.complete:
            self._finish(parser)
        elif parser.head_done:
            self._buffered += len(data)
            if self._buffered > self._limit:
                self.pause_reading()
            elif self._collecting:
                self._deadline = self._loop.time() + self._idle
                return
            elif not parser.pieces and not self._for_head:
                return
            self._wake()

    def eof_received(self) -> bool:
        """The other side sends no more: the end of a body without length, or of what must not be cut."""
        self.died = True
        parser = self._parser
        if parser is None:
            if not self.closed:
                self._pool.counters.dropped += 1
                self.close()
            return False
        try:
            if self.cut() and not parser.complete:
                # Whoever can drop packets could shorten an answer (RFC 9112 9.8).
                raise httpx.RemoteProtocolError("the connection was cut without a close_notify")
            parser.feed_eof()
        except httpx.RemoteProtocolError as problem:
            self.fail(problem)
        else:
            self._finish(parser)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        self.died = True
        if self._parser is not None:
            self.fail(because(httpx.ReadError("the connection broke"), exc))
        self.abort()
        self._pool.gone(self)

    def resume_writing(self) -> None:
        """The socket has taken most of it."""
        super().resume_writing()
        self._write_deadline = inf
        if self._upload is not None:
            self._upload.resume()

    # One request

    async def exchange(self, request: WireRequest, head: bytes, patience: Patience, start: float) -> ReplyParser:
        """Send ``request``, whose head is ``head``, and wait for the head of the reply.

        ``start`` is when the call began, in loop time. Raises `httpx.TransportError`, and whatever a streaming body
        raises; the connection is closed then.
        """
        body = request.body
        loop = self._loop
        self._sent_at = loop.time()
        self.answered = False
        if self.closed:
            # It ended between the moment in which it was given and this one.
            self.died = True
            raise httpx.RemoteProtocolError("the server closed the connection without a reply")
        parser = self._parser = ReplyParser(request.method == b"HEAD")
        self.used += 1
        self._idle = patience.idle
        self._for_head = True
        self._head_by = start + (patience.total if request.first_byte is None else request.first_byte)
        try:
            if body is None or (isinstance(body, bytes) and len(body) <= LARGE):
                self.write(head + body if body else head)
                self.sent(patience)
            else:
                self._upload = Upload(self, request, head, patience)
                self._upload.start(loop)
            while not parser.head_done:
                if self._error is not None:
                    raise self._error
                waiter = self._waiter = loop.create_future()
                self.read_by(self._head_by)
                await waiter
        except BaseException:
            # Once the reply is complete the connection is another's, and whoever is cancelled has nothing to close.
            if not parser.complete:
                await self.leave()
            raise
        return parser

    def sent(self, patience: Patience) -> None:
        """All of the request was handed to the socket."""
        if patience.head != inf:
            self._head_by = min(self._head_by, self._loop.time() + patience.head)
            if self._waiter is not None and self._for_head:
                self.read_by(self._head_by)

    async def readable(self, parser: ReplyParser) -> None:
        """Wait until there is something of the body, or its end. Raises `httpx.TransportError`."""
        if self._error is not None:
            raise self._error
        waiter = self._waiter = self._loop.create_future()
        self.read_by(self._loop.time() + self._idle)
        try:
            await waiter
        except BaseException:
            if not parser.complete:
                self.abort()
            raise

    async def collected(self, parser: ReplyParser, limit: int) -> None:
        """Wait until the body is complete, or more than ``limit`` bytes of it are here."""
        while not parser.complete:
            size = sum(map(len, parser.pieces))
            if size > limit:
                return
            # What is counted as it comes in holds framing too.
            self._limit = self._buffered - size + limit
            self._collecting = True
            self.resume_reading()
            await self.readable(parser)

    def drained(self) -> None:
        """All that had come was taken."""
        self._buffered = 0
        self._limit = HIGH_WATER
        self._collecting = False
        if self._paused:
            self.resume_reading()

    async def leave(self) -> None:
        """Close at once, in the middle of whatever it is; returns when the upload, if any, has stopped."""
        upload = self._upload
        self.abort()
        if upload is not None:
            await upload.stopped()

    def forgotten(self) -> None:
        """Nobody has the reply any more. Called wherever it is collected, which may be another thread."""
        if not self.closed and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.abort)

    # Ending

    def usable(self, now: float) -> bool:
        """Whether a request may be sent on it that was idle until ``now``: not if there is anything to read."""
        return not self.closed and now < self.expires and self.quiet()

    def stale(self, within: float) -> bool:
        """Whether the other side ended it within so many seconds of the last request, of which nothing is lost: not a
        byte of reply has come, and no streaming body was begun."""
        return (
            self.died
            and not self.answered
            and self._loop.time() - self._sent_at <= within
            and (self._upload is None or not self._upload.touched)
        )

    def idle_until(self, when: float) -> None:
        """Nothing is asked; it is closed at ``when``, in loop time."""
        self.expires = when
        self.read_by(when)

    def fail(self, error: BaseException) -> None:
        """End the connection, and tell whoever waits why."""
        if self._error is None:
            self._error = error
        self.abort()

    def close(self) -> None:
        """End an idle connection properly: with close_notify under TLS."""
        if not self.closed:
            self._retire()
            self._transport.close()

    def abort(self) -> None:
        """End the connection at once, whatever it does."""
        if not self.closed:
            self._retire()
        if self._transport is not None:
            self._transport.abort()

    def _retire(self) -> None:
        self.closed = True
        parser, self._parser = self._parser, None
        if parser is not None:
            parser.close()
            self.answered = parser.started
            if self._error is None:
                self._error = httpx.ReadError("the connection was closed")
        self.stop_timer()
        if self._upload is not None:
            self._upload.cancel()
        self._poll = None
        self._pool.forget(self)
        self._wake()

    def _finish(self, parser: ReplyParser) -> None:
        """The reply is complete; its body may still be unread."""
        self._parser = None
        parser.close()
        sent = self._upload is None or self._upload.finish()
        self._wake()
        self.keep_session()
        if not sent or not parser.keep_alive or parser.surplus or self.died:
            self.close() if sent else self.abort()
            return
        self.resume_reading()
        self._upload = None
        self._buffered = 0
        self._limit = HIGH_WATER
        self._collecting = False
        self._write_deadline = inf
        keep_alive = self._pool.limits.keep_alive
        if parser.keep_alive_field is not None:
            told = _KEEP_ALIVE.search(parser.keep_alive_field)
            if told:
                # A second earlier than the server: what is sent when it closes is lost.
                keep_alive = min(keep_alive, max(int(told[1]) - 1.0, int(told[1]) / 2))
        self._pool.release(self, self._loop.time() + keep_alive)

    # Waiting

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            self._for_head = False
            self._deadline = inf
            if not waiter.done():
                waiter.set_result(None)

    def overdue(self, writing: bool) -> None:
        """The other side does not read, or is silent; or nobody has needed it for too long."""
        upload = self._upload
        if writing:
            if upload is not None and not upload.progressed():
                self.fail(httpx.WriteTimeout("the server does not read"))
        elif self._parser is not None:
            self.fail(httpx.ReadTimeout("the server is silent"))
        else:
            self._pool.counters.expired += 1
            self.close()
