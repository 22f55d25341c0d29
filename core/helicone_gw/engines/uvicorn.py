"""The engine uvicorn: its sockets, lifespan and WebSockets, with HTTP/1.1 on the lane that Hypercorn has, too."""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from helicone_gw.config import ServerConfig
from helicone_gw.engines import BACKLOG, KEEP_ALIVE, MAX_HEADER_BYTES, MAX_WEBSOCKET_MESSAGE, Application
from helicone_gw.engines.http1.lane import Lane
from helicone_gw.engines.http1.limits import Limits
from helicone_gw.engines.http1.request import PREFACE
from helicone_gw.engines.tls import server_context

LIMITS = Limits(head=MAX_HEADER_BYTES, keep_alive=KEEP_ALIVE, header_timeout=KEEP_ALIVE)


async def serve(app: Application, settings: ServerConfig, listener: socket.socket, stop: asyncio.Event) -> None:
    """Serve ``app``; see `helicone_gw.engines.Engine`."""
    context = None if settings.tls is None else server_context(settings.tls)
    config = uvicorn.Config(
        app,
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
        timeout_graceful_shutdown=math.ceil(settings.drain_timeout),
        ws_max_size=MAX_WEBSOCKET_MESSAGE,
        ssl_context_factory=None if context is None else lambda *_: context,
    )
    server = Server(config, app, settings.drain_timeout)
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


class Server(uvicorn.Server):
    """uvicorn's server, whose connections take the lane; those that ask for a WebSocket go on in uvicorn."""

    def __init__(self, config: uvicorn.Config, app: Application, drain_timeout: float) -> None:
        super().__init__(config)
        self._app = app
        self._drain_timeout = drain_timeout
        self._lane: Lane | None = None
        config.http = self._connection  # type: ignore[assignment]

    def _connection(self, *, server_state: ServerState, app_state: dict[str, Any], **_: Any) -> asyncio.Protocol:
        """What uvicorn calls for every connection, as it would its own protocol's class."""
        if self._lane is None:
            self._lane = Lane(
                self._app,
                asyncio.get_running_loop(),
                self._hand_over,
                limits=LIMITS,
                state=app_state,
                root_path=self.config.root_path,
                others=lambda: len(server_state.connections),
            )
        return self._lane()

    def _hand_over(self, transport: asyncio.Transport, data: bytes) -> None:
        if data.startswith(PREFACE):
            transport.close()  # HTTP/2, which uvicorn does not speak
            return
        make: Any = self.config.ws_protocol_class
        protocol = make(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)
        protocol.connection_made(transport)
        transport.set_protocol(protocol)
        protocol.data_received(data)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop: no new connections, then the ends of those that are there, then the application's."""
        for server in self.servers:
            server.close()
        if self._lane is not None:
            await self._lane.stop(self._drain_timeout)
        await super().shutdown(sockets)
