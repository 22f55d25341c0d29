"""An engine that serves an application of a test's own on a socket, and raw connections to it."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from helicone_gw.asgi.types import Receive, Scope, Send
from helicone_gw.config import ServerConfig
from helicone_gw.engines import Application, load_engine


@asynccontextmanager
async def served(engine: str, app: Application, drain_timeout: float = 1.0, **server: Any) -> AsyncIterator[int]:
    """Serve ``app`` for the length of the block; the value is the port."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    listener.setblocking(False)
    port = listener.getsockname()[1]
    stop = asyncio.Event()
    with listener:
        settings = ServerConfig.model_validate({"port": port, "drain_timeout": drain_timeout, **server})
        serving = asyncio.ensure_future(load_engine(engine)(app, settings, listener, stop))
        try:
            yield port
        finally:
            stop.set()
            async with asyncio.timeout(30):
                await serving


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A raw connection, which is reset at the end of the block."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


async def rest(reader: asyncio.StreamReader) -> bytes:
    """What still comes until the connection ends."""
    async with asyncio.timeout(20):
        try:
            return await reader.read()
        except ConnectionError:
            return b""


async def ask(port: int, *pieces: bytes) -> bytes:
    """Send ``pieces``, each in a packet of its own; what comes until the connection ends."""
    async with connected(port) as (reader, writer):
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0.001)
        return await rest(reader)


def statuses_in(data: bytes) -> list[int]:
    """The statuses of the answers that came."""
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] ([0-9]{3}) ", data)]


async def whole(receive: Receive) -> bytes | None:
    """The body of a request; ``None`` when the client left before its end."""
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return body


async def lifespan(receive: Receive, send: Send) -> None:
    """Start and end without doing anything."""
    for event in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{event}.complete"})


async def answer(send: Send, body: bytes, *, length: bool = True, status: int = 200) -> None:
    """Send a whole answer, with its length or without."""
    headers = [(b"content-length", b"%d" % len(body))] if length else []
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": not length})
    if not length:
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with method, path and body; without a length on the path ``/stream``."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    body = await whole(receive)
    if body is not None:
        said = f"{scope['method']} {scope['path']} ".encode() + body
        await answer(send, said, length=scope["path"] != "/stream")
