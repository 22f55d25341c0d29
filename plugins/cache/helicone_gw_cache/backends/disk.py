"""Disk: entries in a SQLite file of their own, which outlives the process and which workers share.

A file of its own and not the gateway's database: it may be lost, deleted or set aside at any time, it is swept all day,
and the log must not wait for any of that. Two threads work on it, one that reads and one that writes, so that a hit
never waits for what is being written.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

from helicone_gw import Clock, ConfigError
from helicone_gw_cache.backends import rows
from helicone_gw_cache.backends.base import Counters, Unreachable
from helicone_gw_cache.backends.file import Access, CacheFile
from helicone_gw_cache.backends.selection import Selection, Stats, Summary
from helicone_gw_cache.compression import Codec
from helicone_gw_cache.entry import Entry

T = TypeVar("T")

MAX_WAITING: Final = 64 << 20
"""Bytes of entries that may wait to be written; above it, new ones are not stored, and counted as ``busy``."""

MAX_TOUCHED: Final = 10_000
"""Entries whose use has not been written yet; above it, uses are forgotten, and eviction takes them for less used."""

QUIET: Final = 60.0
"""Seconds between two log lines that say that the file does not answer."""

_OVERHEAD = 256  # what a row takes beside its value: columns, indexes, its part of pages


class DiskBackend:
    """A `Backend` on disk. When ``max_bytes`` are taken, the entries that were longest unused go first.

    ``sweep`` is the time between two sweeps for what has expired, ``deadline`` how long a request may wait for a look
    into the file (both in seconds). A file that is damaged is set aside and begun anew.
    """

    kind = "disk"

    def __init__(
        self,
        path: Path,
        clock: Clock,
        log: Any,
        *,
        max_bytes: int,
        max_entry: int,
        compress_above: int,
        sweep: float,
        deadline: float,
    ) -> None:
        self.counters = Counters()
        self._clock = clock
        self._log = log
        self._max_bytes = max_bytes
        self._max_entry = max_entry
        self._sweep = sweep
        self._deadline = deadline
        self._codec = Codec(compress_above, max_entry)
        self._file = CacheFile(path, self._damaged)
        self._reader, self._writer = Access(self._file), Access(self._file)
        self._reading = ThreadPoolExecutor(1, "cache-read")
        self._writing = ThreadPoolExecutor(1, "cache-write")
        self._touched: dict[str, float] = {}
        self._waiting = 0
        self._complained = float("-inf")
        self._closed = False
        self._stuck: asyncio.Future[None] | None = None
        self._sweeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the file and begin to sweep it. Raises `ConfigError`."""
        try:
            await self._read(lambda connection: None)
        except BaseException as problem:
            # Whoever did not start is not closed.
            await self.close()
            if isinstance(problem, (sqlite3.Error, OSError)):
                raise ConfigError([f"backend.url: cannot use {self._file.path}: {problem}"]) from problem
            raise
        self._sweeping = asyncio.create_task(self._keep_sweeping(), name="cache.sweep")

    def at_hand(self, key: str) -> Entry | None:
        """Nothing is."""
        return None

    async def get_many(self, keys: Sequence[str]) -> list[Entry | None]:
        """The entries of ``keys``, in their order."""
        now = self._clock.now()
        wanted = tuple(keys)
        if self._stuck is not None and not self._stuck.done():
            self.counters.unavailable += 1
            return [None] * len(wanted)
        try:
            async with asyncio.timeout(self._deadline):
                found, unreadable = await self._read(lambda connection: self._decoded(connection, wanted, now))
        except TimeoutError as problem:
            # One request has paid for it: until the thread is free again, all others are misses at once.
            if not self._closed:
                self._stuck = asyncio.get_running_loop().run_in_executor(self._reading, _nothing)
            self._failed(problem)
            return [None] * len(wanted)
        except (sqlite3.Error, OSError) as problem:
            self._failed(problem)
            return [None] * len(wanted)
        self.counters.unreadable += unreadable
        if len(self._touched) + len(found) > MAX_TOUCHED:
            self._touched.clear()
        self._touched.update(dict.fromkeys(found, now))
        return [found.get(key) for key in wanted]

    def _decoded(
        self, connection: sqlite3.Connection, keys: tuple[str, ...], now: float
    ) -> tuple[dict[str, Entry], int]:
        found: dict[str, Entry] = {}
        unreadable = 0
        for key, value in rows.values(connection, keys, now):
            entry = self._codec.decode(value)
            if entry is not None and entry.key == key:
                found[key] = entry
            else:
                unreadable += 1
        return found, unreadable

    async def put(self, entry: Entry, together: int = 1) -> bool:
        """Keep ``entry``. Returns when it is written, which waits for what was to be written before: call it aside."""
        if entry.stale_until <= self._clock.now():
            return False
        size = entry.size
        if size > self._max_entry:
            self.counters.too_large += 1
            return False
        if self._waiting + size > MAX_WAITING:
            self.counters.busy += 1
            return False
        now, touched = self._clock.now(), self._taken_touches()
        self._waiting += size
        try:
            outcome = await self._write(lambda connection: self._put(connection, entry, touched, now))
        except (sqlite3.Error, OSError) as problem:
            self._failed(problem)
            return False
        finally:
            self._waiting -= size
        if outcome is None:
            self.counters.too_large += 1
            return False
        expired, evicted = outcome
        self.counters.stored += 1
        self.counters.expired += expired
        self.counters.evicted += evicted
        return True

    def _put(
        self, connection: sqlite3.Connection, entry: Entry, touched: dict[str, float], now: float
    ) -> tuple[int, int] | None:
        value = self._codec.encode(entry)
        size = len(value) + _OVERHEAD
        if size > self._max_bytes:
            return None
        summary = Summary(
            entry.organization, entry.owner, entry.provider, entry.model, entry.stored_at, entry.stale_until, size
        )
        return rows.put(connection, entry.key, summary, value, now, touched, self._max_bytes)

    async def delete(self, key: str) -> bool:
        """Drop one entry."""
        now = self._clock.now()
        try:
            return await self._write(lambda connection: rows.delete(connection, key, now))
        except (sqlite3.Error, OSError) as problem:
            self._failed(problem)
            return False

    async def clear(self, selection: Selection) -> int:
        """Drop the entries of ``selection``."""
        await self.sweep()
        cleared = 0
        while part := await self._asked(lambda connection: rows.clear_some(connection, selection)):
            cleared += part
        return cleared

    async def stats(self, selection: Selection) -> Stats:
        """What there is of ``selection``."""
        now = self._clock.now()
        return await self._asked(lambda connection: rows.stats(connection, selection, now))

    async def sweep(self) -> None:
        """Drop what has expired, write what was used, give freed pages back. Raises `Unreachable`."""
        now, touched = self._clock.now(), self._taken_touches()
        await self._asked(lambda connection: self._file.follow())
        await self._asked(lambda connection: rows.touch(connection, touched))
        while part := await self._asked(lambda connection: rows.expire_some(connection, now)):
            self.counters.expired += part
        await self._asked(rows.shrink)

    async def close(self) -> None:
        """Stop sweeping and close the file."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.wait({self._sweeping})
            self._sweeping = None
        if not self._closed:
            self._closed = True
            await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._reading.shutdown()
        self._writing.shutdown()
        self._reader.close()
        self._writer.close()

    async def _keep_sweeping(self) -> None:
        while True:
            await self._clock.sleep(self._sweep)
            with contextlib.suppress(Unreachable):
                await self.sweep()

    def _taken_touches(self) -> dict[str, float]:
        touched, self._touched = self._touched, {}
        return touched

    async def _asked(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await self._write(work)
        except (sqlite3.Error, OSError) as problem:
            self._failed(problem)
            raise Unreachable(f"the cache's file does not answer: {problem}") from problem

    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await self._in(self._reading, self._reader, work)

    async def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await self._in(self._writing, self._writer, work)

    async def _in(self, thread: ThreadPoolExecutor, access: Access, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._closed:
            raise OSError("it is closed")
        return await asyncio.get_running_loop().run_in_executor(thread, access.run, work)

    def _failed(self, problem: Exception) -> None:
        self.counters.unavailable += 1
        now = self._clock.monotonic()
        if now - self._complained >= QUIET:
            self._complained = now
            self._log.warning("the cache's file does not answer", problem=f"{type(problem).__name__}: {problem}")

    def _damaged(self, aside: str) -> None:
        # From a thread: structlog does not mind.
        self._log.warning("the cache's file is damaged; it was set aside and begun anew", aside=aside)


def _nothing() -> None:
    return None
