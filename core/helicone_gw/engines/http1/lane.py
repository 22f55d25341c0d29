"""A lane: every HTTP/1.1 connection of a server, their application, their clock, and how they all end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakSet

from helicone_gw.engines import Application
from helicone_gw.engines.http1.connection import Connection
from helicone_gw.engines.http1.cycle import Cycle
from helicone_gw.engines.http1.limits import Counters, Limits

HandOver = Callable[[asyncio.Transport, bytes], None]
"""Takes a connection over, with the bytes that were read of it."""

Access = Callable[[Cycle], None]
"""Hears of every answer that was sent whole."""

LANES: WeakSet[Lane] = WeakSet()
"""The lanes of this process, for whoever shows their counters."""

CANCELLING = 2.0
"""Seconds that cancelled calls of the application have to end."""


class Lane:
    """What the connections of one server have in common. Call it for a protocol: it is a protocol factory.

    ``hand_over`` gets connections that begin as HTTP/2 or ask for a WebSocket; ``state`` is the lifespan's,
    ``secure_fields`` are added to every answer over TLS, ``others`` counts those that were handed over.
    """

    def __init__(
        self,
        app: Application,
        loop: asyncio.AbstractEventLoop,
        hand_over: HandOver,
        *,
        limits: Limits | None = None,
        state: dict[str, Any] | None = None,
        root_path: str = "",
        secure_fields: Sequence[tuple[bytes, bytes]] = (),
        others: Callable[[], int] = int,
        access: Access | None = None,
    ) -> None:
        self.app = app
        self.loop = loop
        self.limits = limits or Limits()
        self.counters = Counters()
        self.state = state if state is not None else {}
        self.root_path = root_path
        self.secure_fields = secure_fields
        self.access = access
        self._others = others
        self._hand_over = hand_over
        self.connections: set[Connection] = set()
        self.cycles: set[Cycle] = set()
        self._ticking: asyncio.TimerHandle | None = None
        self._stopping = False
        self._empty: asyncio.Future[None] | None = None
        LANES.add(self)

    def __call__(self) -> Connection:
        """A protocol for a connection that is about to be made."""
        return Connection(self)

    # What connections tell.

    def admit(self, connection: Connection) -> bool:
        """Keep an eye on ``connection``; whether it may stay."""
        self.counters.connections += 1
        self.connections.add(connection)
        if self._ticking is None:
            self._ticking = self.loop.call_later(self.limits.tick, self._tick)
        if self._stopping or len(self.connections) + self._others() > self.limits.connections:
            self.counters.turned_away += 1
            return False
        return True

    def begin(self, cycle: Cycle) -> None:
        """Run ``cycle`` in a task of its own: what cancels it, cancels nothing else."""
        self.counters.requests += 1
        self.cycles.add(cycle)
        cycle.task = self.loop.create_task(cycle.run())

    def finished(self, cycle: Cycle) -> None:
        """The application's call is over."""
        self.cycles.discard(cycle)
        self._look()

    def lost(self, connection: Connection) -> None:
        """The connection is over."""
        self.connections.discard(connection)
        self._look()

    def hand_over(self, connection: Connection, data: bytes) -> None:
        """The connection goes on elsewhere, from ``data``."""
        self.counters.handed_over += 1
        self.connections.discard(connection)
        self._hand_over(connection.transport, data)
        self._look()

    def _tick(self) -> None:
        now = self.loop.time()
        for connection in list(self.connections):
            connection.check(now)
        self._ticking = self.loop.call_later(self.limits.tick, self._tick) if self.connections else None

    # The end.

    async def stop(self, timeout: float) -> None:
        """Close what is idle, let requests under way end for ``timeout`` seconds, and break off what then is left."""
        self._stopping = True
        for connection in list(self.connections):
            connection.retire()
        if not self._over():
            self._empty = self.loop.create_future()
            await asyncio.wait({self._empty}, timeout=timeout)
        tasks = {cycle.task for cycle in self.cycles if cycle.task is not None}
        for task in tasks:
            task.cancel()
        for connection in list(self.connections):
            connection.transport.abort()
        if tasks:
            await asyncio.wait(tasks, timeout=CANCELLING)
        if self._ticking is not None:
            self._ticking.cancel()
            self._ticking = None

    def _over(self) -> bool:
        return not self.connections and not self.cycles

    def _look(self) -> None:
        if self._empty is not None and not self._empty.done() and self._over():
            self._empty.set_result(None)
