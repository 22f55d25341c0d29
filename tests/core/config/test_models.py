"""The configuration as a whole: defaults, names, and what is refused."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from helicone_gw.config import RESERVED_SEGMENTS, DatabaseConfig, GatewayConfig, ModelConfig, PluginSpec, StoreConfig
from helicone_gw.plugin import PluginConfig


def test_everything_has_a_default() -> None:
    config = GatewayConfig()
    assert config.server.model_dump() == {
        "host": "127.0.0.1",
        "port": 8787,
        "engine": "hypercorn",
        "tls": None,
        "http3": False,
        "workers": 1,
        "max_body": 64 * 1024**2,
        "max_upload": 1024**3,
        "drain_timeout": 30.0,
        "domains": (),
        "allowed_targets": (),
        "trusted_proxies": (),
        "cors": None,
        "open": False,
    }
    assert config.limits.model_dump() == {
        "max_attempts": 24,
        "deadline": 900.0,
        "connect_timeout": 5.0,
        "first_byte_timeout": 600.0,
        "idle_timeout": 300.0,
        "commit_timeout": 5.0,
        "on_disconnect": "cancel",
    }
    assert config.database.url == "sqlite:///helicone.db"
    assert config.store.url == "memory://"
    assert (config.providers, config.models, config.plugins) == ({}, {}, ())


def test_a_configuration_does_not_change() -> None:
    with pytest.raises(ValidationError):
        setattr(GatewayConfig().server, "port", 1)  # noqa: B010


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///helicone.db",
        "sqlite:////var/lib/helicone.db",
        "sqlite://",
        "sqlite+aiosqlite:///helicone.db",
        "postgresql://user:password@host:5432/database",
        "postgresql+asyncpg://host/database?ssl=require",
        "postgresql:///database?host=/var/run/postgresql",
    ],
)
def test_database_urls(url: str) -> None:
    assert DatabaseConfig(url=url).url == url


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://host/db", "sqlite://, sqlite\\+aiosqlite://, postgresql://, postgresql\\+asyncpg://"),
        ("postgres://host/db", "postgres:// is spelled postgresql://"),
        ("sqlite://helicone.db", "three slashes"),
        ("postgresql:///db", "names a host"),
        ("helicone.db", "a scheme and :// are missing"),
        ("postgresql://host:port/db", "is not a URL"),
        ("postgresql://[::1/db", "is not a URL"),
    ],
)
def test_what_is_no_database_url(url: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DatabaseConfig(url=url)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("redis://", "should name a host"),
        ("memcached://localhost", "memory://, redis://, rediss://"),
    ],
)
def test_what_is_no_store_url(url: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        StoreConfig(url=url)


@pytest.mark.parametrize("name", RESERVED_SEGMENTS)
def test_a_provider_is_not_called_like_a_path_of_the_gateway(name: str) -> None:
    with pytest.raises(ValidationError, match="is a path of the gateway itself"):
        GatewayConfig.model_validate({"providers": {name: {}}})


@pytest.mark.parametrize("name", ["OpenAI", "a/b", "", "-a", "a" * 65, "a b", "ä"])
def test_a_provider_s_name_is_a_path_segment(name: str) -> None:
    with pytest.raises(ValidationError):
        GatewayConfig.model_validate({"providers": {name: {}}})


def test_the_reserved_segments_are_those_of_the_gateway_s_paths() -> None:
    paths = {"v1", "v1beta", "v2", "healthz", "readyz", "metrics", "gateway", "router", "dashboard"}
    assert paths <= set(RESERVED_SEGMENTS)
    assert len(set(RESERVED_SEGMENTS)) == len(RESERVED_SEGMENTS)


def test_a_model_is_sent_under_its_own_name_unless_told_otherwise() -> None:
    models = {"mine": ModelConfig(), "other": ModelConfig(model="gpt-4o")}
    config = GatewayConfig(models=models)
    assert {name: entry.model for name, entry in config.models.items()} == {"mine": "mine", "other": "gpt-4o"}


def test_instances_have_different_names() -> None:
    spec = PluginSpec(plugin="cache", name="cache", config=PluginConfig())
    with pytest.raises(ValidationError, match="same name: cache"):
        GatewayConfig(plugins=(spec, spec))
