"""A request body that is too large for one write, or a stream: sent in pieces, as fast as the other side reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from helicone_gw.upstream.http1.connection import Connection
    from helicone_gw.upstream.http1.wire import Patience, WireRequest

LARGE = 65536
"""Bytes up to which a body goes out with its head in one write."""

SLICE = 262144
"""Bytes of a large body that are handed to the socket at once."""


class Upload:
    """Sends the body of ``request`` in a task of its own, so that a reply that comes early is seen at once."""

    def __init__(self, connection: Connection, request: WireRequest, head: bytes, patience: Patience) -> None:
        self.touched = False
        """Whether a streaming body was asked for anything: it cannot be sent again then."""
        self._connection = connection
        self._request = request
        self._head = head
        self._patience = patience
        self._handed = False
        self._left = 0
        self._cancelled = False
        self._drain: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin."""
        self._loop = loop
        self._task = loop.create_task(self._run())

    def finish(self) -> bool:
        """The reply is complete: whether all of the request went out before. What did not is not sent any more."""
        if self._handed and self._connection.unsent() == 0:
            return True
        self.cancel()
        return False

    def cancel(self) -> None:
        """Stop sending."""
        self._cancelled = True
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()

    async def stopped(self) -> None:
        """Wait until nothing runs any more that reads the body."""
        if self._task is not None and self._task is not asyncio.current_task():
            await asyncio.wait({self._task})

    def resume(self) -> None:
        """The socket takes more."""
        drain, self._drain = self._drain, None
        if drain is not None and not drain.done():
            drain.set_result(None)

    def progressed(self) -> bool:
        """Whether the socket has taken anything since the last time; the time for the next bit then begins anew."""
        left = self._connection.unsent()
        if left >= self._left:
            return False
        self._left = left
        self._connection.write_by(self._loop.time() + self._patience.write)
        return True

    async def _run(self) -> None:
        try:
            self._connection.write(self._head)
            if self._connection.closed:
                return
            body = self._request.body
            if isinstance(body, bytes):
                view = memoryview(body)
                for at in range(0, len(view), SLICE):
                    await self._write(view[at : at + SLICE])
            elif body is not None:
                await self._stream(body)
            self._handed = True
            self._connection.sent(self._patience)
        except asyncio.CancelledError:
            if not self._cancelled:
                self._connection.fail(httpx.WriteError("the upload was cancelled"))
            raise
        except BaseException as problem:
            self._connection.fail(problem)
            if not isinstance(problem, Exception):
                raise

    async def _stream(self, body: AsyncIterator[bytes]) -> None:
        length = self._request.length
        left = length
        self.touched = True
        async for piece in body:
            if not piece:
                continue
            if left is None:
                await self._write(b"%x\r\n%b\r\n" % (len(piece), piece))
                continue
            left -= len(piece)
            if left < 0:
                raise httpx.LocalProtocolError("the upload is longer than its length")
            await self._write(piece)
        if left is None:
            await self._write(b"0\r\n\r\n")
        elif left:
            raise httpx.LocalProtocolError("the upload is shorter than its length")

    async def _write(self, data: bytes | memoryview) -> None:
        connection = self._connection
        connection.write(data)
        while not connection.writable and not connection.closed:
            self._left = self._connection.unsent()
            self._drain = self._loop.create_future()
            connection.write_by(self._loop.time() + self._patience.write)
            await self._drain
