"""Settling: what exchanges really used is put into the store beside the requests, many at a time where it waits."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from helicone_gw import StoreUnavailable

if TYPE_CHECKING:
    from helicone_gw import Gateway, Store
    from helicone_gw_ratelimit.limits import Argument, Claim, Limits

MAX_WAITING: Final = 10_000
"""Exchanges whose settlement waits for the store. The oldest beyond it stays as reserved, and is counted."""

BATCH: Final = 100
"""Exchanges that are settled in one round trip."""

Settlements = Sequence[tuple["Claim", Sequence["Argument"]]]


class Settling:
    """Settles exchanges in the order in which they ended. On memory it is done when `add` returns."""

    def __init__(self, limits: Limits, store: Store, gateway: Gateway) -> None:
        self._limits = limits
        self._store = store
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
            except StopIteration:
                return
            settle.close()
            raise RuntimeError("the store in memory waited")
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
            self.lost += 1
        self._waiting.append(settlements)
        if not self._running:
            self._running = True
            self._background.spawn(self._drain(), "ratelimit.settle")

    async def _drain(self) -> None:
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
                try:
                    await self._limits.settle(self._store, batch)
                except StoreUnavailable:
                    self.lost += len(batch)
                    self._log.warning("reservations could not be settled", exchanges=len(batch), lost=self.lost)
        finally:
            self._running = False
