"""Health: which targets should be left alone for now, and how busy and how quick each one is."""

from __future__ import annotations

from dataclasses import dataclass

from helicone_gw.clock import Clock
from helicone_gw.model import Target

MAX_TARGETS = 10_000
"""Targets remembered; beyond it the one that was used longest ago is forgotten (its state then reads as healthy)."""

LATENCY_WEIGHT = 0.2
"""Weight of the newest observation in the moving average of latency."""


@dataclass(slots=True)
class TargetHealth:
    """State of one target: attempts in flight, moving average of seconds to the first byte, and until when it rests."""

    in_flight: int = 0
    latency: float | None = None
    cooling_until: float = 0.0
    reason: str = ""


class Health:
    """Health of all targets of this process. Routers read it and set it in ``on_attempt``; the core counts."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._targets: dict[Target, TargetHealth] = {}

    def of(self, target: Target) -> TargetHealth:
        """The state of ``target``, healthy when never seen."""
        state = self._targets.pop(target, None) or TargetHealth()
        self._targets[target] = state
        if len(self._targets) > MAX_TARGETS:
            idle = next((key for key, value in self._targets.items() if not value.in_flight), None)
            if idle is not None and idle != target:
                del self._targets[idle]
        return state

    def available(self, target: Target) -> bool:
        """Whether ``target`` may be tried now."""
        state = self._targets.get(target)
        return state is None or state.cooling_until <= self._clock.monotonic()

    def cool_down(self, target: Target, seconds: float, reason: str) -> None:
        """Leave ``target`` alone for so long; ``reason`` is shown to people."""
        state = self.of(target)
        state.cooling_until = max(state.cooling_until, self._clock.monotonic() + seconds)
        state.reason = reason

    def recover(self, target: Target) -> None:
        """``target`` works again."""
        state = self._targets.get(target)
        if state is not None:
            state.cooling_until, state.reason = 0.0, ""

    def started(self, target: Target) -> None:
        """An attempt began."""
        self.of(target).in_flight += 1

    def ended(self, target: Target, first_byte_seconds: float | None) -> None:
        """An attempt ended; ``first_byte_seconds`` is ``None`` when no byte came."""
        state = self.of(target)
        state.in_flight -= 1
        if first_byte_seconds is not None:
            previous = state.latency
            state.latency = (
                first_byte_seconds if previous is None else previous + LATENCY_WEIGHT * (first_byte_seconds - previous)
            )
