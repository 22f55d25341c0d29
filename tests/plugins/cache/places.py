"""The places where the cache's backends are tested: each opens an empty one, on a clock of the test's."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog

from helicone_gw.clock import Clock, SystemClock
from helicone_gw.store import MemoryStore, open_store
from helicone_gw_cache.backends import Backend
from helicone_gw_cache.backends.disk import DiskBackend
from helicone_gw_cache.backends.memory import MemoryBackend
from helicone_gw_cache.backends.redis import RedisBackend
from tests.fixtures.redis_server import RedisServer

Place = Callable[..., AbstractAsyncContextManager[Backend]]
"""Takes a clock, and bounds that are not the usual ones; gives an open backend that is empty."""

BOUNDS: dict[str, Any] = {"max_entry": 4 << 20, "compress_above": 8 << 10}
ROOM = 64 << 20

PLACES = ["memory", "disk", "store", "redis"]
"""Where entries may be; "store" is the same code as "redis", over a store in memory."""


def at(request: pytest.FixtureRequest) -> Place:
    """The place that the parametrised fixture ``request`` asks for."""
    if request.param == "memory":
        return in_memory
    if request.param == "disk":
        return on_disk(request.getfixturevalue("tmp_path"))
    if request.param == "redis":
        return in_redis(request.getfixturevalue("redis_server"))
    return in_a_store


@asynccontextmanager
async def in_memory(clock: Clock, *, max_bytes: int = ROOM, **bounds: int) -> AsyncIterator[Backend]:
    yield MemoryBackend(clock, max_bytes=max_bytes, **{**BOUNDS, **bounds})


def on_disk(directory: Path) -> Place:
    names = itertools.count()

    @asynccontextmanager
    async def opened(clock: Clock, *, max_bytes: int = ROOM, **bounds: int) -> AsyncIterator[Backend]:
        backend = disk(directory / f"cache-{next(names)}.db", clock, max_bytes=max_bytes, **bounds)
        await backend.start()
        try:
            yield backend
        finally:
            await backend.close()

    return opened


def disk(path: Path, clock: Clock, *, max_bytes: int = ROOM, deadline: float = 60, **bounds: int) -> DiskBackend:
    """A backend on ``path``, not started; its deadline is one that a slow machine keeps."""
    log = structlog.get_logger("test")
    return DiskBackend(path, clock, log, max_bytes=max_bytes, sweep=60, deadline=deadline, **{**BOUNDS, **bounds})


@asynccontextmanager
async def in_a_store(clock: Clock, **bounds: int) -> AsyncIterator[Backend]:
    store = MemoryStore(clock)
    yield RedisBackend(store.scope("cache"), clock, **{**BOUNDS, **bounds})
    await store.close()


def in_redis(server: RedisServer) -> Place:
    @asynccontextmanager
    async def opened(clock: Clock, **bounds: int) -> AsyncIterator[Backend]:
        # Patient, for what is tested is no deadline. The store has the machine's clock: Redis has no other.
        server.ask("FLUSHALL")
        store = open_store(server.url, SystemClock(), namespace="t:", deadline=30, retry_after=0.2, max_connections=8)
        try:
            yield RedisBackend(store.scope("cache"), clock, **{**BOUNDS, **bounds})
        finally:
            await store.close()

    return opened
