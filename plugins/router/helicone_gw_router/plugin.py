"""The hooks of ``router``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from helicone_gw import (
    ApiOperation,
    BadRequest,
    NotFound,
    Plugin,
    Response,
    Route,
    StashKey,
    Target,
    UpstreamStatus,
    hookimpl,
)
from helicone_gw_router import listing, loading, prompts
from helicone_gw_router.affinity import Memory
from helicone_gw_router.config import RouterConfig
from helicone_gw_router.references import (
    CAPTURED,
    KEEPS_NOTHING,
    container_in,
    id_made,
    ids_of,
    may_leave_container,
)
from helicone_gw_router.registry import Registry
from helicone_gw_router.resolving import DEMO, Resolver
from helicone_gw_router.routes import Routes
from helicone_gw_router.strategies import LONGEST_LABELLED
from helicone_gw_router.varying import varies

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator

    from quart import Blueprint

    from helicone_gw import Attempt, Chunk, Exchange, Gateway, Request
    from helicone_gw_router.registry import Model

REGISTRY_PATH = "/v1/public/model-registry/models"

CONTAINER: StashKey[str | None] = StashKey("router.container")
"""The container that the answer named; there only where one may be named."""

STRANGE: StashKey[list[str]] = StashKey("router.strange")
"""Ids that the request refers to and nobody remembers; who answers it well knows them."""


class RouterPlugin(Plugin):
    """Turns model strings into ordered targets, and tells the core's health how attempts ended."""

    Config = RouterConfig
    on_failure = "closed"
    before = ("fallbacks", "retries")
    capture_bytes = CAPTURED
    chunks_on_request = True
    config: RouterConfig
    registry: Registry
    routes: Routes
    _gateway: Gateway
    _resolver: Resolver
    _memory: Memory
    _created: int

    def __init__(self, config: RouterConfig, name: str) -> None:
        super().__init__(config, name)
        self.vary = varies(config)

    @hookimpl
    async def startup(self, gateway: Gateway) -> None:
        """Read the models (in a thread), offer the resolver to whoever asks, set the breakers' policy."""
        if self.config.catalogue:
            self.registry = await asyncio.to_thread(loading.load, gateway)
        else:
            self.registry = loading.build({}, (), gateway.config.models)
        self._gateway = gateway
        self._resolver = Resolver(gateway, self.registry, self.config.priorities)
        self.routes = Routes(gateway, self.config, self._resolver)
        self._memory = Memory(gateway.store, self.name, self.config.remember)
        self._created = int(gateway.clock.now())
        gateway.health.policy = self.config.health.policy()
        gateway.routing.use(self._targets)
        self._check_routes()

    def _check_routes(self) -> None:
        """Say which targets of named routes lead nowhere. Raises `BadRequest` for one that cannot be read."""
        for name, route in self.config.routes.items():
            for target in route.targets:
                model = target if isinstance(target, str) else target.model
                if not self.routes.choices(model, None):
                    self._gateway.log.warning(
                        "no provider with a key for a target of a route", route=name, target=model
                    )

    def _targets(self, model: str, exchange: Exchange | None) -> list[Target]:
        try:
            return [choice.target for choice in self.routes.choices(model, exchange)]
        except BadRequest:
            if exchange is not None:
                raise
            return []  # an estimate: the request itself will be told

    @hookimpl
    def register_routes(self, gateway: Gateway) -> Blueprint:
        """Offer the registry of models in Helicone's shape."""
        from quart import Blueprint

        blueprint = Blueprint(f"{self.name}-registry", __name__)

        async def models() -> dict[str, object]:
            usable = gateway.catalogue.is_configured
            return await asyncio.to_thread(listing.registry, gateway, self.registry.models(), usable)

        blueprint.add_url_rule(REGISTRY_PATH, "models", models)
        registry = ApiOperation(
            method="GET",
            path=REGISTRY_PATH,
            tag="models",
            summary="Every model with its offers and prices.",
            plain=("application/json",),
            data=dict[str, Any],
        )
        gateway.pages.describe(lambda: [registry])
        return blueprint

    @hookimpl
    def pre_request(self, exchange: Exchange) -> Request | Response | None:
        """Answer lists of models; ask for web search, and cut what is too long, where the request says so."""
        request = exchange.request
        if request.provider is not None:
            return None
        if request.operation == "models" and request.method in ("GET", "HEAD"):
            return self._models(exchange)
        if request.model is None or not prompts.changes(request, request.model):
            return None
        changed = prompts.searching(exchange, self._resolver, self.routes)
        changed = prompts.fitting(changed, exchange, self._resolver, self.routes, self.registry)
        return None if changed is request else changed

    @hookimpl
    def route_model(self, exchange: Exchange) -> Awaitable[Route | None] | Route | None:
        """Choose the targets. An id that a target made goes first, then the address, then the model."""
        request = exchange.request
        helicone = request.helicone
        if helicone.target_url is not None or helicone.openai_api_base is not None:
            return None
        if request.operation == "messages" and may_leave_container(request):
            exchange.stash[CONTAINER] = None
            exchange.watch_stream()
        ids = ids_of(request)
        return self._by_ids(exchange, ids) if ids else self._by_name(exchange)

    async def _by_ids(self, exchange: Exchange, ids: list[str]) -> Route | None:
        made = await self._memory.find(_owner(exchange), ids)
        if made is not None and (route := self._back(exchange, *made)) is not None:
            return route
        if made is None:
            exchange.stash[STRANGE] = ids
        return self._by_name(exchange)

    def _by_name(self, exchange: Exchange) -> Route | None:
        request = exchange.request
        if request.provider is not None:
            return self.routes.pinned(exchange, request.provider)
        return None if request.model is None and request.router is None else self.routes.route(exchange)

    def _back(self, exchange: Exchange, provider: str, base_url: str | None, deployment: str | None) -> Route | None:
        """The route to the target that made what the request refers to; ``None`` where the request cannot go there."""
        request = exchange.request
        if request.provider not in (None, provider):
            return None
        choices = () if request.model is None else self.routes.choices(request.model, exchange)
        there = [choice.target for choice in choices if choice.target.provider == provider]
        for target in there:
            if (target.base_url, target.deployment) == (base_url, deployment):
                return Route((target,), "made here")
        if request.operation in KEEPS_NOTHING and not there:
            return None  # a file of one provider, and a model of another
        model = there[0].model if there else request.model
        return Route((Target(provider, model, base_url, deployment),), "made here")

    @hookimpl
    def on_attempt(self, exchange: Exchange, attempt: Attempt) -> None:
        """Tell the core's health."""
        target, error = attempt.target, attempt.error
        if error is None and attempt.status is None:
            return  # given up before there was an answer, which says nothing of the target
        # Whose key it was makes a difference to a failure alone.
        own = error is not None and _with_own_key(exchange, target)
        self._gateway.health.observe(target, error, started_at=attempt.started_at, own_key=own)
        if self.routes.counts_headroom and isinstance(error, UpstreamStatus) and not own:
            now = self._gateway.clock.monotonic()
            self.routes.headroom.heard(target, error.response.headers, now)
        if self.routes.hedges and attempt.first_byte_at is not None and error is None:
            self.routes.latencies.measured(target, attempt.first_byte_at - attempt.started_at)

    @hookimpl
    def on_stream_chunk(self, exchange: Exchange, chunk: Chunk) -> None:
        """Notice the container that an answer names; only where one may be named."""
        if b'"container"' in chunk.data and (found := container_in(chunk.data)) is not None:
            exchange.stash[CONTAINER] = found

    @hookimpl
    def on_finish(self, exchange: Exchange) -> None:
        """Remember what a target made, and how much of its limits is left."""
        if not exchange.attempts or exchange.response is None:
            return
        target = exchange.attempts[-1].target
        if self.routes.counts_headroom and not _with_own_key(exchange, target):
            self.routes.headroom.heard(target, exchange.response.headers, self._gateway.clock.monotonic())
        if self._is_usual(exchange, target):
            return
        for made in (id_made(exchange), _container(exchange), *_met(exchange)):
            if made is not None:
                remembering = self._memory.remember(_owner(exchange), made, target)
                self._gateway.background.spawn(remembering, f"{self.name}: remember an id")

    def _is_usual(self, exchange: Exchange, target: Target) -> bool:
        """Whether whatever refers to what ``target`` made is led there anyhow."""
        if target.provider != exchange.request.dialect or target.base_url is not None:
            return False
        alone = exchange.route is None or len(exchange.route.targets) == 1
        return alone and not self._gateway.catalogue.deployments(target.provider)

    def _models(self, exchange: Exchange) -> Response | None:
        request, wanted = exchange.request, exchange.request.model
        everything = "all=true" in request.query.split("&")
        if wanted is None:
            listed = (*self._named(), *self._listed(exchange, everything=everything))
            return Response.of_json(listing.many(listed, request.dialect, self._created))
        line = next((each for each in self._named() if each.id == wanted), None)
        if line is None:
            known = self.registry.find(wanted)
            if known is None:
                return None  # a fine-tune, or newer than the registry: its provider knows
            providers = self._offering(exchange, known, everything=everything)
            if not providers:
                raise NotFound(
                    f"Model {wanted[:LONGEST_LABELLED]!r} cannot be called here; ?all=true shows it all the same.",
                    code="model_not_found",
                )
            line = _line(known, wanted, providers)
        return Response.of_json(listing.one(line, request.dialect, self._created))

    def _named(self) -> Iterator[listing.Listed]:
        """What the configuration has names for, and nobody else."""
        for name in self.routes.names:
            yield listing.Listed(name, "helicone-gw")
        if self._gateway.catalogue.is_configured(DEMO):
            yield listing.Listed(DEMO, DEMO, (DEMO,))

    def _listed(self, exchange: Exchange, *, everything: bool) -> Iterator[listing.Listed]:
        """The models that this caller may and can use."""
        for model in self.registry.models():
            if providers := self._offering(exchange, model, everything=everything):
                yield _line(model, model.id, providers)

    def _offering(self, exchange: Exchange, model: Model, *, everything: bool) -> tuple[str, ...]:
        """At whom this caller may and can use a model; ``everything``: or could, with a key for them."""
        permits, reachable = exchange.permits, self._gateway.routing.reachable
        return tuple(
            name
            for name in model.providers()
            if (everything or reachable(exchange, Target(name)))
            and (permits is None or (permits.allows_provider(name) and permits.allows_model(model.id)))
        )


def _with_own_key(exchange: Exchange, target: Target) -> bool:
    """Whether ``target`` is called with a key of the client's or its organisation's own, whose limits and validity say
    nothing of the target's."""
    if target.provider in exchange.provider_keys:
        return True
    credential = exchange.credential
    return credential is not None and (target.base_url is not None or credential.provider == target.provider)


def _line(model: Model, id: str, providers: tuple[str, ...]) -> listing.Listed:
    return listing.Listed(
        id,
        model.author or (providers[0] if providers else ""),
        providers,
        model.context,
        model.name,
        model.capabilities,
        model.operations or (tuple(listing.VECTORS) if model.facts.get("embeddings") else ()),
        model.max_output or model.facts.get("max_output"),
    )


def _container(exchange: Exchange) -> str | None:
    """The container that a good answer named."""
    response = exchange.response
    if CONTAINER not in exchange.stash or response is None or not 200 <= response.status < 300:
        return None
    named = exchange.stash[CONTAINER]
    if named is None and response.body:
        return container_in(response.body, response.headers.get("content-encoding"))
    return named


def _met(exchange: Exchange) -> list[str]:
    """Ids that nobody remembered, where the target knew them."""
    response = exchange.response
    known = response is not None and 200 <= response.status < 300 and exchange.request.method != "DELETE"
    return exchange.stash[STRANGE] if known and STRANGE in exchange.stash else []


def _owner(exchange: Exchange) -> str:
    return "" if exchange.key is None else exchange.key.owner
