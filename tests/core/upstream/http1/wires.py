"""A network that a test moves by hand, for what depends on the very moment; works in virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

from helicone_gw.upstream.http1.connection import Connection
from helicone_gw.upstream.http1.pool import Host, Pool
from helicone_gw.upstream.transport import FastTransport, Origin, PoolLimits, Timeouts, WireRequest

ORIGIN = Origin("http", "llm.example", 80)


class Wire(asyncio.Transport):
    """The client's end of a connection whose other end is the test."""

    def __init__(self) -> None:
        super().__init__()
        self.connection: Connection
        self.written = b""
        self.waiting = 0
        self.reads = True
        self._closed = False

    def write(self, data: Any) -> None:
        self.written += bytes(data)
        if not self.reads:
            self.waiting += len(data)
            if self.connection.writable:
                self.connection.pause_writing()

    def take(self, size: int) -> None:
        """The other side reads so much of what waits."""
        self.waiting = max(self.waiting - size, 0)
        if not self.waiting and not self.connection.writable:
            self.connection.resume_writing()

    def say(self, data: bytes) -> None:
        self.connection.data_received(data)

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def is_closing(self) -> bool:
        return self._closed

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def abort(self) -> None:
        if not self._closed:
            self._closed = True
            asyncio.get_running_loop().call_soon(self.connection.connection_lost, None)

    close = abort


class Line:
    """A transport over `Wire`s."""

    def __init__(self, connect: float = 5, first_byte: float = 60, idle: float = 10, **limits: Any) -> None:
        self.wires: list[Wire] = []
        self.transport = FastTransport(Timeouts(connect, first_byte, idle), limits=PoolLimits(**limits))
        self.transport._pool._dial = self._dial

    async def _dial(self, pool: Pool, host: Host, timeout: float) -> Connection:
        wire = Wire()
        wire.connection = Connection(pool, host)
        wire.connection.connection_made(wire)
        self.wires.append(wire)
        return wire.connection

    def ask(self, body: Any = b"{}", **options: Any) -> asyncio.Task[Any]:
        request = WireRequest(b"POST", ORIGIN, b"/", [], body, **options)
        return asyncio.ensure_future(self.transport.send(request))

    @property
    def wire(self) -> Wire:
        return self.wires[-1]
