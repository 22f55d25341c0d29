"""The engine granian: HTTP/1.1, HTTP/2 and WebSockets by a server written in Rust, which runs in threads of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
from collections.abc import Callable
from typing import Any, cast

import structlog
from granian import _granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from helicone_gw.asgi.types import Message, Receive, Scope, Send
from helicone_gw.config import ServerConfig
from helicone_gw.engines import BACKLOG, CLOSING_TIME, KEEP_ALIVE, MAX_HEADER_BYTES, Application
from helicone_gw.engines.screening import MALFORMED, NO_PROXY, Refusal, answer, screened

log = structlog.get_logger("helicone_gw.engines.granian")

HTTP_1 = frozenset({"1.0", "1.1"})


async def serve(app: Application, settings: ServerConfig, listener: socket.socket, stop: asyncio.Event) -> None:
    """Serve ``app``; see `helicone_gw.engines.Engine`."""
    port = listener.getsockname()[1]
    front = _Front(app)
    server = _Server(
        front,
        listener,
        # Beside TLS, telling HTTP/2 from HTTP/1 takes waiting for a first byte, without any bound.
        http=HTTPModes.http1,
        backlog=BACKLOG,
        backpressure=BACKLOG,
        # This timeout is that of a connection between two requests, too.
        http1_settings=HTTP1Settings(header_read_timeout=int(KEEP_ALIVE * 1000), max_buffer_size=MAX_HEADER_BYTES),
        log_enabled=False,
    )
    serving = asyncio.ensure_future(server.serve())
    asking = asyncio.ensure_future(stop.wait())
    await asyncio.wait({serving, asking}, return_when=asyncio.FIRST_COMPLETED)
    asking.cancel()
    cast("Callable[[], None]", server.stop)()
    await asyncio.wait({serving}, timeout=settings.drain_timeout)
    # Granian waits for its connections without bound, and its threads must not outlive the interpreter.
    for task in front.running:
        task.cancel()
    await asyncio.wait({serving}, timeout=CLOSING_TIME)
    if not serving.done():
        _break_connections(port)
        await asyncio.wait({serving}, timeout=CLOSING_TIME)
    if not serving.done():
        serving.cancel()
        await asyncio.wait({serving})
    if not serving.cancelled():
        serving.result()


class _Server(Server):
    """Granian's embedded server, on a listening socket that is there already."""

    def __init__(self, app: Application, listener: socket.socket, **options: Any) -> None:
        super().__init__(app, interface=Interfaces.ASGINL, **options)
        self._listener = listener

    def _init_shared_socket(self) -> None:
        holder: Any = _granian.SocketHolder
        self._shd = holder(self._listener.detach(), False, self.backlog)


def _break_connections(port: int) -> None:
    """Shut down every connection to ``port`` of this process; granian itself cannot break one that nobody reads."""
    for name in os.listdir("/dev/fd"):
        with contextlib.suppress(OSError):
            if not stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                continue
            with socket.socket(fileno=os.dup(int(name))) as connection:
                if connection.family in (socket.AF_INET, socket.AF_INET6) and connection.getsockname()[1] == port:
                    connection.shutdown(socket.SHUT_RDWR)


class _Front:
    """An application behind what the other engines do for their clients on their own."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self.running: set[asyncio.Task[Any]] = set()
        """The tasks of the exchanges under way."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry point."""
        task = asyncio.current_task()
        assert task is not None
        self.running.add(task)
        try:
            if scope["type"] == "websocket":
                connection = _Socket(receive, send)
                receive, send = connection.receive, connection.send
            refusal = _screened(scope)
            if refusal is not None:
                await _refuse(scope, refusal, receive, send)
            elif scope["type"] == "http" and _has_body(scope):
                exchange = _Exchange(receive, send)
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
    """

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._read = False
        """Whether the request was read to its end."""
        self._held: list[bytes] = []
        self._left: int | None = None
        """Bytes that the answer still needs, where its length is known."""
        self.cut = False
        """Whether the request ended before its end: the client left, or sent what cannot be read."""
        self.started = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.cut = self.cut or not self._read
        elif not message.get("more_body", False):
            self._read = True
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            if not self._read:
                self._left = next((int(v) for n, v in message["headers"] if n.lower() == b"content-length"), None)
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


class _Socket:
    """The messages of one WebSocket. A close would wait in vain for a ``receive`` under way; so it ends that first."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._pending: asyncio.Future[Message] | None = None
        self._code: int | None = None
        """What the application closes with, once it does."""
        self._closed = asyncio.Event()

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
        if message["type"] != "websocket.close":
            await self._send(message)
            return
        self._code = message.get("code") or 1000
        if self._pending is not None:
            self._pending.cancel()
            await asyncio.sleep(0)
        try:
            await self._send(message)
        finally:
            self._closed.set()
