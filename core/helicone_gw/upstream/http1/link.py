"""A connected socket behind an asyncio or uvloop transport, with what differs between the two levelled out."""

from __future__ import annotations

import asyncio
import select
from typing import cast

import httpx

from helicone_gw.upstream.http1.deadlines import Deadlines
from helicone_gw.upstream.http1.tls import TLSObject

SESSION_TRIES = 3
"""Times that it is looked whether a TLS session has come; some servers give none."""


class Link(Deadlines, asyncio.Protocol):
    """A socket with its deadlines; what comes over it and how it ends is its subclass's affair."""

    def __init__(self, loop: asyncio.AbstractEventLoop, tick: float) -> None:
        super().__init__(loop, tick)
        self.died = False
        """Whether the other side ended it."""
        self.writable = True
        """Whether the socket takes more; there is a bound to what waits for it."""
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)
        self._poll: select.poll | None = None
        self._tls: TLSObject | None = None
        self._tries = SESSION_TRIES
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected, TLS included."""
        self._transport = cast(asyncio.Transport, transport)
        sock = transport.get_extra_info("socket")
        if sock is not None and hasattr(select, "poll"):
            self._poll = select.poll()
            self._poll.register(sock.fileno(), select.POLLIN)
        tls = transport.get_extra_info("ssl_object")
        self._tls = tls if isinstance(tls, TLSObject) else None

    def pause_writing(self) -> None:
        """More waits than the socket takes."""
        self.writable = False

    def resume_writing(self) -> None:
        """The socket has taken most of it."""
        self.writable = True

    def fail(self, error: BaseException) -> None:
        """End it because of ``error``."""
        raise NotImplementedError

    def write(self, data: bytes | memoryview) -> None:
        """Hand ``data`` to the socket."""
        try:
            self._transport.write(data)
        except RuntimeError as problem:
            # uvloop says so when it has closed the socket and not told us yet; asyncio drops the data.
            self.died = True
            self.fail(because(httpx.ReadError("the connection broke"), problem))

    def unsent(self) -> int:
        """Bytes that the socket has not taken yet."""
        try:
            return self._transport.get_write_buffer_size()
        except RuntimeError:
            return 0

    def quiet(self) -> bool:
        """Whether there is nothing to read, not even an end: asked of the socket itself, and not of what was told."""
        return self._poll is None or not self._poll.poll(0)

    def cut(self) -> bool:
        """Whether the end of what came may be somebody's in between: TLS says its own end, which a FIN does not."""
        return self._tls is not None and not self._tls.ended

    def keep_session(self) -> None:
        """Keep the TLS session for the next connection, if there is one by now."""
        if self._tries and self._tls is not None:
            self._tries = 0 if self._tls.keep_session() else self._tries - 1

    def pause_reading(self) -> None:
        """Read no more: the other side finds out when its own buffers are full."""
        if not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        if self._paused:
            self._paused = False
            # uvloop raises where asyncio does nothing.
            if not self._transport.is_closing():
                self._transport.resume_reading()


def because(error: httpx.TransportError, cause: BaseException | None) -> httpx.TransportError:
    """``error`` with its cause, to be raised elsewhere."""
    error.__cause__ = cause
    return error
