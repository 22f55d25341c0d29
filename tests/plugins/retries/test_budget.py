"""The retry budget: a share of the traffic, a number that is always allowed, and money."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from helicone_gw_retries.budget import WINDOW, RetryBudget


def test_a_few_retries_are_always_allowed() -> None:
    budget = RetryBudget(share=0.1, floor=2, usd=None)
    assert [budget.take(0) for _ in range(4)] == [True, True, False, False]
    assert budget.refused == 2


def test_more_traffic_allows_more_retries() -> None:
    budget = RetryBudget(share=0.1, floor=0, usd=None)
    for _ in range(50):
        budget.requested(1.5)
    assert sum(budget.take(2) for _ in range(50)) == 5


def test_what_is_a_minute_old_is_forgotten() -> None:
    budget = RetryBudget(share=0, floor=1, usd=None)
    assert budget.take(0)
    assert not budget.take(WINDOW - 1)
    assert budget.take(WINDOW)


def test_money_that_was_spent_stops_retries_for_a_minute() -> None:
    budget = RetryBudget(share=1, floor=100, usd=Decimal("0.001"))
    assert budget.take(0)
    budget.spent(0, 999_999)
    assert budget.take(1)
    budget.spent(1, 1)
    assert not budget.take(2)
    assert budget.take(WINDOW)


@settings(deadline=None)
@given(
    share=st.floats(0, 1),
    floor=st.integers(0, 5),
    events=st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=200),
)
def test_no_minute_has_more_retries_than_it_may(share: float, floor: int, events: list[tuple[int, bool]]) -> None:
    budget = RetryBudget(share, floor, None)
    now, requests, retries = 0, [], []
    for passed, is_request in events:
        now += passed
        if is_request:
            budget.requested(now)
            requests.append(now)
        elif budget.take(now):
            retries.append(now)
            recent = [at for at in retries if at > now - WINDOW]
            assert len(recent) <= max(floor, share * sum(at > now - WINDOW for at in requests))
    assert len(budget._seconds) <= WINDOW + 1
