"""Spending: what one exchange is expected to cost, what it holds of its budgets, and what it cost in the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from helicone_gw import Cost, GatewayError, StashKey, Target, Usage
from helicone_gw_ratelimit.budget_config import MAX_DOLLARS, NANO
from helicone_gw_ratelimit.limits import Claim

if TYPE_CHECKING:
    from collections.abc import Iterable

    from helicone_gw import Attempt, CompiledPrice, Exchange, Gateway
    from helicone_gw_ratelimit.budget_table import Place
    from helicone_gw_ratelimit.debit import Debit
    from helicone_gw_ratelimit.periods import Span


MOST: Final = MAX_DOLLARS * NANO
"""Nano-dollars that one exchange counts at most, whatever tokens it asks for: sums stay exact in every store."""


class Charge(Claim, kw_only=True):
    """A budget's claim: ``amount`` (nano-dollars) of what ``place`` has in ``span``; ``hard``: it may be refused.

    ``unknown`` is what counts for an attempt of unknown price, ``spending`` all of the exchange, ``paid`` what it cost
    in the end. Of a stream, ``slice`` is by how much more it holds as it goes; ``cut``: it ends where the budget, or
    ``largest``, does.
    """

    place: Place
    span: Span
    amount: int
    hard: bool
    unknown: int
    cut: bool
    slice: int
    largest: int | None
    spending: Spending | None = None
    paid: int = 0


class Spending(Struct):
    """The spending of one exchange; amounts are nano-dollars.

    ``estimate`` is what one attempt may cost as far as one can tell (``None``: no price is known), ``input_tokens`` the
    length of its prompt. ``held`` is what is reserved now. ``step`` and ``ceiling`` are the smallest slice and the
    smallest largest request of the budgets that cut streams.
    """

    charges: list[Charge]
    pricing: Pricing
    estimate: int | None
    input_tokens: int
    held: int
    step: int
    ceiling: int | None
    debit: Debit | None = None
    extending: bool = False
    refused: bool = False
    cut_by: str | None = None

    @classmethod
    def of(cls, charges: list[Charge], pricing: Pricing, estimate: int | None, input_tokens: int) -> Spending:
        """The spending of an exchange that asks this of its budgets."""
        cutting = [charge for charge in charges if charge.cut]
        spending = cls(
            charges,
            pricing,
            estimate,
            input_tokens,
            min(charge.amount for charge in charges),
            min(charge.slice for charge in cutting or charges),
            min((charge.largest for charge in cutting if charge.largest is not None), default=None),
        )
        for charge in charges:
            charge.spending = spending
        return spending


SpendingKey = StashKey[Spending]
"""Where an instance of the plugin finds an exchange's spending."""


class Pricing:
    """What requests may cost, at the dearest target that they can reach."""

    def __init__(self, gateway: Gateway) -> None:
        self._prices = gateway.prices
        self._routing = gateway.routing

    def targets(self, exchange: Exchange) -> list[Target]:
        """Where ``exchange`` may go, as far as is known before routing: its model's targets and its fallbacks'."""
        request = exchange.request
        models = [request.router or request.model or ""]
        models += [each for each in request.helicone.fallbacks or () if isinstance(each, str)]
        if request.provider is not None:
            return [Target(request.provider, model) for model in models]
        found: list[Target] = []
        for model in models:
            try:
                found += self._routing.targets(model, exchange)
            except GatewayError:
                continue  # the router will say what is wrong with it
        return [target for target in found if self._routing.reachable(exchange, target)] or found

    def estimate(self, exchange: Exchange, input_tokens: int, output_tokens: int) -> int | None:
        """What plain text of this length costs where it costs most; ``None``: no price is known.

        Targets without a price are left out.
        """
        override = exchange.request.helicone.model_override
        usage = Usage(input_tokens=input_tokens, output_tokens=output_tokens)
        dearest: int | None = None
        for target in self.targets(exchange):
            for name in (target.model,) if override is None else (target.model, override):
                price = self._prices.find(target.provider, name)
                cost = None if price is None else price.cost(usage)
                if cost is not None and (dearest is None or cost.nano_usd > dearest):
                    dearest = cost.nano_usd
        return None if dearest is None else min(dearest, MOST)

    def of_attempt(self, exchange: Exchange, attempt: Attempt) -> CompiledPrice | None:
        """The price at the target of ``attempt``."""
        target = attempt.target
        return self._prices.find(target.provider, target.model) or self._prices.find(
            target.provider, exchange.request.helicone.model_override
        )

    def cost(self, exchange: Exchange) -> Cost | None:
        """What ``exchange`` cost. Under a model name of the client's own choice, that of the real model if it is more:
        who names another one pays no less of a budget."""
        if exchange.request.helicone.model_override is None:
            return exchange.cost
        total, known = 0, exchange.cost
        for attempt in exchange.attempts:
            target = attempt.target
            real = self._prices.cost(target.provider, attempt.model or target.model, attempt.usage, asked=target.model)
            said = attempt.cost
            if real is None and said is None:
                return known
            total += max(0 if real is None else real.nano_usd, 0 if said is None else said.nano_usd)
        return known if known is not None and known.nano_usd >= total else Cost(total)


def billed(attempts: Iterable[Attempt], unknown: int) -> tuple[int, bool]:
    """What ``attempts`` cost, with ``unknown`` for each of which nobody knows; whether there is any such."""
    total, guessed = 0, False
    for attempt in attempts:
        if attempt.cost is None:
            total, guessed = total + unknown, True
        else:
            total += max(0, attempt.cost.nano_usd)
    return total, guessed


def actual(exchange: Exchange, spending: Spending, charge: Charge) -> tuple[int, bool]:
    """What ``exchange`` counts for a budget in the end, and whether that is an estimate.

    What the core knows, or estimates, goes first. An attempt of unknown cost counts what it was expected to cost; if it
    is a stream's, its prompt and what came of its answer.
    """
    attempts = exchange.attempts
    if not attempts:
        return 0, False  # no provider was asked: a cached answer, or a refusal further in
    cost, debit = spending.pricing.cost(exchange), spending.debit
    if cost is not None:
        return max(0, min(cost.nano_usd, MOST)), cost.estimated
    if debit is not None and debit.rate and attempts[-1].cost is None:
        return debit.used, True  # it began with what the attempts before had cost
    return billed(attempts, each_of(spending, charge))


def each_of(spending: Spending, charge: Charge) -> int:
    """What an attempt of which nobody knows the cost counts for a budget."""
    return charge.unknown if spending.estimate is None else spending.estimate
