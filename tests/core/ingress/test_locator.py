"""What a locator remembers is what `locate` says, whoever asked for the same address before."""

from __future__ import annotations

import itertools

import pytest

from helicone_gw.headers import Headers
from helicone_gw.ingress.location import locate
from helicone_gw.ingress.locator import Locator

PROVIDERS = {"openai": "openai", "oai": "openai", "anthropic": "anthropic", "gemini": "gemini"}
DIALECTS = {"openai": "openai", "anthropic": "anthropic", "gemini": "gemini"}
HOSTS: tuple[dict[str, str], ...] = (
    {},
    {"host": "localhost"},
    {"host": "ai-gateway.helicone.ai"},
    {"host": "anthropic.helicone.ai"},
)
HINTS: tuple[dict[str, str], ...] = ({}, {"anthropic-version": "2023-06-01"}, {"x-goog-api-key": "k"})
FORCED: tuple[dict[str, str], ...] = ({}, {"helicone-forced-routing": "anthropic"})
PAGES: tuple[dict[str, str], ...] = ({}, {"accept": "text/html"}, {"accept": "application/json"})


@pytest.mark.parametrize(
    "path",
    [
        *(b"/", b"//", b"///", b"/v1", b"/v1/models", b"/v1/messages", b"/oai/v1/x", b"/sk-helicone-abcdefgh/v1/x"),
        b"/ai/v1/messages",
    ],
)
def test_one_memory_serves_everybody(path: bytes) -> None:
    locator = Locator(providers=PROVIDERS, dialects=DIALECTS, domains=())
    asked = list(itertools.product(("GET", "POST"), (b"", b"model=x"), HOSTS, HINTS, PAGES, FORCED))
    for method, query, host, hint, page, forced in [*asked, *reversed(asked)]:
        headers = Headers({**host, **hint, **page, **forced})
        assert locator(method, path, query, headers) == locate(
            method,
            headers.get("host") or "",
            path,
            query,
            headers,
            providers=PROVIDERS,
            dialects=DIALECTS,
        )
