"""The hooks of ``ratelimit``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helicone_gw import Plugin, StashKey, hookimpl
from helicone_gw_ratelimit.config import RatelimitConfig
from helicone_gw_ratelimit.limits import Claim, Kind, Limits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from helicone_gw import Exchange, Gateway, GatewayError
    from helicone_gw_ratelimit.limits import Argument

CLAIMS: StashKey[list[Claim]] = StashKey("ratelimit.claims")
"""What the exchange was asked to reserve; the store's answer is on each claim, once it came."""

KINDS: tuple[Kind, ...] = ()
"""Every way of counting that the plugin knows."""


class RatelimitPlugin(Plugin):
    """Limits and budgets: collects what is in force, reserves all of it at once, settles all of it at once."""

    Config = RatelimitConfig
    on_failure = "open"
    after = ("security", "prompts")
    before = ("cache", "router", "fallbacks", "retries")
    config: RatelimitConfig

    def __init__(self, config: RatelimitConfig, name: str) -> None:
        super().__init__(config, name)
        self._limits = Limits(KINDS)
        self._gateway: Gateway | None = None

    @hookimpl
    async def startup(self, gateway: Gateway) -> None:
        """Take the store."""
        self._gateway = gateway
        self._store = gateway.store.scope(self.name)

    @hookimpl
    async def pre_request(self, exchange: Exchange) -> None:
        """Reserve what every limit and budget in force asks for, all or nothing; refuse where one has too little."""
        claims = self._claims(exchange)
        if not claims:
            return
        exchange.stash[CLAIMS] = claims
        if not await self._limits.reserve(self._store, claims):
            raise self._refusal(exchange, claims)

    def _claims(self, exchange: Exchange) -> list[Claim]:
        """What every rule in force asks for: policies, then budgets."""
        return []

    def _refusal(self, exchange: Exchange, claims: Sequence[Claim]) -> GatewayError:
        """What the client is told: a budget's refusal before a policy's, the longest wait before a shorter one."""
        refusals = [claim.rule.refusal(exchange, claim) for claim in claims if not claim.admitted]
        return min(refusals, key=lambda refusal: refusal.status)

    @hookimpl
    def on_finish(self, exchange: Exchange) -> None:
        """Settle what was reserved, in a task beside the client, made only where something was."""
        claims = exchange.stash.get(CLAIMS)
        if claims is None or self._gateway is None:
            return
        settlements: list[tuple[Claim, Sequence[Argument]]] = []
        for claim in claims:
            settled = claim.rule.settlement(exchange, claim)
            if settled is not None:
                settlements.append((claim, settled))
        if settlements:
            self._gateway.background.spawn(self._settle(settlements), "ratelimit.settle")

    async def _settle(self, settlements: list[tuple[Claim, Sequence[Argument]]]) -> None:
        await self._limits.settle(self._store, settlements)
