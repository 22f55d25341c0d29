"""The configuration's values: defaults, units, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from helicone_gw.config import (
    RESERVED_SEGMENTS,
    DatabaseConfig,
    GatewayConfig,
    ModelConfig,
    PluginSpec,
    ProviderConfig,
    ServerConfig,
    StoreConfig,
    UpstreamConfig,
)
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
    ("given", "expected"),
    [
        (1, 1),
        ("1024", 1024),
        ("512KiB", 512 * 1024),
        ("64MiB", 64 * 1024**2),
        ("1GiB", 1024**3),
        ("1.5 GiB", 3 * 1024**3 // 2),
        ("2MB", 2_000_000),
    ],
)
def test_sizes(given: Any, expected: int) -> None:
    size = ServerConfig(max_body=given).max_body
    assert size == expected
    assert isinstance(size, int)


@pytest.mark.parametrize("given", [0, -1, "0", "-1KiB", "64MiBytes", "lots", "", "1e6", 1.5, True, None, "9" * 400, []])
def test_what_is_no_size(given: Any) -> None:
    with pytest.raises(ValidationError):
        ServerConfig(max_body=given)


@pytest.mark.parametrize(
    "changes",
    [
        {"port": 65536},
        {"port": -1},
        {"port": True},
        {"workers": 0},
        {"engine": "gunicorn"},
        {"drain_timeout": -1},
        {"drain_timeout": "inf"},
        {"drain_timeout": float("nan")},
        {"host": ""},
        {"domains": ["https://llm.example.com"]},
        {"domains": ["*.example.com"]},
        {"allowed_targets": ["user@host"]},
        {"allowed_targets": [""]},
        {"tls": {"certificate": "a.pem"}},
        {"http3": True},
        {"http3": True, "tls": {"certificate": "a.pem", "key": "k.pem"}, "engine": "uvicorn"},
        {"unknown": 1},
    ],
)
def test_a_server_that_cannot_be(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ServerConfig(**changes)


def test_domains_are_compared_in_lower_case() -> None:
    assert ServerConfig(domains=("LLM.Example.com.",)).domains == ("llm.example.com",)
    assert ServerConfig(allowed_targets=("HTTP://10.0.0.5:8000/",)).allowed_targets == ("http://10.0.0.5:8000",)


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
        ("redis://localhost", "this version has no redis:// store yet, only memory://"),
        ("rediss://localhost", "this version has no rediss:// store yet"),
        ("memcached://localhost", "memory://, redis://, rediss://"),
    ],
)
def test_what_is_no_store_url(url: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        StoreConfig(url=url)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("http://127.0.0.1:4010", "http://127.0.0.1:4010"),
        ("https://host/prefix/v1/", "https://host/prefix/v1"),
        ("http://[::1]:11434/v1", "http://[::1]:11434/v1"),
    ],
)
def test_base_urls(given: str, expected: str) -> None:
    assert ProviderConfig(base_url=given).base_url == expected


@pytest.mark.parametrize(
    "url", ["host/v1", "ftp://host", "https://", "https://host?x=1", "https://host#x", "https://u:p@host", "http://a b"]
)
def test_what_is_no_base_url(url: str) -> None:
    with pytest.raises(ValidationError):
        ProviderConfig(base_url=url)


@pytest.mark.parametrize("key", ["", "  ", "\n", None])
def test_an_empty_key_is_no_key(key: str | None) -> None:
    assert ProviderConfig.model_validate({"api_key": key}).api_key is None


def test_white_space_around_a_key_is_dropped() -> None:
    key = ProviderConfig.model_validate({"api_key": " sk-1\n"}).api_key
    assert key is not None
    assert key.get_secret_value() == "sk-1"


@pytest.mark.parametrize("key", ["a\nb", "schlüssel", "a\x00b", 5])
def test_a_key_travels_in_a_header(key: Any) -> None:
    with pytest.raises(ValidationError):
        ProviderConfig.model_validate({"api_key": key})


@pytest.mark.parametrize("name", ["Host", "content-length", "Transfer-Encoding", "a b", "", "a:b"])
def test_headers_that_cannot_be_added(name: str) -> None:
    with pytest.raises(ValidationError):
        ProviderConfig.model_validate({"headers": {name: "x"}})


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


@pytest.mark.parametrize("price", [-1, "nan", "inf", True, "free"])
def test_prices_are_amounts(price: Any) -> None:
    with pytest.raises(ValidationError):
        ModelConfig.model_validate({"price": {"input_mtok": price}})


def test_instances_have_different_names() -> None:
    spec = PluginSpec(plugin="cache", name="cache", config=PluginConfig())
    with pytest.raises(ValidationError, match="same name: cache"):
        GatewayConfig(plugins=(spec, spec))


def test_how_providers_are_reached() -> None:
    assert GatewayConfig().upstream.model_dump() == {
        "transport": "fast",
        "http2": False,
        "proxy": None,
        "max_connections": 1000,
        "max_connections_per_host": None,
        "max_idle_connections": 200,
        "keep_alive": 30.0,
    }


@pytest.mark.parametrize(
    "proxy",
    ["http://proxy:3128", "https://user:p%40ss@proxy.example", "socks5://127.0.0.1:1080", "socks5h://[::1]:1080/"],
)
def test_proxies(proxy: str) -> None:
    config = UpstreamConfig(proxy=proxy)
    assert config.proxy == proxy
    assert "proxy" not in repr(config), "it may hold a password"


@pytest.mark.parametrize("nothing", [None, "", "  "])
def test_an_unset_variable_is_no_proxy(nothing: str | None) -> None:
    assert UpstreamConfig(proxy=nothing).proxy is None


@pytest.mark.parametrize(
    "proxy",
    [
        "proxy:3128",
        "ftp://proxy",
        "http://:3128",
        "http://proxy:0",
        "http://proxy:70000",
        "http://p/path",
        "http://p?q",
        "http://a b",
    ],
)
def test_what_is_no_proxy(proxy: str) -> None:
    with pytest.raises(ValidationError) as raised:
        UpstreamConfig(proxy=proxy)
    assert proxy not in str(raised.value)


def test_httpx_has_no_bound_per_host() -> None:
    assert UpstreamConfig(transport="aiohttp", max_connections_per_host=10).max_connections_per_host == 10
    with pytest.raises(ValidationError, match="no effect with transport httpx"):
        UpstreamConfig(transport="httpx", max_connections_per_host=10)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("http+unix://%2Frun%2Fserver.sock/v1/", "http+unix://%2Frun%2Fserver.sock/v1"),
        ("http+unix://%2frun%2fserver.sock", "http+unix://%2frun%2fserver.sock"),
    ],
)
def test_a_provider_on_a_unix_socket(given: str, kept: str) -> None:
    assert ProviderConfig(base_url=given).base_url == kept


@pytest.mark.parametrize(
    ("base_url", "why"),
    [
        ("http+unix:///run/server.sock", "missing, or not percent-encoded"),
        ("http+unix://run/server.sock", "not an absolute one"),
        ("http+unix://%2Frun%2F..%2Fserver.sock", "holds NUL or '..'"),
        ("http+unix://%2Frun%00/v1", "holds NUL or '..'"),
        (f"http+unix://%2F{'a' * 107}/v1", "longer than 107 bytes"),
        ("http+unix://%2Frun%2Fserver.sock/v1?a=b", "query"),
        ("http+unix:%2Frun", "is not of the form"),
    ],
)
def test_what_is_no_unix_socket(base_url: str, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        ProviderConfig(base_url=base_url)
