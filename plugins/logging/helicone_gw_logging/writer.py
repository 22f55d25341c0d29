"""Writer: what waits for the database, in the journal or in memory, and the one task that brings it there."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from helicone_gw_logging.counters import Counters
from helicone_gw_logging.delivery import Delivery
from helicone_gw_logging.insert import Rows
from helicone_gw_logging.record import LogRecord

if TYPE_CHECKING:
    from helicone_gw import Database
    from helicone_gw_logging.config import LoggingConfig
    from helicone_gw_logging.journal.journal import Journal
    from helicone_gw_logging.journal.keeping import Kept
    from helicone_gw_logging.objects import Objects

_BATCH_BYTES = 8 << 20
_UNREADABLE_DELAY = 1.0
"""Seconds until a journal that cannot be read is tried again."""


class _Waiting(Struct, gc=False):
    """A record in memory, or its rows already. ``sequence``: the journal has it, too, and holds it until it is written.
    ``clean``: it was searched for credentials, and has none."""

    size: int
    record: LogRecord | None
    rows: Rows | None = None
    sequence: int = 0
    clean: bool = False


class Writer:
    """Writes records in the background, in batches. `put` neither waits nor raises.

    What ``journal`` has as it is to be written waits there alone, and is read from there: it takes no memory, and what
    is not written at the end is left to whoever starts next. Everything else waits in memory: all records where there
    is no journal (or a full one), those with long bodies, of which a journal keeps the beginning, and those that ended
    otherwise than it said.

    A batch is written when ``batch_rows`` records wait or ``batch_ms`` have passed since the first came. While the
    database is locked or away the batch is tried again, for as long as it takes. Memory is used up to
    ``queue_max_bytes`` with bodies, then without, and at ``queue_max_rows`` new records are dropped, unless the journal
    has them. Each of that is counted in ``counters`` and logged at most every ten seconds. ``secrets`` are credentials
    that must not be stored. How far the journal is in the database is noted with every batch.
    """

    def __init__(
        self,
        database: Database,
        config: LoggingConfig,
        log: Any,
        *,
        secrets: Sequence[str] = (),
        objects: Objects | None = None,
        journal: Journal | None = None,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._counters = Counters()
        self._most_rows, self._most_bytes = config.queue_max_rows, int(config.queue_max_bytes)
        self._batch_rows = config.batch_rows
        self._config = config
        self._log = log
        self._journal = journal
        self._delivery = Delivery(
            database,
            config,
            log,
            self._counters,
            self._waiting,
            secrets=secrets,
            objects=objects,
            journal=journal,
            now=now,
            sleep=sleep,
        )
        self._alarm = self._delivery.alarm
        self._sleep = sleep
        self._queue: deque[_Waiting] = deque()
        self._taken_rows = self._taken_bytes = self._read_rows = 0
        """Of the batch that is being written, what is in memory, and what was read from the journal."""
        self._unsafe = 0
        """How many of those that wait would be lost with the process."""
        self._idle = True
        """Whether nothing waits."""
        self._arrived = asyncio.Event()
        self._ready = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._hurry = 0
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._over = False
        """Whether nothing is written any more."""

    def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.get_running_loop().create_task(self._run_to_the_end(), name="logging.writer")

    def journaled(self, journal: Journal) -> None:
        """Have ``journal``, which could not be opened before, from now on."""
        self._journal = journal
        self._delivery.journaled(journal)

    @property
    def counters(self) -> Counters:
        """What became of the records so far."""
        self._counters.queue_rows = self._waiting()
        return self._counters

    def _waiting(self) -> int:
        """How many records there are that are not written, in the journal and in memory."""
        backlog = 0 if self._journal is None else self._journal.backlog.count
        return backlog + self._read_rows + self._rows_in_memory

    @property
    def _rows_in_memory(self) -> int:
        return len(self._queue) + self._taken_rows

    def leave(self, kept: Kept) -> bool:
        """Have what the journal has of an exchange that is over wait there alone; whether it can."""
        journal, ticket = self._journal, kept.ticket
        if journal is None or ticket is None or kept.changed:
            return False
        if not kept.whole and not self._crowded(kept.record):
            return False
        if not journal.leave(ticket):
            return False
        if self._idle:
            self._wake()
        if journal.backlog.count >= self._batch_rows:
            self._ready.set()
        return True

    def put(self, record: LogRecord, kept: Kept | None = None) -> None:
        """Have a record wait in memory; ``kept`` is what the journal has of it."""
        one = self._in_memory(record, kept)
        if one is None:
            return
        counters, queue = self._counters, self._queue
        queue.append(one)
        counters.queue_bytes += one.size
        if self._idle:
            self._wake()
        if len(queue) >= self._batch_rows or counters.queue_bytes - self._taken_bytes >= _BATCH_BYTES:
            self._ready.set()

    def _wake(self) -> None:
        self._idle = False
        self._empty.clear()
        self._arrived.set()

    def _crowded(self, record: LogRecord | None) -> bool:
        """Whether there is no room for it in memory, so that the beginning of a long body has to do."""
        size = 0 if record is None else record.size
        return self._counters.queue_bytes + size > self._most_bytes or self._rows_in_memory >= self._most_rows

    def _in_memory(self, record: LogRecord, kept: Kept | None) -> _Waiting | None:
        """What waits in memory; ``None``: nothing has to, or there is no room."""
        counters, size, ticket = self._counters, record.size, None if kept is None else kept.ticket
        if self._over:
            if ticket is None:
                counters.rows_lost_at_shutdown += 1
                self._alarm("row lost: it came after the shutdown", id=record.id)
            return None
        # One that the journal has, and that ended otherwise than it said, may take a place more.
        if self._rows_in_memory >= self._most_rows * (1 if ticket is None else 2):
            counters.rows_dropped += 1
            self._alarm("rows dropped: the queue is full", rows_dropped=counters.rows_dropped)
            if ticket is not None and self._journal is not None:
                self._journal.settled([ticket.sequence])
            return None
        rows = kept.rows if kept is not None and kept.whole else None
        clean = kept is not None and kept.rows is None
        if counters.queue_bytes + size > self._most_bytes and record.bodies is not None:
            record, rows = record.without_bodies(), None
            counters.bodies_dropped += 1
            self._alarm("bodies dropped: the queue is full", bodies_dropped=counters.bodies_dropped)
            size = record.size
        if ticket is None:
            self._unsafe += 1
            return _Waiting(size, record if rows is None else None, rows, 0, clean)
        return _Waiting(size, record if rows is None else None, rows, ticket.sequence, clean)

    async def flush(self) -> None:
        """Write everything that waits, now. Returns at once when the writer does not run."""
        if self._task is None or self._task.done():
            return
        self._hurry += 1
        self._ready.set()
        try:
            await self._empty.wait()
        finally:
            self._hurry -= 1

    async def close(self) -> None:
        """Write everything that waits, then end. When it is cancelled first, what is left is lost and said so."""
        self._closing.set()
        self._delivery.closing = True
        self._arrived.set()
        self._ready.set()
        if self._task is None or self._task.done():
            return
        try:
            await asyncio.shield(self._task)
        except asyncio.CancelledError:
            self._task.cancel()
            await asyncio.wait({self._task})
            if self._unsafe:
                self._counters.rows_lost_at_shutdown += self._unsafe
                self._log.error("rows lost: the database took none before the shutdown", rows=self._unsafe)
            raise

    def _full(self) -> bool:
        return self._waiting() >= self._batch_rows or self._counters.queue_bytes >= _BATCH_BYTES

    async def _run_to_the_end(self) -> None:
        try:
            await self._run()
        finally:
            self._over = True

    async def _run(self) -> None:
        while True:
            if not (self._queue or (self._journal is not None and self._journal.backlog.next)):
                self._idle = True
                self._empty.set()
                if self._closing.is_set():
                    return
                self._arrived.clear()
                await self._arrived.wait()
                continue
            await self._linger()
            batch = self._take()
            await self._write(batch, await self._returned(self._batch_rows - len(batch)))

    async def _linger(self) -> None:
        if self._full() or self._hurry or self._closing.is_set():
            return
        self._ready.clear()
        try:
            async with asyncio.timeout(self._config.batch_ms / 1000):
                await self._ready.wait()
        except TimeoutError:
            pass

    def _take(self) -> list[_Waiting]:
        """Some of what waits in memory."""
        batch: list[_Waiting] = []
        queue, size = self._queue, 0
        while queue and len(batch) < self._batch_rows and size < _BATCH_BYTES:
            one = queue.popleft()
            size += one.size
            batch.append(one)
        self._taken_rows, self._taken_bytes = len(batch), size
        return batch

    async def _returned(self, most: int) -> list[tuple[int, Rows]]:
        """Up to ``most`` of what waits in the journal, with the sequences under which it is there."""
        if self._journal is None or not self._journal.backlog.next or not most:
            return []
        try:
            found = await self._journal.returned(most)
        except OSError as problem:
            self._alarm("the journal cannot be read; trying again", problem=type(problem).__name__)
            await self._sleep(_UNREADABLE_DELAY)
            return []
        self._read_rows = len(found)
        return found

    async def _write(self, batch: list[_Waiting], returned: list[tuple[int, Rows]]) -> None:
        """Write a batch, whatever it takes; the counters say what became of it. Only a cancellation gets out."""
        sequences = [sequence for sequence, _ in returned]
        sequences += [one.sequence for one in batch if one.sequence]
        try:
            rows = [made for _, made in returned]
            rows += [one.rows for one in batch if one.rows is not None]
            rows += await self._delivery.prepared([(one.record, one.clean) for one in batch if one.record is not None])
            if rows:
                await self._delivery.write(rows, sequences)
        except Exception as problem:
            self._counters.rows_failed += len(batch) + len(returned)
            self._log.error("rows lost", rows=len(batch) + len(returned), exc_info=problem)
        self._unsafe -= sum([not one.sequence for one in batch])
        self._counters.queue_bytes -= self._taken_bytes
        self._taken_rows = self._taken_bytes = self._read_rows = 0
        if self._journal is not None:
            self._journal.settled(sequences)

    async def write_left(self, rows: Sequence[Rows]) -> None:
        """Write what a process that died left, but for what is in the database already; returns when it is there."""
        await self._delivery.write(list(rows), again=True)
