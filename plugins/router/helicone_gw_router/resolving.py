"""Resolving: from a model string to what may be chosen, provider by provider and deployment by deployment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from helicone_gw import BadRequest, Target, Usage
from helicone_gw_router.grammar import Item, ModelString, parse
from helicone_gw_router.strategies import BLEND, Choice

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from helicone_gw import Exchange, Gateway
    from helicone_gw_router.registry import Registry

DEFAULT_PRIORITY = 4.0
DEMO = "demo"

RERANKER = "cohere"
"""Whose models are meant by a rerank that names one that nobody knows: OpenAI has no such operation."""

MAX_REMEMBERED = 1024
"""Model strings whose choices are remembered; when there are more, all are forgotten and it begins anew."""

REMEMBERED_FOR = 60.0
"""Seconds for which they are; prices may change with the time of day."""

LONGEST_REMEMBERED = 256
"""Characters of such a string."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a model string leads to: choices, item by item; ``ordered``: their order is the configuration's.

    ``only`` is the one choice there is, if there is but one. ``known``: somebody offers the model, or was named for it.
    """

    string: ModelString
    items: tuple[tuple[Choice, ...], ...]
    ordered: tuple[bool, ...]
    only: Choice | None = None
    known: bool = True


class Resolver:
    """Resolves model strings for requests, and remembers the answers for a minute."""

    def __init__(self, gateway: Gateway, registry: Registry, priorities: Mapping[str, float]) -> None:
        self._gateway = gateway
        self._registry = registry
        self._priorities = priorities
        self._remembered: dict[tuple[object, ...], tuple[float, Resolved]] = {}

    def parse(self, text: str, exchange: Exchange | None) -> ModelString:
        """Read a model string. Raises `BadRequest`."""
        return parse(
            text,
            self._gateway.catalogue.prefixes(),
            self._registry.knows,
            lambda provider: self._usable(provider, exchange),
        )

    def resolve(self, text: str, exchange: Exchange | None) -> Resolved:
        """What ``text`` leads to. Raises `BadRequest` for one that cannot be read, or that excludes all there is."""
        now = self._gateway.clock.monotonic()
        credential = None if exchange is None else exchange.credential
        request = None if exchange is None else exchange.request
        key = (
            text,
            None if credential is None else credential.provider,
            None if request is None else request.dialect,
            None if request is None else request.operation,
            None if exchange is None else exchange.permits,
        )
        found = self._remembered.get(key)
        if found is not None and found[0] > now:
            return found[1]
        resolved = self._resolve(text, exchange)
        if len(text) <= LONGEST_REMEMBERED:
            if len(self._remembered) >= MAX_REMEMBERED:
                self._remembered.clear()
            self._remembered[key] = (now + REMEMBERED_FOR, resolved)
        return resolved

    def at(self, provider: str, model: str, exchange: Exchange | None) -> list[Choice]:
        """The keys and deployments of one provider that serve ``model``."""
        return list(self._places(provider, model, Item(model, provider), exchange))

    def _resolve(self, text: str, exchange: Exchange | None) -> Resolved:
        string = self.parse(text, exchange)
        items: list[tuple[Choice, ...]] = []
        ordered: list[bool] = []
        for item in string.items:
            choices = self._choices(item, string, exchange)
            if choices:
                items.append(choices)
                model = self._registry.find(item.name) if item.provider is None else None
                ordered.append(model is not None and model.ordered)
        known = bool(items)
        if not items:
            items = self._unknown(string, exchange)
            ordered = [False] * len(items)
        if not items and exchange is not None:
            raise BadRequest("No provider is left for this model string.", code="no_available_providers")
        only = items[0][0] if len(items) == 1 and len(items[0]) == 1 else None
        return Resolved(string, tuple(items), tuple(ordered), only, known)

    def _choices(self, item: Item, string: ModelString, exchange: Exchange | None) -> tuple[Choice, ...]:
        if item.provider is not None:
            if item.provider in string.excluded:
                return ()
            named = [(item.provider, self._name_at(item.provider, item.name))]
        else:
            named = [(offer.provider, offer.id) for offer in self._registry.offers(item.name)]
            named = [each for each in named if each[0] not in string.excluded]
            if not named and item.name.startswith(DEMO) and self._gateway.catalogue.is_configured(DEMO):
                named = [(DEMO, item.name)]
        usable = [each for each in named if self._usable(each[0], exchange) and self._serves(each[0], exchange)]
        if not usable and named and exchange is not None:
            # Nobody can be called: the core then says what is missing, of the one whose model it is.
            model = self._registry.find(item.name)
            maker = None if model is None else next((each for each in named if each[0] == model.author), None)
            return tuple(self._places(*(maker or named[0]), item, exchange))
        return tuple(choice for each in usable for choice in self._places(*each, item, exchange))

    def _name_at(self, provider: str, name: str) -> str:
        offers = self._registry.offers(name)
        return next((offer.id for offer in offers if offer.provider == provider), name)

    def _places(self, provider: str, model: str, item: Item, exchange: Exchange | None) -> Iterator[Choice]:
        """The provider itself, or its keys and deployments that serve the model."""
        priority = self._priorities.get(provider, DEFAULT_PRIORITY)
        price = self._price(provider, model)
        deployments = self._gateway.catalogue.deployments(provider)
        credential = None if exchange is None else exchange.credential
        if not deployments or (credential is not None and credential.provider == provider):
            if item.deployment is None:
                yield Choice(Target(provider, model), 1.0, priority, price)
            return
        for each in deployments:
            if item.deployment not in (None, each.name):
                continue
            name = each.model(item.name) or each.model(model)
            if name is not None:
                # A name that the deployment does not change is the provider's own.
                called = model if name == item.name and not each.models else name
                yield Choice(Target(provider, called, deployment=each.name), each.weight, priority, price)

    def _unknown(self, string: ModelString, exchange: Exchange | None) -> list[tuple[Choice, ...]]:
        """Models that nobody knows go to the provider of the request's dialect, unless it is excluded."""
        if exchange is None:
            return []
        request = exchange.request
        provider = self._gateway.catalogue.get(RERANKER if request.operation == "rerank" else request.dialect)
        if provider is None or provider.name in string.excluded:
            return []
        unplaced = [item for item in string.items if item.provider is None and not self._registry.offers(item.name)]
        return [
            places for item in unplaced if (places := tuple(self._places(provider.name, item.name, item, exchange)))
        ]

    def _usable(self, provider: str, exchange: Exchange | None) -> bool:
        if exchange is None:
            return self._gateway.catalogue.is_configured(provider)
        return self._gateway.routing.reachable(exchange, Target(provider))

    def _serves(self, provider: str, exchange: Exchange | None) -> bool:
        return exchange is None or self._gateway.routing.serves(exchange, Target(provider))

    def _price(self, provider: str, model: str) -> int | None:
        price = self._gateway.prices.find(provider, model)
        cost = None if price is None else price.cost(Usage(input_tokens=BLEND[0], output_tokens=BLEND[1]))
        return None if cost is None else cost.nano_usd
