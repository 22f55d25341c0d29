"""What a provider is sent and what the client gets back: credentials in style, nothing of one hop or of ours."""

from __future__ import annotations

import pytest

from helicone_gw.access import ProviderCredential
from helicone_gw.headers import Headers
from helicone_gw.upstream.headers import response_headers, upstream_headers
from helicone_gw.upstream.provider import Auth, Provider
from helicone_gw.upstream.providers import Catalogue

KEY = "sk-configured"


def provider(auth: Auth = "bearer", **changes: object) -> Provider:
    return Provider(name="p", title="p", dialect="openai", base_url="https://p", auth=auth, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("auth", "key", "expected"),
    [
        ("bearer", KEY, ("authorization", f"Bearer {KEY}")),
        ("x-api-key", KEY, ("x-api-key", KEY)),
        ("api-key", KEY, ("api-key", KEY)),
        ("x-goog-api-key", KEY, ("x-goog-api-key", KEY)),
        ("google", "AIzaKey", ("x-goog-api-key", "AIzaKey")),
        ("google", "ya29.token", ("authorization", "Bearer ya29.token")),
    ],
)
def test_a_configured_key_goes_in_the_providers_style(auth: Auth, key: str, expected: tuple[str, str]) -> None:
    sent = upstream_headers(Headers({"accept": "*/*"}), provider(auth), configured_key=key)
    assert list(sent) == [("accept", "*/*"), expected]


@pytest.mark.parametrize("auth", ["none", "query-key"])
def test_styles_without_a_field_add_none(auth: Auth) -> None:
    assert len(upstream_headers(Headers(), provider(auth), configured_key=KEY)) == 0


@pytest.mark.parametrize(
    ("header", "value"),
    [("authorization", "Bearer sk-ant"), ("x-api-key", "sk-ant"), ("api-key", "k"), ("x-goog-api-key", "k")],
)
def test_the_clients_own_credential_goes_in_the_field_that_it_came_in(header: str, value: str) -> None:
    sent = upstream_headers(Headers(), provider("x-api-key"), credential=ProviderCredential(header, value, "p"))
    assert list(sent) == [(header, value)]


def test_a_credential_from_the_query_goes_in_the_providers_style() -> None:
    sent = upstream_headers(Headers(), provider("x-goog-api-key"), credential=ProviderCredential("?key", "AIza", "p"))
    assert list(sent) == [("x-goog-api-key", "AIza")]


def test_the_clients_own_credential_goes_before_the_configured_one() -> None:
    own = ProviderCredential("authorization", "Bearer own", "p")
    sent = upstream_headers(Headers(), provider(), credential=own, configured_key=KEY)
    assert sent.get_all("authorization") == ["Bearer own"]


def test_no_credential_that_the_caller_did_not_choose_passes() -> None:
    came = Headers({"authorization": "Bearer a", "x-api-key": "b", "api-key": "c", "x-goog-api-key": "d"})
    assert len(upstream_headers(came, provider())) == 0
    assert list(upstream_headers(came, provider(), configured_key=KEY)) == [("authorization", f"Bearer {KEY}")]


def test_framing_hops_and_our_own_fields_stay_here_and_everything_else_passes() -> None:
    came = Headers(
        {
            "host": "gateway",
            "content-length": "3",
            "transfer-encoding": "chunked",
            "connection": "keep-alive, X-Per-Hop",
            "x-per-hop": "1",
            "keep-alive": "timeout=5",
            "te": "trailers",
            "upgrade": "h2c",
            "proxy-authorization": "Basic x",
            "expect": "100-continue",
            "helicone-auth": "Bearer sk-helicone",
            "Helicone-User-Id": "me",
            "accept-encoding": "gzip, br",
            "openai-beta": "assistants=v2",
            "user-agent": "sdk",
        }
    )
    sent = upstream_headers(came, provider())
    assert [name for name, _ in sent] == ["accept-encoding", "openai-beta", "user-agent"]


def test_repeated_fields_stay_repeated_and_in_order() -> None:
    came = Headers([(b"anthropic-beta", b"a"), (b"x", b"1"), (b"anthropic-beta", b"b")])
    assert upstream_headers(came, provider()).get_all("anthropic-beta") == ["a", "b"]


def test_precedence_defaults_then_client_then_provider_then_extra() -> None:
    house = provider(default_headers={"a": "default", "b": "default"}, headers={"c": "provider", "d": "provider"})
    sent = upstream_headers(Headers({"b": "client", "c": "client"}), house, extra={"D": "extra"})
    assert dict(sent) == {"a": "default", "b": "client", "c": "provider", "d": "extra"}


def test_anthropic_gets_a_version_where_the_client_said_none() -> None:
    anthropic = Catalogue.build({}).get("anthropic")
    assert upstream_headers(Headers(), anthropic).get("anthropic-version") == "2023-06-01"
    said = Headers({"anthropic-version": "2026-10-21"})
    assert upstream_headers(said, anthropic).get_all("anthropic-version") == ["2026-10-21"]


def test_a_listed_target_of_no_known_provider_gets_the_clients_credential() -> None:
    own = ProviderCredential("authorization", "Bearer own", "openai")
    assert list(upstream_headers(Headers(), None, credential=own)) == [("authorization", "Bearer own")]


def test_an_answer_keeps_what_the_provider_says_and_loses_what_belongs_to_its_connection() -> None:
    raw = [
        (b"Content-Type", b"application/json"),
        (b"Content-Length", b"12"),
        (b"Content-Encoding", b"gzip"),
        (b"Transfer-Encoding", b"chunked"),
        (b"Connection", b"close, X-Hop"),
        (b"X-Hop", b"1"),
        (b"Keep-Alive", b"timeout=5"),
        (b"Retry-After", b"3"),
        (b"x-request-id", b"req_1"),
        (b"x-ratelimit-remaining-tokens", b"9"),
        (b"set-cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
        (b"Helicone-Id", b"forged"),
        (b"helicone-cache", b"HIT"),
    ]
    kept = response_headers(raw)
    assert [name for name, _ in kept] == [
        "content-type",
        "content-encoding",
        "retry-after",
        "x-request-id",
        "x-ratelimit-remaining-tokens",
        "set-cookie",
        "set-cookie",
    ]
    assert response_headers(raw, content_length=True).get("content-length") == "12"
