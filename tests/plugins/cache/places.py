"""The places where the cache's backends are tested: each opens an empty one, on a clock of the test's."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog

from helicone_gw.clock import Clock
from helicone_gw.store import MemoryStore
from helicone_gw_cache.backends import Backend
from helicone_gw_cache.backends.disk import DiskBackend
from helicone_gw_cache.backends.memory import MemoryBackend
from helicone_gw_cache.backends.redis import RedisBackend

Place = Callable[..., AbstractAsyncContextManager[Backend]]
"""Takes a clock, and bounds that are not the usual ones; gives an open backend that is empty."""

BOUNDS: dict[str, Any] = {"max_entry": 4 << 20, "compress_above": 8 << 10}
ROOM = 64 << 20

PLACES = ["memory", "disk", "store"]


def at(request: pytest.FixtureRequest) -> Place:
    """The place that the parametrised fixture ``request`` asks for."""
    if request.param == "memory":
        return in_memory
    if request.param == "disk":
        return on_disk(request.getfixturevalue("tmp_path"))
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
