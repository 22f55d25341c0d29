"""What the tests of stores share: an operation, a store that is closed again, all that one does, and waiting for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from helicone_gw import LocalKeys, StoreOperation
from helicone_gw.clock import SystemClock
from helicone_gw.store import Store, open_store
from tests.fixtures.redis_server import RedisServer

Start = Callable[..., RedisServer]
"""Starts a redis-server with options of its own."""

PATIENT: dict[str, Any] = {"namespace": "t:", "deadline": 5, "retry_after": 0.2, "max_connections": 8}
"""What these tests are about is no deadline."""


def _add(
    keys: LocalKeys, names: Sequence[str], arguments: Sequence[bytes | str | int | float], now: float
) -> list[int | bytes | None]:
    total = 0
    for name in names:
        total = int(keys.get(name) or 0) + int(arguments[0])
        keys.set(name, total, ttl=60)
    return [total, None, str(arguments[1]).encode()]


ADD = StoreOperation(
    "add",
    """
local total
for _, key in ipairs(KEYS) do
  total = redis.call('INCRBY', key, ARGV[1])
  redis.call('PEXPIRE', key, 60000)
end
return {total, false, ARGV[2]}
""",
    _add,
)


@asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncIterator[Store]:
    store = open_store(url, SystemClock(), **PATIENT | options)
    try:
        yield store
    finally:
        await store.close()


async def works(store: Store) -> None:
    """Everything that travels differently, once."""
    assert await store.problem() == ""
    await store.set("a", b"1", ttl=60)
    await store.set("{x}b", b"2", ttl=60)
    assert await store.get_many(["a", "none", "{x}b"]) == [b"1", None, b"2"]
    assert await store.compare_and_set("a", b"1", b"3", ttl=60)
    assert not await store.compare_and_set("a", None, b"4")
    assert await store.compare_and_set("new", None, b"4", ttl=60)
    assert await store.increment("n", 2, ttl=60) == 2
    assert await store.run(ADD, ["{y}1", "{y}2"], [1, "x"]) == [1, None, b"x"]
    many = [(ADD, [f"k{number}"], [number, ""]) for number in range(30)]
    assert [result[0] for result in await store.run_all(many)] == list(range(30))
    assert await store.get("a") == b"3"
    await store.delete("a")
    assert await store.get("a") is None
    with pytest.raises(ValueError, match="failed"):
        await store.run(StoreOperation("broken", "return redis.error_reply('NO')", ADD.local), ["k"])
    with pytest.raises(TypeError):
        await store.set("a", ["not bytes"])  # type: ignore[arg-type]
    assert not store.stats.open
    assert store.stats.failures == 0


async def until_it_answers(store: Store, seconds: float = 20) -> None:
    """Wait until the store is asked again."""
    end = time.monotonic() + seconds
    while store.stats.open:
        assert time.monotonic() < end, "it was never reached again"
        await asyncio.sleep(0.02)
