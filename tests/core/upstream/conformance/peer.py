"""A provider of the worst kind: it does, byte by byte, what a script says, one script per connection."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Script = Callable[["Connection"], Awaitable[None]]
"""What is done with one connection; it is closed after that."""

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Peer:
    """A listening server, and what came to it."""

    url: str
    connections: list[Connection] = field(default_factory=list)
    requests: list[bytes] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])


class Connection:
    """One client's connection, seen from the server."""

    def __init__(self, peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.number = len(peer.connections)
        self.reader = reader
        self.writer = writer
        self._peer = peer

    async def request(self) -> bytes:
        """The next request whole, as it came; raises `EOFError` when there is none."""
        head = await self.head()
        body = b""
        name_values = [line.partition(b":")[::2] for line in head.split(b"\r\n")[1:]]
        fields = {name.strip().lower(): value.strip() for name, value in name_values}
        if fields.get(b"transfer-encoding") == b"chunked":
            while not body.endswith(b"0\r\n\r\n"):
                body += await self.reader.readuntil(b"\r\n")
        elif length := int(fields.get(b"content-length", b"0")):
            body = await self.reader.readexactly(length)
        self._peer.requests[-1] += body
        return head + body

    async def head(self) -> bytes:
        """The next request's head, and nothing of its body."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        self._peer.requests.append(head)
        return head

    def write(self, data: bytes) -> None:
        """Send without waiting; raises `ConnectionError` when the client has gone."""
        # uvloop raises an exception of its own there, and asyncio none.
        if self.writer.transport.is_closing():
            raise ConnectionResetError
        self.writer.write(data)

    async def send(self, *pieces: bytes) -> None:
        """Send each piece so that the client reads it by itself."""
        for piece in pieces:
            self.write(piece)
            await self.writer.drain()
            await turns(3)

    async def drip(self, data: bytes) -> None:
        """Send one byte at each turn of the event loop."""
        for index in range(len(data)):
            self.write(data[index : index + 1])
            await asyncio.sleep(0)

    def half_close(self) -> None:
        """Say that nothing more is sent, and go on reading."""
        self.writer.write_eof()

    def reset(self) -> None:
        """End it with RST in place of FIN; over TLS without close_notify."""
        sock: socket.socket | None = self.writer.get_extra_info("socket")
        # None on uvloop, or with an error here, if it is closed already.
        with contextlib.suppress(OSError):
            if sock is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def gone(self) -> None:
        """Wait until the client has closed."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65536):
                pass


async def turns(count: int) -> None:
    """Let the event loop go round, so that whatever is ready is done."""
    for _ in range(count):
        await asyncio.sleep(0)


@asynccontextmanager
async def listening(script: Script, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Peer]:
    """A server on a free loopback port that does what ``script`` says with every connection."""
    peer = Peer("")
    tasks: set[asyncio.Task[None]] = set()
    faults: list[BaseException] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        connection = Connection(peer, reader, writer)
        peer.connections.append(connection)
        try:
            await script(connection)
        except (asyncio.CancelledError, EOFError, ConnectionError, ssl.SSLError):
            pass
        except Exception as fault:
            faults.append(fault)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    scheme = "http" if tls is None else "https"
    peer.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield peer
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in peer.connections:
            connection.writer.transport.abort()
        await turns(3)
    assert not faults, faults


def each(*replies: bytes) -> Script:
    """Answer the requests with ``replies`` in turn, over however many connections, the last one again and again."""
    rest = list(replies)

    async def script(connection: Connection) -> None:
        while True:
            await connection.request()
            await connection.send(rest.pop(0) if len(rest) > 1 else rest[0])

    return script


def once(*pieces: bytes, then: str = "close") -> Script:
    """Answer the first request of a connection with ``pieces``, and then ``close``, ``reset`` or ``wait``."""

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(*pieces)
        if then == "reset":
            connection.reset()
        elif then == "wait":
            await connection.gone()

    return script
