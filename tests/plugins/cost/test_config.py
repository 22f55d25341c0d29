"""What may be written about prices, and what is refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from helicone_gw_cost.config import CostConfig, PriceFields, TieredUsd


def test_numbers_keep_the_digits_that_were_written() -> None:
    fields = PriceFields.model_validate({"input_mtok": 0.1, "output_mtok": "0.30"})
    assert fields.prices() == {"input_mtok": Decimal("0.1"), "output_mtok": Decimal("0.30")}


def test_a_price_may_have_tiers() -> None:
    fields = PriceFields.model_validate({"input_mtok": {"base": 1.25, "tiers": [{"start": 200_000, "price": 2.5}]}})
    tiered = fields.input_mtok
    assert isinstance(tiered, TieredUsd)
    assert (tiered.base, tiered.tiers[0].start, tiered.tiers[0].price) == (Decimal("1.25"), 200_000, Decimal("2.5"))


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"input_mtok": -1},
        {"input_mtok": "nan"},
        {"input_mtok": "Infinity"},
        {"input_mtok": "1e-400"},
        {"input_tokens": 1},
        {"input_mtok": {"base": 1, "tiers": []}},
        {"input_mtok": {"base": 1, "tiers": [{"start": -1, "price": 2}]}},
    ],
)
def test_a_price_that_makes_no_sense_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PriceFields.model_validate(given)


def test_by_default_there_are_no_overrides_and_the_catalogue_is_used() -> None:
    assert CostConfig() == CostConfig(prices=(), catalogue=True)


def test_an_entry_needs_something_to_match() -> None:
    with pytest.raises(ValidationError, match="match"):
        CostConfig.model_validate({"prices": [{"input_mtok": 1}]})
