"""The hooks of ``moderation``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from typing import TYPE_CHECKING

from helicone_gw import ConfigError, Plugin, StashKey, hookimpl, measured
from helicone_gw_moderation.config import MODERATIONS, ModerationConfig
from helicone_gw_moderation.detectors import configured
from helicone_gw_moderation.guarding import TICK, Guard
from helicone_gw_moderation.intake import may_have_text
from helicone_gw_moderation.judging import Judging
from helicone_gw_moderation.policy import NOTHING_WISHED, Policies, Policy, unknown_names, wishes_of
from helicone_gw_moderation.report import ModerationCounters
from helicone_gw_moderation.texts import Clean

if TYPE_CHECKING:
    import typer

    from helicone_gw import Chunk, Exchange, Gateway, GatewayConfig, Measurement, Request, Response
    from helicone_gw_moderation.detectors.base import Detector
    from helicone_gw_moderation.policy import Targets


class ModerationPlugin(Plugin):
    """What may be said: secrets, personal data, injections, unsafe content; blocked, redacted or flagged."""

    Config = ModerationConfig
    on_failure = "closed"
    chunks_on_request = True
    answers_on_request = True
    tick = TICK
    after = ("logging", "security", "cache")
    before = ("router", "fallbacks", "retries")
    config: ModerationConfig
    _judging: Judging
    _targets: Targets

    def __init__(self, config: ModerationConfig, name: str) -> None:
        super().__init__(config, name)
        self.counters = ModerationCounters()
        self._clean = Clean(config.remembered)
        self._guards: StashKey[Guard] = StashKey(f"{name}.guard")
        self._policies: Policies | None = None
        self._making: asyncio.Future[Policies] | None = None
        if any(rule.keys for rule in config.rules):
            self.vary = ("key",)

    def remarks(self, config: GatewayConfig) -> Iterable[str]:
        """What people should know before they start it."""
        if self.config.stream.whole:
            yield "moderation holds every streamed answer that it checks until its end (stream.whole)"
        asked = any(MODERATIONS in check.judges for check in self.config.headers.moderations)
        if asked and not _has_key(config, "openai"):
            yield (
                "Helicone-Moderations-Enabled asks OpenAI's moderations, and the provider openai has no key: such "
                "requests get 503 (headers.moderations names other judges)"
            )

    def measurements(self) -> Iterable[Measurement]:
        """What became of requests and answers."""
        yield from measured(self.name, self.counters, "Moderation")

    def detectors(self) -> Sequence[Detector]:
        """The local detectors that the configuration asks for."""
        return configured(self.config.detectors)

    @hookimpl
    async def startup(self, gateway: Gateway) -> None:
        """Make the detectors, unless only a client can ask for them, and the judges."""
        self._clock = gateway.clock
        self._targets = gateway.routing.targets
        self._judging = Judging(self.config, gateway, self.counters)
        if not self.config.asks_for_nothing:
            self._policies = self._make()

    def _make(self) -> Policies:
        """Raises `ConfigError` for rules that cannot be used."""
        detectors = self.detectors()
        if problems := unknown_names(self.config, detectors):
            raise ConfigError(problems)
        return Policies(self.config, detectors, self._targets)

    @hookimpl
    def register_commands(self, cli: typer.Typer) -> None:
        """Add ``helicone-gw moderation``."""
        from helicone_gw_moderation.commands import commands

        cli.add_typer(commands(), name=self.name)

    @hookimpl
    def pre_request(self, exchange: Exchange) -> Awaitable[Request | None] | Request | None:
        """Look through the request, and see to it that the answer is looked through."""
        policies = self._policies
        if policies is None:
            return None if wishes_of(exchange.request) is NOTHING_WISHED else self._first(exchange)
        policy = policies.of(exchange)
        if policy is None or not may_have_text(exchange.request, policy):
            return None
        return self._guarded(exchange, policy)

    async def _first(self, exchange: Exchange) -> Request | None:
        """The same before there are detectors: to make them took a tenth of the start, and few clients ever ask."""
        if self._making is None:
            self._making = asyncio.ensure_future(asyncio.to_thread(self._make))
        # Shielded: a client that leaves must not take them from those who wait beside it.
        self._policies = await asyncio.shield(self._making)
        policy = self._policies.of(exchange)
        if policy is None or not may_have_text(exchange.request, policy):
            return None
        return await self._guarded(exchange, policy)

    async def _guarded(self, exchange: Exchange, policy: Policy) -> Request | None:
        guard = Guard(exchange, policy, self.config, self._judging, self._clock, self.counters, self._clean)
        exchange.stash[self._guards] = guard
        return await guard.request()

    @hookimpl
    def route_model(self, exchange: Exchange) -> Awaitable[None] | None:
        """Look through the request again where plugins further in made another of it."""
        guard = exchange.stash.get(self._guards)
        return guard.again() if guard is not None and guard.is_another else None

    @hookimpl
    def on_stream_chunk(self, exchange: Exchange, chunk: Chunk) -> Sequence[Chunk] | None:
        """Hold back what is not decided yet; replace, or end, where something was found."""
        guard = exchange.stash.get(self._guards)
        return None if guard is None else guard.chunk(chunk)

    @hookimpl
    async def on_response(self, exchange: Exchange, response: Response) -> Response | None:
        """Look through a whole answer."""
        guard = exchange.stash.get(self._guards)
        return None if guard is None else await guard.response(response)

    @hookimpl
    def on_finish(self, exchange: Exchange) -> None:
        """Stop judges that are still at it, and forget what was redacted."""
        guard = exchange.stash.get(self._guards)
        if guard is not None:
            guard.close()


def _has_key(config: GatewayConfig, provider: str) -> bool:
    entry = config.providers.get(provider)
    return entry is not None and entry.api_key is not None
