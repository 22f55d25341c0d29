"""The truth meter: verdicts, intervals, and when something is stopped."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw_semantic_cache import truth
from helicone_gw_semantic_cache.config import MeterConfig
from helicone_gw_semantic_cache.truth import Meter, Tally, Verdict, compare, wilson


@pytest.mark.parametrize(
    ("wrong", "total", "low", "high"),
    [
        (0, 0, 0.0, 1.0),
        (0, 10, 0.0, 0.2775),  # as in Brown, Cai and DasGupta (2001)
        (1, 10, 0.0179, 0.4042),
        (5, 10, 0.2366, 0.7634),
        (10, 10, 0.7225, 1.0),
        (81, 263, 0.2553, 0.3662),  # Newcombe (1998), table I
        (15, 148, 0.0624, 0.1605),
    ],
)
def test_intervals_as_they_are_published(wrong: int, total: int, low: float, high: float) -> None:
    assert wilson(wrong, total) == pytest.approx((low, high), abs=1e-4)


@given(st.integers(0, 500), st.integers(0, 500))
def test_an_interval_holds_its_rate(wrong: int, right: int) -> None:
    low, high = wilson(wrong, wrong + right)
    assert 0 <= low <= high <= 1
    if wrong + right:
        assert low - 1e-12 <= wrong / (wrong + right) <= high + 1e-12


@pytest.mark.parametrize(
    ("served", "fresh", "similarity", "verdict"),
    [
        ("Paris.", "Paris.", None, "same"),
        ("It is  Paris.", "It is Paris.", None, "same"),
        ("Paris.", "The capital of France is Paris.", 0.9, "same"),
        ("The capital of France is Paris.", "Paris.", 0.9, "same"),
        ("Lyon.", "The capital of France is Paris.", 0.99, "other"),
        ("It was in 1789.", "It was in 1799.", 0.99, "other"),
        ("It was in 1789, in July.", "That was in 1789.", 0.9, "same"),
        ("Yes, it is safe.", "No, it is safe.", 0.99, "other"),
        ("Yes, you can take it.", "You can take it, yes.", 0.99, "other"),  # strict: one begins with it
        ("Run `a`.", "Run `b`.", 0.99, "other"),
        ("Open the settings and choose reset.", "Choose reset in the settings.", 0.9, "same"),
        ("Open the settings and choose reset.", "Choose reset in the settings.", 0.5, "other"),
        ("Open the settings and choose reset.", "Choose reset in the settings.", None, "unknown"),
        ("a " * 3000, "b " * 3000, 1.0, "unknown"),
    ],
)
def test_verdicts(served: str, fresh: str, similarity: float | None, verdict: Verdict) -> None:
    assert compare(served, fresh, similarity, 0.85) == verdict
    assert compare(fresh, served, similarity, 0.85) == verdict


def meter(**config: float) -> Meter:
    return Meter(MeterConfig.model_validate({"max_wrong": 0.1, "min_samples": 4, "stop_for": 60, **config}))


def test_nothing_stops_before_there_are_enough_samples() -> None:
    judge = meter()
    assert [judge.heard("m", "other", 0) for _ in range(4)] == [False, False, False, True]
    assert judge.stopped("m", 59.9)
    assert not judge.stopped("other model", 0)
    assert judge.counts.stops == 1


def test_what_stopped_gets_another_chance_with_an_empty_tally() -> None:
    judge = meter()
    for _ in range(4):
        judge.heard("m", "other", 0)
    assert not judge.stopped("m", 60)
    assert judge.tally("m") is None


def test_a_rate_that_may_be_below_the_bound_stops_nothing() -> None:
    judge = meter()
    for number in range(100):
        assert not judge.heard("m", "other" if number % 10 == 0 else "same", 0)
    assert judge.tally("m") == Tally(same=90, other=10)
    assert not judge.stopped("m", 0)


def test_what_nobody_can_say_counts_for_neither_side() -> None:
    judge = meter()
    for _ in range(10):
        judge.count("unknown")
        assert not judge.heard("m", "unknown", 0)
    assert (judge.counts.unknown, judge.all.total, judge.tally("m")) == (10, 0, None)


def test_a_stop_is_told_once() -> None:
    judge = meter()
    told = [judge.heard("m", "other", 0) for _ in range(10)]
    assert told.count(True) == 1


def test_the_tally_heard_of_longest_ago_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(truth, "MOST_TALLIES", 2)
    judge = meter()
    for key in ("a", "b", "a", "c"):
        judge.heard(key, "same", 0)
    assert judge.tally("b") is None
    assert judge.tally("a") == Tally(same=2)
    assert judge.counts.forgotten == 1
