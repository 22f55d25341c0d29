"""The entries of the section providers: where they are, their keys and headers."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from helicone_gw.config import ProviderConfig


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
