"""Latencies: recent times to first byte of each target, for the percentile after which a second one is asked."""

from __future__ import annotations

from collections import OrderedDict, deque

from helicone_gw import Target
from helicone_gw_router.config import HedgeConfig

MAX_TARGETS = 1000
"""Targets remembered, the one measured longest ago is forgotten first."""

KEPT = 128
"""Times that are kept of each."""

ENOUGH = 20
"""Times below which there is no percentile."""


class Latencies:
    """The last times of each target, in seconds."""

    def __init__(self) -> None:
        self._times: OrderedDict[Target, deque[float]] = OrderedDict()

    def measured(self, target: Target, seconds: float) -> None:
        """An attempt's first byte came after ``seconds``."""
        times = self._times.get(target)
        if times is None:
            times = self._times[target] = deque(maxlen=KEPT)
            if len(self._times) > MAX_TARGETS:
                self._times.popitem(last=False)
        else:
            self._times.move_to_end(target)
        times.append(seconds)

    def hedge_after(self, target: Target, hedge: HedgeConfig) -> float | None:
        """Seconds after which a second target is asked; ``None``: not at all."""
        times = self._times.get(target)
        if hedge.percentile is None or times is None or len(times) < ENOUGH:
            return hedge.after
        return sorted(times)[min(len(times) - 1, int(len(times) * hedge.percentile / 100))]
