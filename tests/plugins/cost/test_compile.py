"""Dollars per price key become exact rates."""

from __future__ import annotations

from decimal import Decimal

import pytest

from helicone_gw.model import Usage
from helicone_gw.price import UNITS
from helicone_gw_cost.compile import compile_price
from helicone_gw_cost.config import PriceFields, Tier, TieredUsd
from helicone_gw_cost.tables import table


def test_dollars_per_million_are_thousands_of_nano_dollars_per_token() -> None:
    price = compile_price(
        {"input_mtok": Decimal("2.5"), "output_mtok": Decimal(10), "web_searches_kcount": Decimal(10)},
        source="x",
        version="1",
    )
    assert price is not None
    cost = price.cost(Usage(input_tokens=3, output_tokens=2, web_searches=1))
    assert cost is not None
    assert cost.parts == (("input", 3, 7500), ("output", 2, 20_000), ("web_searches", 1, 10_000_000))
    assert (cost.source, cost.version) == ("x", "1")


@pytest.mark.parametrize("usd", ["0.0833333333333333", "0.0000001", "1.0399999999999998"])
def test_a_price_of_many_digits_stays_exact(usd: str) -> None:
    price = compile_price({"input_mtok": Decimal(usd)}, source="x", version="")
    assert price is not None
    cost = price.cost(Usage(input_tokens=10**15))
    assert cost is not None
    assert cost.nano_usd == int(Decimal(usd) * 10**18)


def test_tiers_are_kept() -> None:
    tiered = TieredUsd(base=Decimal(1), tiers=(Tier(start=10, price=Decimal(2)),))
    price = compile_price({"input_mtok": tiered}, source="x", version="")
    assert price is not None
    costs = [price.cost(Usage(input_tokens=size)) for size in (10, 11)]
    assert [cost.nano_usd for cost in costs if cost is not None] == [10_000, 22_000]


def test_keys_that_usage_does_not_count_make_no_price() -> None:
    assert compile_price({"audio_hours": Decimal("0.36")}, source="x", version="") is None
    assert compile_price({}, source="x", version="") is None


def test_the_fields_of_the_configuration_the_table_and_the_units_are_the_same_list() -> None:
    assert set(PriceFields.model_fields) == set(table("units")["priced"])
    assert sorted(entry["unit"] for entry in table("units")["priced"].values()) == sorted(UNITS)
