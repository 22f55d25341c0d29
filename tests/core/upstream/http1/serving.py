"""A server that does what a test says with every connection, and a transport to call it with."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from helicone_gw.upstream.transport import FastTransport, Origin, PoolLimits, Timeouts, WireRequest

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Served:
    """One connection, from the server's side."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def request(self) -> bytes:
        """The next request, which has a length or no body."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                return head + await self.reader.readexactly(int(line.partition(b":")[2]))
        return head

    async def say(self, *pieces: bytes) -> None:
        """Send each piece by itself."""
        for piece in pieces:
            try:
                self.writer.write(piece)
            except RuntimeError as problem:  # uvloop's way to say that it is closed
                raise ConnectionError from problem
            await self.writer.drain()
            await turns(4)

    async def gone(self) -> bytes:
        """Wait until the client has closed; what it said meanwhile."""
        said = b""
        with contextlib.suppress(ConnectionError):
            while data := await self.reader.read(65536):
                said += data
        return said


Script = Callable[[Served], Awaitable[None]]


class Server:
    """What came to it."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.connections: list[Served] = []
        self.faults: list[BaseException] = []


@asynccontextmanager
async def serving(
    script: Script, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[Server]:
    """Listen on a free port; a connection is closed when ``script`` is done with it."""
    tasks: set[asyncio.Task[None]] = set()
    made = Server(Origin("http", "", 0))

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        served = Served(reader, writer)
        made.connections.append(served)
        try:
            await script(served)
        except (asyncio.CancelledError, EOFError, ConnectionError):
            pass
        except Exception as fault:
            made.faults.append(fault)
        finally:
            writer.close()

    server = await asyncio.start_server(run, host, 0, ssl=tls)
    made.origin = Origin("http" if tls is None else "https", host, server.sockets[0].getsockname()[1])
    try:
        yield made
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for served in made.connections:
            served.writer.transport.abort()
        await turns(4)
    assert not made.faults, made.faults


def answering(*replies: bytes) -> Script:
    """Answer requests with ``replies`` in turn on every connection, with the last one for ever."""

    async def script(served: Served) -> None:
        number = 0
        while True:
            await served.request()
            await served.say(replies[min(number, len(replies) - 1)])
            number += 1

    return script


@asynccontextmanager
async def transport(
    *,
    connect: float = 5.0,
    first_byte: float = 5.0,
    idle: float = 5.0,
    tls: ssl.SSLContext | None = None,
    resolve: Any = None,
    **limits: Any,
) -> AsyncIterator[FastTransport]:
    """A transport; nothing of it is open at the end."""
    options = {} if resolve is None else {"resolve": resolve}
    made = FastTransport(Timeouts(connect, first_byte, idle), limits=PoolLimits(**limits), tls=tls, **options)
    try:
        yield made
    finally:
        await made.aclose()
        await turns(4)
    counters = made.counters
    assert (counters.open, counters.idle, counters.waiting) == (0, 0, 0)
    assert counters.opened == counters.closed


def asking(server: Server | Origin, body: Any = b"{}", **options: Any) -> WireRequest:
    """A request to ``server``."""
    origin = server if isinstance(server, Origin) else server.origin
    method = options.pop("method", b"POST")
    return WireRequest(method, origin, b"/v1/x", [(b"host", b"llm.example")], body, **options)


async def whole(made: FastTransport, request: WireRequest) -> bytes:
    """The whole body of the answer."""
    reply = await made.send(request)
    try:
        return b"".join([piece async for piece in reply.body])
    finally:
        await reply.aclose()


async def turns(count: int) -> None:
    """Let the event loop go round so often."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until ``condition`` holds."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.002)
