"""Dispatching: what is due is delivered, each receiver's by itself, so that a dead one slows nobody."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from sqlalchemy.exc import SQLAlchemyError

from helicone_gw import GatewayError
from helicone_gw_alerts.errors import LogUnavailable
from helicone_gw_alerts.outbox import Delivery, Outbox, Target

if TYPE_CHECKING:
    from helicone_gw import Clock

MAX_TARGETS: Final = 64
"""Receivers that are served at once; further ones wait for their turn."""
AT_ONCE: Final = 8
"""Deliveries to one receiver at once."""
LONGEST_REST: Final = 60.0
"""Seconds for which a receiver that failed is left alone, at most: that it is back is noticed so soon."""
PAGE: Final = 200
"""Deliveries that are read at once."""


class Undeliverable(Exception):
    """It was not delivered; ``for_good``: it never will be. The message is shown to people, and holds no secret."""

    def __init__(self, message: str, *, for_good: bool = False) -> None:
        super().__init__(message)
        self.for_good = for_good


Deliver = Callable[[Delivery], Awaitable[None]]
"""Delivers. Raises `Undeliverable`; every other exception is one that may pass."""


class Backoff(Struct, frozen=True):
    """How often is tried, and seconds before the second attempt; doubled for each further one, up to ``longest``."""

    attempts: int
    first: float
    longest: float

    def pause(self, attempts: int) -> float:
        """Seconds until the next attempt, where there were so many: between half and all of what is due."""
        return min(self.longest, self.first * 2.0 ** min(attempts - 1, 60)) * random.uniform(0.5, 1.0)


class Dispatcher:
    """Delivers what is due with ``deliver``, by kind. Each delivery is made at least once.

    A receiver that fails for all of `AT_ONCE` deliveries in a row is left alone, longer each time and for a minute at
    most: what waits behind is neither lost nor tried, and what is replayed need not wait for long.
    """

    def __init__(self, outbox: Outbox, clock: Clock, deliver: Mapping[str, Deliver], backoff: Backoff) -> None:
        self._outbox = outbox
        self._clock = clock
        self._deliver = deliver
        self._backoff = backoff
        self._running: dict[Target, asyncio.Task[None]] = {}
        self._resting: dict[Target, tuple[float, int]] = {}
        self.leading = True
        """Whether this process is the one that delivers; when not, what is under way is ended after its page."""
        self.faults = 0
        """Receivers' rounds that ended with an exception of ours."""

    async def look(self) -> None:
        """Begin to deliver what is due, and do not wait for it."""
        now = self._clock.now()
        for target, task in [*self._running.items()]:
            if task.done():
                del self._running[target]
                self.faults += not task.cancelled() and task.exception() is not None
        self._resting = {
            target: rest for target, rest in self._resting.items() if now - rest[0] < self._backoff.longest
        }
        if len(self._running) >= MAX_TARGETS:
            return
        for target in await self._outbox.targets(now, MAX_TARGETS + len(self._running) + len(self._resting)):
            rests_until = self._resting.get(target, (0.0, 0))[0]
            if target in self._running or rests_until > now or len(self._running) >= MAX_TARGETS:
                continue
            name = f"alerts.deliver.{target.kind}"
            self._running[target] = asyncio.create_task(self._serve(target), name=name)

    async def idle(self) -> None:
        """Wait for what is under way."""
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def close(self, grace: float = 5.0) -> None:
        """Deliver nothing more: what is under way has ``grace`` seconds; what is not settled is tried again."""
        self.leading = False
        tasks = set(self._running.values())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, target: Target) -> None:
        while self.leading:
            page = await self._outbox.due(target, self._clock.now(), PAGE)
            for start in range(0, len(page), AT_ONCE):
                some = page[start : start + AT_ONCE]
                if not self.leading or not await self._round(target, some):
                    return
            if len(page) < PAGE:
                return

    async def _round(self, target: Target, some: list[Delivery]) -> bool:
        """Try some deliveries; whether any of them went well, or there is nothing wrong with the receiver."""
        results = await asyncio.gather(*(self._try(each) for each in some))
        done, later, dead = [], {}, {}
        now = self._clock.now()
        for each, problem in zip(some, results, strict=True):
            if problem is None:
                done.append(each.id)
            elif problem.for_good or each.attempts + 1 >= self._backoff.attempts:
                dead[each.id] = str(problem)
            else:
                later[each.id] = (now + self._backoff.pause(each.attempts + 1), str(problem))
        await self._settle(done, later, dead)
        if done or not any(problem is not None and not problem.for_good for problem in results):
            self._resting.pop(target, None)
            return True
        times = self._resting.get(target, (0.0, 0))[1] + 1
        self._resting[target] = (now + min(self._backoff.pause(times), LONGEST_REST), times)
        return False

    async def _settle(self, done: list[str], later: Mapping[str, tuple[float, str]], dead: Mapping[str, str]) -> None:
        # What was delivered and is not written down would be delivered again.
        for attempt in range(5):
            try:
                await self._outbox.settle(done, later, dead)
            except (SQLAlchemyError, OSError):
                if attempt == 4:
                    raise
                await self._clock.sleep(0.2 * 2**attempt)
            else:
                return

    async def _try(self, delivery: Delivery) -> Undeliverable | None:
        deliver = self._deliver.get(delivery.kind)
        if deliver is None:
            return Undeliverable(f"nothing delivers {delivery.kind!r}", for_good=True)
        try:
            await deliver(delivery)
        except Undeliverable as problem:
            return problem
        except GatewayError as problem:
            return Undeliverable(problem.message)
        except LogUnavailable as problem:
            return Undeliverable(str(problem))
        except Exception as problem:
            return Undeliverable(f"it failed: {type(problem).__name__}")
        return None
