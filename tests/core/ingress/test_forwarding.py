"""What of a client's headers and query goes on to a provider."""

from __future__ import annotations

import pytest

from helicone_gw.headers import Headers
from helicone_gw.ingress.forwarding import forwardable, holds_secret, without_keys

SECRET = "alice-secret-0123456789"


def names(*fields: tuple[str, str], secrets: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    return list(forwardable(Headers((name.encode(), value.encode()) for name, value in fields), secrets))


def test_a_clients_own_headers_go_on_in_their_order() -> None:
    fields = [
        ("content-type", "application/json"),
        ("anthropic-version", "2023-06-01"),
        ("anthropic-beta", "a"),
        ("anthropic-beta", "b"),
        ("openai-organization", "org-1"),
        ("idempotency-key", "k"),
        ("user-agent", "OpenAI/Python"),
        ("accept-encoding", "gzip"),
        ("content-length", "12"),
        ("content-encoding", "gzip"),
        ("x-request-id", "r"),
    ]

    own = [field for field in fields if field[0] != "content-length"]  # that says how long the request to us was
    assert names(*fields) == own


@pytest.mark.parametrize(
    "name",
    [
        *("helicone-auth", "helicone-property-app", "helicone-anything-new", "host"),
        *("authorization", "x-api-key", "api-key", "x-goog-api-key"),
        *("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "expect"),
        *("proxy-authorization", "http2-settings", "sec-websocket-key", "sec-websocket-version"),
        *("sec-websocket-extensions", "x-forwarded-for", "x-forwarded-proto", "forwarded", "via", "x-real-ip"),
    ],
)
def test_what_is_ours_or_of_the_clients_connection_stays(name: str) -> None:
    assert names((name, "x"), ("accept", "*/*")) == [("accept", "*/*")]


def test_fields_that_connection_names_stay() -> None:
    assert names(
        ("Connection", "close, X-Hop"), ("connection", "x-two"), ("x-hop", "1"), ("x-two", "2"), ("x", "3")
    ) == [("x", "3")]


@pytest.mark.parametrize(
    ("cookie", "left"),
    [
        ("a=1; helicone_gw_session=s; b=2", [("cookie", "a=1; b=2")]),
        ("a=1; __Host-helicone_gw_session=s; __Secure-helicone_gw_login=s", [("cookie", "a=1")]),
        ("helicone_gw=s", []),
        ("helicone_gw_a=1;helicone_gw_b=2", []),
        ("a=1;b=2", [("cookie", "a=1;b=2")]),
        ("not_helicone_gw=1", [("cookie", "not_helicone_gw=1")]),
    ],
)
def test_our_cookies_stay_and_others_go_on(cookie: str, left: list[tuple[str, str]]) -> None:
    assert names(("cookie", cookie)) == left


def test_a_key_among_websocket_protocols_stays() -> None:
    sent = "realtime, openai-insecure-api-key.sk-1, openai-beta.realtime-v1"

    assert names(("sec-websocket-protocol", sent)) == [("sec-websocket-protocol", "realtime, openai-beta.realtime-v1")]
    assert names(("sec-websocket-protocol", "openai-insecure-api-key.sk-1")) == []


def test_a_field_that_holds_a_gateway_key_stays_whatever_its_name() -> None:
    fields = [("x-note", f"my key is {SECRET}!"), ("referer", f"http://gw/{SECRET}/v1"), ("accept", "*/*")]

    assert names(*fields, secrets=(SECRET,)) == [("accept", "*/*")]


def test_a_short_key_is_only_found_as_a_whole_value() -> None:
    assert names(("x-a", "a"), ("accept", "application/json"), secrets=("a",)) == [("accept", "application/json")]
    assert not holds_secret(b"", ("",))


@pytest.mark.parametrize(
    ("query", "left", "keys"),
    [
        ("", "", []),
        ("a=1&b=%20&&c", "a=1&b=%20&&c", []),
        ("key=k1", "", ["k1"]),
        ("a=1&key=k%2B1&b=2&key=k2", "a=1&b=2", ["k+1", "k2"]),
        ("%6Bey=k1&a=1", "a=1", ["k1"]),
        ("key=&a", "a", []),
        ("monkey=1&Key=2&keys=3", "monkey=1&Key=2&keys=3", []),
        (f"x={SECRET}&a=1", "a=1", []),
        ("x=sk-helicone-abc&y=pk%2Dhelicone-abc&a=1", "a=1", []),
    ],
)
def test_keys_in_a_query(query: str, left: str, keys: list[str]) -> None:
    assert without_keys(query, (SECRET,)) == (left, keys)
