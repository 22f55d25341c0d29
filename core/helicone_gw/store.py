"""Store: counters and small shared values, the same interface in memory and (later) on Redis."""

from __future__ import annotations

import heapq
from typing import Protocol

from helicone_gw.clock import Clock


class Store(Protocol):
    """Namespaced key-value store with expiry. Values are bytes; keys are strings; ``ttl`` is in seconds."""

    async def get(self, key: str) -> bytes | None:
        """The value, or ``None`` when absent or expired."""

    async def set(self, key: str, value: bytes, ttl: float | None = None) -> None:
        """Write ``value``; without ``ttl`` it stays until deleted."""

    async def delete(self, key: str) -> None:
        """Remove ``key``, if it is there."""

    async def increment(self, key: str, by: int = 1, ttl: float | None = None) -> int:
        """Add to an integer counter atomically and return the new value; ``ttl`` applies when it is created."""

    async def compare_and_set(self, key: str, expected: bytes | None, value: bytes, ttl: float | None = None) -> bool:
        """Write ``value`` only if the current one is ``expected`` (``None``: absent). Whether it was written."""

    async def close(self) -> None:
        """Let go of connections."""


class MemoryStore:
    """A `Store` in this process's memory: for one worker, gone with it.

    Bounded by ``max_keys``: when full, expired keys go first, then the ones that expire soonest, then the oldest;
    each early removal is counted in ``evicted``.
    """

    def __init__(self, clock: Clock, max_keys: int = 1_000_000) -> None:
        self._clock = clock
        self._max_keys = max_keys
        self._values: dict[str, tuple[bytes, float | None]] = {}
        self._expiries: list[tuple[float, str]] = []
        self.evicted = 0

    def __len__(self) -> int:
        return len(self._values)

    async def get(self, key: str) -> bytes | None:
        """The value, or ``None`` when absent or expired."""
        return self._read(key)

    async def set(self, key: str, value: bytes, ttl: float | None = None) -> None:
        """Write ``value``; without ``ttl`` it stays until deleted."""
        self._write(key, value, None if ttl is None else self._clock.monotonic() + ttl)

    async def delete(self, key: str) -> None:
        """Remove ``key``, if it is there."""
        self._values.pop(key, None)

    async def increment(self, key: str, by: int = 1, ttl: float | None = None) -> int:
        """Add to an integer counter atomically and return the new value; ``ttl`` applies when it is created."""
        current = self._read(key)
        if current is None:
            total, expires = by, None if ttl is None else self._clock.monotonic() + ttl
        else:
            total, expires = int(current) + by, self._values[key][1]
        self._write(key, str(total).encode(), expires)
        return total

    async def compare_and_set(self, key: str, expected: bytes | None, value: bytes, ttl: float | None = None) -> bool:
        """Write ``value`` only if the current one is ``expected`` (``None``: absent). Whether it was written."""
        if self._read(key) != expected:
            return False
        await self.set(key, value, ttl)
        return True

    async def close(self) -> None:
        """Forget everything."""
        self._values.clear()
        self._expiries.clear()

    def _read(self, key: str) -> bytes | None:
        found = self._values.get(key)
        if found is None:
            return None
        value, expires = found
        if expires is not None and expires <= self._clock.monotonic():
            del self._values[key]
            return None
        return value

    def _write(self, key: str, value: bytes, expires: float | None) -> None:
        if key not in self._values and len(self._values) >= self._max_keys:
            self._make_room()
        self._values[key] = (value, expires)
        if expires is not None:
            heapq.heappush(self._expiries, (expires, key))
            # Keys that are written again and again leave stale heap entries behind; rebuilding at twice the size of
            # the store keeps the heap bounded and costs a constant amount per write.
            if len(self._expiries) > 2 * len(self._values) + 16:
                self._expiries = [(when, name) for name, (_, when) in self._values.items() if when is not None]
                heapq.heapify(self._expiries)

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
