"""A worker of Hypercorn's kind, whose HTTP/1.1 connections take the lane: all the rest is Hypercorn's."""

from __future__ import annotations

import asyncio
from typing import Any

from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.lifespan import Lifespan
from hypercorn.asyncio.udp_server import UDPServer
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config, Sockets
from hypercorn.events import Closed

from helicone_gw.engines import Application
from helicone_gw.engines.http1.handover import Hypercorn
from helicone_gw.engines.http1.lane import Lane
from helicone_gw.engines.http1.limits import Limits


class Worker:
    """Serves ``app`` as ``config`` says, on the running loop.

    Of ``config`` these are heeded: binds, everything of TLS, backlog, root path, ``graceful_timeout``, the lifespan's
    timeouts, and for HTTP/2, HTTP/3 and WebSockets all that Hypercorn has. HTTP/1.1 has ``limits``.
    """

    def __init__(self, app: Application, config: Config, limits: Limits) -> None:
        self._config = config
        self._loop = asyncio.get_running_loop()
        self._context = WorkerContext(None)
        self._state: dict[str, Any] = {}
        self._app = ASGIWrapper(app)  # type: ignore[arg-type]
        self._hypercorn = Hypercorn(self._app, self._loop, config, self._context, self._state)
        self.lane = Lane(
            app,
            self._loop,
            self._hypercorn,
            limits=limits,
            state=self._state,
            root_path=config.root_path,
            others=self._hypercorn.count,
        )
        self._servers: list[asyncio.Server] = []
        self._datagrams: list[tuple[UDPServer, asyncio.Task[None]]] = []

    async def serve(self, stop: asyncio.Event) -> None:
        """Serve until ``stop`` is set, and then until what is under way is over, for at most ``graceful_timeout``."""
        lifespan = Lifespan(self._app, self._config, self._loop, self._state)
        living = self._loop.create_task(lifespan.handle_lifespan())
        await lifespan.wait_for_startup()
        if living.done():
            living.result()
        try:
            sockets = self._config.create_sockets()
            self.lane.secure_fields = self._config.response_headers("h11")  # where HTTP/3 is to be had
            await self._listen(sockets)
            await stop.wait()
        finally:
            await self._close()
            await lifespan.wait_for_shutdown()
            living.cancel()
            await asyncio.wait({living})

    async def _listen(self, sockets: Sockets) -> None:
        config = self._config
        secure = config.create_ssl_context()
        for context, listeners in ((secure, sockets.secure_sockets), (None, sockets.insecure_sockets)):
            for listener in listeners:
                handshake = None if context is None else config.ssl_handshake_timeout
                self._servers.append(
                    await self._loop.create_server(
                        self.lane,
                        sock=listener,
                        backlog=config.backlog,
                        ssl=context,
                        ssl_handshake_timeout=handshake,
                    )
                )
        for listener in sockets.quic_sockets:
            _, server = await self._loop.create_datagram_endpoint(
                lambda: UDPServer(self._app, self._loop, config, self._context, self._state), sock=listener
            )
            self._datagrams.append((server, self._loop.create_task(server.run())))

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        await self._context.terminated.set()
        timeout = self._config.graceful_timeout
        await asyncio.gather(
            self.lane.stop(timeout), self._hypercorn.stop(timeout), *map(self._close_datagrams, self._datagrams)
        )

    async def _close_datagrams(self, running: tuple[UDPServer, asyncio.Task[None]]) -> None:
        server, task = running
        if not server.protocol_queue.full():
            server.protocol_queue.put_nowait(Closed())  # so that it looks whether it is over
        await asyncio.wait({task}, timeout=self._config.graceful_timeout)
        task.cancel()
        await asyncio.wait({task})
        if server.transport is not None:
            server.transport.close()
