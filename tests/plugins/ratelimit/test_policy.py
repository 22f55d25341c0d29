"""Reading policies: the vectors of contract 18.1 as COMPAT settles them, and whatever else a header may hold."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw_ratelimit.policy import MAX_QUOTA, SUBUNITS, UNITS, Policy, is_name, parse_policy


@pytest.mark.parametrize(
    ("text", "quota", "window", "unit", "segment"),
    [
        ("1000;w=3600", "1000", 3600, "request", "global"),
        ("10.5;w=60;u=cents", "10.5", 60, "cents", "global"),
        ("100;w=60;s=user", "100", 60, "request", "user"),
        ("100;w=60;u=cents;s=Organization", "100", 60, "cents", "organization"),
        ("100;W=60;U=REQUEST", "100", 60, "request", "global"),
        ("100;w=60;u=tokens", "100", 60, "tokens", "global"),
        ("100;w=31536000", "100", 31_536_000, "request", "global"),
        ("  100;w=60\t", "100", 60, "request", "global"),
        ("0100.500;w=060", "100.5", 60, "request", "global"),
        ("100;w=60;s=Customer-Tier_2", "100", 60, "request", "customer-tier_2"),
    ],
)
def test_what_is_well_formed(text: str, quota: str, window: int, unit: str, segment: str) -> None:
    policy = parse_policy(text)
    assert (policy.limit, policy.window, policy.unit, policy.segment) == (quota, window, unit, segment)
    assert policy.quota == int(Decimal(quota) * SUBUNITS[policy.unit])
    assert parse_policy(policy.text) == policy


@pytest.mark.parametrize(
    "text",
    [
        "",
        "100",
        "basic-100",
        "100;w=59",
        "100;w=31536001",
        "100;w=",
        "0;w=60",
        "0.0;w=60;u=cents",
        "-1;w=60",
        "1e3;w=60",
        "100;w=60;s=user;u=cents",
        "100; w=60",
        "100;w=60;",
        "100;w=60;u=requests",
        "100;w=60;u=dollars",
        "100;w=60;s=",
        "100;w=60;s=a b",
        "100;w=60.5",
        "١٠٠;w=60",
        ".5;w=60;u=cents",
        "100;w=60;u=request;u=request",
        "9" * 300 + ";w=60",
        "100;w=60;s=" + "a" * 300,
        "0.5;w=60",
        "0.00000001;w=60;u=cents",
        f"{MAX_QUOTA};w=60",
    ],
)
def test_what_is_not(text: str) -> None:
    with pytest.raises(ValueError, match=r"it should look like|its window|its quota|a quota below"):
        parse_policy(text)


def test_the_problem_is_told_without_what_was_sent() -> None:
    with pytest.raises(ValueError, match="window should be 60 to 31536000 seconds") as caught:
        parse_policy("7777;w=59;s=secret")
    assert "7777" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_decimals_finer_than_a_subunit_are_cut() -> None:
    assert parse_policy("1.00000009;w=60;u=cents").quota == 10_000_000
    assert parse_policy("1.00000009;w=60;u=cents").limit == "1"


def test_a_name_is_told_from_a_policy() -> None:
    assert is_name("basic-100")
    assert not is_name("100;w=60")


@given(st.text(alphabet="0123456789.;w=use -cntrqokgaW\x00é\n", max_size=40) | st.text(max_size=300))
def test_anything_is_a_policy_or_a_value_error(text: str) -> None:
    try:
        policy = parse_policy(text)
    except ValueError:
        return
    assert isinstance(policy, Policy)
    assert 0 < policy.quota <= MAX_QUOTA
    assert 60 <= policy.window <= 31_536_000
    assert policy.text.isascii()
    assert parse_policy(policy.text) == policy


@given(
    st.decimals(min_value=1, max_value=4_000_000, places=3),
    st.integers(60, 31_536_000),
    st.sampled_from(UNITS),
    st.from_regex(r"[A-Za-z0-9_-]{1,30}", fullmatch=True),
    st.booleans(),
)
def test_whatever_the_grammar_makes_is_read_as_it_is_meant(
    quota: Decimal, window: int, unit: str, segment: str, upper: bool
) -> None:
    text = f"{quota};w={window};u={unit};s={segment}"
    policy = parse_policy(text.upper() if upper else text)
    assert (policy.window, policy.unit, policy.segment) == (window, unit, segment.lower())
    assert Decimal(policy.quota) / SUBUNITS[policy.unit] == quota
    assert Decimal(policy.limit) == quota
