"""httpx's transport, with a pool that loses no place to a request that was cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx


class PooledTransport(httpx.AsyncHTTPTransport):
    """An `httpx.AsyncHTTPTransport` whose requests may be cancelled at any moment.

    httpcore 1.0 keeps a place in the pool for ever when a request is cancelled after it was given a new connection and
    before it used it (encode/httpcore#1093), or while its answer is being closed. Clients that leave cancel requests
    all day long, so the pool would run dry.
    """

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send ``request``; the answer's body is open. Raises `httpx.HTTPError`."""
        try:
            response = await super().handle_async_request(request)
        except BaseException:
            self._reclaim()
            raise
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = _Body(response.stream)
        return response

    def _reclaim(self) -> None:
        """Close connections that serve no request and can serve no other one, and let others have their places."""
        pool = self._pool
        wanted = {id(request.connection) for request in pool._requests}
        orphans = [
            connection
            for connection in pool._connections
            if id(connection) not in wanted and not connection.is_idle() and not connection.is_closed()
        ]
        if not orphans:
            return
        for connection in orphans:
            pool._connections.remove(connection)
        closing = asyncio.ensure_future(pool._close_connections([*orphans, *pool._assign_requests_to_connections()]))
        _closing.add(closing)
        closing.add_done_callback(_closing.discard)


_closing: set[asyncio.Future[None]] = set()


class _Body(httpx.AsyncByteStream):
    """A body that is closed to the end even if whoever closes it is cancelled meanwhile."""

    def __init__(self, stream: httpx.AsyncByteStream) -> None:
        self._stream = stream
        self._closed: asyncio.Future[None] | None = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._stream)

    async def aclose(self) -> None:
        if self._closed is None:
            self._closed = asyncio.ensure_future(self._stream.aclose())
        await asyncio.shield(self._closed)
