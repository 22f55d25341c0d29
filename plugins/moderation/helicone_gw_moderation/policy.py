"""Policy: the plans for one exchange, from the configuration, its rules and the client's headers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from itertools import islice
from typing import get_args

from msgspec import Struct

from helicone_gw import BadRequest, Exchange, FallbackTarget, Request, Target
from helicone_gw_moderation.config import CheckConfig, ModerationConfig, RuleConfig
from helicone_gw_moderation.detectors.base import Category, Detector
from helicone_gw_moderation.plan import Check, Plan

_LONGEST = 256
"""Characters of names of a client's own making that are worth remembering."""
_MOST_NAMES = 200
"""Names of models of one request that rules are asked about; nobody has so many to fall back to."""
_PIECES = re.compile(r"[/:@]")
"""What stands between a model and its provider, version or place."""
Targets = Callable[[str, Exchange], Sequence[Target]]
"""Where a model string leads."""


class Policy(Struct, frozen=True):
    """What is checked in what the client sends (``input``) and in what the model answers; ``None``: nothing."""

    input: Plan | None
    output: Plan | None


Wishes = tuple[bool, bool, bool, bool]
"""What a client's headers ask for: moderations, security, advanced security, that personal data is taken out."""

NOTHING_WISHED: Wishes = (False, False, False, False)


def wishes_of(request: Request) -> Wishes:
    """What the headers of ``request`` ask for; `NOTHING_WISHED` itself where that is nothing."""
    said = request.helicone
    security, moderations, personal = said.llm_security_enabled, said.moderations_enabled, said.peyeeye_enabled
    if security is not True and moderations is not True and personal is not True:
        return NOTHING_WISHED
    advanced = security is True and said.llm_security_advanced is True
    return (moderations is True, security is True, advanced, personal is True)


class Policies:
    """Finds policies. An exchange that nobody wants checked costs a few comparisons."""

    def __init__(self, config: ModerationConfig, detectors: Sequence[Detector], targets: Targets) -> None:
        self._config = config
        self._targets = targets
        self._detectors = detectors
        self._always = bool(config.checks)
        self._rules = config.rules
        self._by_model = any(rule.models or rule.routes for rule in config.rules)
        self.by_key = any(rule.keys for rule in config.rules)
        """Whether it matters with which key a client comes."""
        self._of = lru_cache(maxsize=1024)(self._find)

    def of(self, exchange: Exchange) -> Policy | None:
        """The policy of ``exchange``; ``None``: leave it alone."""
        request = exchange.request
        wishes = wishes_of(request)
        if wishes is NOTHING_WISHED and not self._always and not self._rules:
            return None
        if not self._rules:
            return self._of((), None, None, wishes)
        models = self._models(exchange) if self._by_model else ()
        key = exchange.key.name if self.by_key and exchange.key is not None else None
        find = self._of if sum(map(len, models)) <= _LONGEST and len(request.router or "") <= _LONGEST else self._find
        return find(models, request.router, key, wishes)

    def _models(self, exchange: Exchange) -> tuple[str, ...]:
        """Every name by which a model may be meant that the request is sent to, now or when another fails."""
        names: dict[str, None] = {}
        for said in _said(exchange):
            for name in (said, *said.split(",")):
                name = name.strip().lstrip("!")
                names |= dict.fromkeys((name, *_PIECES.split(name)))
                try:
                    found = self._targets(name, exchange)
                except BadRequest:
                    continue  # it leads nowhere, as its client will be told
                names |= dict.fromkeys(target.model for target in found if target.model)
        return tuple(islice((name for name in names if name), _MOST_NAMES))

    def _find(self, models: tuple[str, ...], route: str | None, key: str | None, wishes: Wishes) -> Policy | None:
        config, headers = self._config, self._config.headers
        checks = list(config.checks)
        for rule in config.rules:
            if _fits(rule, models, route, key):
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


def _said(exchange: Exchange) -> Iterator[str]:
    """What the client says of models, and of the route that leads to them."""
    request = exchange.request
    yield request.model or ""
    if request.router is not None:
        yield request.router
    for entry in request.helicone.fallbacks or ():
        if isinstance(entry, str):
            yield entry
        elif isinstance(entry, FallbackTarget) and isinstance(model := (entry.body_override or {}).get("model"), str):
            yield model


def _fits(rule: RuleConfig, models: Sequence[str], route: str | None, key: str | None) -> bool:
    return (
        _one_of(models, rule.models)
        and _one_of(models if route is None else (route,), rule.routes)
        and _one_of(() if key is None else (key,), rule.keys)
    )


def _one_of(names: Sequence[str], patterns: tuple[str, ...]) -> bool:
    # Some providers know no case in names of models, and a check too many is better than one too few.
    return not patterns or any(fnmatchcase(name.casefold(), each.casefold()) for each in patterns for name in names)
