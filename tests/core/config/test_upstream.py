"""The section upstream: defaults, proxies, and what is refused."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from helicone_gw.config import GatewayConfig, UpstreamConfig


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
