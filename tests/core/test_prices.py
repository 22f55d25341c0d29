"""The price service: first source wins, answers are remembered within bounds, unknown prices are None and counted."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from helicone_gw.model import Cost, Target, Usage
from helicone_gw.price import CompiledPrice, Tiered
from helicone_gw.prices import OTHER, Prices

USAGE = Usage(input_tokens=10, output_tokens=10)


@dataclass
class Source:
    """A price list: nano-dollars per token, by provider/model or provider/model@tier; records what it was asked."""

    prices: dict[str, int | CompiledPrice]
    asked: list[tuple[str, tuple[str, ...], str | None, float]] = field(default_factory=list)

    def price(
        self, provider: str, models: tuple[str, ...], service_tier: str | None, at: float
    ) -> CompiledPrice | None:
        self.asked.append((provider, models, service_tier, at))
        for model in models:
            for key in (f"{provider}/{model}@{service_tier}", f"{provider}/{model}"):
                if key in self.prices:
                    price = self.prices[key]
                    return price if isinstance(price, CompiledPrice) else flat(price)
        return None


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


def flat(nano: int, valid_until: float | None = None, source: str = "list") -> CompiledPrice:
    return CompiledPrice.of({"input": nano, "output": nano}, source=source, valid_until=valid_until)


def service(*sources: Source, **options: object) -> Prices:
    prices = Prices(**options)  # type: ignore[arg-type]
    for source in sources:
        prices.use(source)
    return prices


def nano(cost: Cost | None) -> int | None:
    return None if cost is None else cost.nano_usd


def test_the_first_source_with_a_price_wins() -> None:
    prices = service(Source({"openai/a": 1}), Source({"openai/a": 2, "openai/b": 3}))
    assert nano(prices.cost("openai", "a", USAGE)) == 20
    assert nano(prices.cost("openai", "b", USAGE)) == 60


def test_no_usage_and_no_tokens_have_no_cost_and_are_not_an_unknown_price() -> None:
    prices = service(Source({}))
    assert prices.cost("openai", "a", None) is None
    assert prices.cost("openai", "a", Usage(web_searches=3)) is None
    assert not prices.unknown


def test_an_unknown_price_is_none_and_counted() -> None:
    prices = service(Source({}))
    for _ in range(3):
        assert prices.cost("openai", "brand-new", USAGE) is None
    assert prices.cost("local", None, USAGE) is None
    assert dict(prices.unknown) == {("openai", "brand-new"): 3, ("local", ""): 1}


def test_a_quantity_without_a_price_counts_as_unknown_but_a_total_not_reported_does_not() -> None:
    prices = service(Source({"openai/a": 1}))
    assert prices.cost("openai", "a", Usage(input_tokens=1, output_tokens=1, web_searches=1)) is None
    assert dict(prices.unknown) == {("openai", "a"): 1}
    assert prices.cost("openai", "a", Usage(input_tokens=1)) is None
    assert dict(prices.unknown) == {("openai", "a"): 1}


def test_the_providers_own_figure_is_the_total() -> None:
    prices = service(Source({"openrouter/a": 1}))
    assert prices.cost("openrouter", "a", Usage(10, 10, cost=12_345)) == Cost(12_345, (), "provider")
    assert prices.cost("openrouter", "never-heard-of", Usage(cost=0)) == Cost(0, (), "provider")
    assert nano(prices.cost("openrouter", "a", Usage(10, 10, cost=-1))) == 20
    assert not prices.unknown


def test_the_name_in_the_reply_is_looked_up_before_the_one_asked_for() -> None:
    source = Source({"azure/gpt-4o": 5, "azure/gpt-4o-2024-05-13": 9})
    prices = service(source)
    assert nano(prices.cost("azure", "gpt-4o-2024-05-13", USAGE, asked="gpt-4o")) == 180
    assert nano(prices.cost("azure", "gpt-4o-2031", USAGE, asked="gpt-4o")) == 100
    assert nano(prices.cost("azure", None, USAGE, asked="gpt-4o")) == 100
    assert source.asked[0][1] == ("gpt-4o-2024-05-13", "gpt-4o")


def test_a_service_tier_has_its_own_price_where_the_source_knows_one() -> None:
    prices = service(Source({"openai/a": 10, "openai/a@flex": 5}))
    assert nano(prices.cost("openai", "a", Usage(1, 1))) == 20
    assert nano(prices.cost("openai", "a", Usage(1, 1, service_tier="flex"))) == 10
    assert nano(prices.cost("openai", "a", Usage(1, 1, service_tier="priority"))) == 20


def test_a_resolved_price_is_remembered_until_it_may_change() -> None:
    clock = Clock()
    source = Source({"deepseek/a": flat(1, valid_until=2000.0), "openai/a": 1})
    prices = service(source, now=clock)
    for _ in range(3):
        prices.cost("deepseek", "a", USAGE)
        prices.cost("openai", "a", USAGE)
        prices.cost("openai", "unknown", USAGE)
    assert len(source.asked) == 3
    clock.time = 1999.9
    assert nano(prices.cost("deepseek", "a", USAGE)) == 20
    source.prices["deepseek/a"] = flat(2)
    clock.time = 2000.0
    assert nano(prices.cost("deepseek", "a", USAGE)) == 40
    assert source.asked[-1][3] == 2000.0


def test_a_new_source_and_refresh_forget_what_was_resolved() -> None:
    first = Source({})
    prices = service(first)
    assert prices.cost("openai", "a", USAGE) is None
    prices.use(Source({"openai/a": 1}))
    assert nano(prices.cost("openai", "a", USAGE)) == 20
    first.prices["openai/a"] = 4
    prices.refresh()
    assert nano(prices.cost("openai", "a", USAGE)) == 80


def test_the_least_recently_used_price_is_dropped() -> None:
    source = Source({"p/a": 1, "p/b": 1, "p/c": 1})
    prices = service(source, max_prices=2)
    for model in ("a", "b", "a", "c", "a"):
        prices.cost("p", model, USAGE)
    assert [models[0] for _, models, _, _ in source.asked] == ["a", "b", "c"]
    prices.cost("p", "b", USAGE)
    assert [models[0] for _, models, _, _ in source.asked] == ["a", "b", "c", "b"]


def test_labels_of_unknown_prices_are_bounded() -> None:
    prices = service(Source({}), max_unknown=2)
    for model in ("a", "b", "c", "d", "a"):
        prices.cost("p", model, USAGE)
    assert dict(prices.unknown) == {("p", "a"): 2, ("p", "b"): 1, (OTHER, OTHER): 2}


def test_a_name_beyond_any_models_is_not_looked_up() -> None:
    source = Source({})
    prices = service(source)
    assert prices.cost("p", "x" * 10_000, USAGE) is None
    assert source.asked == []
    assert dict(prices.unknown) == {("p", "x" * 256): 1}


def test_a_faulty_source_costs_no_client_its_answer_and_is_asked_again() -> None:
    faults: list[Exception] = []

    class Faulty(Source):
        def price(self, *args: object) -> CompiledPrice | None:
            raise LookupError("torn data")

    prices = service(Faulty({}), on_fault=faults.append)
    assert prices.cost("p", "a", USAGE) is None
    assert prices.cost("p", "a", USAGE) is None
    assert [str(fault) for fault in faults] == ["torn data", "torn data"]
    assert dict(prices.unknown) == {("p", "a"): 2}


def test_an_estimate_is_that_of_the_dearest_reachable_target() -> None:
    source = Source({"cheap/m": 1, "dear/m-large": 7, "p/m": 2})
    targets = {"m": [Target("cheap", "m"), Target("dear", "m-large"), Target("unpriced", "m")]}
    prices = service(source, targets=lambda model: targets.get(model, []))
    assert nano(prices.estimate("m", None, 100, 10)) == 770
    assert nano(prices.estimate("m", "p", 100, 10)) == 220
    assert prices.estimate("m", "unpriced", 100, 10) is None
    assert prices.estimate("nobody-has-it", None, 100, 10) is None
    assert not prices.unknown


def test_an_estimate_without_known_targets_is_unknown() -> None:
    assert service(Source({"p/m": 2})).estimate("m", None, 1, 1) is None


def test_an_estimate_uses_the_tier_of_its_size() -> None:
    tiered = CompiledPrice.of({"input": Tiered(1, ((100, 2),)), "output": 0}, source="list")
    prices = service(Source({"p/m": tiered}))
    assert [nano(prices.estimate("m", "p", size, 0)) for size in (100, 101)] == [100, 202]


def test_the_counters_cannot_be_changed_from_outside() -> None:
    with pytest.raises(TypeError):
        service().unknown[("p", "m")] = 1  # type: ignore[index]
