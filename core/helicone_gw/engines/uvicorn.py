"""The engine uvicorn: HTTP/1.1 and WebSockets, the least CPU of the ready-made servers."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import uvicorn

from helicone_gw.config import ServerConfig
from helicone_gw.engines import KEEP_ALIVE, MAX_HEADER_BYTES, MAX_WEBSOCKET_MESSAGE, Application


async def serve(app: Application, settings: ServerConfig, listener: socket.socket, stop: asyncio.Event) -> None:
    """Serve ``app``; see `helicone_gw.engines.Engine`."""
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            lifespan="on",
            access_log=False,
            log_config=None,
            server_header=False,
            date_header=False,
            timeout_keep_alive=int(KEEP_ALIVE),
            timeout_graceful_shutdown=int(settings.drain_timeout),
            h11_max_incomplete_event_size=MAX_HEADER_BYTES,
            ws_max_size=MAX_WEBSOCKET_MESSAGE,
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
