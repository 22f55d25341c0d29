"""The hooks of ``cache``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helicone_gw import Plugin, StashKey, hookimpl, measured
from helicone_gw_cache import names
from helicone_gw_cache.backends import NO_REDIS, Backend, lacks_redis, open_backend
from helicone_gw_cache.config import CacheConfig
from helicone_gw_cache.flights import Flights
from helicone_gw_cache.keeping import Keeping
from helicone_gw_cache.keys import Keys
from helicone_gw_cache.lookup import Lookup
from helicone_gw_cache.policy import Policies, Policy
from helicone_gw_cache.refresh import Refreshes
from helicone_gw_cache.savings import Savings
from helicone_gw_cache.shielding import shielded
from helicone_gw_cache.visit import CacheCounters, Visit, slots

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Iterator, Sequence

    import typer
    from quart import Blueprint

    from helicone_gw import ApiOperation, Chunk, Exchange, Gateway, GatewayConfig, GatewayError, Measurement, Response


def _described() -> Sequence[ApiOperation]:
    from helicone_gw_cache.operations import OPERATIONS  # hardly anybody asks

    return OPERATIONS


class CachePlugin(Plugin):
    """Answers from what was answered before; see the README for what counts as the same question."""

    Config = CacheConfig
    on_failure = "open"
    chunks_on_request = True
    answers_on_request = True
    after = ("logging", "security")
    config: CacheConfig
    backend: Backend
    """Where entries are kept; there from `startup` on."""

    def __init__(self, config: CacheConfig, name: str) -> None:
        super().__init__(config, name)
        self.savings = Savings()
        self.counters = CacheCounters()
        self.flights = Flights(config.single_flight)
        self._visits: StashKey[Visit] = StashKey(f"{name}.visit")
        self._policies = Policies(config)
        self._keys: Keys
        self._lookup: Lookup
        self._keeping: Keeping
        self._refreshes: Refreshes

    def warnings(self, config: GatewayConfig) -> Iterable[str]:
        """A place for entries that there is not: the gateway will not start."""
        return (NO_REDIS,) if lacks_redis(self.config.backend, config) else ()

    @hookimpl
    async def startup(self, gateway: Gateway) -> None:
        """Open the backend, and see what the plugins inside are, and look at."""
        self.backend = open_backend(self.config.backend, gateway, self.name)
        await self.backend.start()
        inside = gateway.plugins[gateway.plugins.index(self) + 1 :]
        vary = {*self.config.vary, *(fact for plugin in inside for fact in plugin.vary)}
        self._keys = Keys(gateway.config, gateway.chain.fingerprint(self.name), vary, self.config.share)
        self._refreshes = Refreshes(gateway, self.config.max_refreshes, self.counters)
        self._lookup = Lookup(
            self.config, gateway.clock, self.backend, self.flights, self._refreshes, self.savings, self.counters
        )
        self._keeping = Keeping(
            gateway.clock,
            self.backend,
            self.flights,
            gateway.background,
            self.counters,
            store_fallbacks=self.config.store_fallbacks,
        )
        self._clock = gateway.clock

    @hookimpl
    async def shutdown(self, gateway: Gateway) -> None:
        """Let what is being stored be stored, and close the backend."""
        await self._keeping.settle()
        await self.backend.close()

    @hookimpl
    def register_routes(self, gateway: Gateway) -> Blueprint | None:
        """Serve ``/v1/cache``: the outermost cache does, where there are several."""
        if next(plugin for plugin in gateway.plugins if isinstance(plugin, CachePlugin)) is not self:
            return None
        from helicone_gw_cache.api import routes

        gateway.pages.describe(_described)
        return routes(self.name, lambda: self.backend, self.savings, gateway.clock, gateway.audit)

    @hookimpl
    def register_commands(self, cli: typer.Typer) -> None:
        """Add ``helicone-gw cache``; the commands of a further instance have its name."""
        from helicone_gw_cache.commands import commands

        cli.add_typer(commands(self.name, self.config.backend), name=self.name)

    def measurements(self) -> Iterator[Measurement]:
        """What it did, its flights, and its backend."""
        yield from measured(self.name, self.counters, "The cache")
        yield from measured(f"{self.name}_flights", self.flights.counters, "Requests that ask the same at once")
        yield from measured(f"{self.name}_backend", self.backend.counters, "Entries of the cache")

    @hookimpl
    def pre_request(self, exchange: Exchange) -> Awaitable[Response | None] | Response | None:
        """Answer what was answered before, or is being answered."""
        policy = self._policies.of(exchange.request)
        return None if policy is None else self._visit(exchange, policy)

    def _visit(self, exchange: Exchange, policy: Policy) -> Awaitable[Response | None] | Response | None:
        if policy.asked:
            exchange.headers[names.CACHE] = "MISS"
        if not policy.read and not policy.save:
            self._lookup.pass_by(exchange, policy)
            return None
        key = self._keys.key(exchange, policy)
        if policy.debug:
            exchange.headers[names.KEY] = key
            exchange.headers[names.PARTS] = self._keys.explained(exchange, policy)
        slot = self._refreshes.slot_of(exchange) if self._refreshes.running else None
        if slot is None and policy.read and policy.bucket_size == 1:
            response = self._lookup.at_once(exchange, policy, key)
            if response is not None:
                return response
        visit = Visit(policy, slots(key, policy.bucket_size))
        if slot is not None:
            visit.refreshes, visit.policy = slot, policy.refreshing()
        exchange.stash[self._visits] = visit
        return self._lookup.answer(exchange, visit)

    @hookimpl
    def on_stream_chunk(self, exchange: Exchange, chunk: Chunk) -> None:
        """Hold the events of a stream, for those who follow it and to be stored."""
        visit = exchange.stash.get(self._visits)
        if visit is None or visit.flight is None or chunk.kind != "event" or exchange.response is None:
            return
        answer = exchange.response
        visit.flight.add(chunk.data, (answer.status, answer.headers), self._clock.monotonic())

    @hookimpl
    async def on_response(self, exchange: Exchange, response: Response) -> None:
        """Store the answer."""
        visit = exchange.stash.get(self._visits)
        if visit is None or visit.flight is None:
            return
        why = await self._keeping.take(exchange, visit, visit.flight, response)
        if why is not None:
            exchange.annotate("cache.not_stored", why)
            if visit.policy.debug and not exchange.committed:
                said = exchange.headers.get(names.REASON)
                exchange.headers[names.REASON] = f"not stored: {why}" if said is None else f"{said}; not stored: {why}"

    @hookimpl
    async def on_error(self, exchange: Exchange, error: GatewayError) -> Response | None:
        """Nobody need wait for this call any more. A stale answer is better than none, where that is configured."""
        visit = exchange.stash.get(self._visits)
        if visit is None:
            return None
        shield = shielded(error)
        if visit.flight is not None:
            visit.flight.lose(shielded=shield)
        if exchange.committed or not shield or visit.stale is None:
            return None
        return self._lookup.serve(exchange, visit, visit.stale, "error")

    @hookimpl
    def on_finish(self, exchange: Exchange) -> None:
        """Let go of flights, led or followed, and account for a stream that was shared."""
        visit = exchange.stash.get(self._visits)
        if visit is None:
            return
        if visit.flight is not None:
            visit.flight.lose()
            visit.flight = None
        if visit.follower is not None:
            follower, visit.follower = visit.follower, None
            follower.close()
            self._lookup.account(exchange, follower.flight)
