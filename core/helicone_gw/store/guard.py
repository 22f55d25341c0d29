"""Guard: the deadline of calls to a store, and the breaker that makes a store which is away cost next to nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import structlog

from helicone_gw.clock import Clock
from helicone_gw.errors import StoreUnavailable
from helicone_gw.store.base import StoreStats
from helicone_gw.waiting import Deadline

log = structlog.get_logger("helicone_gw.store")

T = TypeVar("T")
A = TypeVar("A")

AWAY = "The gateway's shared store cannot be reached."

PATIENCE = 4
"""Turns of the event loop by which a deadline that has passed still waits for what the loop has already in hand."""

LATE = 0.002
"""Seconds by which a timer of the event loop may be late without that being counted."""


class Lost(Exception):
    """A call brought no answer. The message says why, in words for people, without any address."""


class Guard:
    """Bounds every call to a store, and stops calling one that is away.

    A call that fails opens the breaker: further calls raise `StoreUnavailable` at once. A task of its own then tries
    the store, at once and after that once every ``retry_after`` seconds (its window, which an earlier try counts in),
    until it answers. So a store that is away costs the calls that were under way a deadline each, and no call after
    them; one hiccup closes the breaker again within milliseconds. Calls that were under way when it opened or closed
    have no further say.

    ``probe`` raises `Lost` or returns; ``reset`` drops connections, and is called once when the breaker opens.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        deadline: float,
        retry_after: float,
        probe: Callable[[], Coroutine[Any, Any, None]],
        reset: Callable[[], Coroutine[Any, Any, None]],
    ) -> None:
        self._clock = clock
        self._deadline = deadline
        self._retry_after = retry_after
        self._probe = probe
        self._reset = reset
        self._era = 0
        self._tried_at: float | None = None
        self._recovery: asyncio.Task[None] | None = None
        self._closed = False
        self.stats = StoreStats()

    async def call(self, work: Callable[[A], Coroutine[Any, Any, T]], argument: A) -> T:
        """What ``work(argument)`` returns. Raises `StoreUnavailable` in place of `Lost`, and after the deadline."""
        stats = self.stats
        if stats.open or self._closed:
            stats.refused += 1
            raise StoreUnavailable(AWAY, retry_after=self._retry_after)
        stats.calls += 1
        era, began = self._era, self._clock.monotonic()
        try:
            return await bounded(self._deadline, work(argument))
        except Lost as lost:
            self._failed(era, str(lost))
            raise StoreUnavailable(AWAY, retry_after=self._retry_after) from None
        finally:
            took = self._clock.monotonic() - began
            stats.seconds += took
            if took > stats.slowest:
                stats.slowest = took

    async def connect(self) -> None:
        """Try the store now; when it does not answer that is told in the log, and the breaker opens."""
        self._tried_at = self._clock.monotonic()
        reason = await self.problem()
        if reason and not self.stats.open:
            self._open(reason)

    async def problem(self) -> str:
        """Why the store does not answer; empty when it does."""
        try:
            await self._probe()
        except Exception as problem:
            # Whatever it is: who stopped trying would never hear of a store that is back.
            return str(problem) if isinstance(problem, Lost) else f"trying it failed ({type(problem).__name__})"
        return ""

    async def close(self) -> None:
        """Stop trying; every later call raises `StoreUnavailable`."""
        self._closed = True
        if self._recovery is not None:
            self._recovery.cancel()
            await asyncio.wait({self._recovery})

    def _failed(self, era: int, reason: str) -> None:
        self.stats.failures += 1
        if era == self._era and not self._closed:
            self._open(reason)

    def _open(self, reason: str) -> None:
        stats = self.stats
        stats.open = True
        stats.opened += 1
        self._era += 1
        log.warning("the shared store cannot be reached", reason=reason, next_try_within=self._retry_after)
        self._recovery = asyncio.create_task(self._recover(stats.refused), name="store-recovery")

    async def _recover(self, refused: int) -> None:
        opened_at = self._clock.monotonic()
        with contextlib.suppress(Exception):
            await self._reset()
        while True:
            if self._tried_at is not None:
                left = self._tried_at + self._retry_after - self._clock.monotonic()
                if left > 0:
                    await self._clock.sleep(left)
            self._tried_at = self._clock.monotonic()
            if not await self.problem():
                break
        self.stats.open = False
        self._era += 1
        log.info(
            "the shared store is reached again",
            seconds=round(self._clock.monotonic() - opened_at, 3),
            refused=self.stats.refused - refused,
        )


async def bounded(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """What ``work`` returns. Raises `Lost` when it takes more than ``seconds``; it is cancelled then."""
    deadline = _Patient(seconds)
    deadline.watch()
    try:
        return await work
    except asyncio.CancelledError:
        if not deadline.reached():
            raise
        raise Lost(f"no answer within {seconds * 1000:g} ms") from None
    finally:
        deadline.close()


class _Patient(Deadline):
    """A deadline on the store's time, which is not this process's own.

    A busy event loop comes to its timers late, and together with the answers that came meanwhile: cancelled at once,
    calls would fail by the slowness of this process, and the store be taken for dead when load is highest. So what the
    loop was late is added once more, up to ``seconds`` in all, and then what has arrived is looked at first.
    """

    __slots__ = ("_late", "_soon", "_turns")

    def __init__(self, seconds: float) -> None:
        self._turns = PATIENCE
        self._late = seconds
        self._soon: asyncio.Handle | None = None
        super().__init__(seconds)

    def _expire(self) -> None:
        loop = self._task.get_loop()
        late = min(loop.time() - self.when, self._late)
        if late > LATE:
            self._late -= late
            self.when = loop.time() + late
            self._handle = loop.call_at(self.when, self._expire)
        elif self._turns:
            self._turns -= 1
            self._soon = loop.call_soon(self._look)
        else:
            super()._expire()

    def _look(self) -> None:
        self._late = 0.0
        self._expire()

    def close(self) -> None:
        """Forget it, and its cancellation."""
        if self._soon is not None:
            self._soon.cancel()
        super().close()
