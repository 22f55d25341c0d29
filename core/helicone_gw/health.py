"""Health: which targets should be left alone for now and why, and how busy and how quick each one is."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import exp, inf
from typing import Any, Literal

import structlog

from helicone_gw.breaker import Breaker, BreakerPolicy
from helicone_gw.clock import Clock
from helicone_gw.errors import GatewayError, UpstreamError, UpstreamStatus, UpstreamStreamError
from helicone_gw.model import Target
from helicone_gw.store import Store

log = structlog.get_logger("helicone_gw.health")

MAX_TARGETS = 10_000
"""Targets remembered; beyond it the one that was used longest ago is forgotten (its state then reads as healthy)."""

LONGEST_NAME = 512
"""Characters of a model's name up to which it is remembered: names are what clients say."""

LATENCY_DECAY = 10.0
"""Seconds in which a past peak of latency loses 63 % of its weight."""

KEY_REFUSED = frozenset({401, 402})
"""Statuses that say something of the key, whatever the model."""

ALIVE = frozenset({400, 404, 405, 406, 409, 410, 411, 413, 414, 415, 416, 418, 421, 422, 423, 424, 426, 428, 431})
"""Error statuses that are about the request: the target works."""

SHARED = "health:resting"
"""Key of the store under which workers tell each other which targets rest."""


State = Literal["open", "half_open", "resting"]
"""Why a target is left alone: its breaker is open, or tries whether it works again; or it rests for another reason."""


@dataclass(slots=True)
class TargetHealth:
    """State of one target: attempts in flight, seconds to the first byte, until when it rests, and its breaker.

    ``latency`` is a peak-sensitive moving average: a slower answer counts at once, a quicker one bit by bit. A rest
    ends at ``cooling_until`` (monotonic), which is ``rests_until`` for other workers (epoch seconds); ``heard``: it was
    one of those that set the target aside, at ``aside_at`` (epoch seconds).
    """

    in_flight: int = 0
    latency: float | None = None
    cooling_until: float = 0.0
    reason: str = ""
    rests_until: float = 0.0
    aside_at: float = 0.0
    heard: bool = False
    breaker: Breaker = field(default_factory=Breaker)
    _measured_at: float = 0.0

    def measured(self, seconds: float, now: float) -> None:
        """An attempt's first byte came after ``seconds``."""
        previous = self.latency
        if previous is None or seconds >= previous:
            self.latency = seconds
        else:
            weight = exp(-(now - self._measured_at) / LATENCY_DECAY)
            # Even attempts at the same moment move it a little.
            self.latency = seconds + (previous - seconds) * min(weight, 0.95)
        self._measured_at = now


class Health:
    """Health of all targets of this process.

    The core counts what is in flight and how long first bytes take; routers tell how attempts ended (`observe`), which
    opens and closes breakers. A key that a provider refuses rests for all of that provider's models.
    """

    def __init__(self, clock: Clock, policy: BreakerPolicy | None = None) -> None:
        self._clock = clock
        self.policy = policy or BreakerPolicy()
        self._targets: dict[Target, TargetHealth] = {}
        self._last: tuple[Target, TargetHealth] | None = None
        """The youngest of them."""
        self._unwell: set[Target] = set()
        """Those that rest, or whose breaker is open; what else is asked for needs no look."""
        self._worker = uuid.uuid4().hex
        self.set_aside = 0
        """How often a target, or a key, was set aside by this process."""

    def of(self, target: Target) -> TargetHealth:
        """The state of ``target``, healthy when never seen."""
        last = self._last
        if last is not None and last[0] == target:  # asked several times for each attempt
            return last[1]
        if target.model is not None and len(target.model) > LONGEST_NAME:
            return TargetHealth()
        state = self._targets.pop(target, None) or TargetHealth()
        self._targets[target] = state
        self._last = target, state
        if len(self._targets) > MAX_TARGETS:
            idle = next((key for key, value in self._targets.items() if not value.in_flight), None)
            if idle is not None and idle != target:
                del self._targets[idle]
                self._unwell.discard(idle)
        return state

    @property
    def well(self) -> bool:
        """Whether nothing at all is left alone."""
        return not self._unwell

    def available(self, target: Target) -> bool:
        """Whether ``target`` may be tried now: neither it nor its key rests, and no probe of it is under way."""
        return not self._unwell or (self._admits(target) and (target.model is None or self._admits(key_of(target))))

    def _admits(self, target: Target) -> bool:
        if target not in self._unwell:
            return True
        state, now = self._targets[target], self._clock.monotonic()
        if state.cooling_until > now:
            return False
        if not state.breaker.opened:
            self._unwell.discard(target)
        return state.breaker.admits(now, self.policy)

    def why(self, target: Target) -> str | None:
        """Why ``target`` is left alone, in words for people; ``None`` when it is not."""
        return self._reason(target) or self._reason(key_of(target))

    def _reason(self, target: Target) -> str | None:
        if self._admits(target):
            return None
        state = self._targets[target]
        left = state.cooling_until - self._clock.monotonic()
        return f"{state.reason}, for another {left:.0f} s" if left > 0 else f"{state.reason}; a probe is under way"

    def resting(self) -> dict[str, str]:
        """Every target and key that is left alone now, with the reason; none whose address a client named."""
        return {
            str(target): reason
            for target in self._targets
            if target.base_url is None and (reason := self._reason(target)) is not None
        }

    def states(self) -> dict[str, State]:
        """The state of every target and key that is left alone now; none whose address a client named."""
        now = self._clock.monotonic()
        found: dict[str, State] = {}
        for target in self._unwell:
            state = self._targets[target]
            if target.base_url is not None:
                continue
            if state.cooling_until > now:
                found[str(target)] = "open" if state.breaker.opened else "resting"
            elif state.breaker.opened:
                found[str(target)] = "half_open"
        return found

    def cool_down(self, target: Target, seconds: float, reason: str) -> None:
        """Leave ``target`` alone for so long; ``reason`` is shown to people."""
        state = self.of(target)
        until = self._clock.monotonic() + seconds
        if until <= state.cooling_until or target not in self._targets:
            return
        state.cooling_until, state.reason, state.heard = until, reason, False
        state.aside_at = self._clock.now()
        state.rests_until = state.aside_at + seconds
        self._unwell.add(target)
        self.set_aside += 1
        log.warning("target set aside", target=str(target), reason=reason, seconds=round(seconds, 3))

    def recover(self, target: Target) -> None:
        """``target`` works again."""
        state = self._targets.get(target)
        if state is None:
            return
        if state.cooling_until or state.breaker.opened:
            log.info("target is used again", target=str(target))
        state.cooling_until = state.rests_until = 0.0
        state.reason, state.heard = "", False
        state.breaker.close()
        self._unwell.discard(target)

    def observe(
        self, target: Target, error: GatewayError | None, *, started_at: float = inf, own_key: bool = False
    ) -> None:
        """An attempt at ``target``, begun at ``started_at`` (epoch seconds), ended with ``error`` or well.

        What began before the target was set aside has no say in when it is used again. ``own_key``: the client brought
        its own credential, whose limits and validity say nothing of the target's.
        """
        if error is None:
            state = self.of(target)
            if started_at < state.aside_at:
                return
            if state.breaker.succeeded(self._clock.monotonic(), self.policy):
                self.recover(target)
            return
        if not isinstance(error, UpstreamError):
            return  # the gateway's own refusal: the target was never asked
        # An error in a stream stands for a status as well; one without any says something of the connection.
        status = error.status if isinstance(error, (UpstreamStatus, UpstreamStreamError)) else None
        if status in (401, 402, 403, 429) and own_key:
            return
        if status in KEY_REFUSED or status == 403:
            aside = target if status == 403 else key_of(target)
            self.cool_down(aside, self.policy.key_rest, f"the provider refuses the key ({status})")
        elif status not in ALIVE:
            self._failed(target, error)

    def _failed(self, target: Target, error: UpstreamError) -> None:
        reason = f"answered {error.status}" if isinstance(error, UpstreamStatus) else error.code
        if error.retry_after:
            self.cool_down(target, min(error.retry_after, self.policy.max_rest), f"{reason} with Retry-After")
        state, now = self.of(target), self._clock.monotonic()
        if state.breaker.opened and state.cooling_until > now:
            return  # one of many that were under way, or of the last resort: no probe
        rest = state.breaker.failed(now, self.policy)
        if rest is not None:
            self.cool_down(target, rest, f"failed too often (last: {reason})")

    def started(self, target: Target) -> None:
        """An attempt began."""
        state = self.of(target)
        state.in_flight += 1
        if state.breaker.opened:
            state.breaker.tried(self._clock.monotonic())

    def ended(self, target: Target, first_byte_seconds: float | None) -> None:
        """An attempt ended; ``first_byte_seconds`` is ``None`` when no byte came."""
        state = self.of(target)
        state.in_flight -= 1
        if first_byte_seconds is not None:
            state.measured(first_byte_seconds, self._clock.monotonic())

    async def share(self, store: Store) -> None:
        """Tell the other workers which targets rest, and hear of theirs; to be called every second or so.

        One value holds them all, each worker's apart. A rest that ends early with the worker that began it ends here
        with the next call. Workers that write all the time may keep another from writing: its news then wait.
        """
        now = self._clock.now()
        mine = [
            _row(target, state)
            for target, state in self._targets.items()
            if state.rests_until > now and not state.heard
        ]
        for _ in range(5):
            current = await store.get(SHARED)
            workers = {} if current is None else json.loads(current)
            if workers.get(self._worker, []) == mine:
                break
            others = {name: rows for name, rows in workers.items() if any(row[4] > now for row in rows)}
            value = json.dumps(others | {self._worker: mine} if mine else {**others, self._worker: []}).encode()
            if await store.compare_and_set(SHARED, current, value, ttl=self.policy.longest):
                break
        else:
            return
        self._hear(
            {
                Target(*row[:4]): (row[4], row[5])
                for name, rows in workers.items()
                if name != self._worker
                for row in rows
                if row[4] > now
            },
            now,
        )

    def _hear(self, told: Mapping[Target, tuple[float, str]], now: float) -> None:
        for target, (until, reason) in told.items():
            state = self.of(target)
            if state.rests_until >= until:
                continue
            if state.rests_until <= now:
                state.heard = True
                log.info("target set aside by another worker", target=str(target), reason=reason)
            state.cooling_until, state.rests_until = self._clock.monotonic() + until - now, until
            state.reason, state.aside_at = reason, now
            self._unwell.add(target)
            if target.model is not None:
                state.breaker.open_elsewhere()
        for target, state in list(self._targets.items()):
            if state.heard and target not in told:
                self.recover(target)


def key_of(target: Target) -> Target:
    """The provider's key that ``target`` is called with, as a target without a model."""
    return Target(target.provider, None, target.base_url, target.deployment)


def _row(target: Target, state: TargetHealth) -> list[Any]:
    return [target.provider, target.model, target.base_url, target.deployment, state.rests_until, state.reason]
