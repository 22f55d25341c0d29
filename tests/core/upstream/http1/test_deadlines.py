"""Deadlines and the one timer that looks at them, in virtual time."""

from __future__ import annotations

import asyncio
from math import inf

import pytest

from helicone_gw.upstream.http1.deadlines import RESOLUTION, Deadlines

pytestmark = pytest.mark.virtual_time


class Noted(Deadlines):
    """Notes when it was overdue, and how often a timer was set."""

    def __init__(self, tick: float = 10.0) -> None:
        super().__init__(asyncio.get_running_loop(), tick)
        self.start = self._loop.time()
        self.passed: list[tuple[str, float]] = []
        self.timers = 0

    def overdue(self, writing: bool) -> None:
        self.passed.append(("write" if writing else "read", round(self.now, 1)))

    @property
    def now(self) -> float:
        return self._loop.time() - self.start

    def by(self, seconds: float) -> float:
        return self.start + seconds

    def _schedule(self, when: float) -> None:
        self.timers += 1
        super()._schedule(when)


async def test_each_deadline_is_told_once_and_in_time() -> None:
    made = Noted()
    made.read_by(made.by(25))
    made.write_by(made.by(3))
    await asyncio.sleep(100)
    assert made.passed == [("write", 3.0), ("read", 25.0)]


async def test_a_deadline_that_moves_on_costs_no_timer() -> None:
    made = Noted()
    for _ in range(1000):
        made.read_by(made._loop.time() + 60)
        await asyncio.sleep(0.01)
        made._deadline = inf
    assert made.timers == 2  # the first, and the look after ten seconds is yet to find nothing
    await asyncio.sleep(1000)
    assert made.passed == []
    assert made._timer is None


async def test_a_nearer_deadline_is_kept() -> None:
    made = Noted()
    made.read_by(made.by(9))
    made.read_by(made.by(2))
    await asyncio.sleep(20)
    assert made.passed == [("read", 2.0)]


async def test_no_deadline_sets_no_timer() -> None:
    made = Noted()
    made.read_by(inf)
    made.write_by(inf)
    assert made._timer is None


async def test_a_timer_that_is_a_little_early_is_in_time() -> None:
    made = Noted()
    made.read_by(made.by(5))
    await asyncio.sleep(5 - RESOLUTION / 2)
    made._look()
    assert made.passed == [("read", 5.0)]
    await asyncio.sleep(100)
    assert len(made.passed) == 1


async def test_stopping_forgets_both() -> None:
    made = Noted()
    made.read_by(made.by(1))
    made.write_by(made.by(1))
    made.stop_timer()
    await asyncio.sleep(100)
    assert made.passed == []
    made.read_by(made.by(101))
    await asyncio.sleep(100)
    assert made.passed == [("read", 101.0)]


async def test_what_is_overdue_may_ask_for_more_time() -> None:
    class Patient(Noted):
        def overdue(self, writing: bool) -> None:
            super().overdue(writing)
            if len(self.passed) < 3:
                self.write_by(self._loop.time() + 1)

    made = Patient()
    made.write_by(made.by(1))
    await asyncio.sleep(100)
    assert made.passed == [("write", 1.0), ("write", 2.0), ("write", 3.0)]
