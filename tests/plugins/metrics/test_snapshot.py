"""Snapshots: their sum is the sum of what they count, whatever became of bounds and workers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from helicone_gw import Measurement
from helicone_gw_metrics.snapshot import Snapshot, merged, rebucketed, snapshot
from helicone_gw_metrics.tally import AttemptRow, ExchangeRow, Tally

BOUNDS = st.lists(st.integers(1, 50), min_size=1, max_size=6, unique=True).map(sorted)
KEY = ("openai", "gpt-4o", "chat", "ok", 200, False, None)


def row(count: int, bounds: tuple[float, ...] = (1.0,)) -> ExchangeRow:
    latency = [count, *([0] * len(bounds))]
    return ExchangeRow(latency, [0, 0], [count] * 9, [0] * 4, count, count * 0.5, cost=count)


@given(BOUNDS, BOUNDS, st.data())
def test_no_count_is_lost_and_none_gets_smaller(old: list[float], new: list[float], data: st.DataObject) -> None:
    counts = data.draw(st.lists(st.integers(0, 9), min_size=len(old) + 1, max_size=len(old) + 1))
    moved = rebucketed(counts, old, new)
    assert sum(moved) == sum(counts)
    assert len(moved) == len(new) + 1
    for at, bound in enumerate(new):
        # What is said to be at most so long was known to be.
        known = sum(count for upper, count in zip(old, counts, strict=False) if upper <= bound)
        assert sum(moved[: at + 1]) == known


def test_the_same_bounds_change_nothing() -> None:
    counts = [1, 2]
    assert rebucketed(counts, (1.0,), [1.0]) is counts


def test_rows_of_one_key_are_added_field_by_field() -> None:
    both = [
        Snapshot(
            (1.0,), (1.0,), [(KEY, row(2))], [(("openai", "m", 500, "x"), AttemptRow(1, 0.5))], [(("a", None), 1)]
        ),
        Snapshot(
            (1.0,), (1.0,), [(KEY, row(3))], [(("openai", "m", 500, "x"), AttemptRow(2, 0.25))], [(("a", None), 4)]
        ),
    ]
    total = merged(both, (1.0,), (1.0,))
    assert total.exchanges == [(KEY, row(5))]
    assert total.attempts == [(("openai", "m", 500, "x"), AttemptRow(3, 0.75))]
    assert total.errors == [(("a", None), 5)]


def test_gauges_are_added_and_of_times_the_longest_counts() -> None:
    def one(value: float) -> Snapshot:
        figures = [
            Measurement("waiting", "gauge", "Waiting.", value),
            Measurement("lag_seconds", "gauge", "Lag.", value),
            Measurement("spent_seconds", "counter", "Spent.", value),
        ]
        return snapshot(Tally((1.0,), (1.0,), max_values=9, max_series=9), figures, pid=1)

    total = merged([one(2), one(5)], (1.0,), (1.0,))
    assert [value for _, _, value in total.figures] == [7, 5, 7]
    assert [key[0] for key, _, _ in one(1).without_gauges().figures] == ["spent_seconds"]
