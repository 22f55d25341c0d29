"""Oracles: a token bucket and a moving window in rational numbers, as the contract tells them, and their clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import floor
from typing import Any

from helicone_gw import Store, StoreOperation
from helicone_gw.store import MemoryStore
from helicone_gw.store.base import Argument, Results
from helicone_gw_ratelimit.bucket import MAX_DEBT

BASE = 1_767_225_600_000_000
"""Microseconds since the epoch at which schedules begin."""


@dataclass
class ExactBucket:
    """Contract 5.4: capacity is the quota, refills quota/window per second, starts full. Amounts are in units."""

    quota: Fraction
    window: Fraction
    tokens: Fraction = field(init=False)
    at: Fraction = Fraction(0)

    def __post_init__(self) -> None:
        self.tokens = self.quota

    def refill(self, now: Fraction) -> None:
        self.tokens = min(self.quota, self.tokens + (now - self.at) * self.quota / self.window)
        self.at = now

    def take(self, now: Fraction, amount: Fraction) -> bool:
        """All of it, or nothing."""
        self.refill(now)
        if self.tokens < amount:
            return False
        self.tokens -= amount
        return True

    def take_some(self, now: Fraction, amount: Fraction) -> Fraction | None:
        """Admit above nothing; what was taken, or ``None``."""
        self.refill(now)
        if self.tokens <= 0:
            return None
        taken = min(self.tokens, amount)
        self.tokens -= taken
        return taken

    def settle(self, now: Fraction, more: Fraction) -> None:
        self.refill(now)
        self.tokens = min(self.quota, self.tokens - more)
        self.cut()

    def cut(self) -> None:
        """No debt takes longer than 142 years to pay."""
        self.tokens = max(self.tokens, self.quota * (1 - Fraction(MAX_DEBT, 1_000_000) / self.window))

    def change(self, now: Fraction, quota: Fraction, window: Fraction, subunits: int) -> None:
        """Another policy: the balance is kept, cut to the new quota and to whole subunits; full is as good as new."""
        full = self.full(now)
        balance = Fraction(floor(self.tokens * subunits), subunits)
        self.quota, self.window = quota, window
        self.tokens = quota if full else min(quota, balance)
        self.cut()

    def full(self, now: Fraction) -> bool:
        self.refill(now)
        return self.tokens == self.quota


@dataclass
class ExactWindow:
    """A moving window: what was taken since ``now - window``, that moment included, as `limits` counts it."""

    quota: int
    window: int
    entries: list[list[Any]] = field(default_factory=list)

    def used(self, now: int) -> int:
        return sum(amount for time, amount, _ in self.entries if time >= now - self.window)

    def take(self, now: int, amount: int, name: str, *, some: bool) -> int | None:
        used = self.used(now)
        if used >= self.quota if some else used + amount > self.quota:
            return None
        taken = min(amount, self.quota - used) if some else amount
        self.entries.append([now, taken, name])
        return taken

    def settle(self, now: int, name: str, more: int) -> None:
        if more > 0:
            self.entries.append([now, more, f"{name}+"])
            return
        for entry in self.entries:
            if entry[2] == name and entry[0] >= now - self.window:
                entry[1] = max(0, entry[1] + more)


class SetClock:
    """A clock that stands where it is put, in microseconds."""

    def __init__(self) -> None:
        self.microseconds = BASE

    def now(self) -> float:
        return self.microseconds / 1_000_000

    def monotonic(self) -> float:
        return (self.microseconds - BASE) / 1_000_000

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError


GIVEN_TIME = "local now = tonumber(ARGV[#ARGV])"
"""Lua for `Limits` that takes the time from the last argument, which `TimedStore` adds: tests own Redis's time."""


class TimedStore:
    """A store whose operations are told the time of a clock, as their last argument."""

    def __init__(self, inner: Store, clock: SetClock) -> None:
        self._inner = inner
        self._clock = clock

    async def run(self, operation: StoreOperation, keys: Sequence[str], arguments: Sequence[Argument] = ()) -> Results:
        return await self._inner.run(operation, keys, [*arguments, self._clock.microseconds])


def memory(clock: SetClock) -> MemoryStore:
    return MemoryStore(clock)


MakeStore = Callable[[SetClock], Any]
