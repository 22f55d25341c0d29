"""Prices: the service that finds the price of a provider's model, and counts what has none."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final, Protocol

from helicone_gw.model import Cost, Target, Usage
from helicone_gw.price import CompiledPrice

OTHER: Final = "other"
"""Label that unknown prices are counted under once the set of labels is full."""

_MAX_NAME: Final = 256
_Key = tuple[str, str | None, str | None, str | None]


class PriceSource(Protocol):
    """Something that knows prices: the ``cost`` plugin, or any other."""

    def price(
        self, provider: str, models: tuple[str, ...], service_tier: str | None, at: float
    ) -> CompiledPrice | None:
        """The price in force at ``at`` (epoch seconds), or ``None``.

        ``models`` are names of one model, the most exact first: what the reply said, then what was asked for. Called
        on the event loop and cached until the price's ``valid_until``: it must not wait.
        """


class Prices:
    """The price service of a gateway: sources are asked in order, the first answer wins, and is remembered.

    What was resolved, a price or the lack of one, is kept for the ``max_prices`` combinations of provider, model and
    service tier that were used last. Unknown prices are counted per (provider, model) for the first ``max_unknown``
    pairs and under `OTHER` after that. Nothing is looked up under a name of more than 256 characters.
    """

    def __init__(
        self,
        now: Callable[[], float] = time.time,
        *,
        targets: Callable[[str], Iterable[Target]] | None = None,
        on_fault: Callable[[Exception], None] | None = None,
        max_prices: int = 4096,
        max_unknown: int = 1000,
    ) -> None:
        """Args:
        now: epoch seconds.
        targets: the reachable targets of a model string, for estimates made before routing.
        on_fault: told of an exception in a source; its price counts as unknown.
        """
        self._now = now
        self._targets = targets
        self._on_fault = on_fault
        self._sources: list[PriceSource] = []
        self._prices: OrderedDict[_Key, CompiledPrice | None] = OrderedDict()
        self._max_prices = max_prices
        self._unknown: dict[tuple[str, str], int] = {}
        self._max_unknown = max_unknown

    def use(self, source: PriceSource) -> None:
        """Add a source behind those that are there; called in a plugin's ``startup``."""
        self._sources.append(source)
        self.refresh()

    def refresh(self) -> None:
        """Forget every resolved price, after a source has changed."""
        self._prices.clear()

    @property
    def unknown(self) -> Mapping[tuple[str, str], int]:
        """How many attempts had tokens but no price, per (provider, model)."""
        return MappingProxyType(self._unknown)

    def cost(self, provider: str, model: str | None, usage: Usage | None, *, asked: str | None = None) -> Cost | None:
        """What one attempt cost, ``None`` when that is unknown.

        ``model`` is the name that the reply gave (or ``Helicone-Model-Override``), ``asked`` the one that the provider
        was asked for: the second name to look up, so that a price under either is found. A figure of the provider's own
        is the total, whatever the prices say.
        """
        if usage is None:
            return None
        if usage.cost is not None and usage.cost >= 0:
            return Cost(usage.cost, (), "provider")
        if usage.total_tokens is None:
            return None
        price = self.find(provider, model, usage.service_tier, asked=asked)
        cost = None if price is None else price.cost(usage)
        if cost is None and (price is None or price.lacks(usage)):
            self._count(provider, model or asked or "")
        return cost

    def estimate(self, model: str, provider: str | None, input_tokens: int, output_tokens: int) -> Cost | None:
        """What plain text of this length would cost on the dearest target that ``model`` can reach.

        Of ``provider`` alone when it is given. Targets without a price are left out; ``None`` when none has one.
        """
        targets = [Target(provider, model)] if provider is not None else self._targets(model) if self._targets else ()
        usage = Usage(input_tokens=input_tokens, output_tokens=output_tokens)
        costs = []
        for target in targets:
            price = self.find(target.provider, target.model or model)
            if price is not None and (cost := price.cost(usage)) is not None:
                costs.append(cost)
        return max(costs, key=lambda cost: cost.nano_usd, default=None)

    def find(
        self, provider: str, model: str | None, service_tier: str | None = None, *, asked: str | None = None
    ) -> CompiledPrice | None:
        """The price in force now, or ``None``."""
        key = (provider, model, asked, service_tier)
        try:
            price = self._prices[key]
        except KeyError:
            return self._resolve(key)
        if price is not None and price.valid_until is not None and self._now() >= price.valid_until:
            return self._resolve(key)
        self._prices.move_to_end(key)
        return price

    def _resolve(self, key: _Key) -> CompiledPrice | None:
        provider, model, asked, service_tier = key
        if any(word is not None and len(word) > _MAX_NAME for word in key):
            return None
        names = tuple(dict.fromkeys(name for name in (model, asked) if name))
        price = None
        try:
            for source in self._sources if names else ():
                price = source.price(provider, names, service_tier, self._now())
                if price is not None:
                    break
        except Exception as fault:  # a price list must never cost a client its answer
            if self._on_fault is not None:
                self._on_fault(fault)
            return None
        self._prices[key] = price
        self._prices.move_to_end(key)
        if len(self._prices) > self._max_prices:
            self._prices.popitem(last=False)
        return price

    def _count(self, provider: str, model: str) -> None:
        label = (provider, model[:_MAX_NAME])
        if label not in self._unknown and len(self._unknown) >= self._max_unknown:
            label = (OTHER, OTHER)
        self._unknown[label] = self._unknown.get(label, 0) + 1
