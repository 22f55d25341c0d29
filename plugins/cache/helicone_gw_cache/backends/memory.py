"""Memory: entries in this process, bounded by the bytes that they take; gone with it, and each worker's own.

Entries are kept as they are, so that a hit is one look into a table: two microseconds. Those above ``compress_above``
that compression makes a third or less of, streams as a rule, are kept compressed: reading one then costs less than a
tenth of what it takes to send it (28 microseconds for 100 events), and it needs a twentieth of the room.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from cachetools import Cache, TLRUCache
from msgspec import Struct

from helicone_gw import Clock
from helicone_gw_cache.backends.base import Counters
from helicone_gw_cache.backends.selection import Selection, Stats, Summary, Tally
from helicone_gw_cache.compression import Codec, shrinks
from helicone_gw_cache.entry import Entry

_PACKED_OVERHEAD = 600
_WORTH = 3  # how many times smaller an entry must become for its decompression at every hit to be worth it
_SLICE = 2000  # entries that are looked at before others have their turn


class _Held(Struct, frozen=True):
    entry: Entry | None
    packed: bytes
    summary: Summary


class MemoryBackend:
    """A `Backend` in this process. When ``max_bytes`` are taken, the entry that was longest unused goes first."""

    kind = "memory"

    def __init__(self, clock: Clock, *, max_bytes: int, max_entry: int, compress_above: int) -> None:
        self.counters = Counters()
        self._clock = clock
        self._max_entry = max_entry
        self._compress_above = compress_above
        self._codec = Codec(compress_above, max_entry)
        self._held = _Table(max_bytes, clock, self.counters)

    async def start(self) -> None:
        """Nothing is to be opened."""

    async def get_many(self, keys: Sequence[str]) -> list[Entry | None]:
        """The entries of ``keys``, in their order."""
        return [self.at_hand(key) for key in keys]

    def at_hand(self, key: str) -> Entry | None:
        """The entry of ``key``."""
        try:
            held = self._held[key]
        except KeyError:
            return None
        return held.entry or self._codec.decode(held.packed)

    async def put(self, entry: Entry, together: int = 1) -> bool:
        """Keep ``entry``."""
        if entry.stale_until <= self._clock.now():
            return False
        size = entry.size
        if size > self._max_entry:
            self.counters.too_large += 1
            return False
        packed = b""
        if size > self._compress_above and shrinks(entry, _WORTH):
            packed = await self._codec.encode_aside(entry)
            size = len(packed) + _PACKED_OVERHEAD
        summary = Summary(
            entry.organization, entry.owner, entry.provider, entry.model, entry.stored_at, entry.stale_until, size
        )
        try:
            self._held[entry.key] = _Held(None if packed else entry, packed, summary)
        except ValueError:  # larger than all the room there is
            self.counters.too_large += 1
            return False
        self.counters.stored += 1
        return True

    async def delete(self, key: str) -> bool:
        """Drop one entry."""
        try:
            del self._held[key]
        except KeyError:
            return False
        return True

    async def clear(self, selection: Selection) -> int:
        """Drop the entries of ``selection``."""
        cleared = 0
        for key, _ in await self._summaries():
            held = self._held.peek(key)  # it may have been replaced meanwhile
            if held is not None and selection.covers(held.summary):
                cleared += await self.delete(key)
        return cleared

    async def stats(self, selection: Selection) -> Stats:
        """What there is of ``selection``."""
        tally = Tally()
        for _, summary in await self._summaries():
            if selection.covers(summary):
                tally.add(summary)
        return tally.stats()

    async def close(self) -> None:
        """Forget everything."""
        self._held.clear()

    async def _summaries(self) -> list[tuple[str, Summary]]:
        self._held.expire()
        keys = list(self._held)
        found = []
        for start in range(0, len(keys), _SLICE):
            for key in keys[start : start + _SLICE]:
                held = self._held.peek(key)
                if held is not None:
                    found.append((key, held.summary))
            await asyncio.sleep(0)
        return found


class _Table(TLRUCache[str, _Held]):
    """cachetools' table of least recently used values that expire, each at its own time; it counts what it drops."""

    def __init__(self, max_bytes: int, clock: Clock, counters: Counters) -> None:
        super().__init__(max_bytes, _expiry, timer=clock.now, getsizeof=_size)
        self._counters = counters

    def expire(self, time: float | None = None) -> list[tuple[str, _Held]]:
        """Drop what has expired."""
        expired = super().expire(time)
        self._counters.expired += len(expired)
        return expired

    def popitem(self) -> tuple[str, _Held]:
        """Drop the value that was longest unused."""
        item = super().popitem()
        self._counters.evicted += 1
        return item

    def peek(self, key: str) -> _Held | None:
        """A value, without that counting as use."""
        try:
            return Cache.__getitem__(self, key)
        except KeyError:
            return None


def _expiry(key: str, held: _Held, now: float) -> float:
    return held.summary.stale_until


def _size(held: _Held) -> int:
    return held.summary.size
