"""One HTTP exchange over ASGI: admission, the pipeline, and what happens when the client leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import structlog

from helicone_gw.asgi.admission import admit
from helicone_gw.asgi.arrival import Arrival
from helicone_gw.asgi.body import ClientGone, RequestBody
from helicone_gw.asgi.types import Receive, Scope, Send
from helicone_gw.errors import BadRequest, GatewayError, InternalError
from helicone_gw.exchange import Exchange
from helicone_gw.gateway import Gateway
from helicone_gw.headers import Headers, RawHeaders
from helicone_gw.ids import new_id
from helicone_gw.ingress.clients import client_address, forwarded_prefix
from helicone_gw.model import Request
from helicone_gw.scope_extensions import ANSWER_WHOLE, LENGTH, ON_DEPARTURE, WHOLE_BODY, AnswerWhole, OnDeparture

log = structlog.get_logger("helicone_gw.asgi")

NOTICED_AFTER = 0.1
"""Seconds that an exchange runs before somebody waits for its client to leave: most are over by then, and the task that
waits costs more than the rest of them."""


_NONE: Mapping[str, Any] = {}


class HttpSink:
    """A `Sink` over ASGI's ``send``. An aborted answer is one that is never finished: the server then closes.

    ``whole`` is the server's own way to send an answer that is known whole, if it has one.

    What the client still sends of ``body`` is read and thrown away for a while before the answer is finished: closing
    on a client that is in the middle of its request may cost it the answer (RFC 9112 section 9.6).
    """

    def __init__(self, send: Send, body: RequestBody, whole: AnswerWhole | None = None) -> None:
        self._send = send
        self._body = body
        self._whole = whole
        self._head: tuple[int, RawHeaders] | None = None
        self.disconnected = False
        self.over = False
        """Whether the answer was finished or aborted: the server closing is then no client leaving."""

    async def start(self, status: int, headers: RawHeaders) -> None:
        """Send the head."""
        if self._whole is not None:
            self._head = status, headers  # servers keep it, too, until they know what follows
        elif not self.disconnected:
            await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def send(self, data: bytes) -> None:
        """Send a piece of the body."""
        if data and not self.disconnected:
            if self._head is not None:
                await self._begin(*self._head)
            await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def _begin(self, status: int, headers: RawHeaders) -> None:
        self._head = None
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def finish(self, last: bytes = b"") -> None:
        """Send the last piece of the body, and end it."""
        if not self._body.finished and not self.disconnected:
            if last:
                await self.send(last)
                last = b""
            await self._body.discard()
        self.over = True
        if self.disconnected:
            return
        if self._head is not None and self._whole is not None:
            self._whole(*self._head, last)
        else:
            await self._send({"type": "http.response.body", "body": last, "more_body": False})

    async def abort(self) -> None:
        """Nothing to send: returning without an end makes the server break the connection."""
        self.over = True


def new_exchange(gateway: Gateway, scope: Scope, arrival: Arrival) -> Exchange:
    """An exchange whose request holds what is known before anything was checked or read."""
    location = arrival.location
    request = Request(
        method=scope.get("method", "GET"),
        path=location.path,
        query="",
        headers=Headers(),
        body=b"",
        dialect=location.dialect,
        operation=location.operation,
        helicone=arrival.helicone,
        model=location.model,
        provider=location.provider,
        router=location.router,
    )
    return Exchange(new_id(), request, gateway.clock.now(), client=client_of(gateway, scope, arrival.headers))


def client_of(gateway: Gateway, scope: Scope, headers: Headers) -> str:
    """The address of the client, as far as anybody knows; "" at a unix socket."""
    client = scope.get("client")
    peer: str = client[0] if client else ""
    trusted = gateway.config.server.trusted_proxies
    return client_address(peer, headers, trusted) if trusted else peer


def prefix_of(gateway: Gateway, scope: Scope, headers: Headers) -> str:
    """What stands before the paths of the gateway's pages as browsers know them, as far as anybody said."""
    client = scope.get("client")
    trusted = gateway.config.server.trusted_proxies
    said = forwarded_prefix(client[0] if client else "", headers, trusted) if trusted else ""
    return said or gateway.keys.path_prefix


async def serve_http(gateway: Gateway, scope: Scope, arrival: Arrival, receive: Receive, send: Send) -> None:
    """Answer one request of the gateway's own paths."""
    extensions = scope.get("extensions", _NONE)
    exchange = new_exchange(gateway, scope, arrival)
    body = RequestBody(
        arrival.headers,
        receive,
        gateway.config.limits.idle_timeout,
        scope.get("http_version", "1.1"),
        extensions.get(LENGTH),
        extensions.get(WHOLE_BODY),
    )
    sink = HttpSink(send, body, extensions.get(ANSWER_WHOLE))
    task = asyncio.current_task()
    assert task is not None
    told = extensions.get(ON_DEPARTURE)
    cancel = gateway.config.limits.on_disconnect == "cancel"
    departure = Departure(exchange, sink, receive, task, told, cancel=cancel)
    gateway.entered(task)
    try:
        refusal = await _admission(gateway, exchange, arrival, body)
        if refusal is not None:
            sink.disconnected = body.abandoned
            await gateway.pipeline.refuse(exchange, refusal, sink)
            return
        if exchange._upload is None:
            departure.watch()
        else:
            exchange._upload = departure.during(exchange._upload)
        await gateway.pipeline.handle(exchange, sink)
    except asyncio.CancelledError:
        if not (sink.disconnected and task.uncancel() == 0):
            raise
    finally:
        departure.close()
        gateway.left(task)


async def _admission(gateway: Gateway, exchange: Exchange, arrival: Arrival, body: RequestBody) -> GatewayError | None:
    """Why the exchange is refused, if it is."""
    try:
        await admit(gateway, exchange, arrival, body)
    except ClientGone:
        return BadRequest("The client left before its request was complete.", code="client_left")
    except GatewayError as error:
        return error
    except Exception as fault:
        log.error("admission failed", request_id=exchange.request_id, exc_info=fault)
        return InternalError("The gateway failed to read the request; its log says why.")
    return None


class Departure:
    """Notices that the client left. ``cancel``: the exchange is then cancelled, as soon as nobody holds it; otherwise
    it runs to its end.

    ``told`` is the server's own way to be told (`ON_DEPARTURE`), if it has one.
    """

    __slots__ = ("_cancel", "_closed", "_exchange", "_receive", "_sink", "_task", "_timer", "_told", "_watcher")

    def __init__(
        self,
        exchange: Exchange,
        sink: HttpSink,
        receive: Receive,
        task: asyncio.Task[object],
        told: OnDeparture | None = None,
        *,
        cancel: bool,
    ) -> None:
        self._exchange = exchange
        self._sink = sink
        self._receive = receive
        self._task = task
        self._told = told
        self._cancel = cancel
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._watcher: asyncio.Task[None] | None = None

    def watch(self) -> None:
        """Begin to wait for it, now or `NOTICED_AFTER` seconds from now; the request must have been read whole."""
        if self._told is not None:
            self._told(self._left)
        else:
            self._timer = self._task.get_loop().call_later(NOTICED_AFTER, self._begin)

    def _begin(self) -> None:
        self._watcher = asyncio.ensure_future(self._wait())

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._left()

    def _left(self) -> None:
        if not self._sink.over:
            self._sink.disconnected = True
            if self._cancel:
                self._exchange._client_left(self._depart)

    def _depart(self) -> None:
        # The last holder may let go when the exchange is over, and its task is somebody else's.
        if not self._closed:
            self._task.cancel()

    async def during(self, upload: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """``upload``, then `watch`; an end before its last byte is the departure, and nothing can be finished then."""
        try:
            async for piece in upload:
                yield piece
        except ClientGone:
            self._sink.disconnected = True
            self._task.cancel()
            await asyncio.Event().wait()  # until that cancellation arrives
        self.watch()

    def close(self) -> None:
        """Stop waiting."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()
