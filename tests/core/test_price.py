"""A compiled price: exact integers, one rounding, classes inside their totals, unknown is None."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from helicone_gw.model import Cost, Usage
from helicone_gw.price import UNITS, CompiledPrice, Tiered, quantities

RATES = st.dictionaries(
    st.sampled_from(UNITS), st.fractions(min_value=0, max_value=10**6, max_denominator=10**6), min_size=1
)
TOKENS = st.none() | st.integers(min_value=-5, max_value=2_000_000)
COUNTED = [name for name in Usage.__struct_fields__ if name not in ("cost", "service_tier", "estimated")]
ANY_USAGE = st.builds(Usage, **dict.fromkeys(COUNTED, TOKENS))


def priced(**prices: int | Decimal | Fraction | Tiered) -> CompiledPrice:
    return CompiledPrice.of(prices, source="test", version="7")


def test_cost_is_tokens_times_rate() -> None:
    cost = priced(input=2500, output=10_000).cost(Usage(input_tokens=1000, output_tokens=200))
    assert cost == Cost(4_500_000, (("input", 1000, 2_500_000), ("output", 200, 2_000_000)), "test", "7")


@pytest.mark.parametrize(
    ("rate", "tokens", "nano"),
    [
        (Fraction(1, 2), 1, 1),
        (Fraction(1, 2), 3, 2),
        (Fraction(49, 100), 1, 0),
        (Decimal("37.5"), 1, 38),
        (Decimal("0.0000000000000000001"), 1, 0),
        (Fraction(1, 3), 3, 1),
    ],
)
def test_a_fraction_of_a_nano_dollar_is_rounded_half_up(rate: Fraction | Decimal, tokens: int, nano: int) -> None:
    cost = priced(input=rate).cost(Usage(input_tokens=tokens))
    assert cost is not None
    assert cost.nano_usd == nano


def test_rounding_happens_once_and_not_per_class() -> None:
    price = priced(input=Fraction(2, 5), output=Fraction(2, 5))
    cost = price.cost(Usage(input_tokens=1, output_tokens=1))
    assert cost is not None
    assert cost.nano_usd == 1  # 0.8, where rounding each class gives 0


def test_classes_inside_a_total_are_not_paid_for_twice() -> None:
    price = priced(
        input=1000, cache_read=100, cache_write=1250, cache_write_1h=2000, input_audio=9000, input_image=3000,
        cache_audio_read=500, output=4000, reasoning=5000, output_audio=20_000, output_image=30_000,
    )  # fmt: skip
    usage = Usage(
        input_tokens=100,
        cache_read_tokens=30,
        cache_audio_read_tokens=10,
        cache_write_tokens=20,
        cache_write_1h_tokens=5,
        input_audio_tokens=25,  # of them 10 cached
        input_image_tokens=15,
        output_tokens=50,
        reasoning_tokens=10,
        output_audio_tokens=5,
        output_image_tokens=1,
    )
    cost = price.cost(usage)
    assert cost is not None
    assert {unit: quantity for unit, quantity, _ in cost.parts} == {
        "input": 20, "cache_read": 20, "cache_audio_read": 10, "cache_write": 15, "cache_write_1h": 5,
        "input_audio": 15, "input_image": 15, "output": 34, "reasoning": 10, "output_audio": 5, "output_image": 1,
    }  # fmt: skip
    expected = (
        20 * 1000 + 20 * 100 + 10 * 500 + 15 * 1250 + 5 * 2000 + 15 * 9000 + 15 * 3000
        + 34 * 4000 + 10 * 5000 + 5 * 20_000 + 30_000
    )  # fmt: skip
    assert cost.nano_usd == expected


@pytest.mark.parametrize(
    ("prices", "usage", "nano"),
    [
        ({"input": 10}, Usage(input_tokens=9, cache_read_tokens=4, output_tokens=0), 90),
        ({"input": 10}, Usage(input_tokens=9, cache_write_tokens=4, cache_write_1h_tokens=2), 90),
        ({"input": 10, "cache_write": 12}, Usage(input_tokens=9, cache_write_tokens=4, cache_write_1h_tokens=2), 98),
        ({"input": 10}, Usage(input_tokens=9, input_audio_tokens=4, input_image_tokens=5), 90),
        ({"input": 10, "cache_read": 1}, Usage(input_tokens=9, cache_read_tokens=4, cache_audio_read_tokens=4), 54),
        (
            {"input": 10, "cache_read": 1, "input_audio": 80},
            Usage(input_tokens=9, cache_read_tokens=4, cache_audio_read_tokens=4, input_audio_tokens=4),
            5 * 10 + 4 * 80,
        ),
        ({"input": 0, "output": 3}, Usage(input_tokens=9, output_tokens=9, reasoning_tokens=4), 27),
        ({"input": 0, "output": 3}, Usage(input_tokens=9, output_tokens=9, output_audio_tokens=4), 27),
    ],
)
def test_a_class_without_a_price_costs_what_it_is_part_of(prices: dict[str, int], usage: Usage, nano: int) -> None:
    cost = CompiledPrice.of(prices, source="test").cost(usage)
    assert cost is not None
    assert cost.nano_usd == nano


def test_a_threshold_changes_the_price_of_every_token_and_counts_the_whole_prompt() -> None:
    price = priced(
        input=Tiered(3000, ((200_000, 6000),)),
        cache_read=Tiered(300, ((200_000, 600), (500_000, 900))),
        output=Tiered(15_000, ((200_000, 22_500),)),
    )

    def nano(**tokens: Any) -> int:
        cost = price.cost(Usage(**tokens))
        assert cost is not None
        return cost.nano_usd

    assert nano(input_tokens=200_000, output_tokens=1) == 200_000 * 3000 + 15_000
    assert nano(input_tokens=200_001, output_tokens=1) == 200_001 * 6000 + 22_500
    assert nano(input_tokens=200_001, cache_read_tokens=200_000, output_tokens=0) == 6000 + 200_000 * 600
    assert nano(input_tokens=500_001, cache_read_tokens=500_001, output_tokens=0) == 500_001 * 900


def test_fees_per_search_and_per_request() -> None:
    price = priced(input=0, output=0, web_searches=10_000_000, requests=5_000_000)
    cost = price.cost(Usage(input_tokens=1, output_tokens=1, web_searches=2))
    assert cost is not None
    assert cost.nano_usd == 25_000_000
    assert ("requests", 1, 5_000_000) in cost.parts


@pytest.mark.parametrize(
    ("prices", "usage"),
    [
        ({"input": 1, "output": 1}, Usage()),
        ({"input": 1, "output": 1}, Usage(reasoning_tokens=5)),
        ({"input": 1, "output": 1}, Usage(input_tokens=5)),
        ({"input": 1, "output": 1}, Usage(output_tokens=5)),
        ({"input": 1}, Usage(input_tokens=1, output_tokens=5)),
        ({"input": 1, "output": 1}, Usage(input_tokens=1, output_tokens=1, web_searches=1)),
        ({"cache_read": 1}, Usage(input_tokens=2, cache_read_tokens=1)),
    ],
)
def test_what_cannot_be_known_is_none_and_never_zero(prices: dict[str, int], usage: Usage) -> None:
    assert CompiledPrice.of(prices, source="test").cost(usage) is None


def test_a_side_that_has_no_price_need_not_be_reported() -> None:
    cost = priced(input=20).cost(Usage(input_tokens=3))  # an embedding
    assert cost == Cost(60, (("input", 3, 60),), "test", "7")


def test_free_is_a_price() -> None:
    cost = priced(input=0, output=0).cost(Usage(input_tokens=3, output_tokens=3))
    assert cost is not None
    assert cost.nano_usd == 0


def test_lacks_names_the_units_without_a_price() -> None:
    assert priced(input=1).lacks(Usage(input_tokens=1, output_tokens=2, web_searches=1)) == ("output", "web_searches")


@pytest.mark.parametrize(
    ("prices", "message"),
    [
        ({}, "at least one"),
        ({"inputs": 1}, "unknown units: inputs"),
        ({"input": -1}, "below zero"),
        ({"input": Tiered(1, ((10, -1),))}, "below zero"),
        ({"input": Tiered(1, ((-1, 1),))}, "threshold"),
    ],
)
def test_a_price_that_makes_no_sense_is_refused(prices: dict[str, int | Tiered], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CompiledPrice.of(prices, source="test")


@settings(max_examples=150, deadline=None)
@given(prices=RATES, usage=ANY_USAGE)
def test_integers_agree_with_rational_arithmetic(prices: dict[str, Fraction], usage: Usage) -> None:
    cost = CompiledPrice.of(prices, source="test").cost(usage)
    if cost is None:
        return
    falls = {
        "cache_read": "input", "cache_write": "input", "cache_write_1h": "cache_write",
        "input_image": "input", "input_audio": "input",
        "reasoning": "output", "output_audio": "output", "output_image": "output",
    }  # fmt: skip

    def rate(unit: str) -> Fraction:
        if unit == "cache_audio_read" and unit not in prices:
            unit = next((one for one in ("input_audio", "cache_read") if one in prices), "input")
        while unit not in prices and unit in falls:
            unit = falls[unit]
        return prices[unit] if unit != "requests" else prices.get(unit, Fraction(0))

    counted = zip(UNITS, quantities(usage), strict=True)
    exact = sum((quantity * rate(unit) for unit, quantity in counted if quantity), Fraction(0))
    assert cost.nano_usd == floor(exact + Fraction(1, 2))
    assert cost.nano_usd == sum(nano for _, _, nano in cost.parts)


@settings(max_examples=150, deadline=None)
@given(usage=ANY_USAGE)
def test_quantities_add_up_to_the_totals_whatever_a_provider_reports(usage: Usage) -> None:
    counted = dict(zip(UNITS, quantities(usage), strict=True))
    assert min(counted.values()) >= 0
    assert sum(list(counted.values())[:7]) == max(usage.input_tokens or 0, 0)
    assert sum(counted[unit] for unit in ("output", "reasoning", "output_audio", "output_image")) == max(
        usage.output_tokens or 0, 0
    )


@settings(max_examples=50, deadline=None)
@given(usage=ANY_USAGE)
def test_a_part_reported_as_none_counts_like_one_reported_as_zero(usage: Usage) -> None:
    zeroes: dict[str, Any] = {
        name: 0 for name in COUNTED if getattr(usage, name) is None and not name.startswith("cache")
    }
    assert quantities(replace(usage, **zeroes)) == quantities(usage)


def test_what_estimated_usage_costs_is_estimated() -> None:
    price = priced(input=1000)
    costs = [price.cost(Usage(1, 0, estimated=estimated)) for estimated in (False, True)]
    assert [cost is not None and cost.estimated for cost in costs] == [False, True]
