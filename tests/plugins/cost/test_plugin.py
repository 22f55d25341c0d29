"""The plugin: what it hands to the core, in which order, and how little it loads before."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any, cast

import pytest

from helicone_gw.errors import ConfigError
from helicone_gw.model import Usage
from helicone_gw.prices import Prices
from helicone_gw_cost.config import CostConfig
from helicone_gw_cost.plugin import CostPlugin

USAGE = Usage(input_tokens=1000, output_tokens=1000)


async def started(config: dict[str, Any] | None = None, models: dict[str, Any] | None = None) -> Prices:
    prices = Prices()
    gateway = SimpleNamespace(prices=prices, config=SimpleNamespace(models=models or {}))
    await CostPlugin(CostConfig.model_validate(config or {}), "cost").startup(cast(Any, gateway))
    return prices


async def test_prices_come_from_the_models_then_the_plugin_then_the_catalogue() -> None:
    prices = await started(
        {"prices": [{"provider": "openai", "match": "gpt-4*", "input_mtok": 9, "output_mtok": 9}]},
        {"gpt-4o": {"price": {"input_mtok": 7, "output_mtok": 7}}},
    )
    found = {model: prices.cost("openai", model, USAGE) for model in ("gpt-4o", "gpt-4.1", "o3-mini", "nonesuch")}
    assert [(cost.nano_usd, cost.source) if cost else None for cost in found.values()] == [
        (14_000_000, "config"),
        (18_000_000, "config"),
        (5_500_000, "genai-prices"),
        None,
    ]
    assert dict(prices.unknown) == {("openai", "nonesuch"): 1}


async def test_the_first_request_of_the_demo_has_a_cost() -> None:
    cost = (await started()).cost("demo", "demo", USAGE)
    assert cost is not None
    assert cost.nano_usd == 3_000_000


async def test_the_catalogue_can_be_left_out() -> None:
    prices = await started({"catalogue": False})
    assert prices.cost("openai", "gpt-4o", USAGE) is None
    assert prices.cost("demo", "demo", USAGE) is not None


async def test_a_wrong_price_stops_the_boot() -> None:
    with pytest.raises(ConfigError, match="input_mtok"):
        await started(models={"m": {"price": {"input_mtok": "cheap"}}})


def test_the_catalogue_is_not_read_before_startup() -> None:
    code = "import helicone_gw_cost.plugin, sys; sys.exit('genai_prices' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
