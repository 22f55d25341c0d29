"""InForce: which limits there are for a request: the configuration's, and the one that the client asks for itself."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from helicone_gw_ratelimit.matching import Matcher, Targets, compile_matcher
from helicone_gw_ratelimit.of_keys import PoliciesOfKeys
from helicone_gw_ratelimit.policy import is_name, parse_policy
from helicone_gw_ratelimit.rules import ConcurrencyRule, PolicyRule

if TYPE_CHECKING:
    from helicone_gw import Exchange
    from helicone_gw_ratelimit.config import LimitConfig, RatelimitConfig
    from helicone_gw_ratelimit.limits import Claim
    from helicone_gw_ratelimit.rules import Estimates

HEADER = "header"
"""Name of the limit that a client's header asks for."""


class InForce:
    """The limits of a configuration. ``targets`` says where model strings lead, ``malformed`` hears of bad headers.

    ``malformed(exchange, problem)`` may raise to refuse the request. ``of_keys``: those of gateway keys
    are in force, too.
    """

    def __init__(
        self,
        config: RatelimitConfig,
        estimates: Estimates,
        targets: Targets,
        malformed: Callable[[Exchange, str], None],
        *,
        of_keys: bool = False,
    ) -> None:
        self._config = config
        self._estimates = estimates
        self._malformed = malformed
        self._unknown_cost = round(config.unknown_cost * 10_000_000)
        self._limits: tuple[tuple[Matcher | None, PolicyRule | ConcurrencyRule], ...] = tuple(
            (compile_matcher(limit, targets), self._rule(limit)) for limit in config.limits
        )
        self.queues = {
            rule.name: limit.queue
            for limit, (_, rule) in zip(config.limits, self._limits, strict=True)
            if limit.queue is not None
        }
        """How to wait at limits, by their names, where one may."""
        self._of_keys = PoliciesOfKeys(estimates, config.algorithm, self._unknown_cost) if of_keys else None
        self._asked = lru_cache(maxsize=1024)(self._of_client)

    def claims(self, exchange: Exchange) -> list[Claim]:
        """What every limit that is for ``exchange`` asks of it."""
        claims: list[Claim] = []
        if self._limits:
            claims = [rule.claim(exchange) for fits, rule in self._limits if fits is None or fits(exchange)]
        key = exchange.key
        if key is not None and key.limits and self._of_keys is not None:
            claims += [rule.claim(exchange) for rule in self._of_keys.rules(key)]
        text = exchange.request.helicone.rate_limit_policy
        if text is not None and self._config.client_policies:
            try:
                rule = self._asked(text)
            except ValueError as problem:
                self._malformed(exchange, str(problem))
            else:
                claims.append(rule.claim(exchange))
        return claims

    def _of_client(self, text: str) -> PolicyRule:
        """The rule that a header asks for. Raises `ValueError` with what is wrong with it."""
        name = text.strip()
        if is_name(name):
            if name not in self._config.policies:
                raise ValueError("no policy of that name is configured")
            return self._policy(self._config.policies[name], name, ("named", name), self._config)
        # One bucket for each segment and unit, whatever the policy: who changes it does not start anew.
        return self._policy(text, HEADER, ("header",), self._config)

    def _rule(self, limit: LimitConfig) -> PolicyRule | ConcurrencyRule:
        name = limit_name(limit)
        if limit.concurrency is not None:
            return ConcurrencyRule(limit.concurrency, limit.segment, name=name, lease=self._config.lease)
        assert limit.policy is not None
        text = self._config.policies.get(limit.policy, limit.policy)
        return self._policy(text, name, ("limit", name), limit)

    def _policy(
        self, text: str, name: str, words: tuple[str, ...], chosen: LimitConfig | RatelimitConfig
    ) -> PolicyRule:
        algorithm = chosen.algorithm or self._config.algorithm
        kind = "bucket" if algorithm == "token-bucket" else "window"
        return PolicyRule(
            parse_policy(text),
            algorithm,
            name=name,
            words=(kind, *words),
            estimates=self._estimates,
            unknown_cost=self._unknown_cost,
        )


def limit_name(limit: LimitConfig) -> str:
    """Its name, or one made of what it says: the same after a restart, in every worker, wherever it is in the list."""
    return (
        limit.name
        or hashlib.sha256(
            msgspec.json.encode(limit.model_dump(mode="json", exclude={"queue"}), order="sorted")
        ).hexdigest()[:16]
    )
