"""Division: whatever a time and its buckets are, every instant counts once in its bucket, and none beside it."""

from __future__ import annotations

import random
from bisect import bisect_right
from typing import Any

import pytest

from helicone_gw_logging.measures import DAY_MS
from helicone_gw_logging.query.cuts import cuts, step, zone
from helicone_gw_logging.query.division import BESIDE, Division, divided
from helicone_gw_logging.query.spans import Span

HOUR = 3_600_000
START = 1_767_225_600_000
ZONES = [
    zone(None, ahead) if isinstance(ahead, int) else zone(ahead)
    for ahead in ("UTC", "Europe/Berlin", "America/Noronha", -90, 330)
]
LEVELS = ((0, DAY_MS), (1, HOUR), (None, 1))


def by_parts(division: Division, at: int) -> dict[int, int]:
    """How often an instant counts, by its bucket, where pieces of time are asked for."""
    found: dict[int, int] = {}
    for level, length in LEVELS:
        for bucket, sign, (first, last) in division.parts(level, length):
            if first * length <= at < last * length:
                found[bucket] = found.get(bucket, 0) + sign
    return {bucket: times for bucket, times in found.items() if times}


def by_instants(division: Division, at: int) -> dict[int, int]:
    """The same, where what is read is told apart by the beginning of its piece of time."""
    found: dict[int, int] = {}
    longest = step(division.cuts)
    for level, length in LEVELS:
        ranges = division.rest if level is None else division.ranges[level]
        less = division.less[-1 if level is None else level]
        for sign, some, of in ((1, ranges, 0 if level is None else length), (-1, less, BESIDE)):
            if any(first * length <= at < last * length for first, last in some):
                units = max(1, longest // length)
                begins = at // length // units * units * length if len(division.cuts) > 1 else 0
                for bucket, times in division.places(of)(begins):
                    found[bucket] = found.get(bucket, 0) + sign * times
    return {bucket: times for bucket, times in found.items() if times}


@pytest.mark.parametrize("seed", range(120))
def test_every_instant_counts_once(seed: int) -> None:
    dice = random.Random(seed)
    start = START + dice.randrange(0, 5 * DAY_MS, dice.choice((1, 1000, 60_000, HOUR // 2, HOUR, DAY_MS)))
    end = start + dice.randrange(1, dice.choice((2 * HOUR, DAY_MS, 2 * DAY_MS, 8 * DAY_MS)))
    increments: list[Any] = ["hour", "day", "week", "month", "year"]
    if end - start < 3 * HOUR:
        increments.append("min")
    begins = cuts(Span(start, end), dice.choice(increments), dice.choice(ZONES)) if dice.random() < 0.8 else []
    division = divided(Span(start, end), begins, [DAY_MS, HOUR], beyond=True)
    edges = {edge + by for edge in (start, end, *begins[:4], *begins[-4:]) for by in (-1, 0, 1)}
    for at in (*edges, *(dice.randrange(start - DAY_MS, end + DAY_MS) for _ in range(10))):
        bucket = max(0, bisect_right(begins, at) - 1) if len(begins) > 1 else 0
        expected = {bucket: 1} if start <= at < end else {}
        assert by_parts(division, at) == expected
        assert by_instants(division, at) == expected


def test_most_of_a_day_is_read_as_a_day() -> None:
    minute = 60_000
    span = Span(START + 2 * minute, START + 3 * DAY_MS - 40 * minute)
    division = divided(span, [], [DAY_MS, HOUR], beyond=True)
    first = START // DAY_MS
    assert division.ranges == ([(first, first + 3)], [])
    # Of the last hour more is outside than inside: it is taken away, and what is inside added again.
    last = (first + 3) * 24 - 1
    assert division.less == ([], [(last, last + 1)], [(START, START + 2 * minute)])
    assert division.rest == [(last * HOUR, last * HOUR + 20 * minute)]
