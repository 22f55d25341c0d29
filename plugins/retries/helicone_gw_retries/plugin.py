"""The hooks of ``retries``."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from helicone_gw import Measurement, Plugin, Retry, StashKey, UpstreamError, hookimpl
from helicone_gw_retries.budget import RetryBudget
from helicone_gw_retries.config import RetriesConfig
from helicone_gw_retries.policy import Policies, client_patience

if TYPE_CHECKING:
    from helicone_gw import Attempt, Clock, Exchange, Gateway, GatewayError

RETRIED: StashKey[int] = StashKey("retries.number")
"""Number of the attempt that is a retry of the one before it."""


class RetriesPlugin(Plugin):
    """Says when the same target is tried again; the core waits, and holds its own bounds whatever is said here."""

    Config = RetriesConfig
    on_failure = "open"
    after = ("fallbacks",)
    config: RetriesConfig

    def __init__(self, config: RetriesConfig, name: str) -> None:
        super().__init__(config, name)
        self._policies = Policies(config)
        self.budget = RetryBudget(config.budget.share, config.budget.floor, config.budget.usd)
        self.random: Callable[[], float] = random.random
        """Numbers from 0 to 1, for the jitter."""
        self._clock: Clock | None = None

    @hookimpl
    async def startup(self, gateway: Gateway) -> None:
        """Take the clock."""
        self._clock = gateway.clock

    def measurements(self) -> Iterator[Measurement]:
        """Retries that the budget refused."""
        labels = {"plugin": self.name}
        yield Measurement("retries_refused", "counter", "Retries past the budget.", self.budget.refused, labels)

    @hookimpl
    async def on_error(self, exchange: Exchange, error: GatewayError) -> Retry | None:
        """Retry a failed attempt, if its policy, the budget and the client's patience allow it."""
        if not isinstance(error, UpstreamError) or error.target is None or exchange.committed or self._clock is None:
            return None
        request, route = exchange.request, exchange.route
        policy = self._policies.of(route.name if route else "", request.model, request.helicone)
        if not policy.enabled or not policy.retries(error, request):
            return None
        made = sum(attempt.target == error.target for attempt in exchange.attempts)
        if made > policy.num:
            return None
        wait = policy.wait(made, error.retry_after, self.random)
        refusal = self._refusal(exchange, wait)
        if refusal is not None or wait is None:
            exchange.annotate(f"{self.name}.refused", refusal)
            return None
        exchange.stash[RETRIED] = len(exchange.attempts) + 1
        return Retry(wait)

    def _refusal(self, exchange: Exchange, wait: float | None) -> str | None:
        """Why there is no retry although the policy allows one, in a word for the log."""
        assert self._clock is not None
        if wait is None:
            return "retry-after"
        patience = client_patience(exchange.request)
        if patience is not None and self._clock.now() + wait >= exchange.received_at + patience:
            return "client-timeout"
        return None if self.budget.take(self._clock.monotonic()) else "budget"

    @hookimpl
    def on_attempt(self, exchange: Exchange, attempt: Attempt) -> None:
        """Count what comes, and what retries cost."""
        if self._clock is None:
            return
        if attempt.number == 1:
            self.budget.requested(self._clock.monotonic())
        elif attempt.cost is not None and exchange.stash.get(RETRIED) == attempt.number:
            self.budget.spent(self._clock.monotonic(), attempt.cost.nano_usd)
