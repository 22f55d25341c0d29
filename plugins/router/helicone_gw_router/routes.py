"""Routes: named choices, rules that lead to them, and the order in which targets are tried."""

from __future__ import annotations

import random as standard_random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from helicone_gw import BadRequest, NotFound, Route, Target
from helicone_gw_router import strategies
from helicone_gw_router.conditions import Condition, Facts, compile_condition, facts_of
from helicone_gw_router.config import RouteConfig, RouterConfig, Strategy, TargetConfig
from helicone_gw_router.grammar import MAX_ITEMS
from helicone_gw_router.hashing import hash_key
from helicone_gw_router.latencies import Latencies
from helicone_gw_router.leaving_out import able_of, note, unstuck
from helicone_gw_router.limits import Headroom
from helicone_gw_router.resolving import LONGEST_REMEMBERED, Resolved
from helicone_gw_router.strategies import Choice, Rotations

if TYPE_CHECKING:
    from helicone_gw import Exchange, Gateway
    from helicone_gw_router.resolving import Resolver

HEADER = "Helicone-Route"
MAX_SHOWN = 6
LONGEST_SHOWN = 512
"""Targets that the header names, and its characters: names of models are the client's."""


@dataclass(frozen=True, slots=True)
class Named:
    """A named route, compiled."""

    config: RouteConfig
    targets: tuple[tuple[TargetConfig, Condition | None], ...]


class Routes:
    """Chooses and orders the targets of requests."""

    def __init__(self, gateway: Gateway, config: RouterConfig, resolver: Resolver) -> None:
        self._gateway = gateway
        self._config = config
        self._resolver = resolver
        self._rotations = Rotations()
        self.headroom = Headroom()
        self.latencies = Latencies()
        self.hedges = any(route.hedge is not None for route in config.routes.values())
        """Whether any route asks a second target beside a slow one."""
        self.random: Callable[[], float] = standard_random.random
        """Numbers from 0 to 1, for the strategy latency."""
        self._named = {name: _compiled(route) for name, route in config.routes.items()}
        self.counts_headroom = "usage" in (config.strategy, *(route.strategy for route in config.routes.values()))
        """Whether any strategy goes by what is left of rate limits."""
        self._rules = tuple((compile_condition(rule.when), rule.route) for rule in config.rules)

    @property
    def names(self) -> tuple[str, ...]:
        """The named routes."""
        return tuple(self._named)

    def first_model(self, name: str) -> str | None:
        """The model string of the first target of a named route, ``None`` where there is no route of that name."""
        named = self._named.get(name)
        return None if named is None else named.targets[0][0].model

    def route(self, exchange: Exchange) -> Route:
        """The route of a request that names a model. Raises `BadRequest`, or `NotFound` for a route's name."""
        request = exchange.request
        name = request.router or self._by_rule(exchange) or request.model or ""
        named = self._named.get(name)
        if named is not None:
            return self._of_named(name, named, exchange)
        if request.router is not None:
            raise NotFound(f"There is no route {request.router!r}.", code="route_not_found")
        if "," in name and (mixed := self._mixed(name, exchange)) is not None:
            return mixed
        resolved = self._resolver.resolve(request.model or "", exchange)
        if resolved.only is not None and exchange.permits is None and self._gateway.health.well:
            # What most requests are: one model at one provider, and nothing to say of anybody's health.
            exchange.headers[HEADER] = f"{self._config.strategy}; {resolved.only.label}"
            if resolved.left_out:
                note(exchange, resolved.left_out)
            return Route((resolved.only.target,))
        note(exchange, resolved.left_out)
        ordered = self._of_string(resolved, name, exchange)
        return self._finished("", self._config.strategy, self._healthy_first(ordered), exchange)

    def _of_string(self, resolved: Resolved, name: str, exchange: Exchange) -> list[Choice]:
        ordered: list[Choice] = []
        able = able_of([each for item in resolved.items for each in item], exchange) if resolved.differing else None
        for item, fixed in zip(resolved.items, resolved.ordered, strict=True):
            choices = item if able is None else [each for each in item if each in able]
            ordered += self._order(choices, "priority" if fixed else self._config.strategy, name, exchange, fixed=fixed)
        return ordered

    def _mixed(self, text: str, exchange: Exchange) -> Route | None:
        """The route of a list of which some items are named routes; ``None`` where none is."""
        parts = [part for raw in text.split(",") if (part := raw.strip())]
        if not any(part in self._named for part in parts):
            return None
        excluded = self._resolver.parse(text, exchange).excluded
        found: list[Choice] = []
        for part in parts[:MAX_ITEMS]:
            named = self._named.get(part)
            if named is not None:
                strategy = named.config.strategy or self._config.strategy
                choices = self._of_targets(named, exchange)
                found += self._order(choices, strategy, part, exchange, route=named.config)
            elif not part.startswith("!"):
                resolved = self._resolved(part, exchange)
                found += self._of_string(resolved, part, exchange) if resolved is not None and resolved.known else ()
        left = [choice for choice in found if choice.target.provider not in excluded]
        left = unstuck(able_of(left, exchange) or left, exchange)
        if not left:
            raise BadRequest("No provider is left for this model string.", code="no_available_providers")
        return self._finished("", self._config.strategy, self._healthy_first(left), exchange)

    def choices(self, model: str, exchange: Exchange | None) -> list[Choice]:
        """Every choice of a model string or named route, in order; for those who only ask."""
        named = self._named.get(model)
        if named is not None:
            found = [choice for target, _ in named.targets for choice in self._of_target(target, exchange)]
        else:
            resolved = self._resolver.resolve(model, exchange)
            found = [
                choice
                for choices, fixed in zip(resolved.items, resolved.ordered, strict=True)
                for choice in (choices if fixed else sorted(choices, key=_cheap))
            ]
        return list({choice.target: choice for choice in found}.values())

    def pinned(self, exchange: Exchange, provider: str) -> Route | None:
        """The route of a request whose address names a provider with several keys and deployments; else ``None``."""
        model = exchange.request.model
        if not self._gateway.catalogue.deployments(provider) or model is None or "," in model:
            return None
        choices = self._resolver.at(provider, model, exchange)
        if len(choices) < 2:
            return None
        ordered = strategies.weighted(choices, self._rotations.of(("provider", provider)))
        return self._finished("", "weighted", self._healthy_first(ordered), exchange)

    def _by_rule(self, exchange: Exchange) -> str | None:
        if not self._rules:
            return None
        facts = facts_of(exchange, self._gateway.clock.now())
        return next((route for condition, route in self._rules if condition is None or condition(facts)), None)

    def _of_named(self, name: str, named: Named, exchange: Exchange) -> Route:
        found = self._of_targets(named, exchange)
        if not found:
            raise BadRequest(f"No target of route {name!r} is meant for this request.", code="no_available_providers")
        found = able_of(found, exchange) or found
        strategy = named.config.strategy or self._config.strategy
        healthy, resting = self._split(found)
        ordered = self._order(healthy, strategy, name, exchange, route=named.config) if healthy else []
        route = self._finished(name, strategy, [*ordered, *resting], exchange)
        hedge = named.config.hedge
        if hedge is None or len(route.targets) < 2:
            return route
        return Route(route.targets, name, self.latencies.hedge_after(route.targets[0], hedge))

    def _of_targets(self, named: Named, exchange: Exchange) -> list[Choice]:
        """Every choice of a named route that is meant for this request, each target once."""
        facts: Facts | None = None
        found: list[Choice] = []
        for target, condition in named.targets:
            if condition is not None:
                facts = facts or facts_of(exchange, self._gateway.clock.now())
                if not condition(facts):
                    continue
            found += self._of_target(target, exchange)
        return unstuck(list({choice.target: choice for choice in found}.values()), exchange)

    def _resolved(self, model: str, exchange: Exchange | None) -> Resolved | None:
        """What one of several models leads to; ``None`` for one that is kept for other operations."""
        try:
            resolved = self._resolver.resolve(model, exchange)
        except BadRequest as refused:
            if exchange is None or refused.code != "operation_not_offered":
                raise
            note(exchange, {model: "is kept for other operations"})
            return None
        if exchange is not None:
            note(exchange, resolved.left_out)
        return resolved

    def _of_target(self, target: TargetConfig, exchange: Exchange | None) -> list[Choice]:
        """The best provider's choices of one target; they share its weight as they share that provider's traffic."""
        resolved = self._resolved(target.model, exchange)
        if resolved is None or not resolved.items:
            return []
        choices = resolved.items[0]
        best = (choices if resolved.ordered[0] else sorted(choices, key=_cheap))[0].target.provider
        same = [choice for choice in choices if choice.target.provider == best]
        total = sum(choice.weight for choice in same)
        share = target.weight if target.percent is None else target.percent
        return [
            replace(
                choice,
                weight=share * choice.weight / total,
                priority=choice.priority if target.priority is None else target.priority,
            )
            for choice in same
        ]

    def _order(
        self,
        choices: Sequence[Choice],
        strategy: Strategy,
        name: str,
        exchange: Exchange,
        *,
        fixed: bool = False,
        route: RouteConfig | None = None,
    ) -> list[Choice]:
        if len(choices) < 2:
            return list(choices)
        if fixed:
            places = zip(choices, _places(choices), strict=True)
            choices = [replace(choice, priority=float(place)) for choice, place in places]
        rotation = self._rotations.of(name if len(name) <= LONGEST_REMEMBERED else "")
        health = self._gateway.health
        if strategy == "cheapest":
            return strategies.cheapest(choices, rotation)
        if strategy == "priority":
            return strategies.priority(choices, rotation)
        if strategy in ("weighted", "canary"):
            return strategies.weighted(choices, rotation)
        if strategy == "latency":
            return strategies.latency(choices, health, self.random)
        if strategy == "least_busy":
            return strategies.least_busy(choices, health, rotation)
        if strategy == "usage":
            now = self._gateway.clock.monotonic()
            return strategies.usage(choices, lambda target: self.headroom.of(target, now), rotation)
        return strategies.hashed(choices, hash_key(route.hash_on if route else "session", exchange))

    def _split(self, choices: Sequence[Choice]) -> tuple[list[Choice], list[Choice]]:
        """Those that may be tried now, and those that rest, the soonest to be back first."""
        health = self._gateway.health
        if health.well:
            return list(choices), []
        healthy = [choice for choice in choices if health.available(choice.target)]
        if len(healthy) == len(choices):
            return healthy, []
        resting = [choice for choice in choices if choice not in healthy]
        return healthy, sorted(resting, key=lambda choice: health.of(choice.target).cooling_until)

    def _healthy_first(self, choices: Sequence[Choice]) -> list[Choice]:
        healthy, resting = self._split(choices)
        return [*healthy, *resting]

    def _finished(self, name: str, strategy: Strategy, choices: Sequence[Choice], exchange: Exchange) -> Route:
        permits = exchange.permits
        if permits is not None:
            # What this caller may not use is no choice; where nothing else is left, the core says so.
            allowed = [each for each in choices if permits.allows_model(each.target.model)]
            choices = [each for each in allowed if permits.allows_provider(each.target.provider)] or choices
        if len(choices) == 1:
            targets: tuple[Target, ...] = (choices[0].target,)
        else:
            targets = tuple(dict.fromkeys([choice.target for choice in choices]))
        shown = ", ".join([choice.label for choice in choices[:MAX_SHOWN]])
        said = f"{name}; {strategy}; {shown}" if name else f"{strategy}; {shown}"
        exchange.headers[HEADER] = said[:LONGEST_SHOWN]
        health = self._gateway.health
        if not health.well:
            skipped = {str(target): why for target in targets if (why := health.why(target)) is not None}
            if skipped:
                exchange.annotate("router.skipped", skipped)
        return Route(targets, name)


def _compiled(route: RouteConfig) -> Named:
    targets = tuple(each if isinstance(each, TargetConfig) else TargetConfig(model=each) for each in route.targets)
    if route.strategy == "priority" and all(target.priority is None for target in targets):
        # Nobody says what goes first, so the order of the list does.
        targets = tuple(target.model_copy(update={"priority": float(place)}) for place, target in enumerate(targets))
    if route.strategy == "canary":
        open_ = [target for target in targets if target.percent is None]
        left = 100.0 - sum(target.percent for target in targets if target.percent is not None)
        targets = tuple(
            target if target.percent is not None else target.model_copy(update={"percent": left / len(open_)})
            for target in targets
        )
    return Named(route, tuple((target, compile_condition(target.when)) for target in targets))


def _places(choices: Sequence[Choice]) -> list[int]:
    """The place of each choice's provider in the configuration's order: its keys share one place."""
    providers = list(dict.fromkeys(choice.target.provider for choice in choices))
    return [providers.index(choice.target.provider) for choice in choices]


def _cheap(choice: Choice) -> tuple[float, bool, int]:
    return (choice.priority, choice.price is None, choice.price or 0)
