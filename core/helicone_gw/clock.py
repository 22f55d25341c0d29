"""Clock: where the gateway reads time and waits, so that tests can own both."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Time as the gateway sees it."""

    def now(self) -> float:
        """Wall-clock time: seconds since the epoch."""

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back; only differences mean anything."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The machine's own clocks."""

    # Asked a dozen times a request: without a frame of ours around it.
    now = staticmethod(time.time)
    """Wall-clock time: seconds since the epoch."""
    monotonic = staticmethod(time.monotonic)
    """Seconds on a clock that never goes back."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)
