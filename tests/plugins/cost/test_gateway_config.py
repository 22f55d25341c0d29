"""The configuration's price and the plugin's are the same list of fields."""

from __future__ import annotations

from helicone_gw.config import ModelConfig, PriceConfig
from helicone_gw.model import Usage
from helicone_gw_cost.config import PriceFields
from helicone_gw_cost.overrides import Overrides, from_models


def test_every_price_that_the_gateways_configuration_takes_is_understood() -> None:
    assert set(PriceConfig.model_fields) <= set(PriceFields.model_fields)


def test_a_real_model_of_the_configuration_is_priced() -> None:
    model = ModelConfig.model_validate({"providers": ["local"], "price": {"input_mtok": 0.15, "output_mtok": 0.6}})
    price = Overrides(from_models({"house-model": model})).price("local", ("house-model",), None, 0.0)
    assert price is not None
    cost = price.cost(Usage(input_tokens=1000, output_tokens=1000))
    assert cost is not None
    assert cost.nano_usd == 750_000
