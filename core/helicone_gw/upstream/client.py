"""One call to a provider: which transport takes it, raw bytes both ways, timeouts by phase, errors in our own words."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import lru_cache
from typing import Literal, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import httpx

from helicone_gw.headers import Headers
from helicone_gw.model import UpstreamRequest, UpstreamResponse
from helicone_gw.upstream.detours import Detour, Detours
from helicone_gw.upstream.faults import in_our_words, no_answer, no_url, silence
from helicone_gw.upstream.headers import response_headers
from helicone_gw.upstream.http1.tls import default_context
from helicone_gw.upstream.http1.wire import field_lines
from helicone_gw.upstream.pool import PooledTransport
from helicone_gw.upstream.transport import Counters, FastTransport, Origin, PoolLimits, Timeouts, WireReply, WireRequest

__all__ = ["NetworkUpstream", "Timeouts"]

MAX_CONNECTIONS = 1000
"""Connections to providers, over all of them; a further call waits for one, up to its deadline."""

MAX_IDLE_CONNECTIONS = 200

MAX_KNOWN_URL = 2048
"""Longest URL that is remembered with its parts, in characters; longer ones are read every time."""

MAX_URL = 65536
"""Longest URL, in characters: httpx's bound, which holds for every transport."""

_PLAIN_URL = re.compile(
    r"(?P<scheme>https?)://(?P<authority>(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?)"
    r"(?P<path>/(?:[A-Za-z0-9!$&()*+,;=:@/~\-._]|%[0-9A-Fa-f]{2})*)?"
    r"(?P<query>\?(?:[A-Za-z0-9!$&()*+,;=:@/~\-._?]|%[0-9A-Fa-f]{2})*)?",
    re.ASCII,
)
_DEFAULT_PORTS = {"http": 80, "https": 443}


class NetworkUpstream:
    """An `Upstream` over the network: no redirects, no cookies, no decoding.

    ``transport`` takes the calls: "fast" is the gateway's own HTTP/1.1, "aiohttp" and "httpx" are those packages'
    clients (or any httpx transport, in tests). Whatever cannot go straight over HTTP/1.1 goes through httpx instead:
    unix sockets, the environment's proxies or ``proxy``, and https with ``http2`` (see `Detours`). The bounds hold for
    each of them; ``max_connections_per_host`` is not httpx's. ``keep_alive`` (seconds) is how long an unused connection
    is kept. ``tls`` replaces the context with the system's certificates.

    ``.transport`` is the same transport for an `httpx.AsyncClient`, detours included.
    """

    def __init__(
        self,
        timeouts: Timeouts,
        transport: Literal["fast", "aiohttp", "httpx"] | httpx.AsyncBaseTransport = "fast",
        *,
        proxy: str | None = None,
        http2: bool = False,
        max_connections: int = MAX_CONNECTIONS,
        max_connections_per_host: int | None = None,
        max_idle_connections: int = MAX_IDLE_CONNECTIONS,
        keep_alive: float = 30.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        limits = httpx.Limits(
            max_connections=max_connections,
            max_keepalive_connections=max_idle_connections,
            keepalive_expiry=keep_alive,
        )

        def verify() -> ssl.SSLContext:
            # httpcore writes what it offers (ALPN) into the context: one that offered HTTP/2 is shared with nobody.
            return tls or (default_context() if http2 else _tls())

        self._timeouts = timeouts
        self._detours = Detours(verify=verify, limits=limits, proxy=proxy, http2=http2)
        self._fast: FastTransport | None = None
        self._straight: httpx.AsyncBaseTransport
        if isinstance(transport, httpx.AsyncBaseTransport):
            self._straight = transport
        elif transport == "fast":
            bounds = PoolLimits(
                total=max_connections,
                per_host=max_connections_per_host or max_connections,
                idle=max_idle_connections,
                keep_alive=keep_alive,
            )
            self._straight = self._fast = FastTransport(timeouts, limits=bounds, tls=tls)
        elif transport == "aiohttp":
            from helicone_gw.upstream.aiohttp_transport import AiohttpTransport

            self._straight = AiohttpTransport(verify=verify(), limits=limits, per_host=max_connections_per_host or 0)
        else:
            self._straight = PooledTransport(verify=verify(), limits=limits)
        self.transport: httpx.AsyncBaseTransport = _Switch(self._straight, self._detours)

    async def __call__(self, call: UpstreamRequest) -> UpstreamResponse:
        """Send ``call`` and wait for the head of the answer.

        Raises `UpstreamConnectError`, `UpstreamTimeout` or `UpstreamProtocolError`, and `BadRequest` for a URL that is
        none; a `GatewayError` raised by a streaming request body passes as it is.
        """
        detour = self._detours(call.url)
        if detour is None and self._fast is not None:
            return await self._directly(call, self._fast)
        return await self._over_httpx(call, detour)

    @property
    def counters(self) -> Counters | None:
        """What the gateway's own transport has done so far; ``None`` where another one takes the calls."""
        return None if self._fast is None else self._fast.counters

    async def aclose(self) -> None:
        """Close every connection."""
        await self.transport.aclose()

    async def _directly(self, call: UpstreamRequest, fast: FastTransport) -> UpstreamResponse:
        timeouts = self._timeouts
        provider = call.target.provider
        there = _known(call.url, call.address) if len(call.url) <= MAX_KNOWN_URL else _read(call.url, call.address)
        body = call.body
        try:
            request = WireRequest(
                call.method.encode("ascii"),
                there.origin,
                there.target,
                (),
                body,
                None if isinstance(body, bytes) else call.length,
                call.first_byte_timeout,
                lines=_lines(call.headers, there.host),
            )
            reply = await fast.send(request)
        except httpx.ReadTimeout:
            raise no_answer(provider, call.first_byte_timeout or timeouts.first_byte) from None
        except httpx.HTTPError as problem:
            raise in_our_words(problem, provider) from problem
        return UpstreamResponse(
            status=reply.status,
            headers=response_headers(reply.headers, content_length=True),
            body=_DirectBody(reply, timeouts.idle, provider),
            close=reply.aclose,
            buffered=reply.buffered,
        )

    async def _over_httpx(self, call: UpstreamRequest, detour: Detour | None) -> UpstreamResponse:
        timeouts = self._timeouts
        provider = call.target.provider
        # Reading has no timeout of httpx's: it would be the same for the first byte and for all that follow.
        extensions: dict[str, object] = {
            "timeout": {"connect": timeouts.connect, "read": None, "write": timeouts.idle, "pool": timeouts.first_byte}
        }
        url = call.url if detour is None else detour.url(call.url)
        parts = urlsplit(url)
        if call.address is not None and (detour is None or not detour.resolves):
            host = f"[{call.address}]" if ":" in call.address else call.address
            url = urlunsplit(parts._replace(netloc=host if parts.port is None else f"{host}:{parts.port}"))
            extensions["sni_hostname"] = parts.hostname
        fields = [(b"host", parts.netloc.encode("ascii")), *call.headers.raw]
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
            raise no_url() from None
        transport = self._straight if detour is None else detour.transport
        try:
            async with asyncio.timeout(first_byte):
                response = await transport.handle_async_request(request)
        except TimeoutError:
            raise no_answer(provider, first_byte) from None
        except httpx.HTTPError as problem:
            raise in_our_words(problem, provider) from problem
        stream = response.stream
        assert isinstance(stream, httpx.AsyncByteStream)
        return UpstreamResponse(
            status=response.status_code,
            headers=response_headers(response.headers.raw, content_length=True),
            body=_body(stream, timeouts.idle, provider),
            close=_once(stream.aclose),
        )


def _lines(headers: Headers, host: tuple[bytes, bytes]) -> bytes:
    """The lines of ``headers`` towards ``host``, kept for the next call with the same ones."""
    last = headers.kept.get("lines")
    if last is not None and last[0] == host:
        lines: bytes = last[1]
        return lines
    lines = field_lines([host, *headers.raw])
    headers.kept["lines"] = (host, lines)
    return lines


class _Destination(NamedTuple):
    origin: Origin
    target: bytes
    host: tuple[bytes, bytes]


def _read(url: str, address: str | None) -> _Destination:
    """Where a call goes and what it asks for there, spelled as httpx would."""
    if len(url) > MAX_URL:
        raise no_url()
    plain = _PLAIN_URL.fullmatch(url)
    if plain is not None and "/." not in url:
        scheme, host, port, authority = plain["scheme"], plain["host"], plain["port"], plain["authority"]
        target = (plain["path"] or "/") + (plain["query"] or "")
        number = int(port) if port else _DEFAULT_PORTS[scheme]
        origin = Origin(scheme, host.strip("[]"), number, address)
        return _Destination(origin, target.encode("ascii"), (b"host", authority.encode("ascii")))
    try:
        parsed = httpx.URL(url)
        authority = urlsplit(url).netloc
    except (httpx.InvalidURL, ValueError):
        raise no_url() from None
    if parsed.scheme not in _DEFAULT_PORTS or not authority.isascii():
        raise no_url()
    origin = Origin(
        parsed.scheme, parsed.raw_host.decode("ascii"), parsed.port or _DEFAULT_PORTS[parsed.scheme], address
    )
    return _Destination(origin, parsed.raw_path, (b"host", authority.encode("ascii")))


_known = lru_cache(maxsize=1024)(_read)


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    # Reading the system's certificates takes tens of milliseconds.
    return default_context()


class _Switch(httpx.AsyncBaseTransport):
    """The transport that takes calls straight, or the detour that a URL needs."""

    def __init__(self, straight: httpx.AsyncBaseTransport, detours: Detours) -> None:
        self.straight = straight
        self._detours = detours

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        detour = self._detours(str(request.url))
        transport = self.straight if detour is None else detour.transport
        return await transport.handle_async_request(request)

    async def aclose(self) -> None:
        await self.straight.aclose()
        await self._detours.aclose()


class _DirectBody(AsyncIterator[bytes]):
    __slots__ = ("_idle", "_provider", "_reply")

    def __init__(self, reply: WireReply, idle: float, provider: str) -> None:
        self._reply = reply
        self._idle = idle
        self._provider = provider

    @property
    def at_hand(self) -> bool:
        """Whether the next piece is here already, or the end."""
        return self._reply.at_hand

    async def __anext__(self) -> bytes:
        try:
            return await self._reply.__anext__()
        except httpx.ReadTimeout:
            raise silence(self._provider, self._idle) from None
        except httpx.HTTPError as problem:
            raise in_our_words(problem, self._provider) from problem


async def _body(stream: httpx.AsyncByteStream, idle: float, provider: str) -> AsyncIterator[bytes]:
    pieces = aiter(stream)
    while True:
        try:
            async with asyncio.timeout(idle):
                data = await anext(pieces, None)
        except TimeoutError:
            raise silence(provider, idle) from None
        except httpx.HTTPError as problem:
            raise in_our_words(problem, provider) from problem
        if data is None:
            return
        yield data


def _once(close: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
    closed = False

    async def close_once() -> None:
        nonlocal closed
        if not closed:
            closed = True
            await close()

    return close_once
