"""The engine hypercorn: the default, and the one that speaks HTTP/2, HTTP/3 and TLS.

Hypercorn's sockets, lifespan, TLS, HTTP/2, HTTP/3 and WebSockets, with HTTP/1.1 on a protocol of our own, which costs a
fraction of Hypercorn's.
"""

from __future__ import annotations

import asyncio
import socket
from importlib.util import find_spec

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
from helicone_gw.engines.tls import useless
from helicone_gw.errors import ConfigError

HANDSHAKE = 15.0
"""Seconds that a TLS handshake may take."""


async def serve(app: Application, settings: ServerConfig, listener: socket.socket, stop: asyncio.Event) -> None:
    """Serve ``app``; see `helicone_gw.engines.Engine`. Raises `ConfigError` for a certificate that is of no use."""
    config = hypercorn_config(settings)
    # Hypercorn closes what it serves on itself.
    if settings.http3:
        config.quic_bind = [f"fd://{_datagrams_beside(listener).detach()}"]
    config.bind = [f"fd://{listener.detach()}"]
    limits = Limits(head=MAX_HEADER_BYTES, keep_alive=KEEP_ALIVE, header_timeout=KEEP_ALIVE)
    await Worker(app, config, limits).serve(stop)


def hypercorn_config(settings: ServerConfig) -> Config:
    """Hypercorn's own configuration, but for the sockets. Raises `ConfigError` for what cannot be had."""
    config = Config()
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
    if settings.tls is not None:
        config.certfile, config.keyfile = settings.tls.certificate, settings.tls.key
        # A password that is there even if it is empty: OpenSSL would ask for one on the terminal.
        password = settings.tls.key_password
        config.keyfile_password = password.get_secret_value() if password is not None else ""
        config.ssl_handshake_timeout = HANDSHAKE
        try:
            config.create_ssl_context()
        except (OSError, ValueError) as problem:
            raise useless(problem) from None
    if settings.http3 and find_spec("aioquic") is None:
        raise ConfigError(["server.http3 needs the package 'aioquic': pip install 'helicone-gw[h3]'"])
    return config


def _datagrams_beside(listener: socket.socket) -> socket.socket:
    """A UDP socket with the address of ``listener``, shared with other workers if that is."""
    datagrams = socket.socket(listener.family, socket.SOCK_DGRAM)
    try:
        if hasattr(socket, "SO_REUSEPORT") and listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT):
            datagrams.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        datagrams.bind(listener.getsockname())
    except OSError as problem:
        datagrams.close()
        raise ConfigError([f"server.http3: cannot listen on the UDP port: {problem.strerror}"]) from problem
    return datagrams
