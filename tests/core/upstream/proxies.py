"""Proxies for tests: one for HTTP (forwarding and CONNECT: RFC 9110 9.3.6), one for SOCKS 5 (RFC 1928, 1929)."""

from __future__ import annotations

import asyncio
import base64
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

USER, PASSWORD = "proxy-user", "proxy-password"


@dataclass
class Proxy:
    """A proxy that is listening, and what it was asked for. ``hosts`` is what names mean to it."""

    port: int
    hosts: Mapping[str, str]
    asked: list[str] = field(default_factory=list)

    def address(self, host: str) -> str:
        return self.hosts.get(host, host)


@asynccontextmanager
async def http_proxy(hosts: Mapping[str, str] | None = None, *, guarded: bool = False) -> AsyncIterator[Proxy]:
    """An HTTP proxy; a ``guarded`` one wants `USER` and `PASSWORD`."""
    credentials = b"Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode())

    async def serve(proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
        proxy.asked.append(f"{method} {target}")
        if guarded and b"proxy-authorization: " + credentials.lower() not in head.lower():
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return
        if method == "CONNECT":
            host, _, port = target.rpartition(":")
            there = await asyncio.open_connection(proxy.address(host.strip("[]")), int(port))
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            host, _, path = target.removeprefix("http://").partition("/")
            name, _, port = host.partition(":")
            there = await asyncio.open_connection(proxy.address(name), int(port))
            there[1].write(head.replace(target.encode(), f"/{path}".encode(), 1))
        await _relay((reader, writer), there)

    async with _listening(serve, hosts) as proxy:
        yield proxy


@asynccontextmanager
async def socks_proxy(hosts: Mapping[str, str] | None = None, *, guarded: bool = False) -> AsyncIterator[Proxy]:
    """A SOCKS 5 proxy; a ``guarded`` one wants `USER` and `PASSWORD`."""

    async def serve(proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, count = await reader.readexactly(2)
        offered = await reader.readexactly(count)
        method = 2 if guarded else 0
        if method not in offered:
            writer.write(b"\x05\xff")
            return
        writer.write(bytes([5, method]))
        if guarded:
            await reader.readexactly(1)
            given = [(await reader.readexactly((await reader.readexactly(1))[0])).decode() for _ in range(2)]
            writer.write(b"\x01\x00" if given == [USER, PASSWORD] else b"\x01\x01")
            if given != [USER, PASSWORD]:
                return
        _, _, _, kind = await reader.readexactly(4)
        if kind == 1:
            host = ".".join(map(str, await reader.readexactly(4)))
        else:
            host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        (port,) = struct.unpack(">H", await reader.readexactly(2))
        proxy.asked.append(f"{host}:{port}")
        there = await asyncio.open_connection(proxy.address(host), port)
        writer.write(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
        await _relay((reader, writer), there)

    async with _listening(serve, hosts) as proxy:
        yield proxy


Serve = Callable[[Proxy, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _relay(here: Streams, there: Streams) -> None:
    async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        except ConnectionError:
            pass
        finally:
            sink.close()

    await asyncio.gather(copy(here[0], there[1]), copy(there[0], here[1]))


@asynccontextmanager
async def _listening(serve: Serve, hosts: Mapping[str, str] | None) -> AsyncIterator[Proxy]:
    tasks: set[asyncio.Task[None]] = set()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await serve(proxy, reader, writer)
        except (EOFError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(accepted, "127.0.0.1", 0)
    proxy = Proxy(server.sockets[0].getsockname()[1], hosts or {})
    try:
        yield proxy
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
