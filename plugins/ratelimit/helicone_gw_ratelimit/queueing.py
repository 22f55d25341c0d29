"""Queueing: requests that wait at a limit until it admits them, in a fair order.

At each limit (and each of its segments) stands a line. One of those in it has the turn and asks the limit; while it is
refused the line rests, until the time that the limit itself named or until something is given back, whichever is first.
So there is no polling, and however many wait, one asks. The turn goes to the highest priority, among equals round the
groups (users, keys, ...), within a group in the order of arrival.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, NamedTuple

SHORTEST_REST: Final = 0.001
"""Seconds that a line rests at least: a limit that names no time must not be asked without end."""


class Stop(NamedTuple):
    """Where a request was refused: the limit's key in the store, its name, and in how many seconds to ask again."""

    key: str
    name: str
    wait: float


class Waiter:
    """One that waits. ``group`` is whose turn it uses up, a higher ``priority`` comes first."""

    __slots__ = ("group", "priority", "turn")

    def __init__(self, group: str, priority: int) -> None:
        self.group = group
        self.priority = priority
        self.turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Line:
    """Those who wait at one limit. At most one of them has the turn."""

    def __init__(self) -> None:
        self._groups: dict[int, OrderedDict[str, deque[Waiter]]] = {}
        self._trying: Waiter | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._news = False
        self._size = 0

    def __len__(self) -> int:
        return self._size

    @property
    def idle(self) -> bool:
        """Whether nobody has the turn, and nobody is going to get it."""
        return self._trying is None and self._timer is None

    def join(self, waiter: Waiter) -> None:
        """Stand in line, behind those of the same group."""
        self._groups.setdefault(waiter.priority, OrderedDict()).setdefault(waiter.group, deque()).append(waiter)
        self._size += 1

    def leave(self, waiter: Waiter, *, served: bool = False) -> None:
        """Leave the line; whoever had the turn hands it on. ``served``: its group comes last from now on."""
        groups = self._groups[waiter.priority]
        group = groups[waiter.group]
        group.remove(waiter)
        self._size -= 1
        if not group:
            del groups[waiter.group]
            if not groups:
                del self._groups[waiter.priority]
        elif served:
            groups.move_to_end(waiter.group)
        if self._trying is waiter:
            self._trying = None
            self.wake()
        if not self._size and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def rest(self, seconds: float, waiter: Waiter | None = None) -> None:
        """Nobody asks for so long, unless something is given back; ``waiter`` had the turn, and waits for another."""
        if waiter is not None:
            waiter.turn = asyncio.get_running_loop().create_future()
        self._trying = None
        if self._news:
            # Something was given back while it asked: what it heard may be old.
            self.wake()
        else:
            self._timer = asyncio.get_running_loop().call_later(max(seconds, SHORTEST_REST), self.wake)

    def wake(self) -> None:
        """Give the turn to whoever is next, or note that whoever has it should ask again."""
        if self._trying is not None:
            self._news = True
            return
        self._news = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for priority in sorted(self._groups, reverse=True):
            for group in self._groups[priority].values():
                for waiter in group:
                    # One whose turn was cancelled is about to leave.
                    if not waiter.turn.done():
                        self._trying = waiter
                        waiter.turn.set_result(None)
                        return


class Lines:
    """Every line of this process."""

    def __init__(self) -> None:
        self._lines: dict[str, Line] = {}
        self.waiting: dict[str, int] = {}
        """How many wait at which limit, by its name."""

    def __bool__(self) -> bool:
        return bool(self._lines)

    def at(self, keys: Iterable[str]) -> str | None:
        """The first of these limits at which somebody waits: nobody may come before them."""
        return next((key for key in keys if key in self._lines), None)

    def given_back(self, key: str) -> None:
        """Something was given back to the limit of ``key``: who is next may ask."""
        line = self._lines.get(key)
        if line is not None:
            line.wake()

    async def wait(
        self, stop: Stop, waiter: Waiter, seconds: float, attempt: Callable[[], Awaitable[Stop | None]]
    ) -> bool:
        """Wait at ``stop`` until ``attempt`` is not stopped again, there or elsewhere; whether that came to pass.

        False after ``seconds``. ``attempt`` is called in the caller's own task, one at a time in each line; what it
        raises ends the waiting. Who is cancelled has left the line.
        """
        until = asyncio.get_running_loop().time() + seconds
        while True:
            moved = await self._wait_at(stop, waiter, until, attempt)
            if not isinstance(moved, Stop):
                return moved
            stop = moved
            waiter.turn = asyncio.get_running_loop().create_future()

    async def _wait_at(
        self, stop: Stop, waiter: Waiter, until: float, attempt: Callable[[], Awaitable[Stop | None]]
    ) -> Stop | bool:
        """Wait in one line: whether it was admitted, or where else it was stopped."""
        line = self._lines.setdefault(stop.key, Line())
        self.waiting[stop.name] = self.waiting.get(stop.name, 0) + 1
        line.join(waiter)
        if line.idle:
            line.rest(stop.wait)
        served = False
        try:
            while True:
                try:
                    async with asyncio.timeout_at(until):
                        await waiter.turn
                except TimeoutError:
                    return False
                again = await attempt()
                if again is None:
                    served = True
                    return True
                if again.key != stop.key:
                    return again
                line.rest(again.wait, waiter)
        finally:
            line.leave(waiter, served=served)
            if not line:
                self._lines.pop(stop.key, None)
            self.waiting[stop.name] -= 1
            if not self.waiting[stop.name]:
                del self.waiting[stop.name]
