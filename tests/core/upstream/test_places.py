"""Where calls go, and whether as they came."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from helicone_gw import BadRequest, Headers, Request, Secret, Target
from helicone_gw.config import ProviderConfig
from helicone_gw.dialects import wire_format
from helicone_gw.helicone import parse_helicone_headers
from helicone_gw.ingress.offered import OPERATIONS
from helicone_gw.upstream.places import MAX_REMEMBERED, Places, is_entry, takes
from helicone_gw.upstream.providers import Catalogue

ENTRIES = """[{"target-url": "http://127.0.0.1:4012", "headers": {}, "onCodes": []}]"""
AT = Target("anthropic", "m", base_url="http://127.0.0.1:4012")
CATALOGUE = Catalogue.build(
    {
        "openai": ProviderConfig(api_key=Secret("k")),
        "anthropic": ProviderConfig(base_url="http://127.0.0.1:4012", api_key=Secret("k")),
    }
)


def request(headers: dict[str, str] | None = None, **changes: Any) -> Request:
    helicone = parse_helicone_headers(Headers(headers or {}))
    plain = Request("POST", "/v1/chat/completions", "", Headers(), b"{}", "openai", "chat", helicone, model="m")
    return plain.replace(**changes)


def places(catalogue: Catalogue = CATALOGUE) -> Places:
    return Places(catalogue, ())


def test_a_provider_that_understands_gets_it_as_it_is() -> None:
    place = places().configured(request(), Target("openai", "m"))
    assert (place.url, place.origin, place.speaks) == (
        "https://api.openai.com/v1/chat/completions",
        "https://api.openai.com",
        True,
    )


def test_another_dialect_has_its_own_address() -> None:
    place = places().configured(request(), Target("anthropic", "m"))
    assert (place.url, place.speaks) == ("", False)
    assert place.url_of("/v1/messages", "a=b", "m") == "http://127.0.0.1:4012/v1/messages?a=b"


def test_what_is_remembered_is_bounded() -> None:
    found = places()
    first = found.configured(request(), Target("openai", "m"))
    assert found.configured(request(), Target("openai", "m")) is first
    for number in range(MAX_REMEMBERED + 1):
        found.configured(request(), Target("openai", f"m{number}"))
    assert len(found._remembered) <= MAX_REMEMBERED
    found._remembered.clear()
    found.configured(request(query="a=b"), Target("openai", "m"))
    found.configured(request(model="m" * 300), Target("openai", "m"))
    assert found._remembered == {}


async def test_an_entry_of_another_dialect_is_translated_under_its_own_address() -> None:
    entry = request({"Helicone-Fallbacks": ENTRIES})
    assert is_entry(entry, AT)
    place = await places().named(entry, AT, "http://127.0.0.1:4012")
    assert (place.provider.name, place.speaks, place.address) == ("anthropic", False, "127.0.0.1")
    assert place.url_of("/v1/messages", "", "m") == "http://127.0.0.1:4012/v1/messages"


@pytest.mark.parametrize(
    ("headers", "changes"),
    [
        ({"Helicone-Target-URL": "http://127.0.0.1:4012"}, {}),
        ({"Helicone-Fallbacks": ENTRIES.replace("4012", "4013")}, {}),
        ({"Helicone-Fallbacks": '["a", "b"]'}, {}),
        ({"Helicone-Fallbacks": ENTRIES}, {"path": "/v1beta/openai/chat/completions"}),
        ({"Helicone-Fallbacks": ENTRIES}, {"path": "/v1/messages", "operation": "messages", "dialect": "anthropic"}),
        ({"Helicone-Fallbacks": ENTRIES}, {"path": "/v1/embeddings", "operation": "embeddings"}),
    ],
)
async def test_everything_else_goes_to_a_named_url_as_it_is(headers: dict[str, str], changes: dict[str, str]) -> None:
    place = await places().named(request(headers, **changes), AT, "http://127.0.0.1:4012")
    assert place.speaks
    assert place.url.endswith(changes.get("path", "/v1/chat/completions"))


def test_whether_a_target_takes_it_as_it_is() -> None:
    anthropic = CATALOGUE.get("anthropic")
    assert anthropic is not None
    assert not takes(anthropic, request(), Target("anthropic", "m"))
    assert takes(anthropic, request(), AT)
    assert not takes(anthropic, request({"Helicone-Fallbacks": ENTRIES}), AT)


def test_no_place_without_an_address() -> None:
    with pytest.raises(BadRequest, match=r"set providers\.azure\.base_url"):
        places().configured(request(), Target("azure", "m"))


def test_every_built_in_provider_takes_translates_or_refuses_every_operation() -> None:
    """What the catalogue says is what is done: one of the three for each, and the refusals name the operation."""
    catalogue = Catalogue.build({})
    counted, problems = Counter[str](), []
    for provider in catalogue.all():
        if provider.base_url is None:
            continue
        for name in OPERATIONS:
            operation = name.partition("/")[0]
            for dialect in ("openai", "anthropic", "gemini"):
                if wire_format(dialect, operation) is None and dialect != "openai":
                    continue
                one = request(path=f"/v1/{name}", operation=operation, dialect=dialect)
                try:
                    place = Places(catalogue, ()).configured(one, Target(provider.name, "m"))
                except BadRequest as refused:
                    said = (refused.code, refused.message.partition(" (")[0])
                    counted["refused"] += 1
                    told = f"Provider {provider.name!r} does not offer {name!r}"
                    problems += [said] if said != ("operation_not_offered", told) else []
                else:
                    counted["native" if place.speaks else "translated"] += 1
                    assert place.url or not place.speaks
    assert problems == []
    assert counted["native"] > 100
    assert counted["translated"] > 100
    assert counted["refused"] > 100
