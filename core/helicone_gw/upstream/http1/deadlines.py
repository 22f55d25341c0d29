"""Deadlines that cost nothing to move: one timer per connection looks at them now and then, and is rarely set anew."""

from __future__ import annotations

import asyncio
from math import inf

RESOLUTION = 0.002
"""Seconds by which a timer may be early: event loops count in milliseconds."""


class Deadlines:
    """Two deadlines in loop time, of reading and of writing; ``inf`` is none. ``tick`` (seconds) is how far ahead the
    timer is set at most, so that a deadline can come nearer without one being cancelled and made for it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, tick: float) -> None:
        self._loop = loop
        self._tick = tick
        self._deadline = inf
        self._write_deadline = inf
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = inf

    def read_by(self, when: float) -> None:
        """Something must have come by ``when``."""
        self._deadline = when
        if when < self._timer_at:
            self._schedule(when)

    def write_by(self, when: float) -> None:
        """Something must have gone by ``when``."""
        self._write_deadline = when
        if when < self._timer_at:
            self._schedule(when)

    def overdue(self, writing: bool) -> None:
        """The deadline of writing (or reading) has passed; it is over, or was set anew, when this returns."""
        raise NotImplementedError

    def stop_timer(self) -> None:
        """No deadline matters any more."""
        self._deadline = self._write_deadline = inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._timer_at = inf

    def _schedule(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = min(when, self._loop.time() + self._tick)
        self._timer = self._loop.call_at(self._timer_at, self._look)

    def _look(self) -> None:
        self._timer = None
        self._timer_at = inf
        now = self._loop.time() + RESOLUTION
        if self._write_deadline <= now:
            self._write_deadline = inf
            self.overdue(True)
        if self._deadline <= now:
            self._deadline = inf
            self.overdue(False)
        when = min(self._deadline, self._write_deadline)
        if when < self._timer_at:
            self._schedule(when)
