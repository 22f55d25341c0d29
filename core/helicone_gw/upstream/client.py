"""One call to a provider over httpx: raw bytes both ways, timeouts by phase, errors in our own words."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit, urlunsplit

import httpx

from helicone_gw.errors import BadRequest, GatewayError, UpstreamConnectError, UpstreamProtocolError, UpstreamTimeout
from helicone_gw.model import UpstreamRequest, UpstreamResponse
from helicone_gw.upstream.headers import response_headers
from helicone_gw.upstream.pool import PooledTransport

MAX_CONNECTIONS = 1000
"""Connections to providers, over all of them; a further call waits for one, up to its deadline."""

MAX_IDLE_CONNECTIONS = 200


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: to connect, from the request to the first byte of the answer, and between two pieces of it."""

    connect: float
    first_byte: float
    idle: float


class HttpxUpstream:
    """An `Upstream` over an httpx transport, called directly: no redirects, no cookies, no decoding."""

    def __init__(self, timeouts: Timeouts, transport: httpx.AsyncBaseTransport | None = None) -> None:
        limits = httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_IDLE_CONNECTIONS)
        self.transport = transport or PooledTransport(verify=_tls(), limits=limits)
        self._timeouts = timeouts

    async def __call__(self, call: UpstreamRequest) -> UpstreamResponse:
        """Send ``call`` and wait for the head of the answer.

        Raises `UpstreamConnectError`, `UpstreamTimeout` or `UpstreamProtocolError`, and `BadRequest` for a URL that is
        none; a `GatewayError` raised by a streaming request body passes as it is.
        """
        timeouts = self._timeouts
        host = urlsplit(call.url).netloc
        # Reading has no timeout of httpx's: it would be the same for the first byte and for all that follow.
        extensions: dict[str, object] = {
            "timeout": {"connect": timeouts.connect, "read": None, "write": timeouts.idle, "pool": timeouts.first_byte}
        }
        url = call.url
        if call.address is not None:
            url = _pinned(call.url, call.address)
            extensions["sni_hostname"] = urlsplit(call.url).hostname
        fields = [(b"host", host.encode("ascii")), *call.headers.raw]
        if call.length is not None:
            fields.append((b"content-length", str(call.length).encode()))
        first_byte = call.first_byte_timeout or timeouts.first_byte
        try:
            request = httpx.Request(
                call.method,
                url,
                headers=fields,
                content=b"" if call.body is None else call.body,
                extensions=extensions,
            )
        except httpx.InvalidURL:
            raise BadRequest(
                "Path and query do not make a URL for the provider: they are too long, or hold what no URL may.",
                code="invalid_url",
            ) from None
        try:
            async with asyncio.timeout(first_byte):
                response = await self.transport.handle_async_request(request)
        except TimeoutError:
            raise UpstreamTimeout(f"{call.target.provider} did not answer within {first_byte:g} seconds.") from None
        except httpx.HTTPError as problem:
            raise _in_our_words(problem, call.target.provider) from problem
        stream = response.stream
        assert isinstance(stream, httpx.AsyncByteStream)
        return UpstreamResponse(
            status=response.status_code,
            headers=response_headers(response.headers.raw, content_length=True),
            body=_body(stream, timeouts.idle, call.target.provider),
            close=_once(stream.aclose),
        )

    async def aclose(self) -> None:
        """Close every connection."""
        await self.transport.aclose()


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    # Reading the system's certificates takes tens of milliseconds.
    return ssl.create_default_context()


async def _body(stream: httpx.AsyncByteStream, idle: float, provider: str) -> AsyncIterator[bytes]:
    pieces = aiter(stream)
    while True:
        try:
            async with asyncio.timeout(idle):
                data = await anext(pieces, None)
        except TimeoutError:
            raise UpstreamTimeout(
                f"{provider} sent nothing for {idle:g} seconds in the middle of its answer."
            ) from None
        except httpx.HTTPError as problem:
            raise _in_our_words(problem, provider) from problem
        if data is None:
            return
        yield data


def _in_our_words(problem: httpx.HTTPError, provider: str) -> GatewayError:
    # httpx's own messages may hold URLs, and those may hold keys; the class says enough.
    if isinstance(problem, httpx.ConnectTimeout):
        return UpstreamConnectError(f"No connection to {provider} in time.")
    if isinstance(problem, httpx.PoolTimeout):
        return UpstreamConnectError(f"All connections are in use; none became free for {provider} in time.")
    if isinstance(problem, httpx.TimeoutException):
        return UpstreamTimeout(f"{provider} was too slow ({type(problem).__name__}).")
    if isinstance(problem, (httpx.ConnectError, httpx.UnsupportedProtocol)):
        return UpstreamConnectError(f"{provider} cannot be reached ({_cause(problem)}).")
    return UpstreamProtocolError(f"The connection to {provider} broke ({_cause(problem)}).")


def _cause(problem: BaseException) -> str:
    """The operating system's or OpenSSL's word for it, which holds no URL."""
    seen: BaseException | None = problem
    while seen is not None:
        if isinstance(seen, ssl.SSLError):
            return f"TLS: {seen.reason or 'failed'}"
        if isinstance(seen, OSError) and seen.strerror:
            # asyncio's own text names the address, which need not be the client's to know.
            return os.strerror(seen.errno) if seen.errno and seen.errno > 0 else seen.strerror
        seen = seen.__cause__ or seen.__context__
    return type(problem).__name__


def _pinned(url: str, address: str) -> str:
    parts = urlsplit(url)
    host = f"[{address}]" if ":" in address else address
    return urlunsplit(parts._replace(netloc=host if parts.port is None else f"{host}:{parts.port}"))


def _once(close: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
    closed = False

    async def close_once() -> None:
        nonlocal closed
        if not closed:
            closed = True
            await close()

    return close_once
