"""Queues: which limits have one, who stands where in it, and what happens to an exchange that waits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from helicone_gw import GatewayError, TooManyRequests
from helicone_gw_ratelimit.headers import LIMIT, POLICY, REMAINING
from helicone_gw_ratelimit.queueing import Lines, Stop, Waiter
from helicone_gw_ratelimit.rules import ConcurrencyRule, PolicyRule
from helicone_gw_ratelimit.segments import segment_value

if TYPE_CHECKING:
    from helicone_gw import Clock, Exchange
    from helicone_gw_ratelimit.limits import Claim
    from helicone_gw_ratelimit.queue_config import PriorityConfig, QueueConfig


class Queues:
    """The queues of a configuration, by the names of their limits. ``count(what, limit)`` counts what happened."""

    def __init__(self, queues: Mapping[str, QueueConfig], clock: Clock, count: Callable[[str, str], None]) -> None:
        self._queues = queues
        self._clock = clock
        self._count = count
        self.lines = Lines()

    def __bool__(self) -> bool:
        return bool(self._queues)

    def stop(self, claims: Sequence[Claim]) -> Stop | None:
        """Where to wait after a refusal: at the limit with the longest wait; ``None``: one of them has no queue."""
        stops: list[Stop] = []
        for claim in claims:
            if claim.admitted:
                continue
            rule = claim.rule
            queue = self._queues.get(rule.name)
            if queue is None or not isinstance(rule, PolicyRule | ConcurrencyRule):
                return None
            wait = rule.standing(claim).wait / 1_000_000
            # Nobody knows when a place among those under way is free; what a policy says is certain.
            if isinstance(rule, PolicyRule) and wait > queue.max_wait:
                return None
            stops.append(Stop(claim.keys[0], rule.name, wait))
        return max(stops, key=lambda stop: stop.wait, default=None)

    def ahead(self, claims: Sequence[Claim]) -> Stop | None:
        """Where others wait already, before whom nobody may come."""
        if not self.lines:
            return None
        for claim in claims:
            if claim.rule.name in self._queues and self.lines.at(claim.keys[:1]) is not None:
                return Stop(claim.keys[0], claim.rule.name, 0.0)
        return None

    async def wait(
        self, exchange: Exchange, stop: Stop, attempt: Callable[[], Awaitable[Stop | None]], name: str
    ) -> bool:
        """Let ``exchange`` wait; whether it was admitted. ``name`` begins the names of what is noted for the log."""
        queue = self._queues[stop.name]
        if self.lines.waiting.get(stop.name, 0) >= queue.max_waiting:
            self._count("queue_full", stop.name)
            return False
        began = self._clock.monotonic()
        outcome = "queue_left"
        self._count("queued", stop.name)
        try:
            waiter = Waiter(segment_value(exchange, queue.fair), _priority(exchange, queue.priority))
            admitted = await self.lines.wait(stop, waiter, queue.max_wait, attempt)
            outcome = "" if admitted else "queue_timeout"
            return admitted
        except GatewayError:
            outcome = "queue_refused"
            raise
        finally:
            if outcome:
                self._count(outcome, stop.name)
            exchange.annotate(f"{name}.queued_ms", round((self._clock.monotonic() - began) * 1000))

    def refusal(self, stop: Stop, claims: Sequence[Claim]) -> TooManyRequests:
        """What one is told who never came to ask: the line was full, or too long for its patience."""
        headers = {"Retry-After": "1", "retry-after-ms": "1000"}
        for claim in claims:
            if isinstance(claim.rule, PolicyRule | ConcurrencyRule) and claim.rule.name == stop.name:
                # Whatever there is, or comes, is for those who wait.
                headers |= {LIMIT: claim.rule.limit, REMAINING: "0", POLICY: claim.rule.text}
        return TooManyRequests(
            f"Too many requests wait at limit {stop.name!r}. Try again in 1 second.",
            code="rate_limit_queue_full",
            headers=headers,
            details={"name": stop.name, "waiting": self.lines.waiting.get(stop.name, 0), "retryAfterMs": 1000},
        )

    def given_back(self, claim: Claim) -> None:
        """A claim was settled: whoever waits there may ask again."""
        if self.lines:
            self.lines.given_back(claim.keys[0])


def _priority(exchange: Exchange, config: PriorityConfig | None) -> int:
    if config is None:
        return 0
    if exchange.key is not None:
        for pattern, level in config.keys.items():
            if fnmatchcase(exchange.key.name, pattern):
                return level
    for value in (
        None if config.header is None else exchange.request.headers.get(config.header),
        None if config.property is None else exchange.request.helicone.properties.get(config.property),
    ):
        if value is not None:
            return _level(value, config.levels)
    return 0


def _level(value: str, levels: Mapping[str, int]) -> int:
    word = value.strip().lower()
    if word in levels:
        return levels[word]
    number = word.removeprefix("-")
    if not (number.isascii() and number.isdecimal() and len(number) <= 3):
        return 0
    return max(-100, min(int(word), 100))
