"""Measures: what a column holds of a number, and what it cannot hold is unknown."""

from __future__ import annotations

from typing import Any

import pytest

from helicone_gw.model import Usage
from helicone_gw_logging.measures import LARGEST, TOKEN_COLUMNS, count, duration, milliseconds, tokens
from helicone_gw_logging.tables import ATTEMPT, REQUEST


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(None, None), (1.2345, 1234), (0.0, 0), (float("nan"), None), (float("inf"), None), (1e12, None)],
)
def test_times_are_whole_milliseconds(seconds: float | None, expected: int | None) -> None:
    assert milliseconds([seconds, 1.0]) == [expected, 1000]


def test_durations_are_never_negative() -> None:
    assert duration(10.0, 11.5) == 1500
    assert duration(10.0, 9.0) == 0
    assert duration(10.0, None) is None
    assert duration(10.0, float("nan")) is None


@pytest.mark.parametrize(
    ("value", "expected"), [(None, None), (0, 0), (-1, None), (LARGEST, LARGEST), (LARGEST + 1, None), (2**63, None)]
)
def test_counts_fit_their_column(value: int | None, expected: int | None) -> None:
    assert count(value) == expected


def test_a_count_that_is_none_is_unknown() -> None:
    wrong: Any = 1.5
    assert count(wrong) is None


def test_columns_are_the_same_whether_usage_is_known() -> None:
    assert tokens(None) == tokens(Usage())
    assert len(tokens(None)) == len(TOKEN_COLUMNS)
    assert set(TOKEN_COLUMNS) <= set(REQUEST.columns.keys())
    assert set(TOKEN_COLUMNS) <= set(ATTEMPT.columns.keys())


def test_what_was_estimated_is_said() -> None:
    estimated = TOKEN_COLUMNS.index("usage_estimated")
    assert tokens(Usage(input_tokens=1, estimated=True))[estimated] is True
    assert tokens(Usage(input_tokens=1))[estimated] is False
