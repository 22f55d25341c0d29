"""The configuration files that are shipped."""

from __future__ import annotations

from pathlib import Path

import pytest

from helicone_gw import registry
from helicone_gw.config import PACKAGED, GatewayConfig, load_config
from helicone_gw.errors import ConfigError

CONFIG = Path(__file__).parents[3] / "config"
KNOWN_PROVIDERS = ("openai", "anthropic", "gemini", "demo")
PRODUCTION = {"DATABASE_URL": "postgresql://u:p@db/helicone", "HELICONE_GW_KEY": "a-key"}


def load(name: str, environ: dict[str, str]) -> GatewayConfig:
    return load_config(CONFIG / name, environ=environ, plugin_class=registry.load, known_providers=KNOWN_PROVIDERS)


def test_the_package_carries_the_annotated_default() -> None:
    assert PACKAGED.read_bytes() == (CONFIG / "gateway.yaml").read_bytes()


def test_the_default_needs_nothing() -> None:
    config = load("gateway.yaml", {})
    assert (config.server, config.limits) == (GatewayConfig().server, GatewayConfig().limits)
    assert config.database.url == GatewayConfig().database.url
    outer = ["logging", "metrics", "cost", "security", "prompts", "ratelimit", "cache", "moderation"]
    inner = ["router", "fallbacks", "retries", "alerts", "dashboard"]
    assert [spec.name for spec in config.plugins] == [*outer, *inner]
    assert set(config.providers) == {"openai", "anthropic", "gemini", "demo"}
    assert not any(provider.api_key for provider in config.providers.values())


def test_the_default_takes_the_usual_variables() -> None:
    config = load("gateway.yaml", {"OPENAI_API_KEY": "o", "ANTHROPIC_API_KEY": "a", "GEMINI_API_KEY": "g"})
    keys = {name: entry.api_key.get_secret_value() for name, entry in config.providers.items() if entry.api_key}
    assert keys == {"openai": "o", "anthropic": "a", "gemini": "g"}


def test_minimal_is_a_pass_through() -> None:
    config = load("minimal.yaml", {})
    assert config.plugins == ()
    assert set(config.providers) == {"openai", "anthropic", "gemini"}


def test_production() -> None:
    config = load("production.yaml", PRODUCTION)
    assert config.server.host == "0.0.0.0"
    assert config.server.workers == 2
    assert not config.server.open
    assert config.database.url == PRODUCTION["DATABASE_URL"]
    assert "demo" not in config.providers
    security = config.plugins[3]
    assert (security.name, security.on_failure) == ("security", "closed")
    assert security.config != type(security.config)(), "it has a key"
    assert load("production.yaml", {**PRODUCTION, "WORKERS": "4", "PORT": "80"}).server.workers == 4


@pytest.mark.parametrize("missing", sorted(PRODUCTION))
def test_production_says_what_it_needs(missing: str) -> None:
    with pytest.raises(ConfigError, match=f"environment variable {missing} is not set"):
        load("production.yaml", {name: value for name, value in PRODUCTION.items() if name != missing})


def test_production_does_not_start_with_an_empty_key() -> None:
    with pytest.raises(ConfigError, match=r"security\.keys\.default"):
        load("production.yaml", {**PRODUCTION, "HELICONE_GW_KEY": ""})
