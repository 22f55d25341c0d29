"""Routing: the core's own table, for requests that no plugin routed, and where model strings lead (`Routing`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol
from urllib.parse import urlsplit

from helicone_gw.errors import BadRequest, NotFound
from helicone_gw.exchange import Exchange
from helicone_gw.ingress.offered import CONVERSATIONS, OPERATIONS, expanded, offered_name
from helicone_gw.model import Request, Route, Target
from helicone_gw.upstream.operations import same_kind, way
from helicone_gw.upstream.prepare import ITSELF
from helicone_gw.upstream.provider import Provider
from helicone_gw.upstream.providers import Catalogue

DEMO_PROVIDER = "demo"

OVERRIDABLE = frozenset({None, "openai", "anthropic"})
"""Addresses whose upstream ``Helicone-Target-URL`` may change; a provider's own prefix or host may not be moved."""


_AT_HOME = frozenset(
    {*CONVERSATIONS, "count_tokens", "message_batches", "files", "batches", "models", "realtime", "moderations"}
)
"""Operations that are not sent elsewhere for want of a key: the provider of their dialect is meant, or nobody."""

_FIRST = {"rerank": "cohere"}
"""Whose shape the body of an operation has that its dialect's own provider does not offer."""

LEFT_OUT = "routing.left_out"
"""The annotation that says which targets were left out because they do not offer the operation."""


class ModelEntry(Protocol):
    """A model of the configuration, as routing needs it."""

    @property
    def providers(self) -> tuple[str, ...]:
        """Who serves it, in order."""

    @property
    def model(self) -> str:
        """Its name there."""

    @property
    def aliases(self) -> tuple[str, ...]:
        """Other names for it."""

    @property
    def operations(self) -> tuple[str, ...]:
        """What it is for; empty: anything."""


class DefaultRoutes:
    """Routes by address and by the models of the configuration; everything else goes to its dialect's own provider."""

    def __init__(self, catalogue: Catalogue, models: Mapping[str, ModelEntry]) -> None:
        self._catalogue = catalogue
        self._models: dict[str, ModelEntry] = {}
        for name, entry in models.items():
            for known in (name, *entry.aliases):
                self._models[known] = entry
        self._demo = catalogue.is_configured(DEMO_PROVIDER)

    def __call__(self, exchange: Exchange) -> Route:
        """The route of ``exchange``.

        Raises `BadRequest` for an address without any upstream, `NotFound` for a route that nobody knows.
        """
        request = exchange.request
        if request.router is not None:
            raise NotFound(f"There is no route {request.router!r}.", code="route_not_found")
        helicone = request.helicone
        override = helicone.openai_api_base or helicone.target_url
        if override is not None and request.provider in OVERRIDABLE:
            provider = self._catalogue.provider_for_url(override)
            name = (urlsplit(override).hostname or "target") if provider is None else provider.name
            return Route((Target(name, request.model, base_url=override),))
        if request.provider is not None:
            return Route((Target(request.provider, request.model),))
        entry = self._models.get(request.model or "")
        if entry is not None:
            check_model(request.model or "", entry.operations, request)
        if targets := self.targets(request.model or ""):
            return Route(self._offering(targets, exchange))
        provider = self.at_home(exchange)
        if provider is None:
            raise BadRequest(f"No provider speaks the {request.dialect} dialect.", code="provider_not_configured")
        if (
            request.operation == "models"
            and request.method in ("GET", "HEAD")
            and not reachable(self._catalogue, exchange, provider.name)
        ):
            return Route((Target(ITSELF.name),))
        return Route((Target(provider.name, request.model if entry is None else entry.model),))

    def at_home(self, exchange: Exchange) -> Provider | None:
        """Whose the models are that nobody knows: the provider of the request's dialect.

        Where it does not offer what is asked for, or nobody can call it while others offer this as well as it does, the
        first provider of the configuration that does. ``None`` for a dialect of nobody.
        """
        request = exchange.request
        home = self._catalogue.get(request.dialect)
        name = offered_name(request.operation, request.path)
        if home is None or name not in OPERATIONS:
            return home
        offered = way(home, request) is not None
        if offered and (name in _AT_HOME or reachable(self._catalogue, exchange, home.name)):
            return home
        others = [each for each in self._catalogue.all() if each.configured and each.name != DEMO_PROVIDER]
        others.sort(key=lambda each: each.name != _FIRST.get(name))
        for each in others:
            found = way(each, request)
            known = found == "translated" or (found == "native" and name in each.operations)
            if known and reachable(self._catalogue, exchange, each.name):
                return each
        return home

    def _offering(self, targets: tuple[Target, ...], exchange: Exchange) -> tuple[Target, ...]:
        """Those of ``targets`` that offer the operation; all of them where none does, to be refused by name."""
        if len(targets) < 2:
            return targets
        whys = {target: why_not(self._catalogue, exchange, target) for target in targets}
        left = tuple(target for target, why in whys.items() if why is None)
        if left and len(left) < len(whys):
            exchange.annotate(LEFT_OUT, {str(target): why for target, why in whys.items() if why is not None})
        return left or targets

    def targets(self, model: str) -> tuple[Target, ...]:
        """The targets that the configuration names for a model string; none for a name that it does not know."""
        entry = self._models.get(model)
        if entry is not None and entry.providers:
            return tuple(Target(provider, entry.model) for provider in entry.providers)
        return (Target(DEMO_PROVIDER, model),) if self._demo and model.startswith(DEMO_PROVIDER) else ()


def why_not(catalogue: Catalogue, exchange: Exchange, target: Target) -> str | None:
    """Why ``target`` cannot serve the request; ``None`` where it can, as far as anybody knows."""
    known = None if target.base_url is not None else catalogue.get(target.provider)
    if known is None or way(known, exchange.request, target.model) is not None:
        return None
    return f"does not offer {offered_name(exchange.request.operation, exchange.request.path)!r}"


def check_model(model: str, operations: Iterable[str], request: Request) -> None:
    """Raise `BadRequest` for a model that the configuration keeps for other ``operations`` than the request's."""
    listed = expanded(operations)
    if not listed or same_kind(request, listed):
        return
    name = offered_name(request.operation, request.path)
    if name in OPERATIONS and name != "models":
        raise BadRequest(
            f"Model {model!r} does not offer {name!r}: it is for {', '.join(sorted(listed))}.",
            code="operation_not_offered",
        )


def reachable(catalogue: Catalogue, exchange: Exchange, provider: str) -> bool:
    """Whether there is any credential to call ``provider`` with, the gateway's or the client's own."""
    credential = exchange.credential
    if credential is not None and credential.provider == provider:
        return True
    kept = exchange.provider_keys.get(provider)
    if kept is not None:
        return bool(kept.secret)
    known = catalogue.get(provider)
    return known is not None and (
        not known.key_required or catalogue.credential(provider, known.base_url or "") is not None
    )


class Resolver(Protocol):
    """Something that knows where model strings lead: the ``router`` plugin, or any other."""

    def __call__(self, model: str, exchange: Exchange | None) -> Sequence[Target]:
        """The targets of ``model`` in the order in which to try them; none: no opinion.

        ``exchange`` is ``None`` for an estimate that is made before routing. It must not wait.
        """


class Routing:
    """Where model strings lead. Resolvers are asked in order, the first that knows the model wins; then the core."""

    def __init__(self, catalogue: Catalogue, table: DefaultRoutes) -> None:
        self._catalogue = catalogue
        self._table = table
        self._resolvers: list[Resolver] = []

    def use(self, resolver: Resolver) -> None:
        """Add a resolver behind those that are there; called in a plugin's ``startup``."""
        self._resolvers.append(resolver)

    def targets(self, model: str, exchange: Exchange | None = None) -> tuple[Target, ...]:
        """The targets of ``model``. One that nobody knows is its dialect's own provider's, where there is a request."""
        for resolver in self._resolvers:
            if found := tuple(resolver(model, exchange)):
                return found
        if found := self._table.targets(model):
            return found
        if exchange is None:
            return ()
        named = exchange.request.provider
        provider = self._table.at_home(exchange) if named is None else self._catalogue.get(named)
        return () if provider is None else (Target(provider.name, model),)

    def serves(self, exchange: Exchange, target: Target) -> bool:
        """Whether ``target`` offers the operation that is asked for, as it is or by translation."""
        return self.why_not(exchange, target) is None

    def why_not(self, exchange: Exchange, target: Target) -> str | None:
        """Why ``target`` cannot serve the request, in words for the log; ``None`` where it can."""
        return why_not(self._catalogue, exchange, target)

    def check_model(self, model: str, operations: Iterable[str], exchange: Exchange) -> None:
        """Raise `BadRequest` where the configuration keeps ``model`` for ``operations`` that do not include this."""
        check_model(model, operations, exchange.request)

    def at_home(self, exchange: Exchange) -> str | None:
        """The provider of models that nobody knows, for this request; ``None`` for a dialect of nobody."""
        provider = self._table.at_home(exchange)
        return None if provider is None else provider.name

    def reachable(self, exchange: Exchange, target: Target) -> bool:
        """Whether this caller may use ``target``, and there is any address and credential to call it with."""
        permits = exchange.permits
        if permits is not None and not (
            permits.allows_provider(target.provider) and permits.allows_model(target.model)
        ):
            return False
        if target.base_url is not None:
            return True
        known = self._catalogue.get(target.provider)
        return known is not None and known.base_url is not None and reachable(self._catalogue, exchange, known.name)
