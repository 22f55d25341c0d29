"""The engine hypercorn: the default, and the one that speaks HTTP/2, HTTP/3 and TLS.

Hypercorn's sockets, lifespan, TLS, HTTP/2, HTTP/3 and WebSockets, with HTTP/1.1 on a protocol of our own, which costs a
fraction of Hypercorn's.
"""

from __future__ import annotations

import asyncio
import socket

from hypercorn.config import Config

from helicone_gw.config import ServerConfig
from helicone_gw.engines import (
    BACKLOG,
    KEEP_ALIVE,
    MAX_HEADER_BYTES,
    MAX_WEBSOCKET_MESSAGE,
    Application,
)
from helicone_gw.engines.http1.limits import Limits
from helicone_gw.engines.http1.worker import Worker


async def serve(app: Application, settings: ServerConfig, listener: socket.socket, stop: asyncio.Event) -> None:
    """Serve ``app``; see `helicone_gw.engines.Engine`."""
    config = hypercorn_config(settings, listener)
    limits = Limits(head=MAX_HEADER_BYTES, keep_alive=KEEP_ALIVE, header_timeout=KEEP_ALIVE)
    await Worker(app, config, limits).serve(stop)


def hypercorn_config(settings: ServerConfig, listener: socket.socket) -> Config:
    """Hypercorn's own configuration, for ``settings``; it takes ``listener`` over."""
    config = Config()
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
    return config
