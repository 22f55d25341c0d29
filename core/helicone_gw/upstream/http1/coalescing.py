"""Coalescing: what comes of a stream in quick succession is read together, as network cards do with interrupts.

A provider that says a hundred events within a millisecond makes a hundred packets of them, and each would cost a read,
a pass through the pipeline and a write. Once two pieces came in quick succession the socket is not read for a moment:
the kernel puts together what comes meanwhile. The first pieces, and all of a stream that is slower, go on at once.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

SMALL = 16 * 1024
"""Bytes of a piece from which nothing is gained by waiting for more: it is a download and no stream of events."""


class Pausing(Protocol):
    """What can rest."""

    def pause_reading(self) -> None:
        """Read no more."""

    def rested(self) -> None:
        """Read on."""


class Coalescing:
    """Lets connections rest for ``interval`` seconds; 0 lets none. One timer serves all that rest at a time."""

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self.rests = 0
        """How often a connection rested."""
        self._resting: list[Pausing] = []
        """At most one entry for each open connection: who rests is told of nothing that could make it rest again."""

    def quick(self, size: int, since: float) -> bool:
        """Whether a piece of ``size`` bytes that came ``since`` seconds after the one before is one of many.

        Twice the interval: what comes after a rest came later than the interval, however fast the stream is.
        """
        return since < 2 * self.interval and size < SMALL

    def rest(self, connection: Pausing, loop: asyncio.AbstractEventLoop) -> None:
        """Read nothing of ``connection`` for a moment."""
        connection.pause_reading()
        self.rests += 1
        self._resting.append(connection)
        if len(self._resting) == 1:
            loop.call_later(self.interval, self._over)

    def _over(self) -> None:
        resting, self._resting = self._resting, []
        for connection in resting:
            connection.rested()
