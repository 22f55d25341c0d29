"""The engine uvicorn: HTTP/1.1 and WebSockets, the least CPU of the ready-made servers."""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket

import structlog
import uvicorn

from helicone_gw.asgi.types import Receive, Scope, Send
from helicone_gw.config import ServerConfig
from helicone_gw.engines import BACKLOG, KEEP_ALIVE, MAX_WEBSOCKET_MESSAGE, Application
from helicone_gw.engines.tls import server_context
from helicone_gw.engines.uvicorn_protocol import LIMITS, Protocol

log = structlog.get_logger("helicone_gw.engines.uvicorn")


async def serve(app: Application, settings: ServerConfig, listener: socket.socket, stop: asyncio.Event) -> None:
    """Serve ``app``; see `helicone_gw.engines.Engine`."""
    context = None if settings.tls is None else server_context(settings.tls)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except Exception as fault:
            log.error("the application failed", exc_info=fault)
            raise

    server = uvicorn.Server(
        uvicorn.Config(
            application,
            http=Protocol,
            lifespan="on",
            access_log=False,
            log_config=None,
            # What it says of clients that send junk, and of answers that the gateway broke off on purpose, is noise.
            log_level="critical",
            server_header=False,
            date_header=False,
            # X-Forwarded-For would change the client's address, and what it costs is paid by every request.
            proxy_headers=False,
            backlog=BACKLOG,
            limit_concurrency=LIMITS.connections,  # past it 503
            timeout_keep_alive=int(KEEP_ALIVE),
            timeout_graceful_shutdown=math.ceil(settings.drain_timeout),
            ws_max_size=MAX_WEBSOCKET_MESSAGE,
            ssl_context_factory=None if context is None else lambda *_: context,
        )
    )
    # Signals are ours: uvicorn would take them over and raise them again once it has stopped.
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]

    async def ask_to_stop() -> None:
        await stop.wait()
        server.should_exit = True

    asking = asyncio.ensure_future(ask_to_stop())
    try:
        await server.serve(sockets=[listener])
    finally:
        asking.cancel()
