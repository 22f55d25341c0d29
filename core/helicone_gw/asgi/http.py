"""One HTTP exchange over ASGI: admission, the pipeline, and what happens when the client leaves."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

from helicone_gw.asgi.admission import admit
from helicone_gw.asgi.body import ClientGone, RequestBody
from helicone_gw.asgi.types import Receive, Scope, Send
from helicone_gw.errors import GatewayError
from helicone_gw.gateway import Gateway
from helicone_gw.headers import Headers, RawHeaders
from helicone_gw.helicone import parse_helicone_headers
from helicone_gw.ingress.location import Location
from helicone_gw.model import Exchange, Request


class HttpSink:
    """A `Sink` over ASGI's ``send``. An aborted answer is one that is never finished: the server then closes."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.disconnected = False
        self.over = False
        """Whether the answer was finished or aborted: the server closing is then no client leaving."""

    async def start(self, status: int, headers: RawHeaders) -> None:
        """Send the head."""
        if not self.disconnected:
            await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def send(self, data: bytes) -> None:
        """Send a piece of the body."""
        if data and not self.disconnected:
            await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def finish(self) -> None:
        """End the body."""
        self.over = True
        if not self.disconnected:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def abort(self) -> None:
        """Nothing to send: returning without an end makes the server break the connection."""
        self.over = True


def new_exchange(gateway: Gateway, scope: Scope, headers: Headers, location: Location) -> Exchange:
    """An exchange whose request holds what is known before anything was checked or read."""
    request = Request(
        method=scope.get("method", "GET"),
        path=location.path,
        query="",
        headers=Headers(),
        body=b"",
        dialect=location.dialect,
        operation=location.operation,
        helicone=parse_helicone_headers(headers),
        model=location.model,
        provider=location.provider,
    )
    client = scope.get("client")
    return Exchange(str(uuid.uuid4()), request, gateway.clock.now(), client=client[0] if client else "")


async def serve_http(gateway: Gateway, scope: Scope, receive: Receive, send: Send, location: Location) -> None:
    """Answer one request of the gateway's own paths."""
    headers = Headers(scope["headers"])
    exchange = new_exchange(gateway, scope, headers, location)
    sink = HttpSink(send)
    body = RequestBody(headers, receive, gateway.config.limits.idle_timeout)
    task = asyncio.current_task()
    assert task is not None
    gateway.entered()
    watcher: asyncio.Task[None] | None = None
    try:
        try:
            await admit(gateway, exchange, scope, headers, location, body)
        except ClientGone:
            sink.disconnected = True
            await gateway.pipeline.refuse(exchange, GatewayError("The client left.", code="client_left"), sink)
            return
        except GatewayError as error:
            await body.discard(int(gateway.config.server.max_body))
            await gateway.pipeline.refuse(exchange, error, sink)
            return
        departure = Departure(exchange, sink, task, cancel=gateway.config.limits.on_disconnect == "cancel")
        if exchange._upload is None:
            watcher = asyncio.ensure_future(departure.watch(receive))
        else:
            exchange._upload = departure.during(exchange._upload)
        await gateway.pipeline.handle(exchange, sink)
    except asyncio.CancelledError:
        if not (sink.disconnected and task.uncancel() == 0):
            raise
    finally:
        if watcher is not None:
            watcher.cancel()
        gateway.left()


class Departure:
    """Notices that the client left. ``cancel``: the exchange is then cancelled, otherwise it runs to its end."""

    def __init__(self, exchange: Exchange, sink: HttpSink, task: asyncio.Task[object], *, cancel: bool) -> None:
        self._exchange = exchange
        self._sink = sink
        self._task = task
        self._cancel = cancel

    async def watch(self, receive: Receive) -> None:
        """Wait for it; the request must have been read whole."""
        while (await receive())["type"] != "http.disconnect":
            pass
        if not self._sink.over:
            self._sink.disconnected = True
            if self._cancel:
                self._task.cancel()

    async def during(self, upload: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """``upload``, whose end without its last byte is the client's departure: nothing can be finished then."""
        try:
            async for piece in upload:
                yield piece
        except ClientGone:
            self._sink.disconnected = True
            self._task.cancel()
            await asyncio.Event().wait()  # until that cancellation arrives
