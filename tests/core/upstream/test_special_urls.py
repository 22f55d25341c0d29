"""URLs of unix sockets and of proxies."""

from __future__ import annotations

import pytest

from helicone_gw import BadRequest
from helicone_gw.config import ProviderConfig
from helicone_gw.upstream.addresses import AllowedTargets, check_target
from helicone_gw.upstream.providers import Catalogue
from helicone_gw.upstream.special_urls import check_proxy, split_unix
from helicone_gw.upstream.urls import parse_url, upstream_url

SOCKET = "http+unix://%2FRun%2Fserver.sock"


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("http+unix://%2Frun%2Fx.sock/v1", ("%2Frun%2Fx.sock", "/v1", "")),
        ("HTTP+UNIX://%2frun%2fx.sock?a=%2F", ("%2Frun%2Fx.sock", "", "a=%2F")),
        ("http+unix://%2FRun%2Fa%20b%C3%A9/", ("%2FRun%2Fa%20b%C3%A9", "/", "")),
        ("http+unix://%2F%72un%2Fx.sock", ("%2Frun%2Fx.sock", "", "")),
        ("http://host/http+unix://", None),
    ],
)
def test_a_unix_socket_has_one_spelling(url: str, parts: tuple[str, str, str] | None) -> None:
    assert split_unix(url) == parts


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http+unix:///run/x.sock", "missing, or not percent-encoded"),
        ("http+unix://%2Frun%2Fx.sock:80/v1", "not percent-encoded"),
        ("http+unix://user@%2Frun/v1", "not percent-encoded"),
        ("http+unix://%2Frun%2/v1", "not percent-encoded"),
        ("http+unix://run%2Fx.sock", "absolute"),
        ("http+unix://%2Frun%2F%2e%2e%2Fx", "'..'"),
        ("http+unix://%2Frun%00", "NUL"),
        (f"http+unix://%2F{'x' * 107}", "longer than 107"),
        ("http+unix://%2Frun#x", "fragment"),
        ("http+unix://%2Frun/v1/../x", "segments"),
    ],
)
def test_what_is_no_unix_socket(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_url(url)


def test_a_provider_on_a_unix_socket_is_laid_out_as_any_other() -> None:
    catalogue = Catalogue.build({"local": ProviderConfig(base_url=f"{SOCKET}/v1", dialect="openai", api_key="k")})
    provider = catalogue.get("local")
    assert provider is not None
    assert provider.base_url is not None
    url = upstream_url(provider, provider.base_url, "/v1/chat/completions", "a=b")
    assert url == f"{SOCKET}/v1/chat/completions?a=b"
    assert catalogue.credential("local", url) == "k"
    assert catalogue.credential("local", f"{SOCKET}2/v1/chat/completions") is None
    assert catalogue.provider_for_url(url) is provider
    assert catalogue.approved(parse_url(url)) is None


@pytest.mark.parametrize("target", [SOCKET, f"{SOCKET}/v1", "http+unix://%2Fvar%2Frun%2Fdocker.sock"])
async def test_no_client_reaches_a_unix_socket_by_naming_it(target: str) -> None:
    catalogue = Catalogue.build({"local": ProviderConfig(base_url=f"{SOCKET}/v1", dialect="openai")})
    for allowed in ((), (SOCKET.lower(),), ("127.0.0.1",)):
        with pytest.raises(BadRequest) as raised:
            await check_target(target, catalogue=catalogue, allowed_targets=AllowedTargets(allowed))
        assert raised.value.code == "target_not_allowed"


@pytest.mark.parametrize("url", ["http://p:3128", "https://u:p@p.example", "socks5://127.0.0.1", "socks5h://[::1]:9/"])
def test_proxies(url: str) -> None:
    assert check_proxy(url) == url


@pytest.mark.parametrize(
    "url", ["p:3128", "ftp://p", "http://:1", "http://p:0", "http://p:99999", "http://p/x", "http://p x"]
)
def test_what_is_no_proxy(url: str) -> None:
    with pytest.raises(ValueError, match="proxy") as raised:
        check_proxy(url)
    assert url not in str(raised.value)
