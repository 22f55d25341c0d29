"""The WebSocket tunnel to a provider: opaque messages both ways, until either side closes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl as ssl_module
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as _websockets_connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus, InvalidURI
from websockets.typing import Subprotocol

from helicone_gw.errors import (
    UpstreamConnectError,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamStatus,
    UpstreamTimeout,
)
from helicone_gw.headers import Headers
from helicone_gw.model import Response
from helicone_gw.upstream.headers import response_headers
from helicone_gw.upstream.urls import websocket_url

MAX_MESSAGE = 16 * 2**20
"""Largest message of a provider, in bytes; a larger one closes the tunnel with 1009 (message too big)."""

MAX_QUEUE = 4
"""Messages of a provider that wait for the client; past that its connection is not read (back-pressure)."""

CLOSE_TIMEOUT = 5.0
"""Seconds that a provider has to answer our close."""

_LOGGER = logging.getLogger(__name__)
_LOGGER.setLevel(logging.INFO)  # At DEBUG the library logs handshakes, credentials included, and every message.

_HANDSHAKE_FIELDS = frozenset({b"host", b"upgrade", b"connection", b"content-length", b"origin"})
_NO_STATUS, _ABNORMAL, _GOING_AWAY, _NORMAL, _INTERNAL_ERROR = 1005, 1006, 1001, 1000, 1011
_MAX_REASON = 123

Event = Mapping[str, Any]
ClientReceive = Callable[[], Awaitable[Event]]
"""The ASGI ``receive`` of an accepted WebSocket."""

ClientSend = Callable[[MutableMapping[str, Any]], Awaitable[None]]
"""The ASGI ``send`` of an accepted WebSocket."""

Side = Literal["client", "upstream"]
OnMessage = Callable[[Side, str | bytes], None]
"""Told of every message before it goes on: who sent it, and its text or bytes. It must neither wait nor raise."""


@dataclass(frozen=True, slots=True)
class TunnelEnd:
    """How a tunnel ended: who closed it, with which code and reason (RFC 6455 section 7.4), and how much went through.

    ``bytes_sent`` counts the payload bytes handed to the client. ``error`` is set when the provider's connection broke
    without a close frame, or was closed by us because of what it sent.
    """

    closed_by: Side
    code: int
    reason: str
    bytes_sent: int
    error: UpstreamError | None = None


class _Connect(_websockets_connect):
    def process_redirect(self, exc: Exception) -> Exception:
        """A redirect is an answer like any other: the target was checked, where it points to was not."""
        return exc


async def connect(
    url: str,
    headers: Headers,
    subprotocols: Sequence[str] = (),
    address: str | None = None,
    *,
    open_timeout: float = 10.0,
    max_size: int = MAX_MESSAGE,
    ssl: ssl_module.SSLContext | None = None,
    proxy: str | None = None,
) -> ClientConnection:
    """Open a WebSocket to a provider.

    ``url`` may be ``ws(s)`` or ``http(s)``; ``headers`` as `upstream_headers` makes them; ``address`` is the IP address
    to connect to in place of the name's own (the name still is in ``Host`` and in TLS). ``open_timeout`` (seconds)
    bounds connection and handshake, ``max_size`` (bytes) a message. No compression is offered: events are small, and
    deflate would keep 64 KiB per connection. Pings are answered, and sent every 20 seconds, by the library.

    Raises `UpstreamStatus` with the provider's own answer when it refuses (401, 429, a redirect), `UpstreamTimeout`,
    `UpstreamConnectError`, `UpstreamProtocolError`.
    """
    uri = websocket_url(url)
    options: dict[str, Any] = {}
    if address is not None:
        options["host"] = address
    if ssl is not None and uri.startswith("wss:"):
        options["ssl"] = ssl
    fields = [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in headers.raw
        if name not in _HANDSHAKE_FIELDS and not name.startswith(b"sec-websocket-")
    ]
    try:
        return await _Connect(
            uri,
            additional_headers=fields,
            subprotocols=[cast("Subprotocol", name) for name in subprotocols] or None,
            compression=None,
            user_agent_header=None,
            proxy=proxy,
            open_timeout=open_timeout,
            close_timeout=CLOSE_TIMEOUT,
            max_size=max_size,
            max_queue=MAX_QUEUE,
            logger=_LOGGER,
            **options,
        )
    except InvalidStatus as refusal:
        raise UpstreamStatus(_refusal(refusal)) from None
    except TimeoutError:
        raise UpstreamTimeout(f"The provider did not open the WebSocket within {open_timeout:g} seconds.") from None
    except InvalidMessage:
        raise UpstreamProtocolError("The provider's answer to the WebSocket handshake is not HTTP.") from None
    except InvalidHandshake as problem:
        # Its message may quote what was sent; the class says enough.
        raise UpstreamProtocolError(f"The WebSocket handshake failed ({type(problem).__name__}).") from None
    except (InvalidURI, ValueError):
        raise UpstreamProtocolError("The provider's URL is not one of a WebSocket.") from None
    except OSError as problem:
        cause = problem.reason if isinstance(problem, ssl_module.SSLError) else problem.strerror
        raise UpstreamConnectError(f"The provider cannot be reached ({cause or type(problem).__name__}).") from None


def _refusal(refusal: InvalidStatus) -> Response:
    answer = refusal.response
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.raw_items()]
    return Response(answer.status_code, response_headers(raw), bytes(answer.body or b""))


async def tunnel(
    client_receive: ClientReceive,
    client_send: ClientSend,
    connection: ClientConnection,
    on_message: OnMessage | None = None,
) -> TunnelEnd:
    """Relay messages between an accepted client and ``connection`` until one side closes; both are closed after it.

    Text stays text and bytes stay bytes. Each side is read only as fast as the other takes it. Close codes and reasons
    are passed on; one that may not travel in a close frame (1005, 1006, 1015) becomes 1000 or 1001 towards the
    provider, and a provider that vanishes becomes 1011 towards the client, so that it does not look like a clean end.
    Cancelling it closes both sides with 1001.
    """
    relay = _Relay(client_receive, client_send, connection, on_message)
    upwards = asyncio.ensure_future(relay.client_to_upstream())
    downwards = asyncio.ensure_future(relay.upstream_to_client())
    closed = False
    try:
        await asyncio.wait({upwards, downwards}, return_when=asyncio.FIRST_COMPLETED)
        # When the provider closes while a client's message is on its way there, the close is heard by the other task.
        if not downwards.done() and upwards.result() is None:
            await asyncio.wait({downwards})
        end = downwards.result() if downwards.done() else cast("TunnelEnd", upwards.result())
        closed = end.closed_by == "upstream"
        return end
    finally:
        await _settle(upwards, downwards)
        code, reason = relay.goodbye
        if not closed and not relay.client_gone:
            with contextlib.suppress(Exception):
                await client_send({"type": "websocket.close", "code": _GOING_AWAY, "reason": ""})
        await connection.close(code, reason)


async def _settle(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class _Relay:
    def __init__(
        self,
        client_receive: ClientReceive,
        client_send: ClientSend,
        connection: ClientConnection,
        on_message: OnMessage | None,
    ) -> None:
        self._receive = client_receive
        self._send = client_send
        self._connection = connection
        self._on_message = on_message
        self._bytes_sent = 0
        self.client_gone = False
        self.goodbye: tuple[int, str] = (_GOING_AWAY, "")

    async def client_to_upstream(self) -> TunnelEnd | None:
        """Until the client leaves; ``None`` when the provider closed first."""
        while True:
            event = await self._receive()
            if event["type"] == "websocket.disconnect":
                return self._client_left(event.get("code") or _NO_STATUS, event.get("reason") or "")
            if event["type"] != "websocket.receive":
                continue
            text, data = event.get("text"), event.get("bytes")
            message: str | bytes = text if text is not None else data or b""
            if self._on_message is not None:
                self._on_message("client", message)
            try:
                await self._connection.send(message)
            except ConnectionClosed:
                return None

    async def upstream_to_client(self) -> TunnelEnd:
        while True:
            try:
                message = await self._connection.recv()
            except ConnectionClosed as closed:
                return await self._upstream_closed(closed)
            if self._on_message is not None:
                self._on_message("upstream", message)
            event: dict[str, Any] = {"type": "websocket.send"}
            event["text" if isinstance(message, str) else "bytes"] = message
            try:
                await self._send(event)
            except Exception:
                # Servers differ in what they raise for a client that is gone; none of it is the provider's fault.
                return self._client_left(_ABNORMAL, "")
            self._bytes_sent += len(message.encode()) if isinstance(message, str) else len(message)

    def _client_left(self, code: int, reason: str) -> TunnelEnd:
        self.client_gone = True
        self.goodbye = (_sendable(code), _bounded(reason))
        return TunnelEnd("client", code, reason, self._bytes_sent)

    async def _upstream_closed(self, closed: ConnectionClosed) -> TunnelEnd:
        error: UpstreamError | None = None
        if closed.rcvd is not None and closed.rcvd_then_sent is not False:
            code, reason = closed.rcvd.code, closed.rcvd.reason
        elif closed.sent is not None:
            # We closed it: a message too big (1009), text that is not UTF-8 (1007), no answer to a ping (1011).
            code, reason = closed.sent.code, closed.sent.reason
            error = UpstreamProtocolError(f"The provider's WebSocket was closed with {code}: {reason or 'no reason'}.")
        else:
            code, reason = _INTERNAL_ERROR, "the provider's connection broke"
            error = UpstreamProtocolError("The provider's WebSocket broke without a close.")
        shown = _NORMAL if code == _NO_STATUS else code if _may_travel(code) else _INTERNAL_ERROR
        with contextlib.suppress(Exception):
            await self._send({"type": "websocket.close", "code": shown, "reason": _bounded(reason)})
        return TunnelEnd("upstream", code, reason, self._bytes_sent, error)


def _may_travel(code: int) -> bool:
    return 1000 <= code < 5000 and code not in {1004, _NO_STATUS, _ABNORMAL, 1015} and not 1016 <= code < 3000


def _sendable(code: int) -> int:
    """A close code for the provider: the client's own if it may be in a close frame (RFC 6455 section 7.4.1)."""
    if _may_travel(code):
        return code
    return _NORMAL if code == _NO_STATUS else _GOING_AWAY


def _bounded(reason: str) -> str:
    """At most 123 bytes, cut between characters (RFC 6455 section 5.5.1)."""
    return reason.encode("utf-8", "replace")[:_MAX_REASON].decode("utf-8", "ignore")
