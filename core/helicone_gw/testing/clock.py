"""Virtual clock: time that moves only when a test, or a `VirtualTimeLoop`, moves it."""

from __future__ import annotations

import asyncio
import heapq
import itertools

EPOCH = 1767225600.0
"""Where `VirtualClock.now` begins: 2026-01-01T00:00:00Z."""


class VirtualClock:
    """A `helicone_gw.clock.Clock` that a test owns.

    ``monotonic`` begins at 0 and ``now`` at ``epoch`` (seconds since 1970); both move together. Whoever sleeps on the
    clock wakes when it has been moved far enough, in the order of their times.

    >>> clock = VirtualClock()
    >>> clock.advance(1.5)
    >>> clock.monotonic(), clock.now() - EPOCH
    (1.5, 1.5)
    """

    def __init__(self, epoch: float = EPOCH) -> None:
        self._epoch = epoch
        self._elapsed = 0.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._epoch + self._elapsed

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock has been moved ``seconds`` on; at least one turn of the event loop."""
        loop = asyncio.get_running_loop()
        if seconds <= 0 or getattr(loop, "clock", None) is self:
            await asyncio.sleep(seconds)
            return
        woken: asyncio.Future[None] = loop.create_future()
        heapq.heappush(self._sleepers, (self._elapsed + seconds, next(self._order), woken))
        await woken

    def advance(self, seconds: float) -> None:
        """Move the clock, and wake those whose time has come. Raises `ValueError` for a negative number."""
        if seconds < 0:
            raise ValueError("time does not go back")
        self._elapsed += seconds
        while self._sleepers and self._sleepers[0][0] <= self._elapsed:
            woken = heapq.heappop(self._sleepers)[2]
            if not woken.done():
                woken.set_result(None)

    def set_wall_clock(self, now: float) -> None:
        """Set ``now`` (seconds since the epoch) as an administrator would; ``monotonic`` does not move."""
        self._epoch = now - self._elapsed

    def __repr__(self) -> str:
        return f"VirtualClock({self._elapsed:g} s)"
