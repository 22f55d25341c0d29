"""Refresh: stale entries are asked for anew in the background, each once at a time."""

from __future__ import annotations

from collections.abc import Set
from typing import Final

from helicone_gw import Exchange, Gateway, StashKey
from helicone_gw_cache.visit import CacheCounters

REFRESH = "cache.refresh"
"""The annotation of an exchange that nobody asked for; its value is the id of the one whose hit was stale."""

REST: Final = 1.0
"""Seconds between two refreshes of one entry: a provider that fails is not asked anew by every stale hit."""

_REMEMBERED = 1024


class Refreshes:
    """Begins refreshes, at most ``most`` at the same time: one that finds no room is left to the next stale hit."""

    def __init__(self, gateway: Gateway, most: int, counters: CacheCounters) -> None:
        self._gateway = gateway
        self._most = most
        self._counters = counters
        self._running: set[str] = set()
        self.running: Set[str] = self._running
        """Slots that are being filled: while there are none, no exchange is there to fill one."""
        self._begun: dict[str, float] = {}
        self._slot: StashKey[str] = StashKey("cache.refreshes")

    def __len__(self) -> int:
        return len(self._running)

    def begin(self, exchange: Exchange, slot: str) -> None:
        """Ask anew what ``exchange`` asks, to fill ``slot``, unless that is being done."""
        now = self._gateway.clock.monotonic()
        if slot in self._running or now - self._begun.get(slot, float("-inf")) < REST:
            return
        if len(self._running) >= self._most:
            self._counters.refreshes_refused += 1
            return

        def prepare(copy: Exchange) -> None:
            copy.stash[self._slot] = slot
            copy.annotate(REFRESH, exchange.request_id)

        try:
            task = self._gateway.repeat(exchange, prepare)
        except RuntimeError:  # too much runs in the background
            self._counters.refreshes_refused += 1
            return
        self._counters.refreshes += 1
        self._running.add(slot)
        self._begun.pop(slot, None)
        self._begun[slot] = now
        if len(self._begun) > _REMEMBERED:
            del self._begun[next(iter(self._begun))]
        task.add_done_callback(lambda _: self._running.discard(slot))

    def slot_of(self, exchange: Exchange) -> str | None:
        """The slot that ``exchange`` is there to fill, ``None`` for an ordinary one."""
        return exchange.stash.get(self._slot)
