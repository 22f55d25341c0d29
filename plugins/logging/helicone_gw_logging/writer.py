"""Writer: a bounded queue between the exchanges and the database, and the one task that empties it."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from sqlalchemy.exc import DBAPIError, IntegrityError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from helicone_gw_logging.insert import Knowledge, Rows, prepare, request_only, write
from helicone_gw_logging.journal.position import note
from helicone_gw_logging.record import LogRecord
from helicone_gw_logging.vocabulary import Vocabulary

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from helicone_gw import Database
    from helicone_gw_logging.config import LoggingConfig
    from helicone_gw_logging.journal.journal import Journal, Ticket
    from helicone_gw_logging.journal.keeping import Kept
    from helicone_gw_logging.objects import Objects

_BATCH_BYTES = 8 << 20
_AT_ONCE = 64  # a turn of the event loop, of which a busy gateway has few, must get through more rows than come in it
_SMALL = 8 << 10  # bytes of a record that takes a few ten microseconds, its row among them
_FIRST_DELAY = 0.05
_LONGEST_DELAY = 5.0
_ALARM_INTERVAL = 10.0


@dataclass(slots=True)
class Counters:
    """What became of the records since the start. Nothing is lost without being counted here.

    ``rows_dropped``: the queue was full; ``bodies_dropped``: its memory was, so that rows went without their bodies;
    ``rows_failed``: the database would not have that row; ``bodies_failed``: it had the row, but not all beside it;
    ``rows_lost_at_shutdown``: there was no time left to write them; ``retries``: transactions that were tried again;
    ``values_folded``: values that went to "(other)", because their hour tells no more apart; ``rows_pruned``:
    rows of all kinds that were deleted because they were too old; ``queue_rows`` and ``queue_bytes``: what waits now.
    """

    rows_written: int = 0
    rows_dropped: int = 0
    rows_failed: int = 0
    rows_lost_at_shutdown: int = 0
    bodies_dropped: int = 0
    bodies_failed: int = 0
    retries: int = 0
    values_folded: int = 0
    rows_pruned: int = 0
    queue_rows: int = 0
    queue_bytes: int = 0


class _Waiting(Struct):
    """A record on its way: as it is, or its rows already. ``ticket``: the journal holds it until it is written."""

    size: int
    record: LogRecord | None
    rows: Rows | None = None
    ticket: Ticket | None = None


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
        self._database = database
        self._config = config
        self._log = log
        self._objects = objects
        self._journal = journal
        self._now = now
        self._turn = asyncio.Lock()
        self._secrets = tuple(secret.encode() for secret in secrets)
        self._sleep = sleep
        self._knowledge = Knowledge(Vocabulary(config.rollup_values), now=now)
        self._queue: deque[_Waiting] = deque()
        self._unsafe = 0
        """How many of those that wait would be lost with the process."""
        self._waiting_bytes = 0
        self._arrived = asyncio.Event()
        self._ready = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._hurry = 0
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._alarms: dict[str, float] = {}

    def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="logging.writer")

    def put(self, record: LogRecord, kept: Kept | None = None) -> None:
        """Take a record for writing; ``kept`` is what the journal has of it."""
        counters, config = self.counters, self._config
        ticket = None if kept is None else kept.ticket
        if self._task is not None and self._task.done():
            if ticket is None:
                counters.rows_lost_at_shutdown += 1
                self._alarm("row lost: it came after the shutdown", id=record.request["id"])
            return
        crowded = counters.queue_bytes + record.size > config.queue_max_bytes
        if kept is not None and ticket is not None and self._spilled(kept, ticket, crowded):
            return
        # One that ended otherwise than the journal can say at once may take a place more.
        if counters.queue_rows >= config.queue_max_rows * (1 if ticket is None else 2):
            counters.rows_dropped += 1
            self._alarm("rows dropped: the queue is full", rows_dropped=counters.rows_dropped)
            if ticket is not None:
                self._settle([ticket])
            return
        rows = kept.rows if kept is not None and kept.whole else None
        if crowded and record.bodies is not None:
            record, rows = record.without_bodies(), None
            counters.bodies_dropped += 1
            self._alarm("bodies dropped: the queue is full", bodies_dropped=counters.bodies_dropped)
        self._queue.append(_Waiting(record.size, record if rows is None else None, rows, ticket))
        counters.queue_rows += 1
        counters.queue_bytes += record.size
        self._waiting_bytes += record.size
        if ticket is None:
            self._unsafe += 1
        self._empty.clear()
        self._arrived.set()
        if self._full():
            self._ready.set()

    def _spilled(self, kept: Kept, ticket: Ticket, crowded: bool) -> bool:
        """Whether a record waits in the journal alone from now on."""
        journal = self._journal
        if journal is None or kept.changed:
            return False
        if not (crowded or self.counters.queue_rows >= self._config.queue_max_rows or journal.spills(ticket)):
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
        return len(self._queue) >= self._config.batch_rows or self._waiting_bytes >= _BATCH_BYTES

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
        batch: list[_Waiting] = []
        size = 0
        while self._queue and len(batch) < self._config.batch_rows and size < _BATCH_BYTES:
            one = self._queue.popleft()
            size += one.size
            batch.append(one)
        self._waiting_bytes -= size
        return batch

    async def _write(self, batch: list[_Waiting]) -> None:
        """Write a batch, whatever it takes; the counters say what became of it. Only a cancellation gets out."""
        tickets = [one.ticket for one in batch if one.ticket is not None]
        try:
            await self._write_rows(await self._prepared(batch), tickets)
        except Exception as problem:
            self.counters.rows_failed += len(batch)
            self._log.error("rows lost", rows=len(batch), exc_info=problem)
        self.counters.queue_rows -= len(batch)
        self.counters.queue_bytes -= sum(one.size for one in batch)
        self._unsafe -= len(batch) - len(tickets)
        self._settle(tickets)

    async def _read_back(self, journal: Journal) -> None:
        """Write some of what waits in the journal alone."""
        found = await journal.returned(self._config.batch_rows)
        if found:
            tickets = [ticket for ticket, _ in found]
            await self._write_rows([rows for _, rows in found], tickets, again=True)
            self._settle(tickets)

    async def write_left(self, rows: Sequence[Rows]) -> None:
        """Write what a process that died left, but for what is in the database already; returns when it is there."""
        await self._write_rows(list(rows), again=True)

    async def _write_rows(self, rows: list[Rows], tickets: Sequence[Ticket] = (), *, again: bool = False) -> None:
        if self._objects is not None:
            await self._objects.put(rows)
        async with self._turn:
            try:
                self.counters.rows_written += await self._insist_on_new(rows, tickets, again=again)
            except Exception as problem:
                # One of them is at fault; the others must not suffer for it.
                self._alarm("a batch was refused; its rows are written one by one", problem=type(problem).__name__)
                for one in rows:
                    await self._write_one(one)

    async def _insist_on_new(self, rows: list[Rows], tickets: Sequence[Ticket], *, again: bool) -> int:
        try:
            return await self._insist(rows, tickets, again=again)
        except IntegrityError:
            # Somebody else (another instance of this plugin) has written some of them: the others are still to be.
            return await self._insist(rows, tickets, again=True)

    async def _write_one(self, rows: Rows) -> None:
        counters = self.counters
        try:
            counters.rows_written += await self._insist([rows], again=True)
        except Exception as problem:
            try:
                counters.rows_written += await self._insist([request_only(rows)], again=True)
                counters.bodies_failed += 1
            except Exception:
                counters.rows_failed += 1
                self._alarm("a row was refused", id=rows.id, problem=type(problem).__name__)

    async def _insist(self, rows: list[Rows], tickets: Sequence[Ticket] = (), *, again: bool = False) -> int:
        """Write until the database takes or refuses it. Raises what a refusal raises; returns how many were new."""
        delay = _FIRST_DELAY
        while True:
            try:
                beside = self._reaching(tickets)
                written = await write(self._database, rows, self._knowledge, again=again, beside=beside)
                self.counters.values_folded = self._knowledge.vocabulary.folded
                return written
            except Exception as problem:
                if _refused(problem):
                    raise
                self.counters.retries += 1
                self._alarm("the database does not take rows; trying again", problem=_brief(problem))
            again = True
            await self._sleep(delay * random.uniform(0.5, 1.0))
            delay = min(delay * 2, _LONGEST_DELAY if not self._closing.is_set() else 0.25)

    def _reaching(self, tickets: Sequence[Ticket]) -> Callable[[AsyncConnection], Awaitable[None]] | None:
        """What notes how far the journal is in the database, once what ``tickets`` stand for is."""
        if self._journal is None or not tickets:
            return None
        return partial(note, journal=self._journal.id, sequence=self._journal.watermark(tickets), now=self._now())

    async def _prepared(self, batch: list[_Waiting]) -> list[Rows]:
        """The rows of a batch. Small ones are made here, a few at a time: handing them to a thread, which shares the
        interpreter with this one, would cost more than it takes off."""
        rows: list[Rows] = [one.rows for one in batch if one.rows is not None]
        records = [one.record for one in batch if one.record is not None]
        for start in range(0, len(records), _AT_ONCE):
            some = records[start : start + _AT_ONCE]
            if sum(record.size for record in some) <= _AT_ONCE * _SMALL:
                rows += self._prepare(some)
                await asyncio.sleep(0)
            else:
                rows += await asyncio.to_thread(self._prepare, some)
        return rows

    def _prepare(self, batch: list[LogRecord]) -> list[Rows]:
        rows = []
        for record in batch:
            try:
                rows.append(prepare(record, self._secrets, self._config.max_body))
            except Exception as problem:
                # What cannot be redacted is not stored; the rest of it is.
                self._log.error("bodies cannot be stored", id=record.request["id"], problem=type(problem).__name__)
                self.counters.bodies_failed += 1
                rows.append(prepare(record.without_bodies(), self._secrets, self._config.max_body))
        return rows

    def _alarm(self, event: str, **facts: Any) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._alarms.get(event, float("-inf")) >= _ALARM_INTERVAL:
            self._alarms[event] = now
            self._log.error(event, queue_rows=self.counters.queue_rows, **facts)


def _refused(problem: Exception) -> bool:
    """Whether this is about the rows themselves, so that trying again cannot help."""
    if not isinstance(problem, DBAPIError):
        return not isinstance(problem, (PoolTimeout, OSError))
    if problem.connection_invalidated:
        return False
    state: str | None = getattr(problem.orig, "sqlstate", None)
    if state is not None:  # Postgres: class 22 is about data, 23 about integrity, 54 about what is too large for it
        return state[:2] in ("22", "23", "54")
    return not isinstance(problem, (OperationalError, InternalError))


def _brief(problem: Exception) -> str:
    original = problem.orig if isinstance(problem, DBAPIError) else problem
    return f"{type(original).__name__}: {original}".splitlines()[0]
