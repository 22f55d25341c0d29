"""Policy: whether a request may be answered from the cache, and how like another its question must be."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from msgspec import Struct

from helicone_gw import Exchange, Request
from helicone_gw_semantic_cache.guard import Check

if TYPE_CHECKING:
    from helicone_gw_semantic_cache.config import RuleConfig, SemanticCacheConfig


class Policy(Struct, frozen=True):
    """What the configuration says of a request. ``ttl`` is in seconds."""

    enabled: bool
    threshold: float
    ttl: float
    guard: frozenset[Check]


class Policies:
    """The configuration's policies, by rule."""

    def __init__(self, config: SemanticCacheConfig) -> None:
        self._usual = Policy(config.enabled, config.threshold, config.ttl, frozenset(config.guard))
        self._rules = tuple((rule, self._changed(rule)) for rule in config.rules)
        self.any = any(policy.enabled for policy in (self._usual, *(policy for _, policy in self._rules)))
        """Whether any request at all may use the cache."""

    def of(self, request: Request) -> Policy:
        """The policy of ``request``: the first rule's that fits."""
        for rule, policy in self._rules:
            if _fits(rule.models, request.model) and _fits(rule.routes, request.router):
                return policy
        return self._usual

    def _changed(self, rule: RuleConfig) -> Policy:
        usual = self._usual
        return Policy(
            enabled=usual.enabled if rule.enabled is None else rule.enabled,
            threshold=usual.threshold if rule.threshold is None else rule.threshold,
            ttl=usual.ttl if rule.ttl is None else rule.ttl,
            guard=usual.guard if rule.guard is None else frozenset(rule.guard),
        )


def _fits(patterns: tuple[str, ...], name: str | None) -> bool:
    return not patterns or (name is not None and any(fnmatchcase(name, pattern) for pattern in patterns))


class Wishes(Struct, frozen=True):
    """What the client allows: an answer from the cache, at most ``max_age`` seconds old; that its own be kept."""

    read: bool = True
    store: bool = True
    max_age: float | None = None


NOTHING = Wishes(read=False, store=False)
_ALL = Wishes()


def wishes_of(exchange: Exchange) -> Wishes:
    """What the client of ``exchange`` said in ``Helicone-Cache-*`` and ``Cache-Control`` (RFC 9111 section 5.2.1)."""
    request = exchange.request
    asked, control = request.helicone.cache, request.headers.first.get(b"cache-control")
    if request.helicone.peyeeye_enabled:
        return NOTHING  # what is to be redacted further in must not go to an embedding model before
    if asked.enabled is False or (asked.bucket_max_size or 1) > 1:
        return NOTHING  # several answers to one question are wanted: here is only one
    if control is None and asked.read is None and asked.save is None:
        return _ALL
    directives = dict(_directives((control or b"").decode("latin-1")))
    if "no-store" in directives:
        return NOTHING
    ages = [float(age) for name in ("max-age", "s-maxage") if (age := directives.get(name, "")).isdecimal()]
    return Wishes(
        read=asked.read is not False and "no-cache" not in directives,
        store=asked.save is not False,
        max_age=min(ages) if ages else None,
    )


def _directives(control: str) -> Iterator[tuple[str, str]]:
    for directive in control.lower().split(","):
        name, _, value = directive.partition("=")
        yield name.strip(), value.strip().strip('"')
