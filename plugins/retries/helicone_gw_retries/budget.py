"""Budget: how much retries may add to the traffic and the bill, so that they never make an outage worse."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from decimal import Decimal

WINDOW = 60
"""Seconds that a budget looks back."""


@dataclass(slots=True)
class _Second:
    at: int
    requests: int = 0
    retries: int = 0
    nano_usd: int = 0


class RetryBudget:
    """What one worker's retries of the last minute may amount to; 61 entries at most.

    Retries are at most ``floor`` or ``share`` of the requests, whichever is more, and none begins once those of the
    last minute have cost ``usd``. A retry beyond it is refused and counted in ``refused``; the failure is then answered
    or falls back. What a retry costs is known at its end, so that those under way may go past ``usd`` once.
    """

    def __init__(self, share: float, floor: int, usd: Decimal | None) -> None:
        self._share = share
        self._floor = floor
        self._limit = None if usd is None else int(usd * 1_000_000_000)
        self._seconds: deque[_Second] = deque()
        self._requests = self._retries = self._nano_usd = 0
        self.refused = 0
        """Retries that were refused so far."""

    def requested(self, now: float) -> None:
        """A request came. ``now`` is the clock's monotonic time."""
        self._requests += 1
        self._second(now).requests += 1

    def take(self, now: float) -> bool:
        """Ask for one retry; it counts from here on if it is granted."""
        second = self._second(now)
        if self._retries + 1 > max(self._floor, self._share * self._requests) or (
            self._limit is not None and self._nano_usd >= self._limit
        ):
            self.refused += 1
            return False
        self._retries += 1
        second.retries += 1
        return True

    def spent(self, now: float, nano_usd: int) -> None:
        """A retry cost so much."""
        self._nano_usd += nano_usd
        self._second(now).nano_usd += nano_usd

    def _second(self, now: float) -> _Second:
        """The entry for ``now``, after those that are too old were taken off."""
        at = int(now)
        seconds = self._seconds
        if not seconds or seconds[-1].at != at:
            while seconds and seconds[0].at <= at - WINDOW:
                old = seconds.popleft()
                self._requests -= old.requests
                self._retries -= old.retries
                self._nano_usd -= old.nano_usd
            seconds.append(_Second(at))
        return seconds[-1]
