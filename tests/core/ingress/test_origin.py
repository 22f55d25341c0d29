"""An open gateway answers only its own machine, by its own name, and no web page of another site."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw.errors import ConfigError, PermissionDenied
from helicone_gw.headers import Headers
from helicone_gw.ingress.origin import check_bind, guard_open_gateway

DOMAINS = ("gw.example.com", "192.168.1.5")


def guard(host: str, **headers: str) -> None:
    guard_open_gateway(host, Headers({name.replace("_", "-"): value for name, value in headers.items()}), DOMAINS)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LocalHost:8787",
        "app.localhost:8787",
        "127.0.0.1:8787",
        "127.8.9.1",
        "[::1]:8787",
        "[::ffff:127.0.0.1]",
        "localhost.",
        "helicone.ai",
        "oai.helicone.ai",
        "api.worker.helicone.ai",
        "oai.hconeai.com:443",
        "gw.example.com",
        "oai.gw.example.com",
        "192.168.1.5:8787",
    ],
)
def test_loopback_helicone_and_configured_hosts_are_answered(host: str) -> None:
    guard(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "example.com",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "helicone.ai.evil.example",
        "nothelicone.ai",
        "0.0.0.0:8787",
        "10.0.0.1",
        "192.168.1.55",
        "[fe80::1]",
        "user@localhost",
        "localhost:99999",
        "localhost:x",
        "[::1",
        "localhost/",
        "2130706433",
    ],
)
def test_any_other_host_is_refused_and_told_what_to_do(host: str) -> None:
    with pytest.raises(PermissionDenied) as refused:
        guard(host)

    assert refused.value.status == 403
    assert "server.domains" in refused.value.message


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost:8787", "http://localhost:8787"),
        ("LOCALHOST:8787", "http://localhost:8787"),
        ("localhost", "http://localhost"),
        ("localhost:80", "http://localhost"),
        ("gw.example.com", "https://gw.example.com"),
        ("gw.example.com:443", "https://gw.example.com"),
        ("[::1]:8787", "http://[::1]:8787"),
    ],
)
def test_a_page_of_the_gateways_own_is_answered(host: str, origin: str) -> None:
    guard(host, Origin=origin, Sec_Fetch_Site="same-origin")


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "http://localhost:3000",
        "http://127.0.0.1:8787",
        "https://localhost:8788",
        "http://localhost",
        "https://evil.example",
        "http://localhost:8787.evil.example",
        "http://localhost:8787@evil.example",
        "chrome-extension://abc",
        "file://",
        "localhost:8787",
    ],
)
def test_a_page_of_another_origin_is_refused(origin: str) -> None:
    with pytest.raises(PermissionDenied):
        guard("localhost:8787", Origin=origin)


def test_every_origin_field_counts() -> None:
    headers = Headers([(b"origin", b"http://localhost:8787"), (b"origin", b"https://evil.example")])

    with pytest.raises(PermissionDenied):
        guard_open_gateway("localhost:8787", headers, ())


@pytest.mark.parametrize("site", ["cross-site", "same-site", "Cross-Site"])
def test_fetch_metadata_of_another_site_is_refused(site: str) -> None:
    with pytest.raises(PermissionDenied):
        guard("localhost:8787", Sec_Fetch_Site=site)


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_the_address_bar_and_own_pages_are_answered(site: str) -> None:
    guard("localhost:8787", Sec_Fetch_Site=site)


@given(host=st.text(max_size=30), origin=st.text(max_size=30))
def test_the_guard_only_ever_refuses(host: str, origin: str) -> None:
    headers = Headers([(b"origin", origin.encode("utf-8"))])
    try:
        guard_open_gateway(host, headers, ())
    except PermissionDenied:
        return
    assert origin.strip().lower().startswith(("http://", "https://"))


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.2", "localhost", "::1", "[::1]", "LOCALHOST", "unix:/run/gw.sock"]
)
def test_loopback_may_be_listened_on_without_keys(host: str) -> None:
    check_bind(host, open=False, keys_configured=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.5", "gw.example.com", "127.evil.example"])
def test_anything_else_needs_keys_or_a_word_from_the_operator(host: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_bind(host, open=False, keys_configured=False)
    assert all(way in str(refused.value) for way in ("security.keys", "127.0.0.1", "server.open"))

    check_bind(host, open=True, keys_configured=False)
    check_bind(host, open=False, keys_configured=True)
