"""aiohttp's client under httpx's API: a second transport, for those who have it in use and trust it."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import httpx

from helicone_gw.errors import ConfigError

try:
    import aiohttp
    from yarl import URL
except ImportError:
    raise ConfigError(
        ["upstream.transport: aiohttp needs the package 'aiohttp': pip install 'helicone-gw[aiohttp]'"]
    ) from None

_PIECE = 64 * 1024
_MAX_LINE = 64 * 1024
_MAX_FIELDS = 200
_NO_EXTRAS = frozenset({"Accept", "Accept-Encoding", "Content-Type", "User-Agent"})
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 section 5.6.2


class AiohttpTransport(httpx.AsyncBaseTransport):
    """An `httpx.AsyncBaseTransport` over `aiohttp.ClientSession`, HTTP/1.1 only.

    Bodies are raw both ways, no redirect is followed, no cookie kept, no proxy of the environment used; headers are
    sent as they are given. ``extensions`` of a request are read as httpx's own transport reads them: ``timeout``
    (connect, read, write and pool, in seconds) and ``sni_hostname``. ``limits`` are httpx's, but for idle connections
    aiohttp has no bound of their own; ``per_host`` bounds the connections of one origin, 0 does not.

    A request with a body of bytes that died on a connection used before, without an answer, is sent once more.
    Must be used within one event loop, and closed. Header values that are not UTF-8 cannot be sent.
    """

    def __init__(self, *, verify: ssl.SSLContext, limits: httpx.Limits, per_host: int = 0) -> None:
        self._verify = verify
        self._limits = limits
        self._per_host = per_host
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send ``request``; the answer's body is open. Raises `httpx.TransportError`, and what the body raises."""
        if self._closed:
            raise httpx.ConnectError("The transport is closed.")
        if self._session is None:
            self._session = self._open()
        response = await _Call(request).send(self._session)
        if response.status == httpx.codes.SWITCHING_PROTOCOLS:
            response.close()
            raise httpx.RemoteProtocolError("The server switched protocols without being asked.")
        return httpx.Response(
            response.status,
            headers=list(response.raw_headers),
            stream=_Body(response),
            extensions={
                "http_version": b"HTTP/1.0" if response.version == aiohttp.HttpVersion10 else b"HTTP/1.1",
                "reason_phrase": (response.reason or "").encode("latin-1", "replace"),
            },
        )

    async def aclose(self) -> None:
        """Close every connection; further requests fail."""
        self._closed = True
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        # Made with the first request: aiohttp binds sessions to the running loop.
        limits = self._limits
        connector = aiohttp.TCPConnector(
            ssl=self._verify,
            limit=limits.max_connections or 0,
            limit_per_host=self._per_host,
            keepalive_timeout=limits.keepalive_expiry,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=_NO_EXTRAS,
            max_line_size=_MAX_LINE,
            max_field_size=_MAX_LINE,
            max_headers=_MAX_FIELDS,
            trace_configs=[_tracing()],
        )


class _Call:
    """One request on its way: in which phase it is, and until when that phase may last."""

    def __init__(self, request: httpx.Request) -> None:
        self._request = request
        self._timeouts: dict[str, float | None] = request.extensions.get("timeout") or {}
        self._phase: type[httpx.TransportError] = httpx.ReadTimeout
        self._scope: asyncio.Timeout | None = None
        self._fault: Exception | None = None
        self._reused = False
        self._short = True

    async def send(self, session: aiohttp.ClientSession) -> aiohttp.ClientResponse:
        options = self._options()
        try:
            try:
                return await self._once(session, options)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as problem:
                # The server closed an idle connection while the request was on its way to it.
                if not self._is_stale(problem, options["data"]):
                    raise
            return await self._once(session, options)
        except (aiohttp.ClientError, OSError, ValueError) as problem:
            if self._fault is not None:
                raise self._fault from None
            # What is below aiohttp's own class: the operating system's error, or OpenSSL's.
            raise self._translated(problem) from problem.__cause__ or problem

    def _is_stale(self, problem: Exception, data: object) -> bool:
        if not self._reused or self._fault is not None or not isinstance(data, bytes | None):
            return False
        if isinstance(problem, aiohttp.ServerDisconnectedError):
            # What there is of a reply, if there is any, and else a text.
            return isinstance(problem.message, str)
        return not isinstance(problem, aiohttp.ClientConnectorError)

    async def _once(self, session: aiohttp.ClientSession, options: dict[str, Any]) -> aiohttp.ClientResponse:
        self._reused = False
        try:
            async with asyncio.timeout(None) as self._scope:
                return await session.request(self._request.method, **options, trace_request_ctx=self)
        finally:
            self._scope = None

    def _options(self) -> dict[str, Any]:
        if not _TOKEN.fullmatch(self._request.method.encode()):
            raise httpx.LocalProtocolError("The method is not one.")
        headers: list[tuple[str, str]] = []
        for name, value in self._request.headers.raw:
            if not _TOKEN.fullmatch(name):
                raise httpx.LocalProtocolError("A header name is not one.")
            # How a body without a length is framed is aiohttp's to say.
            if name.lower() == b"transfer-encoding":
                continue
            try:
                # aiohttp encodes headers as UTF-8.
                headers.append(("Host" if name.lower() == b"host" else name.decode("ascii"), value.decode()))
            except UnicodeDecodeError:
                raise httpx.LocalProtocolError("A header value is not UTF-8.") from None
        try:
            url = URL(str(self._request.url), encoded=True)
        except ValueError:
            raise httpx.LocalProtocolError("The URL is not one.") from None
        sni = self._request.extensions.get("sni_hostname")
        return {
            "url": url,
            "headers": headers,
            "data": self._content(),
            "allow_redirects": False,
            "server_hostname": sni if url.scheme == "https" else None,
            "timeout": aiohttp.ClientTimeout(total=None, sock_read=self._timeouts.get("read")),
        }

    def _content(self) -> bytes | AsyncIterator[bytes] | None:
        try:
            content = self._request.content
        except httpx.RequestNotRead:
            stream = self._request.stream
            assert isinstance(stream, httpx.AsyncByteStream)
            self._short = False
            return self._pieces(aiter(stream))
        if len(content) <= _PIECE:
            return content or None
        self._short = False
        return self._pieces(_cut(content))

    async def _pieces(self, source: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The body, with the bound for writing running while aiohttp writes and not while the source thinks."""
        try:
            async for piece in source:
                self.enter(httpx.WriteTimeout, "write")
                yield piece
                self.leave()
            self.enter(httpx.ReadTimeout, "read")
        except Exception as fault:
            self._fault = fault
            raise

    def enter(self, phase: type[httpx.TransportError], timeout: str) -> None:
        """A phase begins, whose end is bounded."""
        seconds = self._timeouts.get(timeout)
        if self._scope is not None and not self._scope.expired():
            self._phase = phase
            self._scope.reschedule(None if seconds is None else asyncio.get_running_loop().time() + seconds)

    def leave(self) -> None:
        """It ended."""
        if self._scope is not None and not self._scope.expired():
            self._scope.reschedule(None)

    def connected(self, *, reused: bool) -> None:
        """There is a connection, which served requests before or did not; a short body is as good as sent."""
        self._reused = reused
        if self._short:
            # aiohttp's own timer for reading stops with the first interim reply.
            self.enter(httpx.ReadTimeout, "read")
        else:
            self.leave()

    def _translated(self, problem: Exception) -> httpx.TransportError:
        if isinstance(problem, aiohttp.ServerTimeoutError):
            return httpx.ReadTimeout("")
        if isinstance(problem, TimeoutError):
            return self._phase("")
        if isinstance(problem, ValueError) and not isinstance(problem, OSError | aiohttp.ClientError):
            return httpx.LocalProtocolError("The request cannot be sent as it is.")
        return _translated(problem)


class _Body(httpx.AsyncByteStream):
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._response.content.iter_any():
                yield piece
        except (aiohttp.ClientError, OSError) as problem:
            raise _translated(problem) from problem.__cause__ or problem

    async def aclose(self) -> None:
        """Give the connection back if the body was read to its end, and close it otherwise."""
        self._response.close()


async def _cut(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), _PIECE):
        yield content[start : start + _PIECE]


def _translated(problem: Exception) -> httpx.TransportError:
    # Their messages hold URLs; the class and the operating system's error, which is the cause, say enough.
    match problem:
        case aiohttp.ServerTimeoutError():
            return httpx.ReadTimeout("")
        case aiohttp.ClientConnectorError() | aiohttp.ClientSSLError() | aiohttp.ClientConnectorCertificateError():
            return httpx.ConnectError("")
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return httpx.UnsupportedProtocol("")
        case aiohttp.ClientPayloadError() | aiohttp.ServerDisconnectedError() | aiohttp.ClientResponseError():
            return httpx.RemoteProtocolError("")
        case _:
            return httpx.ReadError("")


def _tracing() -> aiohttp.TraceConfig:
    """What tells a `_Call` in which phase it is."""
    tracing = aiohttp.TraceConfig()

    async def queued(session: aiohttp.ClientSession, context: SimpleNamespace, _: Any) -> None:
        context.trace_request_ctx.enter(httpx.PoolTimeout, "pool")

    async def connecting(session: aiohttp.ClientSession, context: SimpleNamespace, _: Any) -> None:
        context.trace_request_ctx.enter(httpx.ConnectTimeout, "connect")

    async def dequeued(session: aiohttp.ClientSession, context: SimpleNamespace, _: Any) -> None:
        context.trace_request_ctx.leave()

    async def connected(session: aiohttp.ClientSession, context: SimpleNamespace, _: Any) -> None:
        context.trace_request_ctx.connected(reused=False)

    async def reused(session: aiohttp.ClientSession, context: SimpleNamespace, _: Any) -> None:
        context.trace_request_ctx.connected(reused=True)

    tracing.on_connection_queued_start.append(queued)
    tracing.on_connection_queued_end.append(dequeued)
    tracing.on_connection_create_start.append(connecting)
    tracing.on_connection_create_end.append(connected)
    tracing.on_connection_reuseconn.append(reused)
    return tracing
