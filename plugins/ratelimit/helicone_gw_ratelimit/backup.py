"""Backup: what was spent of budgets goes to the database beside the requests, in batches, and is read back from there.

With ``memory://`` the table is what outlives the process; with Redis it is what outlives Redis. A killed process loses
what it settled in the last ``write_every`` seconds, and as much longer as the database did not answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from helicone_gw_ratelimit.budget_table import BATCH, Place, SpendTable, Spent

if TYPE_CHECKING:
    from helicone_gw import Clock

MAX_WAITING: Final = 100_000
"""Totals that wait for the database; further ones are dropped, and counted, until there is room."""

LOOK_FOR_RESETS: Final = 2.0
"""Seconds between two looks at what was reset from the command line."""

SKEW: Final = 60.0
"""Seconds by which the clocks of two machines may differ when they say when something was reset."""

PRUNE_EVERY: Final = 86400.0

Told = Callable[[Spent], Awaitable[None]]


class Backup:
    """Keeps what every account spent until it is written. ``on_reset`` is told of generations that began.

    ``shared``: the store is one for all processes, and what is put are its totals. Otherwise it is what this process
    spent since it last put something, and ``on_total`` is told what that and what others wrote amount to.
    """

    def __init__(
        self,
        table: SpendTable,
        clock: Clock,
        log: Any,
        *,
        shared: bool,
        write_every: float,
        on_reset: Told,
        on_total: Told,
    ) -> None:
        self._shared = shared
        self._on_total = on_total
        self._table = table
        self._clock = clock
        self._log = log
        self._write_every = write_every
        self._on_reset = on_reset
        self._waiting: dict[Place, dict[int, Spent]] = {}
        self._count = 0
        # Held while the database is in use: whoever cancels the task must not do so in the middle of a statement.
        self._working = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._seen_reset = 0.0
        self._alarmed = False
        self.written = 0
        """Totals that were written."""
        self.failures = 0
        """Times that the database could not be written to; nothing is lost by that alone."""
        self.dropped = 0
        """Totals that found no room to wait."""

    def __len__(self) -> int:
        return self._count

    def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="ratelimit.backup")

    def put(self, total: Spent) -> None:
        """Take a total, or an amount, for writing."""
        known = self._waiting.get(total.place, {}).get(total.period)
        if known is None:
            if self._count >= MAX_WAITING:
                self.dropped += 1
                return
            self._count += 1
        self._waiting.setdefault(total.place, {})[total.period] = self._merged(total, known)

    def _merged(self, later: Spent, earlier: Spent | None) -> Spent:
        return later.newer(earlier) if self._shared else later.plus(earlier)

    async def at(self, place: Place, first: int, last: int) -> list[Spent]:
        """The newest totals of a place for periods that began from ``first`` to ``last``, written or not.

        Raises what SQLAlchemy raises.
        """
        # Not while something is being written: it would be there twice, or not at all.
        async with self._working:
            found = {row.period: row for row in await self._table.at(place, first, last)}
            for period, waiting in self._waiting.get(place, {}).items():
                if first <= period <= last:
                    found[period] = self._merged(waiting, found.get(period))
            return list(found.values())

    async def flush(self) -> None:
        """Write what waits. What the database does not take goes on waiting."""
        async with self._working:
            await self._flush()

    async def _flush(self) -> None:
        while self._waiting:
            batch = self._taken()
            try:
                await self._table.write(batch, self._clock.now(), add=not self._shared)
            except Exception as problem:
                self.failures += 1
                for total in batch:
                    self.put(total)
                if not self._alarmed:
                    self._alarmed = True
                    self._log.error("spending cannot be written; trying on", problem=type(problem).__name__)
                return
            if self._alarmed:
                self._alarmed = False
                self._log.info("spending is written again")
            self.written += len(batch)
            if not self._shared:
                await self._tried(self._tell(batch), "what other processes spent cannot be read")

    async def _tell(self, batch: list[Spent]) -> None:
        for total in await self._table.again(batch):
            waiting = self._waiting.get(total.place, {}).get(total.period)
            await self._on_total(total if waiting is None else waiting.plus(total))

    def _taken(self) -> list[Spent]:
        """The next to be written, which then wait no longer."""
        batch: list[Spent] = []
        while self._waiting and len(batch) < BATCH:
            place, periods = next(iter(self._waiting.items()))
            while periods and len(batch) < BATCH:
                batch.append(periods.pop(next(iter(periods))))
            if not periods:
                del self._waiting[place]
        self._count -= len(batch)
        return batch

    async def close(self) -> None:
        """Write what waits, then end."""
        if self._task is not None:
            async with self._working:
                self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None
        await self.flush()
        if self._count:
            self._log.error("spending was not written before the shutdown", totals=self._count)

    async def _run(self) -> None:
        look, prune = 0.0, 0.0
        while True:
            now = self._clock.monotonic()
            async with self._working:
                await self._flush()
                if now >= look:
                    look = now + LOOK_FOR_RESETS
                    await self._tried(self.look_for_resets(), "resets of budgets cannot be read")
                if now >= prune:
                    prune = now + PRUNE_EVERY
                    await self._tried(self._table.prune(self._clock.now()), "old spending cannot be pruned")
            await self._clock.sleep(self._write_every)

    async def look_for_resets(self) -> None:
        """Tell of every reset that was not told of before. Raises what SQLAlchemy raises."""
        for row, at in await self._table.resets(self._seen_reset - SKEW, self._clock.now()):
            self._seen_reset = max(self._seen_reset, at)
            await self._on_reset(row)

    async def _tried(self, work: Awaitable[None], failure: str) -> None:
        try:
            await work
        except Exception as problem:
            self._log.warning(failure, problem=type(problem).__name__)
