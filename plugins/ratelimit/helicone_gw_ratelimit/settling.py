"""Settling: what exchanges really used is put into the store beside the requests, many at a time where it waits."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from helicone_gw import StoreUnavailable
from helicone_gw_ratelimit.budgets import BUDGET
from helicone_gw_ratelimit.rules import LEASES

if TYPE_CHECKING:
    from helicone_gw import Gateway, Store
    from helicone_gw_ratelimit.limits import Argument, Claim, Fields, Limits

MAX_WAITING: Final = 10_000
"""Exchanges whose settlement waits for the store. The oldest beyond it stays as reserved, and is counted."""

BATCH: Final = 25
"""Exchanges that are settled in one round trip: few enough for a slow machine to be done within a deadline."""

RETRY: Final = 1.0
"""Seconds until a store that is known to be away is told again what it did not take."""

LOOK: Final = 0.02
"""Seconds between two looks at whether it is back. What is not given back meanwhile keeps others out."""

CATCH_UP: Final = 0.1
"""Seconds that a request which was refused waits at most for what ended before it to be settled."""

PATIENCE: Final = 2.0
"""Seconds that a shutdown waits for the store."""

Settlements = Sequence[tuple["Claim", Sequence["Argument"]]]


class Settling:
    """Settles exchanges in the order in which they ended. On memory it is done when `add` returns.

    While the store is away what was spent of budgets, and places among those under way, wait for it; when it is back
    exchanges that end then go first, lest their places pile up behind those of a whole outage. ``told`` hears what
    became of each claim.
    """

    def __init__(
        self,
        limits: Limits,
        store: Store,
        gateway: Gateway,
        told: Callable[[Claim, Fields], None] | None = None,
    ) -> None:
        self._limits = limits
        self._store = store
        self._clock = gateway.clock
        self._told = told
        self._task: asyncio.Task[None] | None = None
        self._background = gateway.background
        self._log = gateway.log
        self._local = gateway.config.store.url.startswith("memory:")
        self._waiting: deque[Settlements] = deque()
        self._late: deque[Settlements] = deque()
        """Those that ended while the store was away, or that it did not take, the oldest first."""
        self._running = False
        self._added = self._done = 0
        """How many exchanges were to be settled, and how many of them, in this order, are settled, lost or late."""
        self._newest: dict[str, int] = {}
        """The last of them, as far as it is not done, for each key of the store."""
        self._progress: asyncio.Event | None = None
        self.lost = 0
        """Exchanges that were not settled, for want of a store or of room: what they had reserved stays taken."""

    def add(self, settlements: Settlements) -> None:
        """Settle the claims of one exchange, each with its kind's arguments."""
        if self._local:
            # The store in memory never waits, so its coroutine ends at once: no task is made for it.
            settle = self._limits.settle(self._store, [settlements])
            try:
                settle.send(None)
            except StopIteration as done:
                self._tell([settlements], done.value)
                return
            settle.close()
            raise RuntimeError("the store in memory waited")
        if len(self._waiting) + len(self._late) >= MAX_WAITING:
            if self._late:
                self._late.popleft()
            else:
                self._pass([self._waiting.popleft()])
            self.lost += 1
        if self._store.stats.open:
            self._late.append(settlements)
        else:
            self._waiting.append(settlements)
            self._added += 1
            for claim, _ in settlements:
                self._newest[claim.keys[0]] = self._added
        if not self._running:
            self._task = self._background.spawn(self._drain(), "ratelimit.settle")
            self._running = True

    def unsettled(self, claims: Sequence[Claim]) -> int:
        """The last exchange that is still to be settled where ``claims`` are, for `settled`; 0: there is none."""
        newest = self._newest
        return max([newest.get(claim.keys[0], 0) for claim in claims]) if newest else 0

    async def settled(self, last: int) -> bool:
        """Wait until it is done; whether it is.

        A client that had its answer, and asks for more at once, would else be refused for the sake of what is over.
        """
        try:
            async with asyncio.timeout(CATCH_UP):
                while self._done < last:
                    if self._progress is None:
                        self._progress = asyncio.Event()
                    await self._progress.wait()
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Settle what waits, unless the store is away."""
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=PATIENCE)
            self._task.cancel()

    async def _drain(self) -> None:
        try:
            while self._waiting or self._late:
                new = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
                late = [self._late.popleft() for _ in range(min(BATCH - len(new), len(self._late)))]
                batch, away = new + late, False
                try:
                    self._tell(batch, await self._limits.settle(self._store, batch))
                except StoreUnavailable:
                    again = [_again(settlements) for settlements in batch]
                    self._late.extendleft(kept for kept in reversed(again[len(new) :]) if kept)
                    self._late.extend(kept for kept in again[: len(new)] if kept)
                    self.lost += sum(len(kept) < len(all_of) for kept, all_of in zip(again, batch, strict=True))
                    away = any(again)
                    self._log.warning(
                        "reservations could not be settled", exchanges=len(batch), waiting=sum(map(bool, again))
                    )
                except Exception as problem:
                    # What one key of the store cannot take must not keep back those behind it.
                    self.lost += len(batch)
                    self._log.error("settling failed", exchanges=len(batch), problem=type(problem).__name__)
                self._pass(new)
                if away:
                    await self._until_back()
        finally:
            self._running = False

    def _pass(self, done: Sequence[Settlements]) -> None:
        """Nobody need wait for these: they are done, or late."""
        self._done += len(done)
        for settlements in done:
            for claim, _ in settlements:
                key = claim.keys[0]
                if self._newest.get(key, 0) <= self._done:
                    self._newest.pop(key, None)
        if self._progress is not None:
            self._progress.set()
            self._progress = None

    async def _until_back(self) -> None:
        """Wait until the store is reached again, as far as is known, and no longer than `RETRY`."""
        until = self._clock.monotonic() + RETRY
        while True:
            await self._clock.sleep(LOOK)
            if not self._store.stats.open or self._clock.monotonic() >= until:
                return

    def _tell(self, batch: Sequence[Settlements], answers: Sequence[Sequence[Fields]]) -> None:
        if self._told is not None:
            for settlements, told in zip(batch, answers, strict=True):
                for (claim, _), fields in zip(settlements, told, strict=True):
                    self._told(claim, fields)


def _again(settlements: Settlements) -> Settlements:
    """Those that may be told twice, and must not be lost: what was spent, and that a place is free."""
    return [(claim, given) for claim, given in settlements if claim.kind is BUDGET or claim.kind is LEASES]
