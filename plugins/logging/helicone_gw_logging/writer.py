"""Writer: a bounded queue between the exchanges and the database, and the one task that empties it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from helicone_gw_logging.counters import Counters
from helicone_gw_logging.delivery import Delivery
from helicone_gw_logging.insert import Rows
from helicone_gw_logging.record import LogRecord

if TYPE_CHECKING:
    from helicone_gw import Database
    from helicone_gw_logging.config import LoggingConfig
    from helicone_gw_logging.journal.journal import Journal, Ticket
    from helicone_gw_logging.journal.keeping import Kept
    from helicone_gw_logging.objects import Objects

_BATCH_BYTES = 8 << 20
# What is asked of every row of a batch, on the event loop.
_ticket, _rows, _made = attrgetter("ticket"), attrgetter("rows"), attrgetter("record", "clean")


class _Waiting(Struct, gc=False):
    """A record on its way, or its rows already. ``ticket``: the journal holds it until it is written. ``clean``: it
    was searched for credentials, and has none."""

    size: int
    record: LogRecord | None
    rows: Rows | None = None
    ticket: Ticket | None = None
    clean: bool = False


class Writer:
    """Writes records in the background, in batches. `put` neither waits nor raises.

    A batch is written when ``batch_rows`` records wait or ``batch_ms`` have passed since the first came. While the
    database is locked or away the batch is tried again, for as long as it takes, and the queue grows: up to
    ``queue_max_bytes`` with bodies, then without, and at ``queue_max_rows`` new records are dropped. Each of that is
    counted in ``counters`` and logged at most every ten seconds. ``secrets`` are credentials that must not be stored.

    What ``journal`` holds is not lost: past those bounds it waits there alone and is read back, and what is not written
    at the end is left to whoever starts next. How far it is in the database is noted with every batch.
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
        self.counters = Counters()
        self._most_rows, self._most_bytes = config.queue_max_rows, int(config.queue_max_bytes)
        self._batch_rows = config.batch_rows
        self._config = config
        self._log = log
        self._journal = journal
        self._delivery = Delivery(
            database,
            config,
            log,
            self.counters,
            secrets=secrets,
            objects=objects,
            journal=journal,
            now=now,
            sleep=sleep,
        )
        self._alarm = self._delivery.alarm
        self._queue: deque[_Waiting] = deque()
        self._unsafe = 0
        """How many of those that wait would be lost with the process."""
        self._taken = 0
        """Bytes of the batch that is being written."""
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

    def put(self, record: LogRecord, kept: Kept | None = None) -> None:
        """Take a record for writing; ``kept`` is what the journal has of it."""
        counters, size, journal = self.counters, record.size, self._journal
        if (
            kept is None
            or kept.ticket is None
            or kept.rows is not None
            or counters.queue_bytes + size > self._most_bytes
            or counters.queue_rows >= self._most_rows
            or self._over
            or journal is None
            or journal.overflow.next
        ):
            one = self._in_need(record, kept)
            if one is None:
                return
        else:
            one = _Waiting(size, record, None, kept.ticket, True)
        queue = self._queue
        if not queue:
            self._empty.clear()
            self._arrived.set()
        queue.append(one)
        counters.queue_rows += 1
        counters.queue_bytes += one.size
        if len(queue) >= self._batch_rows or counters.queue_bytes - self._taken >= _BATCH_BYTES:
            self._ready.set()

    def _in_need(self, record: LogRecord, kept: Kept | None) -> _Waiting | None:
        """What waits where there may be no room or no journal, or where that does not have the record as it is."""
        counters, size, ticket = self.counters, record.size, None if kept is None else kept.ticket
        if self._over:
            if ticket is None:
                counters.rows_lost_at_shutdown += 1
                self._alarm("row lost: it came after the shutdown", id=record.id)
            return None
        crowded = counters.queue_bytes + size > self._most_bytes
        if kept is not None and ticket is not None and self._spilled(kept, ticket, crowded):
            return None
        # One that ended otherwise than the journal can say at once may take a place more.
        if counters.queue_rows >= self._most_rows * (1 if ticket is None else 2):
            counters.rows_dropped += 1
            self._alarm("rows dropped: the queue is full", rows_dropped=counters.rows_dropped)
            if ticket is not None:
                self._settle([ticket])
            return None
        rows = kept.rows if kept is not None and kept.whole else None
        clean = kept is not None and kept.rows is None
        if crowded and record.bodies is not None:
            record, rows = record.without_bodies(), None
            counters.bodies_dropped += 1
            self._alarm("bodies dropped: the queue is full", bodies_dropped=counters.bodies_dropped)
            size = record.size
        if ticket is None:
            self._unsafe += 1
        return _Waiting(size, record if rows is None else None, rows, ticket, clean)

    def _spilled(self, kept: Kept, ticket: Ticket, crowded: bool) -> bool:
        """Whether a record waits in the journal alone from now on."""
        journal = self._journal
        if journal is None or kept.changed:
            return False
        if not (crowded or self.counters.queue_rows >= self._most_rows or journal.spills(ticket)):
            return False
        if not journal.spill(ticket):
            return False
        self._alarm("rows wait in the journal alone: the queue is full", rows=journal.counters.spilled)
        self._empty.clear()
        self._arrived.set()
        return True

    def _settle(self, tickets: Sequence[Ticket]) -> None:
        if self._journal is not None:
            self._journal.settled(tickets)

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
                self.counters.rows_lost_at_shutdown += self._unsafe
                self._log.error("rows lost: the database took none before the shutdown", rows=self._unsafe)
            raise

    def _full(self) -> bool:
        return len(self._queue) >= self._batch_rows or self.counters.queue_bytes >= _BATCH_BYTES

    async def _run_to_the_end(self) -> None:
        try:
            await self._run()
        finally:
            self._over = True

    async def _run(self) -> None:
        while True:
            if not self._queue:
                if self._journal is not None and self._journal.spilling:
                    await self._read_back(self._journal)
                    continue
                self._empty.set()
                if self._closing.is_set():
                    return
                self._arrived.clear()
                await self._arrived.wait()
                continue
            await self._linger()
            await self._write(self._take())

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
        queue, waiting = self._queue, self.counters.queue_bytes
        if len(queue) <= self._batch_rows and waiting < _BATCH_BYTES:
            batch, self._taken = [*queue], waiting
            queue.clear()
            return batch
        batch, size = [], 0
        while queue and len(batch) < self._batch_rows and size < _BATCH_BYTES:
            one = queue.popleft()
            size += one.size
            batch.append(one)
        self._taken = size
        return batch

    async def _write(self, batch: list[_Waiting]) -> None:
        """Write a batch, whatever it takes; the counters say what became of it. Only a cancellation gets out."""
        tickets: list[Ticket] = [*filter(None, map(_ticket, batch))]
        try:
            rows: list[Rows] = [*filter(None, map(_rows, batch))]
            made = batch if not rows else [one for one in batch if one.record is not None]
            rows += await self._delivery.prepared([*map(_made, made)])
            await self._delivery.write(rows, tickets)
        except Exception as problem:
            self.counters.rows_failed += len(batch)
            self._log.error("rows lost", rows=len(batch), exc_info=problem)
        self.counters.queue_rows -= len(batch)
        self.counters.queue_bytes -= self._taken
        self._taken = 0
        self._unsafe -= len(batch) - len(tickets)
        self._settle(tickets)

    async def _read_back(self, journal: Journal) -> None:
        """Write some of what waits in the journal alone."""
        found = await journal.returned(self._config.batch_rows)
        tickets = [ticket for ticket, _ in found]
        try:
            if found:
                await self._delivery.write([rows for _, rows in found], tickets, again=True)
        except Exception as problem:
            self.counters.rows_failed += len(found)
            self._log.error("rows lost", rows=len(found), exc_info=problem)
        self._settle(tickets)

    async def write_left(self, rows: Sequence[Rows]) -> None:
        """Write what a process that died left, but for what is in the database already; returns when it is there."""
        await self._delivery.write(list(rows), again=True)
