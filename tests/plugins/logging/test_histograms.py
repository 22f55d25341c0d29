"""Histograms: percentiles within one per cent of exact, whatever was counted, and merged as if counted together."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw_logging.histograms import ZERO, bucket, percentile, value

SHARES = (0.001, 0.01, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0)
numbers = st.one_of(st.integers(0, 100), st.integers(0, 100_000), st.integers(0, 2**63 - 1))


@given(numbers)
def test_what_a_bucket_stands_for_is_within_one_per_cent(number: int) -> None:
    assert value(bucket(number)) == pytest.approx(number, rel=0.01, abs=0)


@given(numbers, numbers)
def test_a_larger_number_is_never_in_a_smaller_bucket(one: int, other: int) -> None:
    assert (bucket(one) <= bucket(other)) or one > other


def test_nothing_is_nothing_and_small_numbers_are_exact() -> None:
    assert (bucket(0), value(ZERO)) == (ZERO, 0.0)
    assert [value(bucket(number)) for number in range(50)] == list(range(50))


@given(st.lists(numbers, min_size=1, max_size=200), st.sampled_from(SHARES))
def test_percentiles_are_within_one_per_cent_of_exact(many: list[int], share: float) -> None:
    exact = sorted(many)[math.ceil(share * len(many)) - 1]
    assert percentile(Counter(map(bucket, many)), share) == pytest.approx(exact, rel=0.01, abs=0)


@given(st.lists(numbers, max_size=50), st.lists(numbers, min_size=1, max_size=50), st.sampled_from(SHARES))
def test_counts_are_merged_by_adding_them(one: list[int], other: list[int], share: float) -> None:
    merged = Counter(map(bucket, one)) + Counter(map(bucket, other))
    assert percentile(merged, share) == percentile(Counter(map(bucket, one + other)), share)


def test_of_nothing_there_is_no_percentile() -> None:
    assert percentile({}, 0.5) is None
    assert percentile({3: 0}, 0.5) is None


@pytest.mark.parametrize("share", [0, -0.1, 1.1, 50])
def test_a_share_is_a_share(share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        percentile({1: 1}, share)
