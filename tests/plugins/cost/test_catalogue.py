"""The catalogue: our costs equal genai-prices' own to the nano-dollar, at any time and in any service tier."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from genai_prices import calc_price
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import StartDateConstraint, TimeOfDateConstraint
from genai_prices.types import Usage as TheirUsage
from hypothesis import given, settings
from hypothesis import strategies as st

from helicone_gw.model import Usage
from helicone_gw_cost.catalogue import Catalogue, next_change
from helicone_gw_cost.tables import table

CATALOGUE = Catalogue.load()
MODELS = [
    (provider.id, model.id)
    for provider in get_snapshot().providers
    for model in provider.models
    if provider.find_model(model.id) is not None  # some are only found under names other than their id
]
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TIERS = (None, "default", "batch", "flex", "priority", "fast")


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    """Usage as a provider reports it: classes inside their totals, cached audio inside both of its classes."""

    def take(whole: int) -> int:
        return draw(st.integers(0, whole)) if draw(st.booleans()) else 0

    total = draw(
        st.sampled_from([0, 1, 999, 199_999, 200_000, 200_001, 272_001, 1_000_001]) | st.integers(0, 2_000_000)
    )
    left = total
    read = take(left)
    left -= read
    write = take(left)
    left -= write
    audio = take(left)
    left -= audio
    image = take(left)
    audio_read = take(read)
    output = draw(st.integers(0, 100_000))
    reasoning = take(output)
    output_audio = take(output - reasoning)
    output_image = take(output - reasoning - output_audio)
    return Usage(
        input_tokens=total,
        output_tokens=output,
        cache_read_tokens=read,
        cache_write_tokens=write,
        cache_write_1h_tokens=take(write),
        reasoning_tokens=reasoning,
        input_audio_tokens=audio + audio_read,
        output_audio_tokens=output_audio,
        cache_audio_read_tokens=audio_read,
        input_image_tokens=image,
        output_image_tokens=output_image,
        web_searches=draw(st.sampled_from([0, 0, 1, 17])),
    )


def theirs(usage: Usage) -> TheirUsage:
    """The same usage for genai-prices; what `Usage` does not tell apart is none."""
    return TheirUsage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        cache_write_1h_tokens=usage.cache_write_1h_tokens,
        output_reasoning_tokens=usage.reasoning_tokens,
        input_audio_tokens=usage.input_audio_tokens,
        output_audio_tokens=usage.output_audio_tokens,
        cache_audio_read_tokens=usage.cache_audio_read_tokens,
        input_image_tokens=usage.input_image_tokens,
        output_image_tokens=usage.output_image_tokens,
        cache_image_read_tokens=0,
        web_searches=usage.web_searches,
    )


def compare(provider: str, model: str, usage: Usage, at: datetime, tier: str | None) -> bool:
    """Whether there is a cost, which then equals the oracle's; there is none only where a price is missing."""
    price = CATALOGUE.price(provider, (model,), tier, at.timestamp())
    oracle = calc_price(
        theirs(usage),
        model,
        provider_id=provider,
        genai_request_timestamp=at,
        price_context=table("service_tiers").get(tier),
    )
    if price is None:
        keys = {key for key, value in vars(oracle.model_price).items() if value is not None}
        assert not keys & set(table("units")["priced"])
        return False
    cost = price.cost(usage)
    if cost is None:
        assert price.lacks(usage)
        return False
    nano = (oracle.total_price * 10**9).quantize(Decimal(1), ROUND_HALF_UP)
    assert cost.nano_usd == nano, (provider, model, usage, at, tier)
    assert cost.source == "genai-prices"
    assert cost.version
    return True


def test_every_model_costs_what_genai_prices_says() -> None:
    usage = Usage(
        input_tokens=250_000,
        output_tokens=3001,
        cache_read_tokens=40_003,
        cache_write_tokens=1007,
        cache_write_1h_tokens=101,
        reasoning_tokens=1501,
        input_audio_tokens=77,
        cache_audio_read_tokens=11,
        output_audio_tokens=13,
        input_image_tokens=19,
        output_image_tokens=23,
    )
    priced = sum(compare(provider, model, usage, NOW, None) for provider, model in MODELS)
    assert priced > 0.85 * len(MODELS)


@settings(max_examples=120, deadline=None)
@given(
    which=st.sampled_from(MODELS),
    usage=usages(),
    at=st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC)),
    tier=st.sampled_from(TIERS),
)
def test_random_usage_costs_what_genai_prices_says(
    which: tuple[str, str], usage: Usage, at: datetime, tier: str | None
) -> None:
    compare(*which, usage, at, tier)


LARGE = [which for which in MODELS if which[0] in ("openai", "anthropic", "google", "deepseek", "azure", "aws")]


@settings(max_examples=120, deadline=None)
@given(
    which=st.sampled_from(LARGE),
    usage=usages(),
    at=st.datetimes(datetime(2026, 9, 1), datetime(2027, 2, 1), timezones=st.just(UTC)),
    tier=st.sampled_from(TIERS),
)
def test_random_usage_of_the_large_providers(
    which: tuple[str, str], usage: Usage, at: datetime, tier: str | None
) -> None:
    compare(*which, usage, at, tier)


def nano(provider: str, model: str, usage: Usage, tier: str | None = None, at: datetime = NOW) -> int | None:
    price = CATALOGUE.price(provider, (model,), tier, at.timestamp())
    cost = None if price is None else price.cost(usage)
    return None if cost is None else cost.nano_usd


MILLION = Usage(input_tokens=1_000_000, output_tokens=0)


@pytest.mark.parametrize(
    ("provider", "model", "usd"),
    [
        ("openai", "gpt-4o-2024-08-06", "2.5"),
        ("openai", "ft:gpt-4o-mini-2024-07-18:acme::abc", "0.3"),
        ("azure", "gpt-4o", "2.5"),
        ("gemini", "models/gemini-2.5-flash", "0.3"),
        ("vertex", "publishers/google/models/gemini-2.5-flash", "0.3"),
        ("vertex", "claude-haiku-4-5@20251001", "1"),
        ("bedrock", "anthropic.claude-3-5-sonnet-20241022-v2:0", "3"),
        ("xai", "grok-4", "3"),
        ("fireworks", "llama-v3p1-8b-instruct", "0.2"),
        ("fireworks", "accounts/fireworks/models/llama-v3p1-8b-instruct", "0.2"),
        ("groq", "llama-3.3-70b-versatile", "0.59"),
    ],
)
def test_our_providers_find_their_models(provider: str, model: str, usd: str) -> None:
    assert nano(provider, model, MILLION) == int(Decimal(usd) * 10**9)


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "a-model-of-tomorrow"),
        ("ollama", "llama3"),
        ("local", "gpt-4o"),
        ("openai", "omni-moderation-latest"),
    ],
)
def test_what_the_data_does_not_price_has_no_price(provider: str, model: str) -> None:
    assert CATALOGUE.price(provider, (model,), None, NOW.timestamp()) is None


def test_the_second_name_is_tried_when_the_first_has_no_price() -> None:
    assert CATALOGUE.price("openai", ("my-deployment", "gpt-4o"), None, NOW.timestamp()) is not None


def test_every_listed_provider_exists_in_the_data() -> None:
    ids = {provider.id for provider in get_snapshot().providers}
    assert {one for entry in table("providers").values() for one in entry["ids"]} <= ids


def test_every_price_key_in_the_data_is_priced_or_known_not_to_be() -> None:
    seen: set[str] = set()
    for provider in get_snapshot().providers:
        for model in provider.models:
            sets: list[Any] = [model.prices] if not isinstance(model.prices, list) else [p.prices for p in model.prices]
            sets += [variant.prices for variant in model.price_variants or ()]
            seen |= {key for prices in sets for key, value in vars(prices).items() if value is not None}
    assert seen <= set(table("units")["priced"]) | set(table("units")["not_counted"])


def test_service_tiers_are_cheaper_or_dearer_where_the_data_knows_and_standard_where_not() -> None:
    standard = nano("openai", "o3", MILLION)
    assert standard is not None
    assert nano("openai", "o3", MILLION, "flex") == standard // 2
    assert nano("openai", "o3", MILLION, "priority") == standard * 7 // 4
    assert nano("openai", "o3", MILLION, "default") == nano("openai", "o3", MILLION, "scale") == standard
    assert nano("groq", "llama-3.3-70b-versatile", MILLION, "flex") == nano("groq", "llama-3.3-70b-versatile", MILLION)


def test_a_price_by_time_of_day_says_until_when_it_holds() -> None:
    noon = CATALOGUE.price("deepseek", ("deepseek-chat",), None, NOW.timestamp())
    assert noon is not None
    assert noon.valid_until == datetime(2026, 11, 21, 16, 30, tzinfo=UTC).timestamp()
    night = CATALOGUE.price("deepseek", ("deepseek-chat",), None, noon.valid_until)
    assert night is not None
    assert night.valid_until == datetime(2026, 11, 22, 0, 30, tzinfo=UTC).timestamp()
    assert night.rates(1) != noon.rates(1)


def test_a_price_that_never_changes_holds_for_ever() -> None:
    price = CATALOGUE.price("together", ("meta-llama/Llama-3.3-70B-Instruct-Turbo",), None, NOW.timestamp())
    assert price is not None
    assert price.valid_until is None


@pytest.mark.parametrize(
    ("constraints", "expected"),
    [
        ([], None),
        ([StartDateConstraint(datetime(2026, 11, 21, tzinfo=UTC).date())], None),
        ([StartDateConstraint(datetime(2027, 1, 1, tzinfo=UTC).date())], datetime(2027, 1, 1, tzinfo=UTC)),
        (
            [TimeOfDateConstraint(time(12, tzinfo=UTC), time(13))],
            datetime(2026, 11, 21, 13, tzinfo=UTC),
        ),
        ([TimeOfDateConstraint(time(3, tzinfo=UTC), time(12, tzinfo=UTC))], datetime(2026, 11, 22, 3, tzinfo=UTC)),
        (
            [TimeOfDateConstraint(time(20, 30, tzinfo=timezone(timedelta(hours=8))), time(11, tzinfo=UTC))],
            datetime(2026, 11, 21, 12, 30, tzinfo=UTC),
        ),
        (
            [
                StartDateConstraint(datetime(2026, 11, 22, tzinfo=UTC).date()),
                TimeOfDateConstraint(time(23, tzinfo=UTC), time(1, tzinfo=UTC)),
            ],
            datetime(2026, 11, 21, 23, tzinfo=UTC),
        ),
    ],
)
def test_the_next_change_is_the_first_boundary_after_now(constraints: list[Any], expected: datetime | None) -> None:
    assert next_change(constraints, NOW) == (expected.timestamp() if expected else None)


@settings(max_examples=100, deadline=None)
@given(
    which=st.sampled_from(
        [(p.id, m.id) for p in get_snapshot().providers for m in p.models if isinstance(m.prices, list) and m.prices]
    ),
    at=st.datetimes(datetime(2025, 1, 1), datetime(2027, 3, 1), timezones=st.just(UTC)),
    share=st.floats(0, 0.999),
)
def test_a_price_stays_the_same_until_its_validity_ends(which: tuple[str, str], at: datetime, share: float) -> None:
    provider, model = which
    now = CATALOGUE.price(provider, (model,), None, at.timestamp())
    if now is None:
        return
    end = now.valid_until or datetime(2030, 1, 1, tzinfo=UTC).timestamp()
    later = CATALOGUE.price(provider, (model,), None, at.timestamp() + (end - at.timestamp()) * share)
    assert later is not None
    assert (later.tiers, later.scale) == (now.tiers, now.scale)
