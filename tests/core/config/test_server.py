"""The section server: units, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from helicone_gw.config import ServerConfig


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
