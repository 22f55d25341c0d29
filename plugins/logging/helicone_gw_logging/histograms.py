"""Histograms: buckets that grow by two per cent, so that percentiles are within one per cent, however many are merged.

Bucket ``i`` holds what is above ``RATIO ** (i - 1)`` and at most ``RATIO ** i``; bucket -1 holds zero. What a bucket
stands for is the value that is nowhere further than one per cent from what is in it (Masson, Rim and Lee, "DDSketch",
VLDB 2019); where only one whole number falls into a bucket, it is that number. Counts of several hours, models or
machines are merged by adding them up, bucket by bucket.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache

RATIO = 1.02
"""How much larger a bucket's upper end is than its lower one."""
ZERO = -1
"""The bucket of nothing."""
METRICS = ("latency", "first_token", "total_tokens")
"""What is counted in buckets: two durations in milliseconds, and a number of tokens."""

_LOG = math.log(RATIO)


@lru_cache(maxsize=8192)
def bucket(value: int) -> int:
    """The bucket of a whole number that is not negative."""
    if value <= 0:
        return ZERO
    index = math.ceil(math.log(value) / _LOG)
    # At the very edge a logarithm may be rounded to the wrong side.
    while RATIO**index < value:
        index += 1
    while index > 0 and RATIO ** (index - 1) >= value:
        index -= 1
    return index


def value(bucket: int) -> float:
    """What a number in this bucket is taken to be: at most one per cent off."""
    if bucket < 0:
        return 0.0
    low, high = RATIO ** (bucket - 1), RATIO**bucket
    largest = math.floor(high)
    if largest - 1 <= low < largest:
        return float(largest)
    return 2 * high / (RATIO + 1)


def percentile(counts: Mapping[int, int], share: float) -> float | None:
    """The smallest value that at least ``share`` (above 0, at most 1) of what was counted does not exceed.

    ``counts`` is by bucket. ``None`` when nothing was counted. Raises `ValueError` for any other share.
    """
    if not 0 < share <= 1:
        raise ValueError("a share is above 0 and at most 1")
    total = sum(counts.values())
    if total <= 0:
        return None
    rank, seen = math.ceil(share * total), 0
    for index in sorted(counts):
        seen += counts[index]
        if seen >= rank:
            return value(index)
    return value(max(counts))
