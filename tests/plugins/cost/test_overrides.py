"""Overrides: the plugin's list by pattern, the configuration's models by name and alias."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from helicone_gw.errors import ConfigError
from helicone_gw.model import Usage
from helicone_gw_cost.config import CostConfig, PriceFields
from helicone_gw_cost.overrides import Overrides, built_in, from_entries, from_models


def usd(source: Overrides, provider: str, *models: str, tier: str | None = None) -> float | None:
    """US dollars per million input tokens."""
    price = source.price(provider, models, tier, 0.0)
    cost = None if price is None else price.cost(Usage(input_tokens=1_000_000, output_tokens=0))
    return None if cost is None else cost.nano_usd / 10**9


def entries(*given: dict[str, Any]) -> Overrides:
    return Overrides(from_entries(CostConfig.model_validate({"prices": given}).prices))


def test_the_first_entry_that_matches_wins() -> None:
    source = entries(
        {"provider": "openai", "match": "gpt-4o-mini*", "input_mtok": 1},
        {"provider": "openai", "match": "gpt-4o*", "input_mtok": 2},
        {"match": "*", "input_mtok": 3},
    )
    assert usd(source, "openai", "gpt-4o-mini-2024-07-18") == 1
    assert usd(source, "openai", "gpt-4o") == 2
    assert usd(source, "azure", "gpt-4o") == 3


def test_names_are_compared_without_case() -> None:
    source = entries({"match": "Meta-Llama/*", "input_mtok": 1})
    assert usd(source, "x", "meta-llama/Llama-3") == 1


def test_the_name_in_the_reply_comes_before_the_one_asked_for() -> None:
    source = entries({"match": "gpt-4o", "input_mtok": 1}, {"match": "gpt-4o-2024*", "input_mtok": 2})
    assert usd(source, "openai", "gpt-4o-2024-08-06", "gpt-4o") == 2
    assert usd(source, "openai", "some-deployment", "gpt-4o") == 1


def test_an_entry_may_be_for_one_service_tier() -> None:
    source = entries({"match": "m", "service_tier": "flex", "input_mtok": 1}, {"match": "m", "input_mtok": 2})
    assert usd(source, "p", "m", tier="flex") == 1
    assert usd(source, "p", "m", tier="priority") == 2
    assert usd(source, "p", "m") == 2


def test_models_are_priced_by_name_and_alias_exactly() -> None:
    source = Overrides(from_models({"house-model": {"aliases": ["House"], "price": {"input_mtok": 0.5}}}))
    assert usd(source, "local", "house-model") == usd(source, "openai", "house") == 0.5
    assert usd(source, "local", "house-model-2") is None


def test_a_model_that_names_providers_is_priced_for_those() -> None:
    source = Overrides(from_models({"gpt-4o": {"providers": ["local"], "price": {"input_mtok": 0, "output_mtok": 0}}}))
    assert usd(source, "local", "gpt-4o") == 0
    assert usd(source, "openai", "gpt-4o") is None


def test_the_name_that_is_sent_upstream_has_the_models_price() -> None:
    entry = {"providers": ["local"], "model": "llama3.1:8b", "price": {"input_mtok": 0.5}}
    source = Overrides(from_models({"house-model": entry}))
    assert usd(source, "local", "Llama3.1:8B") == 0.5
    assert usd(source, "groq", "llama3.1:8b") is None


def test_models_may_be_objects_and_models_without_a_price_are_left_alone() -> None:
    priced = SimpleNamespace(price=PriceFields.model_validate({"input_mtok": 4}), aliases=(), providers=())
    source = Overrides(from_models({"a": priced, "b": SimpleNamespace(price=None), "c": {}}))
    assert usd(source, "p", "a") == 4
    assert usd(source, "p", "b") is usd(source, "p", "c") is None


def test_a_pattern_character_in_a_models_name_is_a_letter() -> None:
    source = Overrides(from_models({"odd[1]": {"price": {"input_mtok": 4}}}))
    assert usd(source, "p", "odd[1]") == 4
    assert usd(source, "p", "odd1") is None


def test_every_wrong_price_of_a_model_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        from_models({"a": {"price": {"input_mtok": -1}}, "b": {"price": {"inputs": 1}}, "c": {"price": {}}})
    lines = caught.value.problems
    assert any(line.startswith("models.a.price.input_mtok") for line in lines)
    assert any(line.startswith("models.b.price.inputs") for line in lines)
    assert any(line.startswith("models.c.price") for line in lines)


def test_the_demo_provider_costs_one_and_two_dollars_per_million() -> None:
    price = built_in("0.1.0").price("demo", ("demo-small",), None, 0.0)
    assert price is not None
    cost = price.cost(Usage(input_tokens=10, output_tokens=10))
    assert cost is not None
    assert (cost.nano_usd, cost.source, cost.version) == (30_000, "built-in", "0.1.0")
    assert built_in("0.1.0").price("openai", ("demo-small",), None, 0.0) is None
