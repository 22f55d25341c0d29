"""Pool: connections to one Redis server, bounded, waited for, and made in tasks of their own."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from helicone_gw.store.guard import Lost


class Connection(Protocol):
    """What a pool needs of a connection: `redis.asyncio.Connection`, as far as this."""

    @property
    def is_connected(self) -> bool:
        """Whether there is a socket."""

    async def connect(self) -> None:
        """Connect, and say who is there."""

    async def disconnect(self, nowait: bool = False) -> None:
        """Close the socket; with ``nowait`` without waiting for that."""

    async def can_read(self) -> bool:
        """Whether there is something to read, which of an idle connection is a late reply or its end."""


C = TypeVar("C", bound=Connection)


class Pool(Generic[C]):
    """At most ``size`` connections; who finds none free waits for the first that becomes so.

    A connection is made in a task of its own, for ``connect_timeout`` seconds at most: a call whose deadline ends
    meanwhile has not begun it in vain. (redis-py's pools connect inside the call: where a connection takes longer than
    a deadline, there would never be one.) A connection that is given back with a reply still to come is not used again.
    """

    def __init__(self, make: Callable[[], C], *, size: int, connect_timeout: float) -> None:
        self._make = make
        self._size = size
        self._connect_timeout = connect_timeout
        self._idle: list[C] = []
        self._busy: set[C] = set()
        self._stale: set[C] = set()
        self._dials: set[asyncio.Task[None]] = set()
        self._waiters: deque[asyncio.Future[C]] = deque()
        self._closed = False

    def __len__(self) -> int:
        return len(self._idle) + len(self._busy) + len(self._dials)

    async def acquire(self) -> C:
        """A connection; `release` gives it back. Raises what connecting raised, if there is none at all."""
        while self._idle:
            connection = self._idle.pop()
            self._busy.add(connection)
            if await _fresh(connection):
                return connection
            await self._drop(connection)
        if self._closed:
            raise Lost("it is closed")
        waiter: asyncio.Future[C] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._dial()
        try:
            return await waiter
        except asyncio.CancelledError:
            if not waiter.done():
                waiter.cancel()
            with contextlib.suppress(ValueError):
                self._waiters.remove(waiter)
            if not waiter.cancelled() and waiter.exception() is None:
                await self.release(waiter.result())
            raise

    async def release(self, connection: C, *, clean: bool = True) -> None:
        """Give back ``connection``; not ``clean``: a reply may still be to come."""
        if not clean or self._closed or connection in self._stale or not connection.is_connected:
            await self._drop(connection)
            self._dial()
            return
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        self._busy.discard(connection)
        self._idle.append(connection)

    async def reset(self) -> None:
        """Drop every connection: idle ones now, others when they are given back. Those who wait hear `Lost`."""
        self._stale |= self._busy
        await self._stop_dialling()
        self._fail(Lost("its connections were dropped"))
        while self._idle:
            await self._drop(self._idle.pop())

    async def close(self) -> None:
        """`reset`, and no connection ever again."""
        self._closed = True
        idle, self._idle = self._idle, []
        await self.reset()
        for connection in idle:
            with contextlib.suppress(Exception):
                # Waits for the socket's end, at most as long as connecting may take.
                await connection.disconnect()

    def _dial(self) -> None:
        """Make a connection for those who wait, if there may be another one."""
        if self._waiters and not self._closed and len(self._dials) < len(self._waiters) and len(self) < self._size:
            task = asyncio.create_task(self._connect(), name="store-connect")
            self._dials.add(task)
            task.add_done_callback(self._dials.discard)  # one that is cancelled before it begins

    async def _connect(self) -> None:
        connection = self._make()
        try:
            async with asyncio.timeout(self._connect_timeout):
                await connection.connect()
        except BaseException as problem:
            self._dialled()
            with contextlib.suppress(Exception):
                await connection.disconnect(nowait=True)
            if not isinstance(problem, Exception):
                raise
            if not len(self):  # there is no other that could serve those who wait
                self._fail(problem)
            return
        self._dialled()
        self._busy.add(connection)
        await self.release(connection)

    def _dialled(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._dials.discard(task)

    async def _stop_dialling(self) -> None:
        dials = tuple(self._dials)
        for task in dials:
            task.cancel()
        if dials:
            await asyncio.wait(dials)

    def _fail(self, problem: Exception) -> None:
        waiters, self._waiters = self._waiters, deque()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_exception(problem)

    async def _drop(self, connection: C) -> None:
        self._busy.discard(connection)
        self._stale.discard(connection)
        with contextlib.suppress(Exception):
            await connection.disconnect(nowait=True)


async def _fresh(connection: Connection) -> bool:
    """Whether an idle connection is as it was left: open, with nothing to read."""
    try:
        return connection.is_connected and not await connection.can_read()
    except Exception:
        return False
