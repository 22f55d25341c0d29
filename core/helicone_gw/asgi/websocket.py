"""One WebSocket over ASGI: an exchange whose body is an opaque tunnel, its usage summed from the provider's events."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qsl

from helicone_gw.asgi.admission import admit
from helicone_gw.asgi.arrival import Arrival
from helicone_gw.asgi.body import RequestBody
from helicone_gw.asgi.http import new_exchange
from helicone_gw.asgi.types import Message, Receive, Scope, Send
from helicone_gw.dialects.openai_realtime import realtime_usage
from helicone_gw.errors import GatewayError, PermissionDenied
from helicone_gw.exchange import Exchange
from helicone_gw.gateway import Gateway
from helicone_gw.headers import Headers, RawHeaders
from helicone_gw.ingress.forwarding import WEBSOCKET_KEY
from helicone_gw.ingress.paths import looks_like_key
from helicone_gw.model import Target, Usage
from helicone_gw.pipeline.answer import Answer
from helicone_gw.pipeline.messages import Filters
from helicone_gw.upstream.tunnel import tunnel
from helicone_gw.upstream.websocket import connect

SWITCHING_PROTOCOLS = 101


class WebSocketSink:
    """A `Sink` whose head either lets the client in (101) or is the HTTP answer to its handshake."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._send = send
        self._can_refuse = "websocket.http.response" in scope.get("extensions", {})
        self._refused = False
        self.subprotocol: str | None = None
        self.disconnected = False

    async def start(self, status: int, headers: RawHeaders) -> None:
        """Accept, or refuse with ``status``."""
        if status == SWITCHING_PROTOCOLS:
            own = [field for field in headers if field[0].startswith(b"helicone-")]
            await self._send({"type": "websocket.accept", "subprotocol": self.subprotocol, "headers": own})
            return
        self._refused = True
        if self._can_refuse:
            await self._send({"type": "websocket.http.response.start", "status": status, "headers": list(headers)})

    async def send(self, data: bytes) -> None:
        """A piece of a refusal's body."""
        if self._can_refuse and data:
            await self._send({"type": "websocket.http.response.body", "body": data, "more_body": True})

    async def finish(self, last: bytes = b"") -> None:
        """End of a refusal, with its body; the tunnel closes an accepted socket itself."""
        if not self._refused:
            return
        if self._can_refuse:
            await self._send({"type": "websocket.http.response.body", "body": last, "more_body": False})
        else:
            await self._send({"type": "websocket.close", "code": 1008})

    async def abort(self) -> None:
        """Returning ends the connection."""


async def serve_websocket(gateway: Gateway, scope: Scope, arrival: Arrival, receive: Receive, send: Send) -> None:
    """Tunnel one WebSocket to the provider that its address and model lead to."""
    exchange = new_exchange(gateway, scope, arrival)
    sink = WebSocketSink(scope, send)
    task = asyncio.current_task()
    gateway.entered(task)
    try:
        await receive()  # websocket.connect
        try:
            await admit(gateway, exchange, arrival, RequestBody(Headers(), _no_body, 1.0))
        except GatewayError as error:
            await gateway.pipeline.refuse(exchange, error, sink)
            return
        offered = [name for name in scope.get("subprotocols", ()) if not await _is_key(gateway, name)]
        call = _TunnelCall(gateway, receive, send, sink, offered)
        await gateway.pipeline.handle(exchange, sink, call.make)
    finally:
        gateway.left(task)


async def _is_key(gateway: Gateway, subprotocol: str) -> bool:
    """Whether a subprotocol carries a key: the provider's goes in a header, and the gateway's nowhere."""
    secret = subprotocol.lower().startswith(WEBSOCKET_KEY) or looks_like_key(subprotocol)
    return secret or await gateway.keys.knows(subprotocol)


def _check_permits(exchange: Exchange, target: Target) -> None:
    """Refuse a key with permitted models what cannot be held to them: a socket whose messages choose the model."""
    permits = exchange.permits
    if permits is None or permits.models is None:
        return
    named = [name for name, _ in parse_qsl(exchange.request.query, max_num_fields=1000) if name == "model"]
    if target.model is None or len(named) != 1 or exchange.request.operation != "realtime":
        raise PermissionDenied(
            "This key is limited to certain models, so a WebSocket must name exactly one in its address.",
            code="model_not_permitted",
        )


async def _no_body() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


class _TunnelCall:
    """Connects to the provider in place of an HTTP attempt."""

    def __init__(self, gateway: Gateway, receive: Receive, send: Send, sink: WebSocketSink, offered: list[str]) -> None:
        self._gateway = gateway
        self._receive = receive
        self._send = send
        self._sink = sink
        self._offered = offered
        self._usage: Usage | None = None

    async def make(self, exchange: Exchange, target: Target, *, layer: int, gated: bool) -> Answer:
        """Connect. The answer's tunnel runs until one side closes."""
        attempts = self._gateway.pipeline.services.attempts
        with attempts.opened(exchange, target) as attempt:
            _check_permits(exchange, target)
            call = (await attempts.prepare(exchange, target)).request
            attempt.url = call.url.partition("?")[0]
            connection = await connect(
                call.url,
                call.headers,
                self._offered,
                call.address,
                open_timeout=self._gateway.config.limits.connect_timeout,
            )
            attempt.status = SWITCHING_PROTOCOLS
            attempt.first_byte_at = exchange.first_byte_at = self._gateway.clock.now()
            self._sink.subprotocol = connection.subprotocol

        async def run() -> int:
            try:
                filters = Filters(exchange._message_filters) if exchange._message_filters else None
                end = await tunnel(self._receive, self._send, connection, self._note, filters)
            finally:
                attempt.usage = self._usage  # also of a tunnel that was cancelled
            if end.error is not None:
                attempt.error = exchange.error = end.error
            return end.bytes_sent

        return Answer(SWITCHING_PROTOCOLS, Headers(), layer, attempt=attempt, tunnel=run, close=connection.close)

    def _note(self, side: str, message: str | bytes) -> None:
        if side == "upstream":
            used = realtime_usage(message)
            if used is not None:
                self._usage = used if self._usage is None else self._usage + used
