"""The hooks of ``ratelimit``."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from helicone_gw import BadRequest, Measurement, Plugin, StashKey, StoreUnavailable, hookimpl
from helicone_gw_ratelimit import bound
from helicone_gw_ratelimit.budget_table import BRANCH, VERSIONS
from helicone_gw_ratelimit.budgeting import Budgeting
from helicone_gw_ratelimit.budgets import BUDGET, named
from helicone_gw_ratelimit.config import RatelimitConfig
from helicone_gw_ratelimit.estimate import Estimator
from helicone_gw_ratelimit.headers import limit_headers, warn
from helicone_gw_ratelimit.inforce import InForce
from helicone_gw_ratelimit.limits import Claim, Kind, Limits
from helicone_gw_ratelimit.queues import Queues
from helicone_gw_ratelimit.renewal import Renewal
from helicone_gw_ratelimit.rules import BUCKET, LEASES, WINDOW, PolicyRule
from helicone_gw_ratelimit.settling import Settling

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Iterator, Sequence
    from pathlib import Path

    import typer
    from quart import Blueprint

    from helicone_gw import Attempt, Chunk, Exchange, Gateway, GatewayConfig, GatewayError
    from helicone_gw_ratelimit.limits import Argument, Fields
    from helicone_gw_ratelimit.queueing import Stop
    from helicone_gw_ratelimit.spending import Charge

KINDS: tuple[Kind, ...] = (BUCKET, WINDOW, LEASES)
"""Every way of counting that the plugin knows."""

MAX_SHOWN = 500
"""Limits, by what happened to them, that measurements tell apart."""


class RatelimitPlugin(Plugin):
    """Limits and budgets: collects what is in force, reserves all of it at once, settles all of it at once."""

    Config = RatelimitConfig
    migrations: ClassVar[dict[str, Path]] = {BRANCH: VERSIONS}
    on_failure = "open"
    after = ("security", "prompts")
    before = ("cache", "router", "fallbacks", "retries")
    chunks_on_request = True
    config: RatelimitConfig
    budgeting: Budgeting | None = None
    """Its budgets, once it was started, if it has any."""

    def __init__(self, config: RatelimitConfig, name: str) -> None:
        super().__init__(config, name)
        self.counters: dict[tuple[str, str], int] = {}
        """How often what happened to which limit: ("admitted" or "refused", its name), ("malformed", "header")."""
        # Of its own: another instance has other claims on the same exchange.
        self._claims_key: StashKey[list[Claim]] = StashKey(f"{name}.claims")
        counts_dollars = bool(config.budgets) or config.key_budgets
        self._limits = Limits((*KINDS, BUDGET) if counts_dollars else KINDS)
        if not counts_dollars:
            # Budgets alone listen to attempts, and a hook that is not there costs nothing.
            vars(self)["on_attempt"] = None
            self.unused_tables = (BRANCH,)

    def remarks(self, config: GatewayConfig) -> Iterable[str]:
        """How far spending can pass each budget at worst."""
        return bound.lines(
            named(self.name, self.config.budgets),
            shared=not config.store.url.startswith("memory:"),
            workers=config.server.workers,
            write_every=self.config.budget_write_every,
        )

    @hookimpl
    async def startup(self, gateway: Gateway) -> None:
        """Take the store, the prices and the clock."""
        self._log = gateway.log
        self._store = gateway.store.scope(self.name)
        self.estimator = Estimator(self.config, gateway)
        # Of several instances the outermost holds keys to what they bring along, so that it counts once.
        first = _instances(gateway)[0] is self
        self._in_force = InForce(self.config, self.estimator, gateway.routing.targets, self._malformed, of_keys=first)
        if first:
            gateway.keys.limits_enforced = True
            gateway.keys.budgets_enforced = self.config.key_budgets
        if self.config.budgets or self.config.key_budgets:
            self.budgeting = Budgeting(
                self.name, self.config, gateway, self._store, self._limits, self.estimator, self._count
            )
            await self.budgeting.start()
        self.queues = Queues(self._in_force.queues, gateway.clock, self._count)
        self.settling = Settling(self._limits, self._store, gateway, self._settled)
        self._renewal = Renewal(self._store, gateway, self.config.lease)

    @hookimpl
    async def shutdown(self, gateway: Gateway) -> None:
        """Stop renewing leases, settle what waits, and write what was spent."""
        await self._renewal.close()
        await self.settling.close()
        if self.budgeting is not None:
            await self.budgeting.close()

    @hookimpl
    def register_routes(self, gateway: Gateway) -> Blueprint | None:
        """Serve ``GET /v1/budgets`` and ``/v1/ratelimit``, for every instance: the outermost does."""
        instances = _instances(gateway)
        if instances[0] is not self:
            return None
        from helicone_gw_ratelimit import budget_api, limits_api

        pages = budget_api.routes(
            self.name, lambda: [each.budgeting for each in instances if each.budgeting is not None]
        )
        limits_api.add_to(pages, lambda: instances)
        gateway.pages.describe(lambda: [budget_api.OPERATION, limits_api.OPERATION])
        return pages

    @hookimpl
    def register_commands(self, cli: typer.Typer) -> None:
        """Add ``helicone-gw budgets``, for every instance."""
        from helicone_gw_ratelimit.budget_commands import commands

        cli.add_typer(commands(), name="budgets")

    @hookimpl
    def pre_request(self, exchange: Exchange) -> Awaitable[None] | None:
        """Reserve what every limit and budget in force asks for, all or nothing; refuse where one has too little."""
        claims = self._in_force.claims(exchange)
        if self.budgeting is None:
            return self._pass(exchange, claims, []) if claims else None
        charges = self.budgeting.charges(exchange)
        return self._pass(exchange, [*claims, *charges], charges) if claims or charges else None

    async def _pass(self, exchange: Exchange, claims: list[Claim], charges: Sequence[Charge]) -> None:
        if not await self._obtain(exchange, claims, charges):
            raise self._refusal(exchange, claims)
        self._admitted(exchange, claims)
        if self.budgeting is not None and charges:
            self.budgeting.admitted(exchange, charges)

    async def _obtain(self, exchange: Exchange, claims: list[Claim], charges: Sequence[Charge]) -> bool:
        """Reserve all of it, or nothing, waiting in a queue for it where there is one."""

        async def attempt() -> Stop | None:
            if await self._reserve(exchange, claims, charges):
                return None
            stop = self.queues.stop(claims)
            if stop is None:
                raise self._refusal(exchange, claims)
            return stop

        stop = self.queues.ahead(claims)
        if stop is None:
            if await self._reserve(exchange, claims, charges):
                return True
            stop = self.queues.stop(claims) if self.queues else None
        if stop is None:
            return False
        if await self.queues.wait(exchange, stop, attempt, self.name):
            return True
        if any(claim.fields is None for claim in claims):
            self._count("refused", stop.name)
            exchange.annotate(f"{self.name}.refused", [stop.name])
            raise self.queues.refusal(stop, claims)
        return False

    async def _reserve(self, exchange: Exchange, claims: list[Claim], charges: Sequence[Charge]) -> bool:
        """Ask the store once, or, where it had forgotten what was spent of a budget, twice."""
        exchange.stash[self._claims_key] = claims
        _unanswered(claims)  # whoever waited in a queue was refused before
        if self.budgeting is not None and charges:
            await self.budgeting.prepare(charges)
        before = self.settling.unsettled(claims)
        admitted = await self._limits.reserve(self._store, claims)
        if not admitted and before and await self.settling.settled(before):
            _unanswered(claims)
            admitted = await self._limits.reserve(self._store, claims)
        if not admitted and self.budgeting is not None and self.budgeting.accounts.forget(charges):
            _unanswered(claims)
            await self.budgeting.prepare(charges)
            admitted = await self._limits.reserve(self._store, claims)
            if not admitted and self.budgeting.accounts.forget(charges):
                _unanswered(claims)
                raise StoreUnavailable("The store forgets what was spent of budgets as soon as it is told.")
        if not admitted:
            del exchange.stash[self._claims_key]
        return admitted

    @hookimpl
    def on_attempt(self, exchange: Exchange, attempt: Attempt) -> Awaitable[None] | None:
        """Hold enough of budgets for another attempt, where one failed that has to be paid for."""
        return None if self.budgeting is None else self.budgeting.attempt(exchange, attempt)

    @hookimpl
    def on_stream_chunk(self, exchange: Exchange, chunk: Chunk) -> None:
        """Count a stream's event against budgets."""
        if self.budgeting is not None:
            self.budgeting.chunk(exchange, chunk)

    @hookimpl
    def route_model(self, exchange: Exchange) -> None:
        """Tell how policies stand. Here, because a cached answer, which counts nothing, never comes as far."""
        claims = exchange.stash.get(self._claims_key)
        if claims is not None:
            rules = [(claim.rule, claim) for claim in claims if claim.admitted]
            standings = [rule.standing(claim) for rule, claim in rules if isinstance(rule, PolicyRule)]
            exchange.headers.update(limit_headers(standings))

    @hookimpl
    def on_finish(self, exchange: Exchange) -> None:
        """Settle what was reserved; whoever waits for a store, it is not the client."""
        claims = exchange.stash.get(self._claims_key)
        if claims is None:
            return
        self._renewal.ended(claims)
        if self.budgeting is not None:
            self.budgeting.finished(exchange)
        settlements: list[tuple[Claim, Sequence[Argument]]] = []
        for claim in claims:
            settled = claim.rule.settlement(exchange, claim)
            if settled is not None:
                settlements.append((claim, settled))
        if settlements:
            self.settling.add(settlements)

    def _settled(self, claim: Claim, fields: Fields) -> None:
        if self.budgeting is not None:
            self.budgeting.settled(claim, fields)
        self.queues.given_back(claim)

    def _admitted(self, exchange: Exchange, claims: Sequence[Claim]) -> None:
        for claim in claims:
            self._count("admitted", claim.rule.name)
        self._renewal.began(claims)
        exchange.annotate(f"{self.name}.limits", [claim.rule.name for claim in claims])
        exchange.annotate("ratelimit.status", "admitted")

    def _refusal(self, exchange: Exchange, claims: Sequence[Claim]) -> GatewayError:
        """What the client is told: a budget's refusal before a policy's, the longest wait before a shorter one."""
        refused = [claim for claim in claims if not claim.admitted]
        for claim in refused:
            self._count("refused", claim.rule.name)
        exchange.annotate(f"{self.name}.refused", [claim.rule.name for claim in refused])
        refusals = [claim.rule.refusal(exchange, claim) for claim in refused]
        return min(refusals, key=lambda refusal: (refusal.status, -int(refusal.headers.get("retry-after-ms", 0))))

    def _malformed(self, exchange: Exchange, problem: str) -> None:
        """A client's policy cannot be read: refuse, or say so and go on without it."""
        self._count("malformed", "header")
        text = f"Helicone-RateLimit-Policy cannot be read: {problem}"
        if self.config.strict:
            raise BadRequest(f"{text}.", code="invalid_rate_limit_policy")
        warn(exchange, f"{text}; the request is not limited by it")
        self._log.warning("rate limit policy ignored", problem=problem, request_id=exchange.request_id)

    def measurements(self) -> Iterator[Measurement]:
        """What happened to which limit; those past the bound are told together."""
        totals: dict[tuple[str, str], int] = {}
        for at, ((what, name), count) in enumerate(self.counters.items()):
            shown = (what, name if at < MAX_SHOWN else "(other)")
            totals[shown] = totals.get(shown, 0) + count
        for (what, name), count in totals.items():
            labels = {"limit": name, "what": what, "plugin": self.name}
            yield Measurement("ratelimit_decisions", "counter", "What limits and budgets decided.", count, labels)
        labels = {"plugin": self.name}
        lost = self.settling.lost
        yield Measurement("ratelimit_unsettled", "counter", "Exchanges that stay as reserved.", lost, labels)
        if self.budgeting is not None:
            yield from self.budgeting.measurements(labels)
        if self.queues:
            for name, waiting in self.queues.lines.waiting.items():
                yield Measurement(
                    "ratelimit_waiting", "gauge", "Requests that wait at a limit.", waiting, {**labels, "limit": name}
                )

    def _count(self, what: str, name: str) -> None:
        self.counters[what, name] = self.counters.get((what, name), 0) + 1


def _unanswered(claims: Sequence[Claim]) -> None:
    """Forget an earlier refusal: if the store goes away now, what it said of it is not what became of the request."""
    for claim in claims:
        claim.admitted = claim.fields = None


def _instances(gateway: Gateway) -> list[RatelimitPlugin]:
    """Every instance of this plugin, outermost first."""
    return [each for each in gateway.plugins if isinstance(each, RatelimitPlugin)]
