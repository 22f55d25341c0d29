"""The hooks of ``fallbacks``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from helicone_gw import BadRequest, Fallback, FallbackTarget, Plugin, Request, Route, StashKey, Target, hookimpl
from helicone_gw_fallbacks.chains import Chains, listed
from helicone_gw_fallbacks.classes import classify
from helicone_gw_fallbacks.config import FallbacksConfig
from helicone_gw_fallbacks.entries import request_for

if TYPE_CHECKING:
    from helicone_gw import Exchange, Gateway, GatewayError

INDEX = "Helicone-Fallback-Index"

ENTRY: StashKey[int] = StashKey("fallbacks.entry")
"""Which entry of Helicone's form is being tried, from 0."""

ASKED: StashKey[Request] = StashKey("fallbacks.asked")
"""What entries are made from: the request as the plugins outside left it, who may have taken something out."""

_CONTINUES = re.compile(rb'"previous_response_id"\s*:\s*"|"conversation"\s*:\s*(?:\{\s*"id"\s*:\s*)?"conv')

MOVABLE = frozenset({None, "openai", "anthropic"})
"""Addresses whose upstream ``Helicone-Fallbacks`` may choose; a provider's own prefix or host stays where it is."""


class FallbacksPlugin(Plugin):
    """Says which target is tried after one that failed; the core tries it, and holds its own bounds."""

    Config = FallbacksConfig
    on_failure = "open"
    before = ("retries",)
    config: FallbacksConfig
    _gateway: Gateway

    def __init__(self, config: FallbacksConfig, name: str) -> None:
        super().__init__(config, name)
        self._chains = Chains(config)
        self._on = frozenset(config.on)

    @hookimpl
    async def startup(self, gateway: Gateway) -> None:
        """Keep the services that it asks."""
        self._gateway = gateway

    @hookimpl
    def pre_request(self, exchange: Exchange) -> Request | None:
        """Refuse a list that cannot be read; begin with its first entry."""
        request = exchange.request
        helicone = request.helicone
        if helicone.fallbacks_error is not None:
            raise BadRequest(helicone.fallbacks_error, code="invalid_fallbacks")
        if helicone.fallbacks is None or request.provider not in MOVABLE:
            return None
        first = helicone.fallbacks[0]
        if isinstance(first, FallbackTarget):
            exchange.stash[ENTRY] = 0
            exchange.stash[ASKED] = request
            exchange.headers[INDEX] = "0"
            replaced, exchange.credential = request_for(first, request, exchange.secrets)
            return replaced
        if request.model is None or request.body is None:
            return None
        names = [name for name in helicone.fallbacks if isinstance(name, str)]
        exchange.headers[INDEX] = "0"
        asked = listed(request.model)
        return request.replace(model=", ".join(dict.fromkeys(names if set(asked) <= set(names) else (*asked, *names))))

    @hookimpl
    def route_model(self, exchange: Exchange) -> Route | None:
        """Route a comma list of models, where no router outside has."""
        request = exchange.request
        if ENTRY in exchange.stash or request.router is not None or request.model is None or "," not in request.model:
            return None
        if request.helicone.target_url or request.helicone.openai_api_base:
            return None
        names = listed(request.model)
        if request.provider is not None:
            return Route(tuple(Target(request.provider, name) for name in names))
        targets = [target for name in names for target in self._gateway.routing.targets(name, exchange)]
        able = [target for target in targets if self._can_serve(target, exchange)]
        return Route(tuple(dict.fromkeys(able or targets)), "fallbacks") if targets else None

    @hookimpl
    async def on_error(self, exchange: Exchange, error: GatewayError) -> Fallback | None:
        """Choose the next target after a failed attempt."""
        if exchange.committed or not exchange.attempts or exchange.route is None:
            return None
        if ENTRY in exchange.stash:
            return self._next_entry(exchange, error)
        kind = classify(error)
        if kind is None or not (kind in self._on or _listed_by_client(exchange)):
            return None
        target = self._next_target(exchange, *self._chain(exchange, error))
        if target is None:
            return None
        exchange.annotate(f"{self.name}.after", kind)
        return Fallback(target)

    def _chain(self, exchange: Exchange, error: GatewayError) -> tuple[tuple[Target, ...], bool]:
        """The targets that the configuration names after this failure, and whether just for its kind."""
        request, route = exchange.request, exchange.route
        kind = classify(error)
        pinned = request.provider is not None or (route is not None and route.targets[0].base_url is not None)
        if kind is None or pinned or _continues(request):
            return (), False
        asked = exchange.original.model or ""
        names = tuple(name for name in (route.name if route else "", asked, *listed(asked)) if name)
        models, special = self._chains.after(names, kind)
        return tuple(target for model in models for target in self._leads_to(model, exchange)), special

    def _leads_to(self, model: str, exchange: Exchange) -> tuple[Target, ...]:
        """The targets of a listed model; none where its name leads nowhere, which is no reason to hide a failure."""
        try:
            return self._gateway.routing.targets(model, exchange)
        except BadRequest:
            return ()

    def _next_target(self, exchange: Exchange, chain: tuple[Target, ...], special: bool) -> Target | None:
        """The first target not tried yet: of the route, then of the chain, healthy ones first.

        A chain for just this kind of failure goes before the route's own other targets.
        """
        assert exchange.route is not None
        health = self._gateway.health
        own = exchange.route.targets
        tried = {attempt.target for attempt in exchange.attempts}
        for targets in (chain, own) if special else (own, chain):
            left = [each for each in targets if each not in tried and self._can_serve(each, exchange)]
            if left:
                target = next((each for each in left if health.available(each)), left[0])
                if INDEX in exchange.headers and targets is own:
                    exchange.headers[INDEX] = str(self._index(exchange, target))
                return target
        return None

    def _can_serve(self, target: Target, exchange: Exchange) -> bool:
        routing = self._gateway.routing
        return routing.reachable(exchange, target) and routing.serves(exchange, target)

    def _index(self, exchange: Exchange, target: Target) -> int:
        """Which of the listed models ``target`` is of, from 0; the last one for a target of none that is known."""
        names = listed(exchange.request.model or "")
        leading = (place for place, name in enumerate(names) if self._leads(name, target, exchange))
        return next(leading, len(names) - 1)

    def _leads(self, name: str, target: Target, exchange: Exchange) -> bool:
        return name == target.model or target in self._leads_to(name, exchange)

    def _next_entry(self, exchange: Exchange, error: GatewayError) -> Fallback | None:
        """The next entry of Helicone's form, where the one that failed says so."""
        asked = exchange.stash[ASKED]
        entries = asked.helicone.fallbacks or ()
        index = exchange.stash[ENTRY]
        entry = entries[index]
        if index + 1 >= len(entries) or not isinstance(entry, FallbackTarget) or not entry.moves_on(error.status):
            return None
        following = entries[index + 1]
        assert isinstance(following, FallbackTarget)
        request, exchange.credential = request_for(following, asked, exchange.secrets)
        provider = self._gateway.catalogue.provider_for_url(following.target_url)
        exchange.stash[ENTRY] = index + 1
        exchange.headers[INDEX] = str(index + 1)
        name = provider.name if provider is not None else urlsplit(following.target_url).hostname or "target"
        return Fallback(Target(name, request.model, base_url=following.target_url), request)


def _listed_by_client(exchange: Exchange) -> bool:
    """Whether the client itself named what to try next: a comma list, or a list in the header."""
    model = exchange.original.model
    return exchange.original.helicone.fallbacks is not None or (model is not None and "," in model)


def _continues(request: Request) -> bool:
    """Whether the request goes on from something that only the provider which made it knows."""
    return _CONTINUES.search(request.body or b"") is not None
