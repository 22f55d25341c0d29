"""Stores for tests that hold the kinds on memory and on a real Redis to the same."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from helicone_gw.clock import SystemClock
from helicone_gw.store import MemoryStore, open_store
from helicone_gw_ratelimit.limits import Limits
from helicone_gw_ratelimit.rules import BUCKET, LEASES, WINDOW
from tests.fixtures.redis_server import RedisServer
from tests.plugins.ratelimit.oracles import GIVEN_TIME, SetClock, TimedStore

KINDS = (BUCKET, WINDOW, LEASES)


class World:
    """A store with limits on it, and the clock of both."""

    def __init__(self, store: Any, limits: Limits, clock: SetClock) -> None:
        self.store = store
        self.limits = limits
        self.clock = clock


@asynccontextmanager
async def redis_world(server: RedisServer) -> AsyncIterator[World]:
    store = open_store(server.url, SystemClock(), namespace="t:", deadline=5, retry_after=0.2, max_connections=8)
    clock = SetClock()
    try:
        yield World(TimedStore(store, clock), Limits(KINDS, GIVEN_TIME), clock)
    finally:
        await store.close()


@asynccontextmanager
async def memory_world() -> AsyncIterator[World]:
    clock = SetClock()
    yield World(MemoryStore(clock), Limits(KINDS), clock)


@pytest.fixture(params=["memory", "redis"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """The kinds on memory, and the same on a real Redis."""
    make: Callable[[], Any] = memory_world
    if request.param == "redis":
        server = request.getfixturevalue("redis_server")
        make = lambda: redis_world(server)  # noqa: E731
    async with make() as made:
        yield made
