"""Every installed plugin holds what every plugin must hold."""

from __future__ import annotations

from typing import Any, ClassVar

from helicone_gw import registry
from helicone_gw.testing import PluginConformance

for _name in registry.installed():
    _class = f"Test_{_name.replace('-', '_')}"
    globals()[_class] = type(
        _class, (PluginConformance,), {"plugin": registry.load(_name), "name": _name, "__module__": __name__}
    )


def test_the_official_plugins_are_installed() -> None:
    assert {"cost", "fallbacks", "logging", "retries", "router", "security"} <= set(registry.installed())


class TestSecurityWithKeys(PluginConformance):
    """The same with a key configured, which every client then brings."""

    plugin = registry.load("security")
    name = "security"
    config: ClassVar[dict[str, Any]] = {"keys": {"mine": {"key": "sk-helicone-of-the-suite-0123456789"}}}
    headers: ClassVar[dict[str, str]] = {"helicone-auth": "Bearer sk-helicone-of-the-suite-0123456789"}


class TestRatelimitWithBudgets(PluginConformance):
    """The same with a limit that has a queue, and a budget for everything."""

    plugin = registry.load("ratelimit")
    name = "ratelimit"
    config: ClassVar[dict[str, Any]] = {
        "limits": [{"concurrency": 100, "queue": {}}],
        "budgets": {"all": {"limit": 1000, "period": "month", "unknown_price": 0.001, "cut": True}},
    }


class TestRetriesThatRetry(PluginConformance):
    """The same with retries for all."""

    plugin = registry.load("retries")
    name = "retries"
    config: ClassVar[dict[str, Any]] = {"enabled": True, "num": 1, "min_timeout": 0, "budget": {"floor": 1000}}


class TestRouterWithRoutes(PluginConformance):
    """The same with a named route and a rule that leads to none of the suite's requests."""

    plugin = registry.load("router")
    name = "router"
    config: ClassVar[dict[str, Any]] = {
        "strategy": "latency",
        "routes": {"fast": {"targets": ["gpt-4o-mini/openai"]}},
        "rules": [{"when": {"user": "nobody"}, "route": "fast"}],
    }


class TestFallbacksWithChains(PluginConformance):
    """The same with a chain for models that the suite does not ask for."""

    plugin = registry.load("fallbacks")
    name = "fallbacks"
    config: ClassVar[dict[str, Any]] = {"chains": {"other-*": ["gpt-4o-mini"]}}
