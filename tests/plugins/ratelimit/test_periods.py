"""When a budget begins anew."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw_ratelimit.periods import (
    Calendar,
    Rolling,
    Total,
    WeekStart,
    brief,
    parse_duration,
    zone,
    zone_name,
)

ZONES = sorted(available_timezones() - {"localtime"})


def at(text: str, name: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone(name)).timestamp()


def span(
    every: Literal["day", "week", "month"], text: str, name: str = "UTC", starts: WeekStart = "monday"
) -> tuple[str, str]:
    """The period around a local time, as local times."""
    found = Calendar(every, zone(name), starts).at(at(text, name))
    assert found.end is not None
    first, last = (datetime.fromtimestamp(moment, zone(name)) for moment in (found.start, found.end))
    return first.strftime("%Y-%m-%d %H:%M"), last.strftime("%Y-%m-%d %H:%M")


def test_a_day_is_one_of_its_time_zone() -> None:
    assert span("day", "2026-11-26 23:59", "Europe/Berlin") == ("2026-11-26 00:00", "2026-11-27 00:00")


def test_a_week_begins_on_monday_unless_it_is_to_begin_on_sunday() -> None:
    assert span("week", "2026-11-26 12:00") == ("2026-11-23 00:00", "2026-11-30 00:00")
    assert span("week", "2026-11-26 12:00", starts="sunday") == ("2026-11-22 00:00", "2026-11-29 00:00")
    assert span("week", "2026-11-22 00:00", starts="sunday") == ("2026-11-22 00:00", "2026-11-29 00:00")


def test_a_month_has_as_many_days_as_it_has() -> None:
    assert span("month", "2028-02-29 12:00") == ("2028-02-01 00:00", "2028-03-01 00:00")
    assert span("month", "2026-12-31 23:59", "Asia/Kathmandu") == ("2026-12-01 00:00", "2027-01-01 00:00")


@pytest.mark.parametrize(("date", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-07-01", 24)])
def test_a_day_on_which_clocks_change_is_as_long_as_it_is(date: str, hours: int) -> None:
    day = Calendar("day", zone("Europe/Berlin")).at(at(f"{date} 12:00", "Europe/Berlin"))
    assert day.end is not None
    assert day.end - day.start == hours * 3600


def test_where_midnight_is_skipped_the_day_begins_after_the_gap() -> None:
    assert span("day", "2026-04-24 12:00", "Africa/Cairo") == ("2026-04-24 01:00", "2026-04-25 00:00")


def test_where_midnight_comes_twice_the_day_begins_with_the_first() -> None:
    day = Calendar("day", zone("America/Havana")).at(at("2026-11-01 12:00", "America/Havana"))
    assert day.end is not None
    assert day.end - day.start == 25 * 3600


def test_a_date_that_was_skipped_has_no_day() -> None:
    """Samoa went from the 29th to the 31st of December 2011."""
    before = Calendar("day", zone("Pacific/Apia")).at(at("2011-12-29 12:00", "Pacific/Apia"))
    after = Calendar("day", zone("Pacific/Apia")).at(at("2011-12-31 12:00", "Pacific/Apia"))
    assert before.end == after.start


@given(
    st.sampled_from(ZONES),
    st.sampled_from(["day", "week", "month"]),
    st.datetimes(datetime(2000, 1, 1), datetime(2037, 12, 1)),
)
def test_periods_of_any_zone_cover_all_time_and_do_not_overlap(
    name: str, every: Literal["day", "week", "month"], moment: datetime
) -> None:
    now = moment.replace(tzinfo=UTC).timestamp()
    calendar = Calendar(every, ZoneInfo(name))
    this = calendar.at(now)
    assert this.end is not None
    assert this.start <= now < this.end
    following = calendar.at(this.end)
    assert following.start == this.end
    assert calendar.at(this.start) == this
    assert calendar.at(this.end - 1) == this


def test_a_total_never_begins_anew() -> None:
    assert Total().at(0) == Total().at(4e9) == (0, None)


def test_a_rolling_window_has_parts_that_make_it_up() -> None:
    rolling = Rolling(3600)
    assert rolling.bucket == 60
    assert rolling.at(0) == rolling.at(4e9)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(90, 90), ("90s", 90), ("15m", 900), ("12h", 43200), ("30d", 2592000), ("2w", 1209600), (" 1.5 H ", 5400)],
)
def test_a_duration_is_a_number_with_a_unit(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "12", "12 years", "-1h", "1e3s", True, None, [1]])
def test_anything_else_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


def test_seconds_are_told_in_the_largest_unit_that_says_them_whole() -> None:
    assert [brief(seconds) for seconds in (90, 900, 43200, 2592000, 5400, 0.25)] == [
        "90s",
        "15m",
        "12h",
        "30d",
        "90m",
        "0.25s",
    ]


@pytest.mark.parametrize("name", ["Mars/Base", "../../etc/passwd", "", "Europe"])
def test_a_time_zone_that_nobody_knows_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="time zone"):
        zone(name)


def test_utc_needs_no_time_zone_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("helicone_gw_ratelimit.periods.ZoneInfo", None)
    assert zone("utc").utcoffset(None) == timedelta(0)


def test_a_zone_is_told_by_its_name() -> None:
    assert [zone_name(zone(name)) for name in ("Europe/Berlin", "UTC")] == ["Europe/Berlin", "UTC"]
