"""The engine granian: HTTP/1.1, HTTP/2 and WebSockets by a server written in Rust, which runs in threads of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from granian import _granian
from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings, HTTP2Settings
from granian.server.embed import Server

from helicone_gw.config import ServerConfig, TlsConfig
from helicone_gw.engines import BACKLOG, CLOSING_TIME, KEEP_ALIVE, MAX_HEADER_BYTES, Application
from helicone_gw.engines.granian_front import Front
from helicone_gw.engines.http1.limits import Limits
from helicone_gw.engines.tls import server_context
from helicone_gw.errors import ConfigError

LETTING_GO = 0.1
"""Seconds for the thread that tells of granian's end to let go of the interpreter, which must not end before it."""


async def serve(app: Application, settings: ServerConfig, listener: socket.socket, stop: asyncio.Event) -> None:
    """Serve ``app``; see `helicone_gw.engines.Engine`."""
    port = listener.getsockname()[1]
    front = Front(app)
    server = _Server(
        front,
        listener,
        # Where TLS does not tell HTTP/2 from HTTP/1, granian waits for a first byte, without any bound.
        http=HTTPModes.http1 if settings.tls is None else HTTPModes.auto,
        backlog=BACKLOG,
        backpressure=Limits().connections,  # those past it wait to be accepted
        # This timeout is that of a connection between two requests, too.
        http1_settings=HTTP1Settings(header_read_timeout=int(KEEP_ALIVE * 1000), max_buffer_size=MAX_HEADER_BYTES),
        http2_settings=HTTP2Settings(keep_alive_interval=int(KEEP_ALIVE * 1000), max_headers_size=MAX_HEADER_BYTES),
        **({} if settings.tls is None else _certificate(settings.tls)),
        log_enabled=False,
    )
    serving = asyncio.ensure_future(server.serve())
    asking = asyncio.ensure_future(stop.wait())
    await asyncio.wait({serving, asking}, return_when=asyncio.FIRST_COMPLETED)
    asking.cancel()
    await front.close_sockets()
    cast("Callable[[], None]", server.stop)()
    await asyncio.wait({serving}, timeout=settings.drain_timeout)
    if not serving.done():
        # Granian waits for its connections without bound, and its threads must not outlive the interpreter.
        for task in front.running:
            task.cancel()
        await asyncio.wait({serving}, timeout=CLOSING_TIME)
    if not serving.done():
        _break_connections(port)
        await asyncio.wait({serving}, timeout=CLOSING_TIME)
    await front.end()
    if not serving.done():
        serving.cancel()
        await asyncio.wait({serving})
    await asyncio.sleep(LETTING_GO)
    if not serving.cancelled():
        serving.result()


def _certificate(tls: TlsConfig) -> dict[str, Any]:
    if tls.key_password is not None:
        raise ConfigError(["server.tls.key_password: the engine granian reads no encrypted keys; use another engine"])
    server_context(tls)  # what is wrong with it ends the process where granian finds it
    return {
        "ssl_cert": Path(tls.certificate),
        "ssl_key": Path(tls.key),
        "ssl_protocol_min": SSLProtocols.tls12,
    }


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
