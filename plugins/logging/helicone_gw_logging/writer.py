"""Writer: a bounded queue between the exchanges and the database, and the one task that empties it."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError, IntegrityError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from helicone_gw_logging.insert import Knowledge, Rows, prepare, request_only, write
from helicone_gw_logging.record import LogRecord
from helicone_gw_logging.vocabulary import Vocabulary

if TYPE_CHECKING:
    from helicone_gw import Database
    from helicone_gw_logging.config import LoggingConfig
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


class Writer:
    """Writes records in the background, in batches. `put` neither waits nor raises.

    A batch is written when ``batch_rows`` records wait or ``batch_ms`` have passed since the first came. While the
    database is locked or away the batch is tried again, for as long as it takes, and the queue grows: up to
    ``queue_max_bytes`` with bodies, then without, and at ``queue_max_rows`` new records are dropped. Each of that is
    counted in ``counters`` and logged at most every ten seconds. ``secrets`` are credentials that must not be stored.
    """

    def __init__(
        self,
        database: Database,
        config: LoggingConfig,
        log: Any,
        *,
        secrets: Sequence[str] = (),
        objects: Objects | None = None,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.counters = Counters()
        self._database = database
        self._config = config
        self._log = log
        self._objects = objects
        self._secrets = tuple(secret.encode() for secret in secrets)
        self._sleep = sleep
        self._knowledge = Knowledge(Vocabulary(config.rollup_values), now=now)
        self._queue: deque[LogRecord] = deque()
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

    def put(self, record: LogRecord) -> None:
        """Take a record for writing."""
        counters, config = self.counters, self._config
        if self._task is not None and self._task.done():
            counters.rows_lost_at_shutdown += 1
            self._alarm("row lost: it came after the shutdown", id=record.request["id"])
            return
        if counters.queue_rows >= config.queue_max_rows:
            counters.rows_dropped += 1
            self._alarm("rows dropped: the queue is full", rows_dropped=counters.rows_dropped)
            return
        if counters.queue_bytes + record.size > config.queue_max_bytes and record.bodies is not None:
            record = record.without_bodies()
            counters.bodies_dropped += 1
            self._alarm("bodies dropped: the queue is full", bodies_dropped=counters.bodies_dropped)
        self._queue.append(record)
        counters.queue_rows += 1
        counters.queue_bytes += record.size
        self._waiting_bytes += record.size
        self._empty.clear()
        self._arrived.set()
        if self._full():
            self._ready.set()

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
            self.counters.rows_lost_at_shutdown += self.counters.queue_rows
            self._log.error("rows lost: the database took none before the shutdown", rows=self.counters.queue_rows)
            raise

    def _full(self) -> bool:
        return len(self._queue) >= self._config.batch_rows or self._waiting_bytes >= _BATCH_BYTES

    async def _run(self) -> None:
        while True:
            if not self._queue:
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

    def _take(self) -> list[LogRecord]:
        batch: list[LogRecord] = []
        size = 0
        while self._queue and len(batch) < self._config.batch_rows and size < _BATCH_BYTES:
            record = self._queue.popleft()
            size += record.size
            batch.append(record)
        self._waiting_bytes -= size
        return batch

    async def _write(self, batch: list[LogRecord]) -> None:
        """Write a batch, whatever it takes; the counters say what became of it. Only a cancellation gets out."""
        try:
            rows = await self._prepared(batch)
            if self._objects is not None:
                await self._objects.put(rows)
            try:
                self.counters.rows_written += await self._insist_on_new(rows)
            except Exception as problem:
                # One of them is at fault; the others must not suffer for it.
                self._alarm("a batch was refused; its rows are written one by one", problem=type(problem).__name__)
                for one in rows:
                    await self._write_one(one)
        except Exception as problem:
            self.counters.rows_failed += len(batch)
            self._log.error("rows lost", rows=len(batch), exc_info=problem)
        self.counters.queue_rows -= len(batch)
        self.counters.queue_bytes -= sum(record.size for record in batch)

    async def _insist_on_new(self, rows: list[Rows]) -> int:
        try:
            return await self._insist(rows)
        except IntegrityError:
            # Somebody else (another instance of this plugin) has written some of them: the others are still to be.
            return await self._insist(rows, again=True)

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

    async def _insist(self, rows: list[Rows], *, again: bool = False) -> int:
        """Write until the database takes or refuses it. Raises what a refusal raises; returns how many were new."""
        delay = _FIRST_DELAY
        while True:
            try:
                written = await write(self._database, rows, self._knowledge, again=again)
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

    async def _prepared(self, batch: list[LogRecord]) -> list[Rows]:
        """The rows of a batch. Small ones are made here, a few at a time: handing them to a thread, which shares the
        interpreter with this one, would cost more than it takes off."""
        rows: list[Rows] = []
        for start in range(0, len(batch), _AT_ONCE):
            some = batch[start : start + _AT_ONCE]
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
