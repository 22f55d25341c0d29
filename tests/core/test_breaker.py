"""Breakers: open after enough failures, closed by a success, half open in between."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from helicone_gw.breaker import Breaker, BreakerPolicy

POLICY = BreakerPolicy(failures=3, error_rate=0.5, min_outcomes=8, window=20, rest=10, max_rest=80)


def test_it_opens_after_failures_in_a_row() -> None:
    breaker = Breaker()
    assert [breaker.failed(now, POLICY) for now in range(5)] == [None, None, 10, 20, 40]


def test_it_says_once_that_a_target_works_again() -> None:
    breaker = Breaker()
    assert not breaker.succeeded(0, POLICY)
    for now in range(3):
        breaker.failed(now, POLICY)
    assert [breaker.succeeded(20, POLICY) for _ in range(2)] == [True, False]
    assert breaker.failed(20, POLICY) is None


def test_half_open_it_admits_one_at_a_time() -> None:
    breaker = Breaker()
    assert breaker.admits(0, POLICY)
    breaker.tried(0)
    assert breaker.admits(0, POLICY), "closed"
    for _ in range(3):
        breaker.failed(0, POLICY)
    assert breaker.admits(10, POLICY)
    breaker.tried(10)
    assert not breaker.admits(11, POLICY)
    assert breaker.admits(20, POLICY), "the probe is taken for lost"


def test_no_rest_is_longer_than_the_longest() -> None:
    breaker = Breaker()
    rests = [breaker.failed(0, POLICY) for _ in range(5000)]
    assert max(rest or 0 for rest in rests) == 80
    assert POLICY.longest == 300


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 30), st.booleans()), max_size=100))
def test_open_means_that_the_last_outcome_was_a_failure(outcomes: list[tuple[float, bool]]) -> None:
    breaker, now, in_a_row = Breaker(), 0.0, 0
    for passed, well in outcomes:
        now += passed
        in_a_row = 0 if well else in_a_row + 1
        rest = breaker.succeeded(now, POLICY) if well else breaker.failed(now, POLICY)
        if well:
            assert breaker.opened == 0
        else:
            assert rest is None or 10 <= rest <= 80
            assert breaker.opened or in_a_row < POLICY.failures
