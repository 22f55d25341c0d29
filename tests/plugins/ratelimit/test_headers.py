"""What a client is told: the limit that binds most, and waits that are never too short."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw_ratelimit.headers import Standing, limit_headers, refusal, warn


def standing(**changes: Any) -> Standing:
    usual = {"name": "it", "policy": "10;w=60", "limit": "10", "unit": "requests", "remaining": 5, "share": 0.5}
    return Standing(**{**usual, "reset": 30_000_000, **changes})


def test_without_limits_there_are_no_headers() -> None:
    assert limit_headers([]) == {}


def test_a_full_one_has_no_reset() -> None:
    assert "Helicone-RateLimit-Reset" not in limit_headers([standing(reset=0)])
    assert limit_headers([standing(reset=1)])["Helicone-RateLimit-Reset"] == "1"


@pytest.mark.parametrize(
    ("standings", "binding"),
    [
        ([standing(policy="a", share=0.5), standing(policy="b", share=0.1)], "b"),
        ([standing(policy="a", share=-1.5), standing(policy="b", share=0.1)], "a"),
        ([standing(policy="a", share=0.5, wait=7), standing(policy="b", share=0.1)], "a"),
        ([standing(policy="a", share=0.5, wait=7), standing(policy="b", share=0.1, wait=8)], "b"),
    ],
)
def test_the_most_restrictive_answers(standings: list[Standing], binding: str) -> None:
    assert limit_headers(standings)["Helicone-RateLimit-Policy"] == binding


@given(st.integers(1, 2**52))
def test_whoever_waits_as_told_does_not_come_too_early(wait: int) -> None:
    error = refusal(standing(wait=wait))
    seconds, milliseconds = int(error.headers["Retry-After"]), int(error.headers["retry-after-ms"])
    assert 0 <= seconds * 1_000_000 - wait < 1_000_000
    assert 0 <= milliseconds * 1000 - wait < 1000
    assert error.details["retryAfterMs"] == milliseconds


def test_a_refusal_is_for_people_too() -> None:
    assert refusal(standing(wait=1)).message == "Rate limit reached: 10 requests (10;w=60). Try again in 1 second."
    one = standing(limit="1", policy="1;w=60", wait=29_000_001)
    assert refusal(one).message == "Rate limit reached: 1 request (1;w=60). Try again in 30 seconds."


def test_a_warning_goes_behind_those_of_others() -> None:
    exchange: Any = SimpleNamespace(headers={})
    warn(exchange, "first")
    warn(exchange, "second")
    assert exchange.headers == {"Helicone-Warning": "first; second"}
