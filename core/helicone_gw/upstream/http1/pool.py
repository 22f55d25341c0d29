"""Connections kept and counted: the last one used goes first, bounds hold for a host and for all, queues are kept."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from math import inf

import httpx

from helicone_gw.upstream.http1.connection import Connection
from helicone_gw.upstream.http1.wire import Origin

MIN_TICK = 1.0
"""Seconds between two looks of a connection at its clock, at least; a deadline that is nearer is still kept."""


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """Bounds of a pool.

    - ``total``, ``per_host``: connections, those being made included. At the bound a request waits; at the total, idle
      connections of other hosts make room first, the one idle for longest before the others.
    - ``idle``: unused connections; beyond it the one idle for longest is closed.
    - ``waiters``: requests that wait; a further one is refused at once with `httpx.PoolTimeout`.
    - ``keep_alive``: seconds that an unused connection is kept, or what the server's ``Keep-Alive`` leaves of it.
    """

    total: int = 1000
    per_host: int = 1000
    idle: int = 200
    waiters: int = 1000
    keep_alive: float = 30.0


@dataclass(slots=True)
class Counters:
    """What happened in a pool so far, in connections and requests; ``idle``, ``open`` and ``waiting`` are of now."""

    opened: int = 0
    failed: int = 0
    closed: int = 0
    reused: int = 0
    waited: int = 0
    refused: int = 0
    pool_timeouts: int = 0
    evicted: int = 0
    expired: int = 0
    dropped: int = 0
    stale_retries: int = 0
    open: int = 0
    idle: int = 0
    waiting: int = 0

    @property
    def active(self) -> int:
        """Connections that are being made or serve a request."""
        return self.open - self.idle


@dataclass(slots=True, eq=False)
class Host:
    """What the pool knows of one origin."""

    origin: Origin
    places: int = 0
    idle: list[Connection] = field(default_factory=list)
    waiters: deque[asyncio.Future[Connection | None]] = field(default_factory=deque)


Dial = Callable[["Pool", Host, float], Awaitable[Connection]]
"""Connects to a host within so many seconds, or raises `httpx.ConnectError` or `httpx.ConnectTimeout`."""


class Pool:
    """Connections to any number of hosts. ``dial`` makes them; every ``tick`` seconds each looks at its clock."""

    def __init__(self, limits: PoolLimits, dial: Dial, tick: float) -> None:
        self.limits = limits
        # A connection that goes from one deadline to an earlier one sets its timer anew, which costs more than looking.
        self.tick = max(min(tick, limits.keep_alive), MIN_TICK)
        self.counters = Counters()
        self.loop: asyncio.AbstractEventLoop
        self._dial = dial
        self._hosts: dict[Origin, Host] = {}
        # Both in order of time: the first is the one to go, or to serve, first.
        self._idle: dict[Connection, None] = {}
        self._waiters: dict[asyncio.Future[Connection | None], Host] = {}
        self._sockets: set[Connection] = set()
        self._empty: asyncio.Event | None = None
        self._closed = False

    def take(self, origin: Origin) -> Connection | None:
        """An idle connection to ``origin``, the one used last, or ``None``."""
        host = self._hosts.get(origin)
        if host is None or not host.idle:
            return None
        now = self.loop.time()
        while host.idle:
            connection = host.idle.pop()
            del self._idle[connection]
            self.counters.idle -= 1
            if connection.usable(now):
                self.counters.reused += 1
                return connection
            self.counters.dropped += 1
            connection.close()
        return None

    async def acquire(self, origin: Origin, connect: float, patience: float) -> Connection:
        """A connection to ``origin``: a new one, or after waiting for a place also one that became free.

        Raises `httpx.PoolTimeout` after ``patience`` seconds of waiting or when too many wait, `httpx.ConnectTimeout`
        after ``connect`` seconds, `httpx.ConnectError`. A caller that is cancelled leaves nothing behind.
        """
        if self._closed:
            raise httpx.ConnectError("the transport is closed")
        self.loop = asyncio.get_running_loop()
        host = self._hosts.get(origin)
        if host is None:
            host = self._hosts[origin] = Host(origin)
        if host.waiters or not self._reserve(host):
            # Nothing is idle when somebody asks for the first time; whoever asks again may find something.
            handed = self.take(origin) or await self._wait(host, patience)
            if handed is not None:
                return handed
        try:
            connection = await self._dial(self, host, connect)
        except BaseException:
            self.counters.failed += 1
            self._free(host)
            raise
        self.counters.opened += 1
        if connection.closed:
            self._free(host)
        else:
            connection.placed = True
            # Not as soon as it is made: uvloop does not tell the end of one whose dialing is cancelled.
            self._sockets.add(connection)
            if self._closed:
                connection.abort()
        return connection

    def release(self, connection: Connection, until: float) -> None:
        """``connection`` is free: it goes to whoever has waited for longest, or is kept ``until`` (loop time)."""
        host = connection.host
        connection.expires = until
        if self._closed:
            connection.abort()
            return
        while host.waiters:
            if self._serve_one(host.waiters[0], host, connection):
                return
        host.idle.append(connection)
        self._idle[connection] = None
        self.counters.idle += 1
        connection.idle_until(until)
        if self._waiters:
            self._serve()
        # Also where some wait, for places of a host that is at its bound: they have no use for this one's.
        if self.counters.idle > self.limits.idle:
            self._evict(next(iter(self._idle)))

    def forget(self, connection: Connection) -> None:
        """``connection`` is closed, or closing: its place is free."""
        self._unidle(connection)
        if connection.placed:
            connection.placed = False
            self.counters.closed += 1
            self._free(connection.host)

    def gone(self, connection: Connection) -> None:
        """The socket of ``connection`` is closed."""
        self._sockets.discard(connection)
        if self._empty is not None and not self._sockets:
            self._empty.set()

    async def aclose(self) -> None:
        """Close every connection, those in use too, and refuse whoever waits or comes later."""
        self._closed = True
        for waiter, host in list(self._waiters.items()):
            self._leave_queue(waiter, host)
            if not waiter.done():
                waiter.set_exception(httpx.ConnectError("the transport is closed"))
        for connection in list(self._sockets):
            connection.abort()
        if self._sockets:
            self._empty = asyncio.Event()
            await self._empty.wait()

    def _reserve(self, host: Host) -> bool:
        """Take a place for a connection to ``host``, if there is one or an idle connection gives up its own."""
        if host.places >= self.limits.per_host:
            return False
        if self.counters.open >= self.limits.total and not self._idle:
            return False
        host.places += 1
        self.counters.open += 1
        if self.counters.open > self.limits.total:
            self._evict(next(iter(self._idle)))
        return True

    def _free(self, host: Host) -> None:
        host.places -= 1
        self.counters.open -= 1
        if self._waiters:
            self._serve()
        self._tidy(host)

    def _serve(self) -> None:
        """Give what places there are to those who have waited for longest, hosts at their bound left out."""
        for waiter, host in list(self._waiters.items()):
            if self.counters.open >= self.limits.total and not self._idle:
                return
            if waiter.done():
                self._leave_queue(waiter, host)
            elif self._reserve(host):
                self._serve_one(waiter, host, None)

    def _serve_one(self, waiter: asyncio.Future[Connection | None], host: Host, connection: Connection | None) -> bool:
        """Out of the queue with ``waiter``; ``False`` if it was cancelled and has not had the time to say so."""
        self._leave_queue(waiter, host)
        if waiter.done():
            return False
        if connection is not None:
            self.counters.reused += 1
        waiter.set_result(connection)
        return True

    def _evict(self, connection: Connection) -> None:
        self._unidle(connection)
        host = connection.host
        connection.placed = False
        host.places -= 1
        self.counters.open -= 1
        self.counters.evicted += 1
        self.counters.closed += 1
        self._tidy(host)
        connection.close()

    def _unidle(self, connection: Connection) -> None:
        if connection in self._idle:
            del self._idle[connection]
            connection.host.idle.remove(connection)
            self.counters.idle -= 1

    def _tidy(self, host: Host) -> None:
        if not host.places and not host.waiters:
            self._hosts.pop(host.origin, None)

    async def _wait(self, host: Host, patience: float) -> Connection | None:
        """Wait for a connection to ``host``, or for a place, which is taken then (``None``)."""
        if len(self._waiters) >= self.limits.waiters:
            self.counters.refused += 1
            self._tidy(host)
            raise httpx.PoolTimeout("too many requests wait for a connection")
        waiter: asyncio.Future[Connection | None] = self.loop.create_future()
        host.waiters.append(waiter)
        self._waiters[waiter] = host
        self.counters.waited += 1
        self.counters.waiting += 1
        timer = None if patience == inf else self.loop.call_later(max(patience, 0.0), self._give_up, waiter, host)
        try:
            return await waiter
        except BaseException:
            if waiter in self._waiters:
                self._leave_queue(waiter, host)
            elif not waiter.cancelled() and waiter.exception() is None:
                # Cancelled in the moment in which it was served: the next one is.
                handed = waiter.result()
                if handed is None:
                    self._free(host)
                elif not handed.closed:
                    self.release(handed, handed.expires)
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def _give_up(self, waiter: asyncio.Future[Connection | None], host: Host) -> None:
        if waiter in self._waiters:
            self.counters.pool_timeouts += 1
            self._leave_queue(waiter, host)
            if not waiter.done():
                waiter.set_exception(httpx.PoolTimeout("no connection became free"))

    def _leave_queue(self, waiter: asyncio.Future[Connection | None], host: Host) -> None:
        del self._waiters[waiter]
        host.waiters.remove(waiter)
        self.counters.waiting -= 1
        self._tidy(host)
