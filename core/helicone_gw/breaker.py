"""Breaker: when a target that keeps failing is left alone, for how long, and how it is tried again.

A passive circuit breaker: closed while things go well; open after too many failures in a row, or too large a share of
them in the window; half open once its rest is over, which lets one attempt through at a time until one succeeds.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When a breaker opens, and how long targets and keys rest; times are in seconds.

    ``failures`` in a row open it, or a share of ``error_rate`` among the outcomes of the last ``window``, of which
    there must be ``min_outcomes``. The first rest lasts ``rest``; each failed probe doubles it, up to ``max_rest``. A
    key that the provider refuses rests for ``key_rest``. A provider's own wish (``Retry-After``) is honoured up to
    ``max_rest``.
    """

    failures: int = 5
    error_rate: float = 0.5
    window: float = 30.0
    min_outcomes: int = 20
    rest: float = 10.0
    max_rest: float = 300.0
    key_rest: float = 300.0

    @property
    def longest(self) -> float:
        """The longest rest of anything."""
        return max(self.max_rest, self.key_rest, self.rest)


@dataclass(slots=True)
class Breaker:
    """The outcomes of one target. Times are on the caller's monotonic clock.

    The window is kept as two halves, the older of which is dropped when the newer one is half a window old: what is
    looked at covers between a half and a whole window.
    """

    in_a_row: int = 0
    opened: int = 0
    """How often it opened without a success in between; 0: it is closed."""
    _halves: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    _turned_at: float = 0.0
    _probed_at: float | None = None

    def failed(self, now: float, policy: BreakerPolicy) -> float | None:
        """Note a failure. Seconds for which the target is to rest from now on; ``None``: it stays closed."""
        self.in_a_row += 1
        self._note(now, policy, 1)
        if not self.opened and not self._too_many(policy):
            return None
        self.opened += 1
        self._probed_at = None
        return float(min(policy.max_rest, policy.rest * 2.0 ** min(self.opened - 1, 30)))

    def succeeded(self, now: float, policy: BreakerPolicy) -> bool:
        """Note a success. Whether it was open until now: the target works again."""
        self.in_a_row = 0
        if not self.opened:
            self._note(now, policy, 0)
            return False
        self.close()
        return True

    def open_elsewhere(self) -> None:
        """Another worker's breaker of the same target opened: when its rest is over, this one probes as well."""
        self.opened = max(self.opened, 1)
        self._probed_at = None

    def close(self) -> None:
        """Forget everything."""
        self.in_a_row = self.opened = 0
        self._halves[:] = (0, 0, 0, 0)
        self._probed_at = None

    def admits(self, now: float, policy: BreakerPolicy) -> bool:
        """Whether an attempt may go through, the rest being over. Half open, one may per ``policy.rest``."""
        return not self.opened or self._probed_at is None or now - self._probed_at >= policy.rest

    def tried(self, now: float) -> None:
        """An attempt begins; while half open it is the probe."""
        if self.opened:
            self._probed_at = now

    def _note(self, now: float, policy: BreakerPolicy, failed: int) -> None:
        halves = self._halves
        age = now - self._turned_at
        if age >= policy.window / 2:
            halves[2:] = halves[:2] if age < policy.window else (0, 0)
            halves[:2] = (0, 0)
            self._turned_at = now
        halves[0] += 1
        halves[1] += failed

    def _too_many(self, policy: BreakerPolicy) -> bool:
        if self.in_a_row >= policy.failures:
            return True
        outcomes, failures = self._halves[0] + self._halves[2], self._halves[1] + self._halves[3]
        return outcomes >= policy.min_outcomes and failures >= policy.error_rate * outcomes
