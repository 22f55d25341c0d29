"""The engine hypercorn: the default, and the one that speaks HTTP/2, HTTP/3 and TLS."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, cast

from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config as HypercornConfig

from helicone_gw.config import ServerConfig
from helicone_gw.engines import (
    BACKLOG,
    CLOSING_TIME,
    KEEP_ALIVE,
    MAX_HEADER_BYTES,
    MAX_WEBSOCKET_MESSAGE,
    Application,
)


async def serve(app: Application, settings: ServerConfig, listener: socket.socket, stop: asyncio.Event) -> None:
    """Serve ``app``; see `helicone_gw.engines.Engine`."""
    config = HypercornConfig()
    config.bind = [f"fd://{listener.detach()}"]  # Hypercorn closes it itself
    config.graceful_timeout = settings.drain_timeout
    config.shutdown_timeout = settings.drain_timeout
    config.keep_alive_timeout = KEEP_ALIVE
    config.backlog = BACKLOG
    config.h11_max_incomplete_size = MAX_HEADER_BYTES
    config.websocket_max_message_size = MAX_WEBSOCKET_MESSAGE
    # The provider's own Date and Server pass through; a second one of each would be ours.
    config.include_date_header = False
    config.include_server_header = False
    config.accesslog = None
    config.errorlog = None
    serving = asyncio.ensure_future(hypercorn_serve(cast("Any", app), config, shutdown_trigger=stop.wait, mode="asgi"))
    asking = asyncio.ensure_future(stop.wait())
    await asyncio.wait({serving, asking}, return_when=asyncio.FIRST_COMPLETED)
    asking.cancel()
    # From Python 3.12 on, closing its sockets waits for every connection, without bound.
    await asyncio.wait({serving}, timeout=settings.drain_timeout + CLOSING_TIME)
    if not serving.done():
        serving.cancel()
        await asyncio.wait({serving})
    if not serving.cancelled():
        serving.result()
