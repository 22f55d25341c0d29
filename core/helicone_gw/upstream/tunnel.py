"""The tunnel between the WebSockets of a client and of a provider: messages both ways, until either side closes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Literal

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from helicone_gw.errors import UpstreamError, UpstreamProtocolError
from helicone_gw.pipeline.messages import Filters, Message, Passed

_NO_STATUS, _ABNORMAL, _GOING_AWAY, _NORMAL, _INTERNAL_ERROR, _POLICY_VIOLATION = 1005, 1006, 1001, 1000, 1011, 1008
_MAX_REASON = 123

Event = Mapping[str, Any]
ClientReceive = Callable[[], Awaitable[Event]]
"""The ASGI ``receive`` of an accepted WebSocket."""

ClientSend = Callable[[MutableMapping[str, Any]], Awaitable[None]]
"""The ASGI ``send`` of an accepted WebSocket."""

Side = Literal["client", "upstream"]
TICK = 0.1
"""Seconds between two ticks of message filters."""
OnMessage = Callable[[Side, str | bytes], None]
"""Told of every message before it goes on: who sent it, and its text or bytes. It must neither wait nor raise."""


@dataclass(frozen=True, slots=True)
class TunnelEnd:
    """How a tunnel ended: who closed it, with which code and reason (RFC 6455 section 7.4), and how much went through.

    "gateway": a message filter wanted it so. ``bytes_sent`` counts the payload bytes handed to the client. ``error`` is
    set when the provider's connection broke without a close frame, or was closed by us because of what it sent.
    """

    closed_by: Literal["client", "upstream", "gateway"]
    code: int
    reason: str
    bytes_sent: int
    error: UpstreamError | None = None


async def tunnel(
    client_receive: ClientReceive,
    client_send: ClientSend,
    connection: ClientConnection,
    on_message: OnMessage | None = None,
    filters: Filters | None = None,
) -> TunnelEnd:
    """Relay messages between an accepted client and ``connection`` until one side closes; both are closed after it.

    Messages pass through ``filters``, if any. Text stays text and bytes stay bytes. Each side is read only as fast as
    the other takes it. Close codes and reasons are passed on; one that may not travel in a close frame (1005, 1006,
    1015) becomes 1000 or 1001 towards the provider, and a provider that vanishes becomes 1011 towards the client, so
    that it does not look like a clean end. Cancelling it closes both sides with 1001.
    """
    relay = _Relay(client_receive, client_send, connection, on_message, filters)
    upwards: asyncio.Future[TunnelEnd | None] = asyncio.ensure_future(relay.client_to_upstream())
    downwards: asyncio.Future[TunnelEnd | None] = asyncio.ensure_future(relay.upstream_to_client())
    tasks = [downwards, upwards]
    if filters is not None:
        tasks.append(asyncio.ensure_future(relay.ticking()))
    closed = False
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        # When the provider closes while a client's message is on its way there, the close is heard by the other task.
        if not any(task.done() and task.result() is not None for task in tasks):
            await asyncio.wait({downwards})
        end = next(end for task in tasks if task.done() and (end := task.result()) is not None)
        closed = end.closed_by == "upstream"
        if end.closed_by == "gateway":
            closed = True
            with contextlib.suppress(Exception):
                await client_send({"type": "websocket.close", "code": end.code, "reason": end.reason})
        return end
    finally:
        await _settle(*tasks)
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
        filters: Filters | None,
    ) -> None:
        self._receive = client_receive
        self._send = client_send
        self._connection = connection
        self._on_message = on_message
        self._filters = filters
        self._downwards = asyncio.Lock()
        """Whoever has it sends to the client: what filters let go stays in its order."""
        self._upwards = asyncio.Lock()
        """The same towards the provider; taken before the other one."""
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
            message: Message = text if text is not None else data or b""
            if self._on_message is not None:
                self._on_message("client", message)
            try:
                if self._filters is None:
                    await self._connection.send(message)
                elif (end := await self._through(self._filters, message)) is not None:
                    return end
            except ConnectionClosed:
                return None

    async def _through(self, filters: Filters, message: Message) -> TunnelEnd | None:
        async with self._upwards:
            passed = filters.from_client(message)
            if passed.to_client or passed.close:
                async with self._downwards:
                    return await self._pass(passed)
            for each in passed.to_upstream:
                await self._connection.send(each)
        return None

    async def upstream_to_client(self) -> TunnelEnd | None:
        while True:
            try:
                message = await self._connection.recv()
            except ConnectionClosed as closed:
                return await self._upstream_closed(closed)
            if self._on_message is not None:
                self._on_message("upstream", message)
            async with self._downwards:
                passed = Passed((), (message,)) if self._filters is None else self._filters.from_upstream(message)
                try:
                    end = await self._pass(passed)
                except ConnectionClosed:
                    continue  # it is heard by reading on
            if end is not None:
                return end

    async def ticking(self) -> TunnelEnd | None:
        """Let filters know that time goes by, until one of them ends it."""
        assert self._filters is not None
        while True:
            await asyncio.sleep(TICK)
            async with self._upwards, self._downwards:
                with contextlib.suppress(ConnectionClosed):
                    if (end := await self._pass(self._filters.tick())) is not None:
                        return end

    async def _pass(self, passed: Passed) -> TunnelEnd | None:
        """Send what goes on. Raises `ConnectionClosed` when the provider is gone."""
        for message in passed.to_client:
            event: dict[str, Any] = {"type": "websocket.send"}
            event["text" if isinstance(message, str) else "bytes"] = message
            try:
                await self._send(event)
            except Exception:
                # Servers differ in what they raise for a client that is gone; none of it is the provider's fault.
                return self._client_left(_ABNORMAL, "")
            self._bytes_sent += len(message.encode()) if isinstance(message, str) else len(message)
        for message in passed.to_upstream:
            await self._connection.send(message)
        if passed.close is None:
            return None
        self.goodbye = (_NORMAL, "")
        return TunnelEnd("gateway", _POLICY_VIOLATION, _bounded(passed.close), self._bytes_sent)

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
        if self._filters is not None:
            async with self._downwards:
                await self._pass(Passed((), self._filters.end().to_client))
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
