"""A gateway in a process of its own, a handle on it, and raw connections to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.clients.gateways import Running

EXECUTABLE = Path(sys.executable).with_name("helicone-gw")
BODY = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}
STREAMED = {**BODY, "stream": True}
ENGINES = ["hypercorn", "uvicorn", "granian"]
CHAT = b"/v1/chat/completions"


@dataclass
class Program:
    """A running gateway."""

    process: asyncio.subprocess.Process
    url: str
    config: Path
    log: Path

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self, within: float = 30) -> int:
        async with asyncio.timeout(within):
            return await self.process.wait()

    def output(self) -> str:
        return self.log.read_text()


Start = Callable[..., AbstractAsyncContextManager[Program]]


@asynccontextmanager
async def crowd(number: int, **options: Any) -> AsyncIterator[list[httpx.AsyncClient]]:
    """Clients for ``number`` requests at once, one for each of them, every thirty-two of which are the same one.

    httpx looks at every connection of a client for each of its requests: a thousand are too many for one.
    """
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with contextlib.AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(httpx.AsyncClient(trust_env=False, verify=False, limits=limits, **options))
            for _ in range(-(-number // 32))
        ]
        yield [clients[place // 32] for place in range(number)]


@dataclass(frozen=True, slots=True)
class Shared(Running):
    """A gateway that the tests of a module share: its URL, its directory, and which process it is."""

    pid: int
    engine: str

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    def memory(self, of: str = "VmRSS") -> int:
        """Bytes of memory that the process holds; ``VmHWM``: the most that it ever held."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == of:
                return int(value.split()[0]) << 10
        raise LookupError(of)


def request(
    body: Any = None, *fields: bytes, target: bytes = CHAT, method: bytes = b"POST", version: bytes = b"1.1"
) -> bytes:
    """A request with a JSON body (``None``: without a body) and these further fields."""
    lines = [b"%s %s HTTP/%s" % (method, target, version), b"Host: 127.0.0.1", *fields]
    data = b""
    if body is not None:
        data = json.dumps(body).encode()
        lines += [b"Content-Type: application/json", b"Content-Length: %d" % len(data)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + data


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A raw connection, which is reset at the end of the block."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        await reset(writer)


async def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection at once."""
    writer.transport.abort()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def exchange(port: int, *pieces: bytes, until: bytes = b"", pause: float = 0.05) -> bytes:
    """Send ``pieces`` with a pause between them; read until the connection ends, or ``until`` was seen."""
    async with connected(port) as (reader, writer):
        for number, piece in enumerate(pieces):
            if number:
                await asyncio.sleep(pause)
            writer.write(piece)
            with contextlib.suppress(ConnectionError):  # what it said before it closed is still there to be read
                await writer.drain()
        return await received(reader, until)


async def received(reader: asyncio.StreamReader, until: bytes = b"") -> bytes:
    """What comes until the connection ends, or until ``until`` was seen."""
    data = b""
    async with asyncio.timeout(20):
        while not until or until not in data:
            try:
                piece = await reader.read(65536)
            except ConnectionError:
                break
            if not piece:
                break
            data += piece
    return data


def statuses_in(data: bytes) -> list[int]:
    """The statuses of the answers that came."""
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] ([0-9]{3}) ", data)]
