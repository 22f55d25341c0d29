"""Gateway: the composition root, from a configuration to services, chain and pipeline; starts and stops them."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import httpx
import structlog

from helicone_gw import measuring, parts
from helicone_gw.access import KeyRing
from helicone_gw.audit import Audit
from helicone_gw.background import Background
from helicone_gw.chain import Chain, compile_chain, lifecycle_hooks
from helicone_gw.clock import Clock, SystemClock
from helicone_gw.config import GatewayConfig
from helicone_gw.database import Database
from helicone_gw.errors import ConfigError, StoreUnavailable
from helicone_gw.exchange import Exchange
from helicone_gw.health import Health
from helicone_gw.ids import new_id
from helicone_gw.ingress.origin import check_bind
from helicone_gw.leadership import Leadership
from helicone_gw.measurement import Measurement
from helicone_gw.model import Request, Target, Upstream, UpstreamRequest, UpstreamResponse
from helicone_gw.pages import Pages
from helicone_gw.pipeline import Pipeline
from helicone_gw.pipeline.asking import Asking, asked_route
from helicone_gw.pipeline.attempts import Attempts
from helicone_gw.pipeline.hooks import HookCaller
from helicone_gw.pipeline.nowhere import Nowhere
from helicone_gw.pipeline.services import Services
from helicone_gw.pipeline.timing import Timing
from helicone_gw.plugin import Plugin
from helicone_gw.prices import Prices
from helicone_gw.registry import new_manager
from helicone_gw.routing import DEMO_PROVIDER, DefaultRoutes, Routing
from helicone_gw.sealing import Sealing
from helicone_gw.store import MemoryStore, Store
from helicone_gw.upstream.demo import DemoUpstream
from helicone_gw.upstream.destinations import Destinations
from helicone_gw.upstream.local_models import LocalModels
from helicone_gw.upstream.prepare import ITSELF, Preparer, speaks
from helicone_gw.upstream.providers import Catalogue

log = structlog.get_logger("helicone_gw")

SHARING_INTERVAL = 1.0
"""Seconds between two looks at what other workers say of targets."""

SETTLING_TIME = 5.0
"""Seconds that plugins have at least to settle what exchanges left, whatever ``server.drain_timeout`` says."""


class Gateway:
    """A gateway and its services, which is what plugins get in ``startup``.

    ``plugins`` are instances, outermost first. ``upstream`` replaces the network and ``clock`` the machine's clocks, in
    tests.
    """

    def __init__(
        self,
        config: GatewayConfig,
        plugins: Sequence[Plugin] = (),
        *,
        upstream: Upstream | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.plugins = tuple(plugins)
        self.config = parts.as_kept(config, self.plugins)
        self.clock: Clock = clock or SystemClock()
        self.log = log
        self.background = Background()
        # One task per exchange at most, so that exchanges bound it, and refusing one would cost a log row.
        self._settling = Background(limit=sys.maxsize)
        self.catalogue = Catalogue.build(config.providers)
        self.database = Database(config.database.url, by_command=True)
        self.store: Store = parts.store(config, self.clock)
        self.leadership = Leadership(self.store)
        self._routes = DefaultRoutes(self.catalogue, config.models)
        self.routing = Routing(self.catalogue, self._routes)
        self.prices = Prices(self.clock.now, targets=self.routing.targets, on_fault=self._price_fault)
        self.health = Health(self.clock)
        self.keys = KeyRing()
        self.audit = Audit(self.clock.now, self.log)
        """For plugins to tell what somebody changed."""
        self.sealing = Sealing()
        """For plugins' secrets in the database."""
        self.manager = new_manager()
        for plugin in self.plugins:
            self.manager.register(plugin, name=plugin.name)
        self.manager.check_pending()
        self.chain = compile_chain(self.plugins, self.manager)
        self._network = parts.network(config)
        self.http = httpx.AsyncClient(transport=self._network.transport, follow_redirects=False)
        """For plugins' own calls: the same connection pool, no redirects followed."""
        self.destinations = Destinations(lambda: self.http, config.server.allowed_targets)
        """For plugins to send to where users say: checked against addresses inside, and pinned."""
        self._preparer = Preparer(
            self.catalogue, config.server.allowed_targets, strict_translation=config.translation.strict
        )
        self._inside: Mapping[str, Upstream] = {
            DEMO_PROVIDER: DemoUpstream(self.clock.sleep),
            ITSELF.name: LocalModels(self._own_models(), int(self.clock.now())),
        }
        self._outside: Upstream = upstream or self._network
        self._timing = Timing(config.pipeline.every, noted=config.pipeline.timings != "off")
        services = self._services(self.chain, decode_replies=self.chain.reads_answer)
        self.pipeline = Pipeline(services, self._settling)
        bare = self._services(compile_chain((), new_manager()), decode_replies=lambda readers: True)
        self.ask = Asking(
            replace(bare, default_route=asked_route, max_attempts=1), self._settling, self.routing.targets
        )
        """For plugins' own questions to models: with the gateway's keys, translation and prices, through no plugin."""
        self.pages = Pages(self.keys)
        """The gateway's own pages, asked from inside."""
        self.active = 0
        """Exchanges under way."""
        self._idle = asyncio.Event()
        self._running: set[asyncio.Task[Any]] = set()
        self._started: set[str] = set()
        self._sharing: asyncio.Task[None] | None = None
        self._measured: list[Callable[[], Iterable[Measurement]]] = []
        self.ready = False

    def _services(self, chain: Chain, *, decode_replies: Callable[[int], bool]) -> Services:
        limits, max_event = self.config.limits, int(self.config.server.max_body)
        attempts = Attempts(
            prepare=self._preparer,
            upstream=self.call,
            prices=self.prices,
            health=self.health,
            clock=self.clock,
            max_body=max_event,
            commit_timeout=limits.commit_timeout,
            decode_replies=decode_replies,
            usage_refused=self._preparer.usage_refused,
        )
        return Services(
            chain=chain,
            caller=HookCaller(self.clock),
            attempts=attempts,
            default_route=self._routes,
            same_dialect=self._same_dialect,
            health=self.health,
            clock=self.clock,
            max_attempts=limits.max_attempts,
            deadline=limits.deadline,
            max_event=max_event,
            timing=self._timing,
        )

    def call(self, request: UpstreamRequest) -> Awaitable[UpstreamResponse]:
        """One call, over the network or to what lives inside the gateway."""
        inside = self._inside.get(request.target.provider)
        if inside is not None and request.target.base_url is None:
            return inside(request)
        return self._outside(request)

    def _price_fault(self, fault: Exception) -> None:
        self.log.error("price source failed; the price counts as unknown", exc_info=fault)

    def _same_dialect(self, request: Request, target: Target) -> bool:
        provider = self.catalogue.get(target.provider)
        return provider is None or speaks(provider, request, target)

    def _own_models(self) -> list[tuple[str, str]]:
        models = [(name, entry.providers[0]) for name, entry in self.config.models.items() if entry.providers]
        if self.catalogue.is_configured(DEMO_PROVIDER):
            models.append((DEMO_PROVIDER, DEMO_PROVIDER))
        return models

    async def start(self) -> None:
        """Start plugins, outermost first. Raises `ConfigError`: a plugin that could not, or an open bind."""
        await self.store.connect()
        startups = {plugin.name: startup for plugin, startup in self.lifecycle("startup")}
        for plugin in self.plugins:
            try:
                if plugin.name in startups:
                    await startups[plugin.name](self)
                self._started.add(plugin.name)
            except BaseException as problem:
                await self.stop()
                if isinstance(problem, Exception):
                    raise ConfigError([f"plugin {plugin.name!r} could not start: {problem}"]) from problem
                raise
        try:
            check_bind(self.config.server.host, self.config.server.open, self.keys.configured)
        except ConfigError:
            await self.stop()
            raise
        if not isinstance(self.store, MemoryStore):
            self._sharing = asyncio.create_task(self._share_health())
        self.ready = True

    async def _share_health(self) -> None:
        """Tell other workers which targets rest, and hear of theirs, for as long as the gateway runs."""
        while True:
            try:
                await self.health.share(self.store)
            except StoreUnavailable:
                pass  # the store has told that; each worker then knows only what it saw itself
            except Exception as problem:
                self.log.warning("health of targets cannot be shared", problem=type(problem).__name__)
            await self.clock.sleep(SHARING_INTERVAL)

    async def stop(self) -> None:
        """Let exchanges finish (``server.drain_timeout``), settle plugins, close everything. Twice is harmless."""
        self.ready = False
        if self._sharing is not None:
            self._sharing.cancel()
        timeout = self.config.server.drain_timeout
        await self.idle(timeout)
        # Exchanges may be denied their time; what they leave to be written may not.
        timeout = max(timeout, SETTLING_TIME)
        if self.active:
            self.log.warning("exchanges are interrupted at shutdown", count=self.active)
            running = {task for task in self._running if task is not asyncio.current_task()}
            for task in running:
                task.cancel()
            if running:
                await asyncio.wait(running, timeout=SETTLING_TIME)
        await self._settling.drain(timeout)
        for plugin, shutdown in reversed(self.lifecycle("shutdown")):
            if plugin.name not in self._started:
                continue
            self._started.discard(plugin.name)
            try:
                async with asyncio.timeout(timeout):
                    await shutdown(self)
            except Exception as problem:
                self.log.error("plugin did not shut down", plugin=plugin.name, exc_info=problem)
        await self.background.drain(timeout)
        await self.pages.aclose()
        await self.http.aclose()
        await self._network.aclose()
        self.leadership.close()
        await self.store.close()
        await self.database.close()

    async def idle(self, timeout: float | None = None) -> None:
        """Wait until no exchange is under way, at most ``timeout`` seconds if that is given."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while self.active:
                    self._idle.clear()
                    await self._idle.wait()

    def repeat(self, exchange: Exchange, prepare: Callable[[Exchange], None]) -> asyncio.Task[None]:
        """Ask once more what ``exchange`` was asked, in the background and for no client.

        It is an exchange of its own that goes through every layer for the same caller: limits hold, and it is logged.
        ``prepare`` is called with it first (to stash and annotate). Raises `RuntimeError` when the body streamed
        through and is gone, or when too much runs in the background already.
        """
        if exchange.original.body is None:
            raise RuntimeError("a body that streamed through cannot be sent again")
        copy = exchange.again(new_id(), self.clock.now())
        prepare(copy)
        return self.background.spawn(self._repeated(copy), "repeat")

    async def _repeated(self, exchange: Exchange) -> None:
        task = asyncio.current_task()
        self.entered(task)
        try:
            await self.pipeline.handle(exchange, Nowhere())
        finally:
            self.left(task)

    def time_hooks(self, when: Callable[[Exchange], bool]) -> None:
        """Tell ``Server-Timing`` of the exchanges for which ``when`` says so; it is asked before the first hook."""
        self._timing.when = when

    def measure(self, source: Callable[[], Iterable[Measurement]]) -> None:
        """Ask ``source``, too, whenever `measurements` are wanted."""
        self._measured.append(source)

    def measurements(self) -> Iterator[Measurement]:
        """Every figure that the core and its plugins have, as of now. A source that fails gives none."""
        yield Measurement("exchanges_active", "gauge", "Exchanges under way.", self.active)
        yield from measuring.of_network(self._network)
        yield from measuring.of_store(self.store)
        yield from measuring.of_health(self.health)
        yield from measuring.of_hooks(self.pipeline.services.caller.faults)
        yield from measuring.of_timings(self._timing.timed, self._timing.totals)
        yield from measuring.of_prices(self.prices)
        yield from measuring.of_background(self.background, self._settling)
        yield from measuring.of_questions(self.ask.totals)
        for source in (
            *self._measured,
            *(plugin.measurements for plugin in self.plugins if plugin.name in self._started),
        ):
            try:
                yield from source()
            except Exception as fault:
                self.log.error("some measurements cannot be had", exc_info=fault)

    def lifecycle(self, hook: str) -> list[tuple[Plugin, Callable[..., Any]]]:
        """The plugins that implement ``hook``, one outside the request's path, outermost first."""
        return lifecycle_hooks(self.plugins, self.manager, hook)

    def entered(self, task: asyncio.Task[Any] | None = None) -> None:
        """An exchange began, in ``task``; `left` says that it ended."""
        self.active += 1
        if task is not None:
            self._running.add(task)

    def left(self, task: asyncio.Task[Any] | None = None) -> None:
        """An exchange ended."""
        self.active -= 1
        if task is not None:
            self._running.discard(task)
        if not self.active:
            self._idle.set()
