"""Usage: totals contain their classes, what is absent is unknown, money is exact."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw.dialects._json import decode_exactly
from helicone_gw.dialects.usage import anthropic_usage, gemini_usage, nano_dollars, openai_usage, read_openai_usage
from helicone_gw.model import Usage


@pytest.mark.parametrize(
    ("raw", "usage"),
    [
        ({"prompt_tokens": 8, "completion_tokens": 2, "total_tokens": 10}, Usage(8, 2)),
        ({"prompt_tokens": 8, "total_tokens": 8}, Usage(8, 0)),
        ({"prompt_tokens": 8}, Usage(8)),
        ({"prompt_tokens": 8, "completion_tokens": None}, Usage(8)),
        (
            {"prompt_tokens": 8, "completion_tokens": 2, "prompt_cache_hit_tokens": 5, "prompt_cache_miss_tokens": 3},
            Usage(8, 2, cache_read_tokens=5),
        ),
        (
            {"prompt_tokens": 8, "completion_tokens": 2, "prompt_tokens_details": {"cache_write_tokens": 4}},
            Usage(8, 2, cache_write_tokens=4),
        ),
        (
            {
                "prompt_tokens": 9,
                "prompt_tokens_details": {"cache_write_details": {"write_5m_tokens": 1, "write_1h_tokens": 2}},
            },
            Usage(9, cache_write_tokens=3, cache_write_1h_tokens=2),
        ),
        (
            {
                "input_tokens": 50,
                "output_tokens": 40,
                "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
                "output_tokens_details": {"image_tokens": 39, "text_tokens": 1},
            },
            Usage(50, 40, input_image_tokens=40, output_image_tokens=39),
        ),
        (
            {"type": "tokens", "input_tokens": 14, "input_token_details": {"audio_tokens": 13}, "output_tokens": 5},
            Usage(14, 5, input_audio_tokens=13),
        ),
        # xAI: reasoning lies beside the completion, as the total shows.
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 4,
                "total_tokens": 44,
                "completion_tokens_details": {"reasoning_tokens": 30},
            },
            Usage(10, 34, reasoning_tokens=30),
        ),
        (
            {"prompt_tokens": 3, "completion_tokens": 4, "num_search_queries": 2, "cost": {"total_cost": 0.006}},
            Usage(3, 4, web_searches=2, cost=6_000_000),
        ),
        ({"type": "duration", "seconds": 9}, None),
        ({}, None),
        (None, None),
        ("12", None),
        ({"prompt_tokens": "8", "completion_tokens": -1, "total_tokens": True}, None),
        ({"prompt_tokens": 2**63, "completion_tokens": 1.5}, None),
        ({"prompt_tokens": 3.0}, Usage(3)),
    ],
)
def test_openai(raw: Any, usage: Usage | None) -> None:
    assert openai_usage(raw) == usage


def test_operations_that_generate_nothing_may_report_a_total_only() -> None:
    assert openai_usage({"total_tokens": 7}, input_only=True) == Usage(7, 0)
    assert openai_usage({"total_tokens": 7}) is None


@pytest.mark.parametrize(
    ("raw", "usage"),
    [
        ({"input_tokens": 10, "output_tokens": 5}, Usage(10, 5)),
        (
            {
                "input_tokens": 10,
                "cache_read_input_tokens": 100,
                "cache_creation_input_tokens": 30,
                "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
                "output_tokens": 5,
                "server_tool_use": {"web_search_requests": 3, "web_fetch_requests": 1},
                "service_tier": "batch",
            },
            Usage(
                140,
                5,
                cache_read_tokens=100,
                cache_write_tokens=30,
                cache_write_1h_tokens=20,
                web_searches=3,
                service_tier="batch",
            ),
        ),
        (
            {"input_tokens": 1, "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 0}},
            Usage(11, cache_write_tokens=10, cache_write_1h_tokens=0),
        ),
        ({"input_tokens": 1, "cache_creation_input_tokens": 7}, Usage(8, cache_write_tokens=7)),
        ({"output_tokens": 4}, Usage(None, 4)),
        ({"service_tier": "standard"}, None),
        ({}, None),
    ],
)
def test_anthropic_input_leaves_out_the_cache_and_ours_does_not(raw: Any, usage: Usage | None) -> None:
    assert anthropic_usage(raw) == usage


@pytest.mark.parametrize(
    ("raw", "usage"),
    [
        ({"promptTokenCount": 5, "candidatesTokenCount": 7, "totalTokenCount": 12}, Usage(5, 7)),
        (
            {"promptTokenCount": 5, "candidatesTokenCount": 7, "thoughtsTokenCount": 20, "totalTokenCount": 32},
            Usage(5, 27, reasoning_tokens=20),
        ),
        ({"promptTokenCount": 5, "toolUsePromptTokenCount": 4, "candidatesTokenCount": 1}, Usage(9, 1)),
        ({"promptTokenCount": 5, "totalTokenCount": 5}, Usage(5, 0)),
        ({"promptTokenCount": 5}, Usage(5)),
        ({"thoughtsTokenCount": 5}, Usage(None, 5, reasoning_tokens=5)),
        ({}, None),
    ],
)
def test_gemini(raw: Any, usage: Usage | None) -> None:
    assert gemini_usage(raw) == usage


@pytest.mark.parametrize(
    ("cost", "nano"),
    [
        (b"0.000000001", 1),
        (b"0.95", 950_000_000),
        (b"1", 10**9),
        (b"0", 0),
        (b"0.1000000004", 100_000_000),
        (b"1.5e-9", 2),
        (b"2.5e-9", 2),
        (b"1234567.123456789", 1_234_567_123_456_789),
        (b"-1", None),
        (b"1e400", None),
        (b"1e99999999999999999999", None),
        (b"true", None),
        (b'"0.5"', None),
        (b"null", None),
    ],
)
def test_a_cost_in_dollars_is_kept_to_the_nano_dollar(cost: bytes, nano: int | None) -> None:
    assert nano_dollars(decode_exactly(cost)) == nano


@given(st.integers(min_value=0, max_value=9 * 10**18))
def test_every_number_of_nano_dollars_survives_the_wire(nano: int) -> None:
    text = str(Decimal(nano).scaleb(-9)).encode()
    assert nano_dollars(decode_exactly(text)) == nano


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
KEYS = st.sampled_from(
    [
        "prompt_tokens",
        "total_tokens",
        "completion_tokens_details",
        "cost",
        "cache_creation",
        "input_tokens",
        "promptTokenCount",
        "promptTokensDetails",
        "server_tool_use",
        "prompt_tokens_details",
        "service_tier",
    ]
)


@given(JSON | st.dictionaries(KEYS, JSON))
def test_any_shape_is_read_without_raising(raw: Any) -> None:
    openai_usage(raw)
    anthropic_usage(raw)
    gemini_usage(raw)


NUMBERS = st.none() | st.booleans() | st.integers(-1, 50) | st.sampled_from([2**63 - 1, 2**63, 3.0, 0.5, "7"])
DETAILS = st.none() | st.dictionaries(
    st.sampled_from(
        ["cached_tokens", "audio_tokens", "reasoning_tokens", "accepted_prediction_tokens", "image_tokens"]
    ),
    NUMBERS,
)


@given(
    st.dictionaries(st.sampled_from(["prompt_tokens", "completion_tokens", "total_tokens", "cost"]), NUMBERS),
    st.dictionaries(st.sampled_from(["prompt_tokens_details", "completion_tokens_details"]), DETAILS),
    st.none() | st.sampled_from(["default", "flex", 7]),
)
def test_the_quick_reading_says_what_the_thorough_one_says(counts: dict, details: dict, tier: Any) -> None:
    data = msgspec.json.encode({**counts, **details})
    assert read_openai_usage(data, service_tier=tier) == openai_usage(decode_exactly(data), service_tier=tier)


def test_reasoning_beside_the_completion_is_seen_by_both_readings() -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 10}
    data = msgspec.json.encode({**usage, "completion_tokens_details": {"reasoning_tokens": 3}})
    assert read_openai_usage(data) == openai_usage(decode_exactly(data)) == Usage(5, 5, reasoning_tokens=3)


@pytest.mark.parametrize("data", [b"null", b"[]", b"{", b"", b'"x"', b"{}"])
def test_what_is_no_usage_is_unknown(data: bytes) -> None:
    assert read_openai_usage(data) is None
