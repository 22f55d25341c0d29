"""Policy: the plans for one exchange, from the configuration, its rules and the client's headers."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import get_args

from msgspec import Struct

from helicone_gw import Exchange
from helicone_gw_moderation.config import CheckConfig, ModerationConfig, RuleConfig
from helicone_gw_moderation.detectors.base import Category, Detector
from helicone_gw_moderation.plan import Check, Plan

_LONGEST = 256
"""Characters of a name of a client's own making that is worth remembering."""


class Policy(Struct, frozen=True):
    """What is checked in what the client sends (``input``) and in what the model answers; ``None``: nothing."""

    input: Plan | None
    output: Plan | None


class Policies:
    """Finds policies. An exchange that nobody wants checked costs a few comparisons."""

    def __init__(self, config: ModerationConfig, detectors: Sequence[Detector]) -> None:
        self._config = config
        self._detectors = detectors
        self._always = bool(config.checks)
        self._rules = config.rules
        self.by_key = any(rule.keys for rule in config.rules)
        """Whether it matters with which key a client comes."""
        self._of = lru_cache(maxsize=1024)(self._find)

    def of(self, exchange: Exchange) -> Policy | None:
        """The policy of ``exchange``; ``None``: leave it alone."""
        request = exchange.request
        said = request.helicone
        security = said.llm_security_enabled is True
        wishes = (
            said.moderations_enabled is True,
            security,
            security and said.llm_security_advanced is True,
            said.peyeeye_enabled is True,
        )
        if not self._always and not self._rules and not any(wishes):
            return None
        if not self._rules:
            return self._of(None, None, None, wishes)
        model, route = request.model or "", request.router
        key = exchange.key.name if self.by_key and exchange.key is not None else None
        find = self._of if len(model) <= _LONGEST and len(route or "") <= _LONGEST else self._find
        return find(model, route, key, wishes)

    def _find(
        self, model: str | None, route: str | None, key: str | None, wishes: tuple[bool, bool, bool, bool]
    ) -> Policy | None:
        config, headers = self._config, self._config.headers
        checks = list(config.checks)
        for rule in config.rules:
            if _fits(rule, model, route, key):
                checks += rule.checks
        for wish, added in zip(
            wishes, (headers.moderations, headers.security, headers.security_advanced, headers.pii), strict=True
        ):
            if wish:
                checks += added
        if not checks:
            return None
        return Policy(self._plan(checks, "input"), self._plan(checks, "output"))

    def _plan(self, checks: Sequence[CheckConfig], side: str) -> Plan | None:
        chosen = [_check(check) for check in checks if check.on in (side, "both")]
        if not chosen:
            return None
        names = frozenset(name for check in chosen for name in check.find)
        return Plan(chosen, used(self._detectors, names), hold_all=self._config.stream.whole)


def unknown_names(config: ModerationConfig, detectors: Sequence[Detector]) -> list[str]:
    """What checks look for and nobody could find, told for people: a guard with a slip of the pen guards nothing."""
    known = {*get_args(Category), *(detector.name for detector in detectors)}
    known.update(*(getattr(detector, "finds", ()) for detector in detectors))
    asked = {name for check in config.all_checks() for name in check.find}
    return [
        f"checks: nothing is called {name!r}; categories are {', '.join(get_args(Category))}"
        for name in sorted(asked - known)
    ]


def used(detectors: Sequence[Detector], names: frozenset[str]) -> list[Detector]:
    """Those of ``detectors`` that may find something of these names."""
    return [detector for detector in detectors if names & {detector.name, *getattr(detector, "finds", names)}]


def _check(check: CheckConfig) -> Check:
    return Check(frozenset(check.find), check.judges, check.action, check.min_score, check.restore, check.code)


def _fits(rule: RuleConfig, model: str | None, route: str | None, key: str | None) -> bool:
    return (
        _one_of(model, rule.models)
        and _one_of(route if route is not None else model, rule.routes)
        and _one_of(key, rule.keys)
    )


def _one_of(name: str | None, patterns: tuple[str, ...]) -> bool:
    return not patterns or (name is not None and any(fnmatchcase(name, pattern) for pattern in patterns))
