"""Matching: whether a rule of the configuration is for a request."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from helicone_gw import GatewayError

if TYPE_CHECKING:
    from helicone_gw import Exchange, Target
    from helicone_gw_ratelimit.for_config import ForConfig

Matcher = Callable[["Exchange"], bool]
Targets = Callable[[str, "Exchange"], "Iterable[Target]"]
"""Where a model string leads, before routing."""


def compile_matcher(rule: ForConfig, targets: Targets) -> Matcher | None:
    """A function that says whether ``rule`` is for an exchange; ``None``: it is for every one."""
    tests: list[Matcher] = []
    if rule.keys is not None:
        tests.append(_named(rule.keys, lambda exchange: None if exchange.key is None else exchange.key.name))
    if rule.users is not None:
        tests.append(_named(rule.users, lambda exchange: exchange.request.helicone.user_id or exchange.request.user))
    if rule.models is not None:
        tests.append(_model(rule.models, targets))
    if rule.routes is not None:
        tests.append(_named(rule.routes, lambda exchange: exchange.request.router or exchange.request.model))
    tests += [_property(name, patterns) for name, patterns in rule.properties.items()]
    if not tests:
        return None
    return tests[0] if len(tests) == 1 else lambda exchange: all(test(exchange) for test in tests)


def _named(patterns: tuple[str, ...], value_of: Callable[[Exchange], str | None]) -> Matcher:
    def test(exchange: Exchange) -> bool:
        value = value_of(exchange)
        return value is not None and _fits(value, patterns)

    return test


def _property(name: str, patterns: tuple[str, ...]) -> Matcher:
    return _named(patterns, lambda exchange: exchange.request.helicone.properties.get(name))


def _model(patterns: tuple[str, ...], targets: Targets) -> Matcher:
    def test(exchange: Exchange) -> bool:
        model = exchange.request.model
        if model is None:
            return False
        if any(_fits(name, patterns) for name in models_in(model)):
            return True
        # Another name for the same model is no way round a limit.
        try:
            reached = targets(model, exchange)
        except GatewayError:
            return False  # it leads nowhere: whoever routes it will say so
        return any(each.model is not None and _fits(each.model, patterns) for each in reached)

    return test


def models_in(model: str) -> list[str]:
    """The names that a model string asks for: itself, and each entry of a list with and without its provider.

    >>> models_in("gpt-4o/azure, claude-sonnet-4-5")
    ['gpt-4o/azure, claude-sonnet-4-5', 'gpt-4o/azure', 'gpt-4o', 'claude-sonnet-4-5']
    """
    names = [model]
    for entry in model.split(",")[:100] if "," in model else (model,):
        entry = entry.strip()
        names += (entry, entry.partition("/")[0])
    return list(dict.fromkeys(names))


def _fits(value: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(value, pattern) for pattern in patterns)
