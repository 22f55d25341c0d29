"""``helicone-gw cost price``: what a model costs and whose price that is."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from helicone_gw_cost.config import CostConfig
from helicone_gw_cost.plugin import CostPlugin


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def run(*words: str, config: dict[str, Any] | None = None, models: dict[str, Any] | None = None) -> Result:
    cli = typer.Typer()
    CostPlugin(CostConfig.model_validate(config or {}), "cost").register_commands(cli)
    return CliRunner().invoke(
        cli, ["cost", "price", *words], obj=SimpleNamespace(config=SimpleNamespace(models=models or {}))
    )


def test_one_providers_price_with_its_source() -> None:
    result = run("gpt-4o", "--provider", "openai")
    assert result.exit_code == 0
    assert "openai/gpt-4o" in result.output
    assert "2.5" in result.output
    assert "genai-prices" in result.output


def test_tiers_have_a_column_each() -> None:
    result = run("gemini-2.5-pro", "--provider", "gemini")
    assert "USD above 200,000 input tokens" in result.output


def test_a_price_that_changes_says_when() -> None:
    assert "may change at" in run("deepseek-chat", "--provider", "deepseek").output


def test_without_a_provider_every_one_with_a_price_is_shown() -> None:
    output = run("gpt-4o").output
    assert "openai/gpt-4o" in output
    assert "azure/gpt-4o" in output
    assert "anthropic/" not in output


def test_the_configurations_prices_are_shown_as_such() -> None:
    result = run(
        "house-model",
        config={"catalogue": False},
        models={"house-model": {"providers": ["local"], "price": {"input_mtok": 0.25, "output_mtok": 0}}},
    )
    assert "local/house-model" in result.output
    assert "0.25" in result.output
    assert "config" in result.output
    assert "unknown" in result.output  # web searches


def test_prices_as_json_have_every_rate_as_a_number_and_what_is_unknown_as_null() -> None:
    found = [json.loads(line) for line in run("gpt-4o", "--json").output.splitlines()]
    assert {"openai", "azure"} <= {each["provider"] for each in found}
    (price,) = [each for each in found if each["provider"] == "openai"]
    assert (price["model"], price["source"], price["valid_until"]) == ("gpt-4o", "genai-prices", None)
    (tier,) = price["tiers"]
    assert tier["above_input_tokens"] is None
    assert (tier["usd"]["input"], tier["usd"]["output"]) == (2.5, 10)
    tiers = json.loads(run("gemini-2.5-pro", "--provider", "gemini", "--json").output)["tiers"]
    assert [each["above_input_tokens"] for each in tiers] == [None, 200_000]
    own = {"m": {"providers": ["local"], "price": {"input_mtok": 0.25, "output_mtok": 0}}}
    usd = json.loads(run("m", "--json", config={"catalogue": False}, models=own).output)["tiers"][0]["usd"]
    assert (usd["input"], usd["output"], usd["web_searches"]) == (0.25, 0, None)
    assert run("a-model-of-tomorrow", "--json").exit_code == 1


def test_a_service_tier_may_be_asked_for() -> None:
    standard = run("o3", "--provider", "openai").output
    flex = run("o3", "--provider", "openai", "--service-tier", "flex").output
    assert standard != flex


def test_an_unknown_price_is_said_to_be_unknown_and_how_to_set_it() -> None:
    result = run("a-model-of-tomorrow", "--provider", "openai")
    assert result.exit_code == 1
    assert "No price" in result.output
    assert "prices" in result.output


def test_a_wrong_price_in_the_configuration_is_named() -> None:
    result = run("m", models={"m": {"price": {"input_mtok": -1}}})
    assert result.exit_code == 2
    assert "models.m.price.input_mtok" in result.output
