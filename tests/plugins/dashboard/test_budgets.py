"""Budgets' pace: how much of a period is over, and whether the money lasts."""

from __future__ import annotations

from typing import Any

import pytest

from helicone_gw_dashboard.budgets import elapsed, paced
from helicone_gw_dashboard.pages.burning import burnt

DAY = 86_400_000
MIDNIGHT = 1_795_737_600_000
"""2026-11-27T00:00:00Z."""


def account(spent: str, period: str = "day", resets_at: str | None = "2026-11-27T00:00:00+00:00") -> dict[str, Any]:
    return {"spent": spent, "limit": "10.00", "period": period, "resetsAt": resets_at}


def test_a_month_is_as_long_as_it_is_where_it_is_counted() -> None:
    # November began at 23:00 UTC of October 31.
    end = "2026-12-01T00:00:00+01:00"
    begin = MIDNIGHT - 26 * DAY - 3_600_000
    assert elapsed("month", end, begin) == 0
    assert elapsed("month", end, begin + 15 * DAY) == pytest.approx(0.5)
    assert elapsed("month", end, begin + 31 * DAY) == 1


@pytest.mark.parametrize("period", ["total", "30 d", "window"])
def test_what_does_not_begin_anew_has_no_pace(period: str) -> None:
    assert elapsed(period, "2026-11-27T00:00:00+00:00", MIDNIGHT) is None
    assert paced(account("1.00", period, None), MIDNIGHT)["pace"] == ""


@pytest.mark.parametrize(
    ("spent", "hours", "pace"),
    [
        ("0.00", 12, ""),
        ("2.00", 12, "40 % at its end"),
        ("8.00", 12, "spent in 3 h"),
        ("10.00", 12, "spent"),
        ("1.00", 0.1, ""),
    ],
)
def test_what_goes_on_as_it_began_lasts_or_does_not(spent: str, hours: float, pace: str) -> None:
    now = MIDNIGHT - DAY + round(hours * 3_600_000)
    assert paced(account(spent), now)["pace"] == pace


def test_what_is_left_of_a_budget_goes_down_beside_a_straight_way() -> None:
    hour = DAY // 24
    known = [{"at": f"2026-11-26T0{number}:00:00+00:00", "cost": cost} for number, cost in enumerate((1.0, None, 2.5))]
    chart = burnt(known, MIDNIGHT - DAY, MIDNIGHT, hour, 10.0, 3.5)
    assert chart is not None
    left, even = chart["lanes"]
    assert left["values"] == [9, 9, 6.5, *[None] * 21]
    assert (len(chart["x"]), chart["x"][0], chart["x"][-1]) == (24, (MIDNIGHT - DAY) // 1000, (MIDNIGHT - hour) // 1000)
    assert even["values"][11] == pytest.approx(5)
    assert even["values"][-1] == pytest.approx(0)


def test_what_the_log_does_not_know_is_not_drawn() -> None:
    known = [{"at": "2026-11-26T00:00:00+00:00", "cost": 1.0}]
    assert burnt(known, MIDNIGHT - DAY, MIDNIGHT, DAY // 24, 10.0, 3.5) is None
    assert burnt([], MIDNIGHT - DAY, MIDNIGHT, DAY // 24, 10.0, 3.5) is None
