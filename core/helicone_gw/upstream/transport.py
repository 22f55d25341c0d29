"""FastTransport: plain and TLS HTTP/1.1 on asyncio's protocols, called directly or as an httpx transport."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from math import inf
from typing import cast

import httpx

from helicone_gw.upstream.http1.connection import Connection
from helicone_gw.upstream.http1.dialing import Dialer, Resolve, resolve_name
from helicone_gw.upstream.http1.pool import Counters, Pool, PoolLimits
from helicone_gw.upstream.http1.reply import WireReply
from helicone_gw.upstream.http1.wire import Origin, Patience, WireRequest, request_head

__all__ = ["Counters", "FastTransport", "Origin", "Patience", "PoolLimits", "Timeouts", "WireReply", "WireRequest"]

STALE = 2.0
"""Seconds after a request within which the end of a used connection means that the server had closed it before. Later
it may have done what was asked, and asking again could cost twice."""

_FRAMING = frozenset({b"content-length", b"transfer-encoding"})
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: to connect, from the request to the first byte of the answer, and between two pieces of it."""

    connect: float
    first_byte: float
    idle: float


class FastTransport(httpx.AsyncBaseTransport):
    """Requests over a pool of HTTP/1.1 connections. `send` is the direct way; `handle_async_request` is httpx's.

    ``timeouts`` hold where a request has none of its own, ``limits`` bound the pool, ``tls`` is the context of https
    origins (the system's certificates where it is ``None``). All calls must come from one event loop.
    """

    def __init__(
        self,
        timeouts: Timeouts,
        *,
        limits: PoolLimits | None = None,
        tls: ssl.SSLContext | None = None,
        resolve: Resolve = resolve_name,
    ) -> None:
        self._patience = Patience(
            connect=timeouts.connect,
            pool=timeouts.first_byte,
            total=timeouts.first_byte,
            write=timeouts.idle,
            head=inf,
            idle=timeouts.idle,
        )
        self._dialer = Dialer(tls, resolve)
        tick = min(30.0, timeouts.connect, timeouts.first_byte, timeouts.idle)
        self._pool = Pool(limits or PoolLimits(), self._dialer, tick)

    @property
    def counters(self) -> Counters:
        """What happened so far."""
        return self._pool.counters

    @property
    def tls_resumed(self) -> int:
        """TLS handshakes in which a server took a session up again."""
        return 0 if self._dialer.sessions is None else self._dialer.sessions.resumed

    async def send(self, request: WireRequest) -> WireReply:
        """Send ``request`` and wait for the head of the reply; its body must be read to the end or closed.

        Raises `httpx.PoolTimeout`, `httpx.ConnectTimeout`, `httpx.ConnectError`, `httpx.WriteTimeout`,
        `httpx.ReadTimeout`, `httpx.ReadError`, `httpx.WriteError`, `httpx.RemoteProtocolError`,
        `httpx.LocalProtocolError` (nothing was sent then, or the upload was not as long as it said), and what a
        streaming body raises. A request that died with a connection that had been idle, before a byte of reply and
        before a streaming body was begun, is sent again, once.
        """
        head = request_head(request)
        patience = request.patience or self._patience
        pool = self._pool
        start = asyncio.get_running_loop().time()
        connection = pool.take(request.origin)
        if connection is None:
            connection = await self._acquire(request, patience, start)
        used = connection.used
        try:
            parser = await connection.exchange(request, head, patience, start)
        except (httpx.ReadError, httpx.RemoteProtocolError):
            if not used or not connection.stale(STALE):
                raise
        else:
            return WireReply(parser, connection)
        pool.counters.stale_retries += 1
        connection = await self._acquire(request, patience, start)
        return WireReply(await connection.exchange(request, head, patience, start), connection)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """httpx's way in; honours the extensions ``timeout`` and ``sni_hostname``. Raises `httpx.TransportError`."""
        url = request.url
        if url.scheme not in _DEFAULT_PORTS:
            raise httpx.UnsupportedProtocol("only http and https")
        body, length = _body(request)
        reply = await self.send(
            WireRequest(
                method=request.method.encode("ascii"),
                origin=Origin(
                    url.scheme,
                    url.raw_host.decode("ascii"),
                    url.port or _DEFAULT_PORTS[url.scheme],
                    None,
                    request.extensions.get("sni_hostname"),
                ),
                target=url.raw_path,
                headers=[field for field in request.headers.raw if field[0].lower() not in _FRAMING],
                body=body,
                length=length,
                patience=self._asked(request.extensions.get("timeout")),
            )
        )
        return httpx.Response(
            reply.status,
            headers=reply.headers,
            stream=_Stream(reply),
            extensions={"http_version": b"HTTP/1.1"},
        )

    async def aclose(self) -> None:
        """Close every connection, whatever it does, and refuse what comes later."""
        await self._dialer.aclose()
        await self._pool.aclose()

    async def _acquire(self, request: WireRequest, patience: Patience, start: float) -> Connection:
        total = patience.total if request.first_byte is None else request.first_byte
        left = start + total - asyncio.get_running_loop().time()
        return await self._pool.acquire(request.origin, min(patience.connect, left), min(patience.pool, left))

    def _asked(self, timeout: Mapping[str, float | None] | None) -> Patience | None:
        if timeout is None:
            return None
        connect, pool, write, read = (
            inf if timeout.get(phase) is None else float(cast(float, timeout[phase]))
            for phase in ("connect", "pool", "write", "read")
        )
        return Patience(connect=connect, pool=pool, total=inf, write=write, head=read, idle=read)


class _Stream(httpx.AsyncByteStream):
    def __init__(self, reply: WireReply) -> None:
        self._reply = reply

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._reply

    async def aclose(self) -> None:
        await self._reply.aclose()


def _body(request: httpx.Request) -> tuple[bytes | AsyncIterator[bytes] | None, int | None]:
    stream = request.stream
    if isinstance(stream, httpx.ByteStream):
        return b"".join(stream), None
    if not isinstance(stream, httpx.AsyncByteStream):
        raise httpx.LocalProtocolError("the body is not asynchronous")
    length = request.headers.get("content-length")
    return aiter(stream), None if length is None else int(length)
