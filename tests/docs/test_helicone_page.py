"""docs/helicone-compat.md: its addresses lead where it says, its headers are ours."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from helicone_gw import Headers
from helicone_gw.helicone import HeliconeHeaders, parse_helicone_headers
from helicone_gw.ingress.location import Location, locate
from helicone_gw.upstream.providers import Catalogue

PAGE = (Path(__file__).parents[2] / "docs" / "helicone-compat.md").read_text()
CATALOGUE = Catalogue.build({})


def at(path: str, host: str = "127.0.0.1:8787") -> Location:
    return locate(
        "POST", host, path.encode(), b"", Headers(), providers=CATALOGUE.prefixes(), dialects=CATALOGUE.dialects()
    )


@pytest.mark.parametrize(
    ("base", "provider"),
    [
        ("", None),
        ("/v1", None),
        ("/openai/v1", "openai"),
        ("/oai/v1", "openai"),
        ("/groq/openai/v1", "groq"),
        ("/together/v1", "together"),
        ("/deepseek/v1", "deepseek"),
    ],
)
def test_the_addresses_of_openais_dialect(base: str, provider: str | None) -> None:
    found = at(base + "/chat/completions")
    assert (found.kind, found.operation, found.provider) == ("gateway", "chat", provider)
    if base:
        assert f"`{base}`" in PAGE or base == "/v1"


@pytest.mark.parametrize(("base", "provider"), [("", None), ("/anthropic", "anthropic")])
def test_the_addresses_of_anthropics_dialect(base: str, provider: str | None) -> None:
    found = at(base + "/v1/messages")
    assert (found.operation, found.provider) == ("messages", provider)


@pytest.mark.parametrize(
    ("host", "provider"),
    [("oai.helicone.ai", "openai"), ("anthropic.helicone.ai", "anthropic"), ("groq.helicone.ai", "groq")],
)
def test_the_hosts(host: str, provider: str) -> None:
    assert at("/v1/chat/completions", host).provider == provider


def test_a_target_is_needed_behind_the_gateway_prefix() -> None:
    assert at("/gateway/v1/chat/completions").needs_target_url


def test_every_header_of_the_page_is_read() -> None:
    values = {
        "user-id": "user_id",
        "session-id": "session_id",
        "session-path": "session_path",
        "session-name": "session_name",
        "prompt-id": "prompt_id",
        "model-override": "model_override",
        "target-url": "target_url",
        "openai-api-base": "openai_api_base",
    }
    read = parse_helicone_headers(Headers({f"helicone-{name}": "https://x.example" for name in values}))
    assert isinstance(read, HeliconeHeaders)
    for header, attribute in values.items():
        assert getattr(read, attribute) == "https://x.example"
        assert re.search(rf"-{header}`", PAGE, re.IGNORECASE), header
