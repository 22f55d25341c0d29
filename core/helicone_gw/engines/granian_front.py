"""What stands between granian and the application: what the other engines do for their clients on their own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Any

import structlog

from helicone_gw.asgi.types import Message, Receive, Scope, Send
from helicone_gw.engines import CLOSING_TIME, Application
from helicone_gw.engines.screening import MALFORMED, NO_PROXY, Refusal, answer, screened

log = structlog.get_logger("helicone_gw.engines.granian")

HTTP_1 = frozenset({"1.0", "1.1"})
SERVICE_RESTART = 1012
"""Close code of the WebSockets that a stop ends (IANA's registry, RFC 6455 section 11.7)."""


class Front:
    """An application behind what the other engines do for their clients on their own."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self.running: set[asyncio.Task[Any]] = set()
        """The tasks of the exchanges under way."""
        self._sockets: set[_Socket] = set()

    async def close_sockets(self) -> None:
        """Close every WebSocket: granian does not wait for them."""
        tasks = {connection.task for connection in self._sockets}
        for connection in self._sockets:
            connection.leave()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSING_TIME)

    async def end(self) -> None:
        """Wait for the exchanges whose connections are gone, and then for no longer."""
        if self.running:
            await asyncio.wait(self.running, timeout=CLOSING_TIME)
        for task in self.running:
            task.cancel()
        if self.running:
            await asyncio.wait(self.running, timeout=CLOSING_TIME)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry point."""
        task = asyncio.current_task()
        assert task is not None
        self.running.add(task)
        connection: _Socket | None = None
        try:
            if scope["type"] == "websocket":
                connection = _Socket(receive, send, task)
                self._sockets.add(connection)
                receive, send = connection.receive, connection.send
            refusal = _screened(scope)
            if refusal is not None:
                await _refuse(scope, refusal, receive, send)
            elif scope["type"] == "http" and _has_body(scope):
                exchange = _Exchange(scope, receive, send)
                await self._app(scope, exchange.receive, exchange.send)
                if exchange.cut and not exchange.started:
                    await _refuse(scope, MALFORMED, receive, send)
            else:
                await self._app(scope, receive, send)
        except Exception as fault:
            log.error("the application failed", exc_info=fault)
            raise
        finally:
            self.running.discard(task)
            if connection is not None:
                self._sockets.discard(connection)


def _screened(scope: Scope) -> Refusal | None:
    if scope["http_version"] == "1":
        scope["http_version"] = "1.0"
    if scope["http_version"] not in HTTP_1:
        return None
    refusal = screened(scope["http_version"], scope["headers"])
    return NO_PROXY if refusal is None and scope.get("method") == "CONNECT" else refusal


def _has_body(scope: Scope) -> bool:
    if scope["http_version"] not in HTTP_1:
        return True
    return any(
        (name == b"content-length" and value != b"0") or name == b"transfer-encoding"
        for name, value in scope["headers"]
    )


async def _refuse(scope: Scope, refusal: Refusal, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})
        return
    headers, body = answer(refusal)
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


class _Exchange:
    """The messages of one request that has a body.

    Granian ends a connection as soon as an answer of known length is complete, and the rest of the request with it; a
    client that is still sending loses the answer then. So the piece that would complete an answer waits for the message
    that says so, before which the gateway reads what still comes of the request.

    A ``receive`` that is cancelled takes what it waited for with it, and granian tells the end of a body in a message
    of its own. So the end is told with the last byte where the length is known, and waited for in any case elsewhere.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._missing = _length(scope["headers"])
        """Bytes of the request that are still to come, where its length is known."""
        self._pending: asyncio.Future[Message] | None = None
        self._read = False
        """Whether the request was read to its end."""
        self._held: list[bytes] = []
        self._left: int | None = None
        """Bytes that the answer still needs, where its length is known."""
        self.cut = False
        """Whether the request ended before its end: the client left, or sent what cannot be read."""
        self.started = False

    async def receive(self) -> Message:
        if self._read:
            while (message := await self._receive())["type"] != "http.disconnect":
                pass
            return message
        message = await (self._receive() if self._missing is not None else self._received())
        if message["type"] == "http.disconnect":
            self.cut = True
        elif self._missing is not None:
            self._missing -= len(message["body"])
            self._read = self._missing <= 0
            message["more_body"] = not self._read
        else:
            self._read = not message["more_body"]
        return message

    async def _received(self) -> Message:
        if self._pending is None:
            self._pending = asyncio.ensure_future(self._receive())
        await asyncio.wait({self._pending})
        message, self._pending = self._pending.result(), None
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            if not self._read:
                self._left = _length(message["headers"])
        elif self._left is not None:
            body = message.get("body", b"")
            self._left -= len(body)
            if message.get("more_body", False):
                if self._left <= 0:
                    self._held.append(body)
                    return
            elif self._held:
                message = {**message, "body": b"".join([*self._held, body])}
        await self._send(message)


def _length(headers: Iterable[tuple[bytes, bytes]]) -> int | None:
    return next((int(value) for name, value in headers if name.lower() == b"content-length"), None)


class _Socket:
    """The messages of one WebSocket. A close would wait in vain for a ``receive`` under way; so it ends that first."""

    def __init__(self, receive: Receive, send: Send, task: asyncio.Task[Any]) -> None:
        self.task = task
        """The exchange."""
        self._receive = receive
        self._send = send
        self._pending: asyncio.Future[Message] | None = None
        self._code: int | None = None
        """What it was closed with from this side, once it was."""
        self._closed = asyncio.Event()
        self._leaving: asyncio.Task[None] | None = None

    async def receive(self) -> Message:
        if self._code is None:
            self._pending = asyncio.ensure_future(self._receive())
            try:
                return await self._pending
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if self._code is None or (task is not None and task.cancelling()):
                    raise
            finally:
                self._pending = None
        await self._closed.wait()
        return {"type": "websocket.disconnect", "code": self._code, "reason": ""}

    async def send(self, message: Message) -> None:
        if message["type"] == "websocket.close":
            await self._close(message)
        elif self._code is None:
            await self._send(message)

    def leave(self) -> None:
        """Begin to close it from the server's side; the application hears of a client that left."""
        if self._code is None:
            self._leaving = asyncio.ensure_future(self._leave())

    async def _leave(self) -> None:
        with contextlib.suppress(Exception):  # of a client that left meanwhile
            await self._close({"type": "websocket.close", "code": SERVICE_RESTART})

    async def _close(self, message: Message) -> None:
        if self._code is not None:
            return
        self._code = message.get("code") or 1000
        if self._pending is not None:
            self._pending.cancel()
            await asyncio.sleep(0)
        try:
            await self._send(message)
        finally:
            self._closed.set()
