"""Routing: the core's own table, for requests that no plugin routed, and where model strings lead (`Routing`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol
from urllib.parse import urlsplit

from helicone_gw.errors import BadRequest, NotFound
from helicone_gw.exchange import Exchange
from helicone_gw.model import Route, Target
from helicone_gw.upstream.operations import way
from helicone_gw.upstream.prepare import ITSELF
from helicone_gw.upstream.providers import Catalogue

DEMO_PROVIDER = "demo"

OVERRIDABLE = frozenset({None, "openai", "anthropic"})
"""Addresses whose upstream ``Helicone-Target-URL`` may change; a provider's own prefix or host may not be moved."""


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
        if targets := self.targets(request.model or ""):
            return Route(targets)
        entry = self._models.get(request.model or "")
        provider = self._catalogue.get(request.dialect)
        if provider is None:
            raise BadRequest(f"No provider speaks the {request.dialect} dialect.", code="provider_not_configured")
        if (
            request.operation == "models"
            and request.method in ("GET", "HEAD")
            and not reachable(self._catalogue, exchange, provider.name)
        ):
            return Route((Target(ITSELF.name),))
        return Route((Target(provider.name, request.model if entry is None else entry.model),))

    def targets(self, model: str) -> tuple[Target, ...]:
        """The targets that the configuration names for a model string; none for a name that it does not know."""
        entry = self._models.get(model)
        if entry is not None and entry.providers:
            return tuple(Target(provider, entry.model) for provider in entry.providers)
        return (Target(DEMO_PROVIDER, model),) if self._demo and model.startswith(DEMO_PROVIDER) else ()


def reachable(catalogue: Catalogue, exchange: Exchange, provider: str) -> bool:
    """Whether there is any credential to call ``provider`` with, the gateway's or the client's own."""
    credential = exchange.credential
    if credential is not None and credential.provider == provider:
        return True
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
        provider = self._catalogue.get(exchange.request.provider or exchange.request.dialect)
        return () if provider is None else (Target(provider.name, model),)

    def serves(self, exchange: Exchange, target: Target) -> bool:
        """Whether ``target`` offers the operation that is asked for, as it is or by translation."""
        if target.base_url is not None:
            return True
        known = self._catalogue.get(target.provider)
        return known is None or way(known, exchange.request, target.model) is not None

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
