"""What a budget may be configured to be, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from helicone_gw_ratelimit.budget_config import BudgetConfig, dollars
from helicone_gw_ratelimit.periods import Calendar, Rolling, Total


def budget(**said: Any) -> BudgetConfig:
    return BudgetConfig.model_validate({"limit": 100, **({} if "window" in said else {"period": "month"}), **said})


def test_a_budget_is_hard_and_shared_if_nothing_is_said() -> None:
    plain = budget()
    assert (plain.hard, plain.segment, plain.nano, plain.unknown) == (True, "global", 100_000_000_000, None)


def test_dollars_are_exact() -> None:
    assert budget(limit="0.000000001").nano == 1
    assert budget(limit=0.1).nano == 100_000_000


def test_alerts_are_percent_of_the_limit_in_order() -> None:
    assert budget(alerts=[100, 50, 50]).thresholds == (50_000_000_000, 100_000_000_000)


def test_a_period_or_a_window() -> None:
    assert isinstance(budget(period="day", timezone="Asia/Tokyo").when(), Calendar)
    assert isinstance(budget(period="total").when(), Total)
    rolling = budget(window="30d").when()
    assert isinstance(rolling, Rolling)
    assert rolling.seconds == 30 * 86400


@pytest.mark.parametrize(
    ("said", "unknown"),
    [
        ({}, None),
        ({"unknown_price": "deny"}, None),
        ({"unknown_price": "allow"}, 0),
        ({"unknown_price": 0.25}, 250_000_000),
        ({"unknown_price": "0.25"}, 250_000_000),
        ({"mode": "soft"}, 0),
    ],
)
def test_an_unknown_price_is_denied_allowed_or_counted_as_something(said: dict[str, Any], unknown: int | None) -> None:
    assert budget(**said).unknown == unknown


@pytest.mark.parametrize(
    "said",
    [
        {"limit": 0},
        {"limit": -1},
        {"limit": True},
        {"limit": "much"},
        {"limit": 3_000_000},
        {"limit": "0.0000000001"},
        {"period": None},
        {"period": "month", "window": "1h"},
        {"period": "year"},
        {"window": "10s"},
        {"window": "3000d"},
        {"window": "1h", "timezone": "Europe/Berlin"},
        {"timezone": "Mars/Base"},
        {"segment": "a b"},
        {"alerts": [0]},
        {"alerts": list(range(1, 30))},
        {"unknown_price": "maybe"},
        {"reserve": "largest"},
        {"largest_request": 101},
        {"mode": "soft", "cut": True},
        {"mode": "soft", "in_flight": 3},
        {"mode": "soft", "unknown_price": "deny"},
        {"models": []},
        {"colour": "red"},
    ],
)
def test_what_makes_no_sense_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        budget(**said)


def test_a_property_may_be_named_like_anything_else() -> None:
    assert budget(segment="property:Model").segment == "property:model"


def test_money_is_written_with_the_decimals_that_it_has() -> None:
    assert [dollars(amount) for amount in (10**9, 1_234_567_000_000, 1, -5 * 10**8)] == [
        "$1.00",
        "$1,234.567",
        "$0.000000001",
        "-$0.50",
    ]
