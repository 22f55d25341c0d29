"""Connections that are not plain HTTP/1.1 go on in Hypercorn, over the transport that they came with."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config

from helicone_gw.engines.http1.resetting import Resetting

log = structlog.get_logger("helicone_gw.server")

READ_LIMIT = 64 * 1024

CANCELLING = 2.0
"""Seconds that cancelled connections have to end."""


class Hypercorn:
    """Serves connections with Hypercorn's own server, a task each. Call it with a transport and what was read of it."""

    def __init__(
        self,
        app: ASGIWrapper,
        loop: asyncio.AbstractEventLoop,
        config: Config,
        context: WorkerContext,
        state: dict[str, Any],
    ) -> None:
        self._app = app
        self._loop = loop
        self._config = config
        self._context = context
        self._state = state
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, transport: asyncio.Transport, data: bytes) -> None:
        """Take ``transport`` over; ``data`` was read of it already."""
        reader = asyncio.StreamReader(READ_LIMIT, self._loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=self._loop)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if data:
            reader.feed_data(data)
        writer = asyncio.StreamWriter(transport, protocol, reader, self._loop)
        app = Resetting(self._app.app)
        app.server = server = TCPServer(app, self._loop, self._config, self._context, self._state, reader, writer)
        task = self._loop.create_task(server.run())
        self._tasks.add(task)
        task.add_done_callback(self._over)

    def count(self) -> int:
        """How many connections there are."""
        return len(self._tasks)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            log.error("a connection failed", exc_info=fault)

    async def stop(self, timeout: float) -> None:
        """Wait for what is under way; what is not over after ``timeout`` seconds is cancelled."""
        tasks = set(self._tasks)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=timeout)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=CANCELLING)
