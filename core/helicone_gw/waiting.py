"""Waiting: a bound on a wait that costs nothing where nothing is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator, Iterator
from typing import Any, TypeVar

T = TypeVar("T")


async def within(seconds: float, awaitable: Awaitable[T]) -> T:
    """What ``awaitable`` returns. Raises `TimeoutError` when it waits for more than ``seconds``.

    It is begun first, in the same task; only if it then has to wait is a timer made, which costs more than most of the
    short calls that need a bound.
    """
    steps = awaitable.__await__()
    try:
        waits_for = next(steps)
    except StopIteration as done:
        value: T = done.value
        return value
    async with asyncio.timeout(seconds):
        return await _Begun(steps, waits_for)


def seconds_until(when: float) -> float:
    """Seconds until ``when``, in time of the event loop; 0 behind it."""
    return max(0.0, when - asyncio.get_running_loop().time())


class Deadline:
    """`asyncio.timeout` for the task that makes it, at a third of its cost: `close` must be called, whatever happens.

    When ``seconds`` have passed the task is cancelled; `reached` then tells that cancellation from any other. `watch`
    must be called before the task waits for the first time: what never waits needs no timer.
    """

    __slots__ = ("_cancelling", "_handle", "_loop", "_pending", "_task", "expired", "when")

    def __init__(self, seconds: float) -> None:
        task = asyncio.current_task()
        assert task is not None
        loop = self._loop = task.get_loop()
        self._task = task
        self._cancelling = task.cancelling()
        self.when = loop.time() + seconds
        """Time of the event loop."""
        self.expired = False
        self._pending = False
        self._handle: asyncio.TimerHandle | None = None

    def watch(self) -> None:
        """See to it from now on; calling it again changes nothing."""
        if self._handle is None:
            self._handle = self._loop.call_at(self.when, self._expire)

    def _expire(self) -> None:
        self.expired = self._pending = True
        self._task.cancel()

    def reached(self) -> bool:
        """Whether the `asyncio.CancelledError` just caught was this deadline's and nobody else's."""
        return self._pending and self._taken_back() <= self._cancelling

    def close(self) -> None:
        """Forget it, and its cancellation, which somebody may have caught and kept to themselves."""
        if self._handle is not None:
            self._handle.cancel()
        if self._pending:
            self._taken_back()

    def _taken_back(self) -> int:
        self._pending = False
        return self._task.uncancel()


class _Begun(Awaitable[T]):
    """The rest of an awaitable that has made its first step and waits for ``waits_for`` (PEP 380, PEP 492)."""

    __slots__ = ("_steps", "_waits_for")

    def __init__(self, steps: Iterator[Any], waits_for: Any) -> None:
        self._steps = steps
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, T]:
        steps, waits_for = self._steps, self._waits_for
        while True:
            try:
                yield waits_for
            except BaseException as problem:
                throw = getattr(steps, "throw", None)
                if throw is None:
                    raise
                try:
                    waits_for = throw(problem)
                except StopIteration as done:
                    value: T = done.value
                    return value
            else:
                try:
                    waits_for = next(steps)
                except StopIteration as done:
                    value = done.value
                    return value
