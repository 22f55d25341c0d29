"""Janitor: once an hour, beside the requests, packs what is over and deletes what retention does not keep.

What the sessions of the last hours come to is noted four times an hour: whoever asks for a time that ends now reads the
sessions since, which are those of an hour and a half at the most.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from helicone_gw_logging.packing import pack
from helicone_gw_logging.presence import note
from helicone_gw_logging.retention import PAUSE, prune
from helicone_gw_logging.session_notes import note_hours
from helicone_gw_logging.spreading import note_spreads
from helicone_gw_logging.zones import note_zones

if TYPE_CHECKING:
    from helicone_gw import Clock, Database
    from helicone_gw_logging.config import Retention
    from helicone_gw_logging.counters import Counters
    from helicone_gw_logging.objects import Objects

EVERY = 3600.0
"""Seconds from one time to the next."""
QUARTER = EVERY / 4
"""Seconds from one time to the next at which hours of sessions are noted."""
LAST_DAYS = 2
"""Days whose hours are looked at then."""
AT_FIRST = 60.0
"""Seconds from the start to the first time: a starting gateway has other things to do."""


class Janitor:
    """Runs `pack`, `note`, `note_spreads`, `note_hours`, `note_zones` and `prune` from time to time.

    What fails is logged, and tried again later.
    """

    def __init__(
        self,
        database: Database,
        retention: Retention,
        clock: Clock,
        log: Any,
        counters: Counters,
        objects: Objects | None = None,
    ) -> None:
        self._database = database
        self._retention = retention
        self._clock = clock
        self._log = log
        self._counters = counters
        self._objects = objects
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="logging.janitor")

    async def close(self) -> None:
        """Break off whatever is being done: it goes on after the next start."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def once(self) -> None:
        """Pack what is over now, and delete what is too old."""
        try:
            histograms = 0
            async for so_far in pack(self._database, self._clock.now()):
                histograms = so_far
                await self._clock.sleep(PAUSE)
            days = 0
            async for so_far in note(self._database, self._clock.now()):
                days = so_far
                await self._clock.sleep(PAUSE)
            zones = 0
            async for so_far in note_zones(self._database):
                zones = so_far
                await self._clock.sleep(PAUSE)
            spreads = 0
            async for so_far in note_spreads(self._database, self._clock.now()):
                spreads = so_far
                await self._clock.sleep(PAUSE)
            hours = await self._hours()
            if histograms or days or zones or spreads or hours:
                of_sessions = {"days_of_sessions": spreads, "hours_of_sessions": hours}
                done = {"histograms": histograms, "days_of_users": days, **of_sessions, "zones": zones}
                self._log.info("what is over is packed", **done)
        except Exception as problem:
            self._log.error("what is over could not be packed", problem=type(problem).__name__)
        try:
            deleted: dict[str, int] = {}
            steps = prune(
                self._database, self._retention, self._clock.now(), objects=self._objects, sleep=self._clock.sleep
            )
            async for pruned in steps:
                self._counters.rows_pruned += pruned.rows - deleted.get(pruned.kind, 0)
                deleted[pruned.kind] = pruned.rows
            if any(deleted.values()):
                self._log.info("rows deleted that were too old", **deleted)
        except Exception as problem:
            self._log.error("what is too old could not be deleted", problem=type(problem).__name__)

    async def last_hours(self) -> None:
        """Note what the sessions of the last hours come to."""
        try:
            await self._hours(LAST_DAYS)
        except Exception as problem:
            self._log.error("hours of sessions could not be noted", problem=type(problem).__name__)

    async def _hours(self, days: int | None = None) -> int:
        noted = 0
        async for so_far in note_hours(self._database, self._clock.now(), days):
            noted = so_far
            await self._clock.sleep(PAUSE)
        return noted

    async def _run(self) -> None:
        # Several workers share the work, and do not begin at once.
        await self._clock.sleep(AT_FIRST * random.uniform(1, 5))
        while True:
            await self.once()
            for number in range(4):
                await self._clock.sleep(QUARTER * random.uniform(0.9, 1.1))
                if number < 3:
                    await self.last_hours()
