"""Delivery: batches of rows into the database, for as long as it takes; one bad row costs no other."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError, IntegrityError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from helicone_gw_logging.counters import Counters
from helicone_gw_logging.insert import AT_A_TIME, Knowledge, Rows, prepare, request_only, write
from helicone_gw_logging.journal.position import note
from helicone_gw_logging.record import LogRecord
from helicone_gw_logging.vocabulary import Vocabulary

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from helicone_gw import Database
    from helicone_gw_logging.config import LoggingConfig
    from helicone_gw_logging.journal.journal import Journal
    from helicone_gw_logging.objects import Objects

_FIRST_DELAY = 0.05
_LONGEST_DELAY = 5.0
_ALARM_INTERVAL = 10.0


class Delivery:
    """Writes rows to ``database``, a batch at a time, and counts in ``counters`` what became of them.

    ``waiting`` says how many others wait, ``secrets`` are credentials that must not be stored. How far ``journal`` is
    in the database is noted in the transaction that brings it so far.
    """

    def __init__(
        self,
        database: Database,
        config: LoggingConfig,
        log: Any,
        counters: Counters,
        waiting: Callable[[], int],
        *,
        secrets: Sequence[str] = (),
        objects: Objects | None = None,
        journal: Journal | None = None,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.counters = counters
        self.closing = False
        """Whether there is little time left, so that a database that takes no rows is tried more often."""
        self._database = database
        self._config = config
        self._log = log
        self._objects = objects
        self._journal = journal
        self._now = now
        self._waiting = waiting
        self._turn = asyncio.Lock()
        self._secrets = tuple(secret.encode() for secret in secrets)
        self._sleep = sleep
        self._knowledge = Knowledge(Vocabulary(config.rollup_values), now=now)
        self._alarms: dict[str, float] = {}

    def journaled(self, journal: Journal) -> None:
        """Note in the database how far ``journal`` is, from now on."""
        self._journal = journal

    async def write(self, rows: list[Rows], sequences: Sequence[int] = (), *, again: bool = False) -> None:
        """Write rows until the database takes or refuses them; ``sequences`` are where the journal has them.

        ``again``: some may be there already. Only a cancellation gets out.
        """
        if self._objects is not None:
            await self._objects.put(rows)
        async with self._turn:
            try:
                self.counters.rows_written += await self._insist_on_new(rows, sequences, again=again)
            except Exception as problem:
                # One of them is at fault; the others must not suffer for it.
                self.alarm("a batch was refused; its rows are written one by one", problem=type(problem).__name__)
                for one in rows:
                    await self._write_one(one)

    async def _insist_on_new(self, rows: list[Rows], sequences: Sequence[int], *, again: bool) -> int:
        try:
            return await self._insist(rows, sequences, again=again)
        except IntegrityError:
            # Somebody else (another instance of this plugin) has written some of them: the others are still to be.
            return await self._insist(rows, sequences, again=True)

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
                self.alarm("a row was refused", id=rows.id, problem=type(problem).__name__)

    async def _insist(self, rows: list[Rows], sequences: Sequence[int] = (), *, again: bool = False) -> int:
        """Write until the database takes or refuses it. Raises what a refusal raises; returns how many were new."""
        delay = _FIRST_DELAY
        while True:
            try:
                beside = self._reaching(sequences)
                written = await write(self._database, rows, self._knowledge, again=again, beside=beside)
                self.counters.values_folded = self._knowledge.vocabulary.folded
                return written
            except Exception as problem:
                if _refused(problem):
                    raise
                self.counters.retries += 1
                self.alarm("the database does not take rows; trying again", problem=_brief(problem))
            again = True
            await self._sleep(delay * random.uniform(0.5, 1.0))
            delay = min(delay * 2, _LONGEST_DELAY if not self.closing else 0.25)

    def _reaching(self, sequences: Sequence[int]) -> Callable[[Connection], None] | None:
        """What notes how far the journal is in the database, once what is in it at ``sequences`` is."""
        if self._journal is None or not sequences:
            return None
        return partial(note, journal=self._journal.id, sequence=self._journal.watermark(sequences), now=self._now())

    async def prepared(self, records: Sequence[tuple[LogRecord, bool]]) -> list[Rows]:
        """The rows of ``records``, each with whether it was searched for credentials and has none."""
        return await asyncio.to_thread(self._prepare, records) if records else []

    def _prepare(self, batch: Sequence[tuple[LogRecord, bool]]) -> list[Rows]:
        rows = []
        for number, (record, clean) in enumerate(batch, 1):
            try:
                rows.append(prepare(record, self._secrets, self._config.max_body, clean=clean))
            except Exception as problem:
                # What cannot be redacted is not stored; the rest of it is.
                self._log.error("bodies cannot be stored", id=record.id, problem=type(problem).__name__)
                self.counters.bodies_failed += 1
                rows.append(prepare(record.without_bodies(), self._secrets, self._config.max_body))
            if number % AT_A_TIME == 0:
                # The event loop would have to wait for the interpreter, for longer than it has to.
                time.sleep(0)
        return rows

    def alarm(self, event: str, **facts: Any) -> None:
        """Log an error, at most every ten seconds."""
        now = asyncio.get_running_loop().time()
        if now - self._alarms.get(event, float("-inf")) >= _ALARM_INTERVAL:
            self._alarms[event] = now
            self._log.error(event, queue_rows=self._waiting(), **facts)


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
