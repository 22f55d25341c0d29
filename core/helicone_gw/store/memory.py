"""The store in this process's memory, and the bounded table with expiry that it keeps its keys in."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from typing import Any

from helicone_gw.clock import Clock
from helicone_gw.store.base import Argument, Call, Operation, Results, Scoped, Store, StoreStats, check_tags


class MemoryStore:
    """A `Store` in this process's memory: for one worker, gone with it.

    Bounded by ``max_keys``: when full, expired keys go first, then the ones that expire soonest, then the oldest;
    each early removal is counted in ``evicted``.
    """

    def __init__(self, clock: Clock, max_keys: int = 1_000_000) -> None:
        self._clock = clock
        self._table = Table(clock, max_keys)

    def __len__(self) -> int:
        return len(self._table)

    @property
    def evicted(self) -> int:
        """Keys that were removed before their time, for want of room."""
        return self._table.evicted

    @property
    def stats(self) -> StoreStats:
        """How many keys were evicted; calls are not counted."""
        return StoreStats(evicted=self._table.evicted)

    async def connect(self) -> None:
        """Nothing: it is always there."""

    async def problem(self) -> str:
        """None: it is always there."""
        return ""

    async def get(self, key: str) -> bytes | None:
        """The value, or ``None`` when absent or expired."""
        return _plain(self._table.get(key))

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """The value of each key, or ``None``."""
        return [_plain(self._table.get(key)) for key in keys]

    async def set(self, key: str, value: bytes, ttl: float | None = None) -> None:
        """Write ``value``; without ``ttl`` it stays until deleted."""
        self._table.set(key, value, ttl)

    async def delete(self, key: str) -> None:
        """Remove ``key``, if it is there."""
        self._table.delete(key)

    async def increment(self, key: str, by: int = 1, ttl: float | None = None) -> int:
        """Add to an integer counter atomically and return the new value; ``ttl`` applies when it is created."""
        current = _plain(self._table.get(key))
        if current is None:
            self._table.set(key, b"%d" % by, ttl)
            return by
        total = int(current) + by
        self._table.replace(key, b"%d" % total)
        return total

    async def compare_and_set(self, key: str, expected: bytes | None, value: bytes, ttl: float | None = None) -> bool:
        """Write ``value`` only if the current one is ``expected`` (``None``: absent). Whether it was written."""
        if _plain(self._table.get(key)) != expected:
            return False
        self._table.set(key, value, ttl)
        return True

    async def run(self, operation: Operation, keys: Sequence[str], arguments: Sequence[Argument] = ()) -> Results:
        """Run ``operation`` atomically. Raises `ValueError` for keys that share no ``{tag}``, as on Redis."""
        if len(keys) > 1:
            check_tags(operation, keys)
        return operation.local(self._table, keys, arguments, self._clock.now())

    async def run_all(self, calls: Iterable[Call]) -> list[Results]:
        """The results of several operations, each atomic."""
        return [await self.run(*call) for call in calls]

    def scope(self, name: str) -> Store:
        """This store, with ``name:`` before every key."""
        return Scoped(self, name)

    async def close(self) -> None:
        """Forget everything."""
        self._table.clear()


class Table:
    """Keys with values and expiry, at most ``max_keys`` of them: the `LocalKeys` of a `MemoryStore`.

    Expiry is on the monotonic clock: the wall clock may be set without anything expiring early or late.
    """

    def __init__(self, clock: Clock, max_keys: int) -> None:
        self._clock = clock
        self._max_keys = max_keys
        self._values: dict[str, tuple[Any, float | None]] = {}
        self._expiries: list[tuple[float, str]] = []
        self.evicted = 0

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: str) -> Any | None:
        """The value, or ``None`` when absent or expired."""
        found = self._values.get(key)
        if found is None:
            return None
        value, expires = found
        if expires is not None and expires <= self._clock.monotonic():
            del self._values[key]
            return None
        return value

    def set(self, key: str, value: Any, ttl: float | None = None) -> None:
        """Write ``value``, for ``ttl`` seconds from now; without ``ttl`` it stays until deleted."""
        if key not in self._values and len(self._values) >= self._max_keys:
            self._make_room()
        expires = None if ttl is None else self._clock.monotonic() + ttl
        self._values[key] = (value, expires)
        if expires is not None:
            heapq.heappush(self._expiries, (expires, key))
            # Keys that are written again and again leave stale heap entries behind; rebuilding at twice the size of
            # the store keeps the heap bounded and costs a constant amount per write.
            if len(self._expiries) > 2 * len(self._values) + 16:
                self._expiries = [(when, name) for name, (_, when) in self._values.items() if when is not None]
                heapq.heapify(self._expiries)

    def replace(self, key: str, value: Any) -> None:
        """Give a key that is there another value, and leave its expiry as it is."""
        self._values[key] = (value, self._values[key][1])

    def delete(self, key: str) -> None:
        """Remove ``key``, if it is there."""
        self._values.pop(key, None)

    def clear(self) -> None:
        """Remove every key."""
        self._values.clear()
        self._expiries.clear()

    def _make_room(self) -> None:
        now = self._clock.monotonic()
        while self._expiries:
            when, key = heapq.heappop(self._expiries)
            found = self._values.get(key)
            if found is None or found[1] != when:
                continue
            del self._values[key]
            if when > now:
                self.evicted += 1
            return
        del self._values[next(iter(self._values))]
        self.evicted += 1


def _plain(value: Any) -> bytes | None:
    if value is None or isinstance(value, bytes):
        return value
    raise TypeError("the value under this key was written by an operation, and is read by operations alone")
