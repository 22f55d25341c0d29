"""JournalService: a worker's journal with everything that goes on around it, from the start to the stop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

from sqlalchemy.exc import SQLAlchemyError

from helicone_gw_logging.journal.journal import Journal, JournalCounters
from helicone_gw_logging.journal.keeping import Keeper
from helicone_gw_logging.journal.position import forget
from helicone_gw_logging.journal.replay import Write, replay

if TYPE_CHECKING:
    from helicone_gw import Database
    from helicone_gw_logging.config import LoggingConfig

LOOK_EVERY = 30.0
"""Seconds between two looks for the journals of processes that died."""


def root_of(config: LoggingConfig, database: Database) -> Path | None:
    """The directory that holds the journals of every worker; ``None``: there are to be none."""
    if not config.journal.enabled or database.in_memory:
        return None
    if config.journal.path is not None:
        return Path(config.journal.path)
    if database.path is not None:
        return database.path.with_suffix(".journal")
    # Another database's journals are nothing for this one.
    return Path(f"helicone-{crc32(database.url.encode()):08x}.journal")


class JournalService:
    """One worker's journal, and who puts records into it."""

    def __init__(self, root: Path, config: LoggingConfig, secrets: Sequence[str], log: Any) -> None:
        """Open it. Raises `OSError`."""
        self.counters = JournalCounters()
        self.journal = Journal.open(root, config.journal, log, self.counters)
        self.keeper = Keeper(self.journal, config, [secret.encode() for secret in secrets], log)
        self._root = root
        self._config = config.journal
        self._log = log
        self._tasks: list[asyncio.Task[None]] = []
        self._replayed = asyncio.Event()

    def start(self, database: Database, write: Write) -> None:
        """Begin to write what the journals of dead processes hold, and to force records onto the disk if so wanted."""
        loop = asyncio.get_running_loop()
        self._tasks.append(loop.create_task(self._replay(database, write), name="logging.replay"))
        if self._config.fsync == "interval":
            self._tasks.append(loop.create_task(self._sync(), name="logging.sync"))

    async def replayed(self) -> None:
        """Wait until everything that dead processes left has been looked at."""
        await self._replayed.wait()

    async def stop(self) -> None:
        """Break off what goes on; it goes on after the next start."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self, database: Database) -> None:
        """Close the journal; what is not in the database stays in it for whoever starts next."""
        left = self.counters.lag
        if not self.journal.close():
            self._log.warning("records are left in the journal for the next start", records=left)
            return
        with suppress(SQLAlchemyError, OSError):
            await forget(database, self.journal.id)

    async def _replay(self, database: Database, write: Write) -> None:
        # Not only at the start: workers die, and a gateway that a reload replaced may leave something.
        while True:
            try:
                await replay(self._root, database, write, self._log, self.counters)
                self._replayed.set()
            except Exception as problem:
                name = type(problem).__name__
                self._log.error("the journals of dead processes cannot be taken over; trying again", problem=name)
            await asyncio.sleep(LOOK_EVERY)

    async def _sync(self) -> None:
        while True:
            await asyncio.sleep(self._config.fsync_ms / 1000)
            if self.journal.unsynced:
                with suppress(OSError):
                    await asyncio.to_thread(self.journal.sync)
