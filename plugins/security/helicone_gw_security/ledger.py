"""Ledger: whose objects at providers are, remembered in the database, with what is being written kept in mind."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from cachetools import TTLCache
from sqlalchemy.exc import SQLAlchemyError

from helicone_gw import Unavailable
from helicone_gw_security.object_table import Made, ObjectTable

if TYPE_CHECKING:
    from helicone_gw import Clock

CACHED: Final = 20_000
"""Objects whose owner is remembered for `STALE_AFTER` seconds; the one used longest ago goes first."""

STALE_AFTER: Final = 60.0
"""Seconds for which an owner that the database named is believed: a name may be given anew after a deletion."""

MAX_WAITING: Final = 100_000
"""Objects that wait to be written; further ones are not noted, and counted."""

WRITE_EVERY: Final = 0.1
"""Seconds between two writings: what a killed process forgets of responses."""

AFTER_FAILURE: Final = 2.0
"""Seconds after which a writing that failed is tried again."""

LATER: Final = 0.3
"""Seconds after which an id that nobody knows is looked up once more: another worker may be about to write it."""

TIMEOUT: Final = 5.0
"""Seconds that the database has for an answer."""

PRUNE_EVERY: Final = 3600.0
"""Seconds between two prunings."""

_FAILURES = (SQLAlchemyError, OSError, TimeoutError)

Owners = Mapping[str, Mapping[str, str]]
"""Organisation by provider, by id; an id that is nobody's is not among them."""


class Ledger:
    """Whose objects are. What the database says goes before what waits, but for what was certainly made just now."""

    def __init__(self, table: ObjectTable, clock: Clock, log: Any) -> None:
        self._table = table
        self._clock = clock
        self._log = log
        self._known: TTLCache[str, Mapping[str, str]] = TTLCache(CACHED, STALE_AFTER, clock.monotonic)
        self._waiting: dict[str, dict[str, Made]] = {}
        self._writing: dict[str, dict[str, Made]] = {}
        self._wake = asyncio.Event()
        self._turn = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self.dropped = 0
        """Objects that found no room."""
        self.forgotten = 0
        """Objects that were forgotten because there were too many."""

    def start(self) -> None:
        """Begin to write, and to prune."""
        self._tasks = [
            asyncio.create_task(self._write(), name="security.objects"),
            asyncio.create_task(self._prune(), name="security.prune-objects"),
        ]

    async def close(self) -> None:
        """Write what waits, and stop."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._tasks = []
        await self._flush()

    def note(self, made: Made) -> None:
        """Remember whose an object is; it is written soon."""
        here = self._waiting.get(made.id)
        if here is None:
            if len(self._waiting) >= MAX_WAITING:
                self.dropped += 1
                return
            here = self._waiting[made.id] = {}
        if made.certain or made.provider not in here:
            here[made.provider] = made
        if made.certain:
            self._known.pop(made.id, None)
        self._wake.set()

    async def settle(self) -> None:
        """Wait until what was noted is written, or could not be."""
        await self._flush()

    async def owners(self, ids: Iterable[str], *, wait: bool = False) -> Owners:
        """Whose the objects ``ids`` are. ``wait``: look once more, a little later, for those that nobody knows.

        Raises `Unavailable` when the database does not say.
        """
        wanted = list(ids)
        found = await self._owners(wanted)
        missing = [each for each in wanted if each not in found]
        if wait and missing:
            await self._clock.sleep(LATER)
            found |= await self._owners(missing)
        return found

    async def forget(self, provider: str, id: str, organization: str) -> None:
        """An object of ``organization`` was deleted."""
        await self._flush()  # it may have been made a moment ago
        self._known.pop(id, None)
        try:
            async with asyncio.timeout(TIMEOUT):
                await self._table.remove(provider, id, organization)
        except _FAILURES as problem:
            self._log.warning("an object cannot be forgotten", problem=type(problem).__name__)

    async def _owners(self, ids: list[str]) -> dict[str, Mapping[str, str]]:
        found: dict[str, Mapping[str, str]] = {}
        asked: list[str] = []
        for each in ids:
            known = self._known.get(each)
            if known is None:
                asked.append(each)
            else:
                found[each] = known
        if asked:
            try:
                async with asyncio.timeout(TIMEOUT):
                    stored = await self._table.find(asked)
            except _FAILURES as problem:
                self._log.error("owners of objects cannot be read", problem=type(problem).__name__)
                raise Unavailable(
                    "The gateway cannot tell whose this is at the moment. Try again shortly.",
                    code="objects_unavailable",
                ) from None
            for each, owners in stored.items():
                self._known[each] = found[each] = owners
        for waiting in (self._writing, self._waiting):
            for each in asked if waiting else ():
                for provider, made in waiting.get(each, {}).items():
                    known = found.get(each, {})
                    if made.certain or provider not in known:
                        found[each] = {**known, provider: made.organization}
        return found

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            await self._clock.sleep(WRITE_EVERY)
            if not await self._flush():
                await self._clock.sleep(AFTER_FAILURE)

    async def _flush(self) -> bool:
        """Write what waits; whether nothing waits any more."""
        async with self._turn:
            self._wake.clear()
            if not self._waiting:
                return True
            self._writing, self._waiting = self._waiting, {}
            written = False
            try:
                async with asyncio.timeout(TIMEOUT):
                    await self._table.add(made for here in self._writing.values() for made in here.values())
                written = True
            except _FAILURES as problem:
                self._log.warning("owners of objects cannot be written", problem=type(problem).__name__)
            finally:
                for each, here in self._writing.items():
                    self._known.pop(each, None)
                    if not written:  # they wait on; what was noted meanwhile goes before them
                        self._waiting[each] = {**here, **self._waiting.get(each, {})}
                        self._wake.set()
                self._writing = {}
            return written

    async def _prune(self) -> None:
        while True:
            await self._clock.sleep(PRUNE_EVERY)
            try:
                async with asyncio.timeout(TIMEOUT * 12):
                    self.forgotten += await self._table.prune(self._clock.now())
            except _FAILURES as problem:
                self._log.warning("objects cannot be pruned", problem=type(problem).__name__)
