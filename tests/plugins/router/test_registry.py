"""The registry: which spellings mean one model, who offers it, and under which name each is asked for it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helicone_gw import ModelConfig
from helicone_gw.upstream.providers import Catalogue
from helicone_gw_router.families import family
from helicone_gw_router.loading import build
from helicone_gw_router.names import canonical
from helicone_gw_router.registry import Registry


@pytest.fixture(scope="module")
def registry() -> Registry:
    from genai_prices.data_snapshot import get_snapshot

    models = {
        "house": ModelConfig(model="llama-70b", providers=("vllm", "groq"), aliases=("home",), context=1000),
        "gpt-4o": ModelConfig(model="gpt-4o", context=99),
    }
    return build({each.id: each for each in get_snapshot().providers}, Catalogue.build({}).names(), models)


@pytest.mark.parametrize(
    ("name", "key", "date"),
    [
        ("gpt-4o-2024-08-06", "gpt-4o", "20240806"),
        ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5", "20250929"),
        ("anthropic.claude-3-haiku-20240307-v1:0", "claude-3-haiku", "20240307"),
        ("openai.gpt-oss-120b-1:0", "gpt-oss-120b-1", None),
        ("anthropic/claude-haiku-4.5", "claude-haiku-4-5", None),
        ("Claude-3-7-Sonnet-latest", "claude-3-7-sonnet", None),
        ("accounts/fireworks/models/deepseek-v3p2", "deepseek-v3-2", None),
        ("gpt-3.5-turbo-0613", "gpt-3-5-turbo-0613", None),
        ("", "", None),
        ("/", "/", None),
    ],
)
def test_spellings(name: str, key: str, date: str | None) -> None:
    assert canonical(name) == (key, date)


@settings(deadline=None)
@given(st.text(max_size=80))
def test_every_text_has_a_spelling(name: str) -> None:
    assert isinstance(canonical(name)[0], str)


def offers(registry: Registry, name: str) -> dict[str, str]:
    return {offer.provider: offer.id for offer in registry.offers(name)}


def test_every_provider_is_asked_under_its_own_name(registry: Registry) -> None:
    found = offers(registry, "claude-haiku-4-5")
    assert found["anthropic"] == "claude-haiku-4-5"
    assert found["openrouter"] == "anthropic/claude-haiku-4.5"
    assert found["bedrock"].endswith("anthropic.claude-haiku-4-5-20251001-v1:0")
    assert offers(registry, "anthropic/claude-haiku-4.5") == found
    assert offers(registry, "claude-haiku-4.5") == found


def test_a_date_is_insisted_on(registry: Registry) -> None:
    assert offers(registry, "gpt-4o-2024-08-06") == {"openai": "gpt-4o-2024-08-06"}
    assert offers(registry, "gpt-4o-1999-01-01") == {}


def test_latest_is_what_its_maker_calls_it(registry: Registry) -> None:
    assert offers(registry, "mistral-large-latest")["mistral"] == "mistral-large-latest"


@pytest.mark.parametrize(
    ("alias", "provider", "meant"),
    [
        ("claude-3.5-sonnet", "anthropic", "claude-3-5-sonnet-20241022"),
        ("claude-3.5-sonnet-v2", "anthropic", "claude-3-5-sonnet-20241022"),
        ("gemini-1.5-flash", "gemini", "gemini-2.5-flash-lite"),
        ("deepseek-r1", "deepseek", "deepseek-reasoner"),
        ("kimi-k2", "moonshot", "kimi-k2-0905-preview"),
        ("claude-sonnet-4", "anthropic", "claude-sonnet-4-0"),
        ("grok-4", "xai", "grok-4-0709"),
    ],
)
def test_helicones_names(registry: Registry, alias: str, provider: str, meant: str) -> None:
    assert offers(registry, alias)[provider] == meant


def test_vendors_ids_mean_the_model(registry: Registry) -> None:
    found = offers(registry, "openai/gpt-oss-120b")
    assert found["groq"] == "openai/gpt-oss-120b"
    assert found["cerebras"] == "gpt-oss-120b"


def test_what_the_configuration_says_goes_first(registry: Registry) -> None:
    assert offers(registry, "house") == offers(registry, "home") == {"vllm": "llama-70b", "groq": "llama-70b"}
    house, known = registry.find("house"), registry.find("gpt-4o")
    assert house is not None
    assert known is not None
    assert (house.ordered, house.context) == (True, 1000)
    assert (known.ordered, known.context) == (False, 99)
    assert "openai" in known.providers()


def test_what_nobody_knows(registry: Registry) -> None:
    assert registry.find("gpt-99") is None
    assert registry.offers("gpt-99") == []
    assert not registry.knows("x" * 513)


def test_models_have_facts(registry: Registry) -> None:
    known = registry.find("gpt-4o")
    assert known is not None
    assert (known.author, known.id) == ("openai", "gpt-4o")
    assert known.facts["tools"]
    assert "image" in known.facts["input"]
    assert family("nobody-knows") == {}
    house = registry.find("house")
    assert house is not None
    assert house.facts == family("llama-70b") != {}, "whatever the configuration calls it"


def test_there_are_many_and_each_once(registry: Registry) -> None:
    models = list(registry.models())
    assert len(models) > 500
    assert len({id(model) for model in models}) == len(models)


def test_fine_tunes_are_no_models(registry: Registry) -> None:
    assert not any(offer.id.startswith("ft:") for model in registry.models() for offer in model.offers)
