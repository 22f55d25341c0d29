"""The engine granian: HTTP/1.1, HTTP/2 and WebSockets by a server written in Rust, which runs in threads of its own."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, cast

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from helicone_gw.config import ServerConfig
from helicone_gw.engines import BACKLOG, CLOSING_TIME, KEEP_ALIVE, MAX_HEADER_BYTES, Application


class _Server(Server):
    """Granian's embedded server, on a listening socket that is there already."""

    def __init__(self, app: Application, listener: socket.socket, **options: Any) -> None:
        super().__init__(app, interface=Interfaces.ASGINL, **options)
        self._listener = listener

    def _init_shared_socket(self) -> None:
        self._shd = SocketHolder(self._listener.detach(), False, BACKLOG)


async def serve(app: Application, settings: ServerConfig, listener: socket.socket, stop: asyncio.Event) -> None:
    """Serve ``app``; see `helicone_gw.engines.Engine`."""
    server = _Server(
        app,
        listener,
        http=HTTPModes.http1,
        backlog=BACKLOG,
        backpressure=BACKLOG,
        http1_settings=HTTP1Settings(header_read_timeout=int(KEEP_ALIVE * 1000), max_buffer_size=MAX_HEADER_BYTES),
        log_enabled=False,
    )
    serving = asyncio.ensure_future(server.serve())
    asking = asyncio.ensure_future(stop.wait())
    await asyncio.wait({serving, asking}, return_when=asyncio.FIRST_COMPLETED)
    asking.cancel()
    server.stop()
    await asyncio.wait({serving}, timeout=settings.drain_timeout + CLOSING_TIME)
    if not serving.done():
        serving.cancel()
        await asyncio.wait({serving})
    if not serving.cancelled():
        serving.result()
