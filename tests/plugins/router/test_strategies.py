"""Strategies: the order in which targets are tried."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helicone_gw import Headers, Health, Target
from helicone_gw.testing import VirtualClock
from helicone_gw_router import strategies
from helicone_gw_router.limits import MAX_TARGETS, Headroom
from helicone_gw_router.strategies import Choice, Rotation, Rotations

A, B, C, D = (Target("openai", name) for name in "abcd")


def names(choices: list[Choice]) -> str:
    return "".join(choice.target.model or "" for choice in choices)


@settings(deadline=None)
@given(weights=st.lists(st.floats(0.1, 100), min_size=1, max_size=8), rounds=st.integers(1, 400))
def test_shares_are_never_wrong_by_more_than_a_request_per_target(weights: list[float], rounds: int) -> None:
    rotation = Rotation()
    choices = [Choice(Target("p", str(number)), weight) for number, weight in enumerate(weights)]
    taken = Counter(rotation.take(choices).target for _ in range(rounds))
    for choice in choices:
        assert abs(taken[choice.target] - rounds * choice.weight / sum(weights)) <= len(choices)


def test_a_target_that_was_away_does_not_catch_up() -> None:
    rotation = Rotation()
    both = [Choice(A), Choice(B)]
    for _ in range(100):
        rotation.take(both[:1])
    taken = Counter(rotation.take(both).target for _ in range(10))
    assert taken[B] <= 6


def test_rotations_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strategies, "MAX_ROTATIONS", 2)
    rotations = Rotations()
    first = rotations.of("a")
    assert rotations.of("a") is first
    rotations.of("b")
    rotations.of("c")
    assert rotations.of("a") is not first


def test_cheapest_is_priority_then_price_and_the_unknown_last() -> None:
    choices = [
        Choice(A, priority=4, price=5),
        Choice(B, priority=4, price=None),
        Choice(C, priority=4, price=3),
        Choice(D, priority=3, price=9),
    ]
    assert names(strategies.cheapest(choices, Rotation())) == "dcab"


def test_keys_of_one_price_share_by_weight() -> None:
    choices = [Choice(A, 3, price=1), Choice(B, 1, price=1), Choice(C, 1, price=2)]
    rotation = Rotation()
    orders = Counter(names(strategies.cheapest(choices, rotation)) for _ in range(8))
    assert orders == {"abc": 6, "bac": 2}


def test_priority_alone() -> None:
    assert (
        names(strategies.priority([Choice(A, priority=2, price=1), Choice(B, priority=1, price=9)], Rotation())) == "ba"
    )


def test_weighted_puts_the_weightiest_next() -> None:
    choices = [Choice(A, 1), Choice(B, 5), Choice(C, 2)]
    assert names(strategies.weighted(choices, Rotation())) == "bca"


def test_latency_takes_the_better_of_two_and_measures_the_unknown() -> None:
    health = Health(VirtualClock())
    for target, seconds in ((A, 3.0), (B, 1.0), (C, 2.0)):
        health.started(target)
        health.ended(target, seconds)
    choices = [Choice(A), Choice(B), Choice(C)]
    drawn = iter([0.0, 0.0])  # the first and the one after it
    assert names(strategies.latency(choices, health, lambda: next(drawn))) == "bca"
    drawn = iter([0.7, 0.0])  # the third and the first
    assert names(strategies.latency(choices, health, lambda: next(drawn))) == "cba"
    assert names(strategies.latency([Choice(A), Choice(D)], health, lambda: 0.0)) == "da"


def test_latency_counts_what_is_under_way() -> None:
    health = Health(VirtualClock())
    for target, seconds in ((A, 1.0), (B, 1.5)):
        health.started(target)
        health.ended(target, seconds)
    health.started(A)
    assert names(strategies.latency([Choice(A), Choice(B)], health, lambda: 0.0)) == "ba"


def test_least_busy_for_its_weight() -> None:
    health = Health(VirtualClock())
    for target, count in ((A, 2), (B, 3)):
        for _ in range(count):
            health.started(target)
    assert names(strategies.least_busy([Choice(A), Choice(B)], health, Rotation())) == "ab"
    assert names(strategies.least_busy([Choice(A), Choice(B, 2)], health, Rotation())) == "ba"


def test_usage_takes_what_has_most_left() -> None:
    headroom = Headroom()
    headroom.heard(A, Headers({"x-ratelimit-remaining-requests": "10", "x-ratelimit-limit-requests": "100"}), 0)
    tokens = {"anthropic-ratelimit-tokens-remaining": "50", "anthropic-ratelimit-tokens-limit": "100"}
    headroom.heard(
        B, Headers({**tokens, "x-ratelimit-remaining-requests": "99", "x-ratelimit-limit-requests": "100"}), 0
    )
    headroom.heard(B, Headers({"x-other": "1"}), 1)
    order = strategies.usage([Choice(A), Choice(B), Choice(C)], lambda target: headroom.of(target, 5), Rotation())
    assert names(order) == "cba"
    assert headroom.of(A, 60) == 1.0, "a minute later nobody knows"


@pytest.mark.parametrize("value", ["", "many", "-5", "nan"])
def test_limits_that_say_nothing(value: str) -> None:
    headroom = Headroom()
    headroom.heard(A, Headers({"x-ratelimit-remaining-requests": value, "x-ratelimit-limit-requests": "0"}), 0)
    assert headroom.of(A, 0) == 1.0


def test_headroom_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    from helicone_gw_router import limits

    assert MAX_TARGETS == 10_000
    monkeypatch.setattr(limits, "MAX_TARGETS", 1)
    headroom = Headroom()
    low = Headers({"x-ratelimit-remaining-requests": "0", "x-ratelimit-limit-requests": "9"})
    headroom.heard(A, low, 0)
    headroom.heard(B, low, 0)
    assert (headroom.of(A, 0), headroom.of(B, 0)) == (1.0, 0.0)


@settings(deadline=None)
@given(key=st.text(max_size=20), gone=st.integers(0, 3))
def test_hash_moves_only_what_must(key: str, gone: int) -> None:
    choices = [Choice(target) for target in (A, B, C, D)]
    order = strategies.hashed(choices, key)
    assert order == strategies.hashed(choices, key)
    left = [choice for number, choice in enumerate(choices) if number != gone]
    assert strategies.hashed(left, key) == [choice for choice in order if choice in left]


def test_hash_goes_by_weight() -> None:
    choices = [Choice(A, 3), Choice(B, 1)]
    first = Counter(strategies.hashed(choices, str(number))[0].target for number in range(2000))
    assert first[A] / 2000 == pytest.approx(0.75, abs=0.03)


def test_a_price_is_shown_in_dollars_per_million() -> None:
    assert Choice(A, price=17_500_000).label == "openai/a=4.375"
    assert Choice(A).label == "openai/a"
