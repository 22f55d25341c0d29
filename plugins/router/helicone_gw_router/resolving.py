"""Resolving: from a model string to what may be chosen, provider by provider and deployment by deployment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from helicone_gw import BadRequest, Target, Usage
from helicone_gw_router.grammar import Item, ModelString, parse
from helicone_gw_router.strategies import BLEND, Choice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from helicone_gw import Exchange, Gateway
    from helicone_gw_router.registry import Registry

DEFAULT_PRIORITY = 4.0
DEMO = "demo"

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
    ``left_out`` are the targets that cannot serve the request, and why. ``differing``: some of the models are known to
    lack what others do not.
    """

    string: ModelString
    items: tuple[tuple[Choice, ...], ...]
    ordered: tuple[bool, ...]
    only: Choice | None = None
    known: bool = True
    left_out: Mapping[str, str] = field(default_factory=dict)
    differing: bool = False


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
        request = None if exchange is None else exchange.request
        key: tuple[object, ...] = (text,)
        if exchange is not None and request is not None:
            credential, operation = exchange.credential, request.operation
            key = (text, None if credential is None else credential.provider, request.dialect, operation)
            # What is done with images and audio is told by the path alone.
            path = request.path if operation in ("images", "audio") else None
            if path is not None or exchange.permits is not None or exchange.provider_keys:
                key += (path, exchange.permits, _kept(exchange) if exchange.provider_keys else ())
        found = self._remembered.get(key)
        if found is not None and found[0] > now:
            return found[1]
        resolved = self._resolve(text, exchange)
        if len(text) <= LONGEST_REMEMBERED and (request is None or len(request.path) <= LONGEST_REMEMBERED):
            if len(self._remembered) >= MAX_REMEMBERED:
                self._remembered.clear()
            self._remembered[key] = (now + REMEMBERED_FOR, resolved)
        return resolved

    def at(self, provider: str, model: str, exchange: Exchange | None) -> list[Choice]:
        """The keys and deployments of one provider that serve ``model``."""
        return list(self._places(provider, model, Item(model, provider), exchange, self._lacks(model)))

    def _resolve(self, text: str, exchange: Exchange | None) -> Resolved:
        string = self.parse(text, exchange)
        items: list[tuple[Choice, ...]] = []
        ordered: list[bool] = []
        left_out: dict[str, str] = {}
        refused: list[BadRequest] = []
        for item in string.items:
            try:
                choices = self._choices(item, string, exchange, left_out)
            except BadRequest as kept:
                refused.append(kept)
                left_out[item.name] = "is kept for other operations"
                continue
            if choices:
                items.append(choices)
                model = self._registry.find(item.name) if item.provider is None else None
                ordered.append(model is not None and model.ordered)
        if not items and not refused:
            items = [found for item in string.items if (found := self._stuck(item, string, exchange))]
            ordered = [False] * len(items)
            left_out = {}
        known = bool(items)
        if not items:
            items = self._unknown([item for item in string.items if item.name not in left_out], string, exchange)
            ordered = [False] * len(items)
        if not items and refused:
            raise refused[0]
        if not items and exchange is not None:
            raise BadRequest("No provider is left for this model string.", code="no_available_providers")
        only = items[0][0] if len(items) == 1 and len(items[0]) == 1 else None
        differing = len({choice.lacks for choices in items for choice in choices}) > 1
        return Resolved(string, tuple(items), tuple(ordered), only, known, left_out, differing)

    def _choices(
        self, item: Item, string: ModelString, exchange: Exchange | None, left_out: dict[str, str]
    ) -> tuple[Choice, ...]:
        """Who can be called for ``item``, and offers what is asked for. Who does not is noted in ``left_out``.

        Raises `BadRequest` for a model that the configuration keeps for other operations.
        """
        model = self._registry.find(item.name)
        if exchange is not None and model is not None and model.operations:
            self._gateway.routing.check_model(item.name, model.operations, exchange)
        lacks = frozenset() if model is None else model.lacks
        found: list[Choice] = []
        for provider, name in self._named(item, string):
            if not self._usable(provider, exchange):
                continue
            target = Target(provider, name)
            why = None if exchange is None else self._gateway.routing.why_not(exchange, target)
            if why is None:
                found += self._places(provider, name, item, exchange, lacks)
            else:
                left_out[str(target)] = why
        return tuple(found)

    def _named(self, item: Item, string: ModelString) -> list[tuple[str, str]]:
        """Every provider that ``item`` may mean, with the model's name there."""
        if item.provider is not None:
            return (
                [] if item.provider in string.excluded else [(item.provider, self._name_at(item.provider, item.name))]
            )
        named = [(offer.provider, offer.id) for offer in self._registry.offers(item.name)]
        named = [each for each in named if each[0] not in string.excluded]
        if not named and item.name.startswith(DEMO) and self._gateway.catalogue.is_configured(DEMO):
            named = [(DEMO, item.name)]
        return named

    def _stuck(self, item: Item, string: ModelString, exchange: Exchange | None) -> tuple[Choice, ...]:
        """A provider of ``item`` that cannot be called, or lacks the operation: the core then says what is amiss.

        The model's maker, if it is one of them; else one that lacks no more than a key.
        """
        named = self._named(item, string)
        if not named or exchange is None:
            return ()
        model = self._registry.find(item.name)
        maker = None if model is None else next((each for each in named if each[0] == model.author), None)
        if maker is None:
            why_not = self._gateway.routing.why_not
            maker = next((each for each in named if why_not(exchange, Target(*each)) is None), named[0])
        why = self._gateway.routing.why_not(exchange, Target(*maker)) or "there is no credential for it"
        return tuple(replace(choice, stuck=why) for choice in self._places(*maker, item, exchange))

    def _name_at(self, provider: str, name: str) -> str:
        offers = self._registry.offers(name)
        return next((offer.id for offer in offers if offer.provider == provider), name)

    def _lacks(self, name: str) -> frozenset[str]:
        model = self._registry.find(name)
        return frozenset() if model is None else model.lacks

    def _places(
        self,
        provider: str,
        model: str,
        item: Item,
        exchange: Exchange | None,
        lacks: frozenset[str] = frozenset(),
    ) -> Iterator[Choice]:
        """The provider itself, or its keys and deployments that serve the model."""
        priority = self._priorities.get(provider, DEFAULT_PRIORITY)
        price = self._price(provider, model)
        deployments = self._gateway.catalogue.deployments(provider)
        credential = None if exchange is None else exchange.credential
        kept = exchange is not None and provider in exchange.provider_keys
        if not deployments or kept or (credential is not None and credential.provider == provider):
            if item.deployment is None:
                yield Choice(Target(provider, model), 1.0, priority, price, lacks)
            return
        for each in deployments:
            if item.deployment not in (None, each.name):
                continue
            name = each.model(item.name) or each.model(model)
            if name is not None:
                # A name that the deployment does not change is the provider's own.
                called = model if name == item.name and not each.models else name
                yield Choice(Target(provider, called, deployment=each.name), each.weight, priority, price, lacks)

    def _unknown(
        self, items: Sequence[Item], string: ModelString, exchange: Exchange | None
    ) -> list[tuple[Choice, ...]]:
        """Models that nobody knows go to the provider of the request's dialect, unless it is excluded."""
        if exchange is None:
            return []
        provider = self._gateway.routing.at_home(exchange)
        if provider is None or provider in string.excluded:
            return []
        why = self._gateway.routing.why_not(exchange, Target(provider)) or ""
        unplaced = [item for item in items if item.provider is None and not self._registry.offers(item.name)]
        placed = (self._places(provider, item.name, item, exchange) for item in unplaced)
        marked = (tuple(replace(choice, stuck=why) for choice in choices) for choices in placed)
        return [choices for choices in marked if choices]

    def _usable(self, provider: str, exchange: Exchange | None) -> bool:
        if exchange is None:
            return self._gateway.catalogue.is_configured(provider)
        return self._gateway.routing.reachable(exchange, Target(provider))

    def _price(self, provider: str, model: str) -> int | None:
        price = self._gateway.prices.find(provider, model)
        cost = None if price is None else price.cost(Usage(input_tokens=BLEND[0], output_tokens=BLEND[1]))
        return None if cost is None else cost.nano_usd


def _kept(exchange: Exchange) -> tuple[tuple[str, bool], ...]:
    """The providers for which the caller's organisation keeps keys, and whether these can be read."""
    return tuple((provider, bool(key.secret)) for provider, key in exchange.provider_keys.items())
