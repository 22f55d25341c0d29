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

BATCH: Final = 100
"""Exchanges that are settled in one round trip."""

RETRY: Final = 1.0
"""Seconds until the store is told again what it did not take."""

PATIENCE: Final = 2.0
"""Seconds that a shutdown waits for the store."""

Settlements = Sequence[tuple["Claim", Sequence["Argument"]]]


class Settling:
    """Settles exchanges in the order in which they ended. On memory it is done when `add` returns.

    While the store is away what was spent of budgets, and places among those under way, wait for it. ``told`` hears
    what became of each claim.
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
        self._running = False
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
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
            self.lost += 1
        self._waiting.append(settlements)
        if not self._running:
            self._task = self._background.spawn(self._drain(), "ratelimit.settle")
            self._running = True

    async def close(self) -> None:
        """Settle what waits, unless the store is away."""
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=PATIENCE)
            self._task.cancel()

    async def _drain(self) -> None:
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
                try:
                    self._tell(batch, await self._limits.settle(self._store, batch))
                except StoreUnavailable:
                    again = [_again(settlements) for settlements in batch]
                    waiting = [kept for kept in again if kept]
                    self._waiting.extendleft(reversed(waiting))
                    self.lost += sum(len(kept) < len(all_of) for kept, all_of in zip(again, batch, strict=True))
                    self._log.warning("reservations could not be settled", exchanges=len(batch), waiting=len(waiting))
                    if waiting:
                        await self._clock.sleep(RETRY)
                except Exception as problem:
                    # What one key of the store cannot take must not keep back those behind it.
                    self.lost += len(batch)
                    self._log.error("settling failed", exchanges=len(batch), problem=type(problem).__name__)
        finally:
            self._running = False

    def _tell(self, batch: Sequence[Settlements], answers: Sequence[Sequence[Fields]]) -> None:
        if self._told is not None:
            for settlements, told in zip(batch, answers, strict=True):
                for (claim, _), fields in zip(settlements, told, strict=True):
                    self._told(claim, fields)


def _again(settlements: Settlements) -> Settlements:
    """Those that may be told twice, and must not be lost: what was spent, and that a place is free."""
    return [(claim, given) for claim, given in settlements if claim.kind is BUDGET or claim.kind is LEASES]
