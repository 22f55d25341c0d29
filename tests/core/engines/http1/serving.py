"""A lane with an application on a real socket, and a client that sends bytes as they are."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from helicone_gw.asgi.types import Message, Receive, Scope, Send
from helicone_gw.engines.http1.lane import Lane
from helicone_gw.engines.http1.limits import Limits

App = Callable[[Scope, Receive, Send], Awaitable[None]]
HELLO = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def whole_body(receive: Receive) -> bytes:
    """The request's body; `ConnectionError` when the client leaves before its end."""
    pieces: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError
        pieces.append(message["body"])
        if not message["more_body"]:
            return b"".join(pieces)


async def reply(send: Send, *pieces: bytes, status: int = 200, fields: dict[bytes, bytes] | None = None) -> None:
    """An answer of these pieces."""
    await send({"type": "http.response.start", "status": status, "headers": list((fields or {}).items())})
    for piece in pieces[:-1]:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": pieces[-1] if pieces else b""})


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with method, path and body."""
    body = await whole_body(receive)
    await reply(send, b"%s %s %s" % (scope["method"].encode(), scope["raw_path"], body))


@dataclass
class Recording:
    """An application that keeps what it is called with, and what it receives, and answers with ``echo``."""

    scopes: list[Scope] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)

        async def recorded() -> Message:
            self.messages.append(await receive())
            return self.messages[-1]

        await echo(scope, recorded, send)


class Client:
    """One connection, with bytes as they are."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *pieces: bytes) -> None:
        """Send ``pieces``, each with time for the server to read it by itself."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            if len(pieces) > 1:
                await asyncio.sleep(0.001)

    async def answer(self, *, head_only: bool = False) -> Answer:
        """The next answer; raises `asyncio.IncompleteReadError` when it is cut short."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        line, *rows = head[:-4].split(b"\r\n")
        fields = {name.lower(): value for name, _, value in (row.partition(b": ") for row in rows)}
        status = int(line.split(b" ")[1])
        if head_only or status in (204, 304) or status < 200:
            return Answer(status, fields, b"")
        if b"content-length" in fields:
            return Answer(status, fields, await self.reader.readexactly(int(fields[b"content-length"])))
        if fields.get(b"transfer-encoding") == b"chunked":
            return Answer(status, fields, await self._chunks())
        return Answer(status, fields, await self.reader.read())

    async def _chunks(self) -> bytes:
        body = b""
        while True:
            size = int(await self.reader.readuntil(b"\r\n"), 16)
            body += await self.reader.readexactly(size)
            assert await self.reader.readexactly(2) == b"\r\n"
            if not size:
                return body

    async def rest(self) -> bytes:
        """All that comes until the server closes; raises `ConnectionResetError` when it resets."""
        return await self.reader.read()

    async def closed(self) -> bool:
        """Whether the server has closed, with nothing more to read."""
        try:
            return await self.rest() == b""
        except ConnectionError:
            return True


@dataclass
class Answer:
    """An answer as it was read."""

    status: int
    fields: dict[bytes, bytes]
    body: bytes


@dataclass
class Serving:
    """A lane that serves."""

    lane: Lane
    port: int
    handed_over: list[bytes] = field(default_factory=list)

    @asynccontextmanager
    async def client(self, limit: int = 2**20) -> AsyncIterator[Client]:
        """A connection to it."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=limit)
        try:
            yield Client(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def exchange(self, *pieces: bytes) -> bytes:
        """What the server says to ``pieces`` until it closes."""
        async with self.client() as client:
            await client.send(*pieces)
            return await client.rest()


@asynccontextmanager
async def serving(app: App, limits: Limits | None = None, drain: float = 0.5) -> AsyncIterator[Serving]:
    """A lane on a socket of its own; connections that it hands over are noted and closed."""
    loop = asyncio.get_running_loop()
    handed_over: list[bytes] = []

    def hand_over(transport: asyncio.Transport, data: bytes) -> None:
        handed_over.append(data)
        transport.set_protocol(asyncio.Protocol())
        transport.close()

    lane = Lane(app, loop, hand_over, limits=limits)
    server = await loop.create_server(lane, "127.0.0.1", 0)
    try:
        yield Serving(lane, server.sockets[0].getsockname()[1], handed_over)
    finally:
        server.close()
        await lane.stop(drain)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until ``condition`` holds."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.002)


def statuses(data: bytes) -> list[int]:
    """The statuses of the answers in ``data``."""
    return [int(number) for number in re.findall(rb"HTTP/1\.1 (\d{3}) ", data)]
