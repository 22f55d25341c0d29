"""What a page looks at stands in its address, as the REST API's own filters."""

from __future__ import annotations

import doctest
import json
from dataclasses import replace
from datetime import datetime
from types import ModuleType
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw_dashboard import formatting, lens
from helicone_gw_dashboard.lens import DAY, HOUR, RANGES, Lens, leaf, text
from helicone_gw_dashboard.view import Trouble
from helicone_gw_logging.query.filters import read_filter

NOW = 1_800_000_000_000

LEAVES = st.one_of(
    st.builds(leaf, st.sampled_from(["model", "user_id", "path"]), st.sampled_from(["equals", "contains"]), st.text()),
    st.builds(
        leaf, st.sampled_from(["status", "latency", "cost"]), st.sampled_from(["gte", "lt"]), st.integers(0, 999)
    ),
    st.builds(leaf, st.just("properties"), st.just("equals"), st.text(max_size=9), st.text(min_size=1, max_size=9)),
)


@pytest.mark.parametrize("module", [formatting, lens])
def test_the_examples_are_true(module: ModuleType) -> None:
    assert doctest.testmod(module).failed == 0
    assert doctest.testmod(module).attempted > 0


@given(st.lists(LEAVES, max_size=5), st.sampled_from(sorted(RANGES)))
def test_an_address_says_all_of_it(filters: list[Any], name: str) -> None:
    seen = replace(Lens.read({"range": name}, NOW), filters=tuple(filters))
    assert Lens.read(seen.params, NOW) == seen
    read_filter(seen.node)  # and the log understands it


@given(st.lists(LEAVES, max_size=5), LEAVES)
def test_every_filter_can_be_added_and_taken_away_again(filters: list[Any], added: Any) -> None:
    column, of_column = next(iter(added[lens.TABLE].items()))
    key, of_key = next(iter(of_column.items()))
    keyed = isinstance(of_key, dict)
    operator, value = next(iter(of_key.items())) if keyed else (key, of_key)
    params = Lens("1h", NOW - 1, NOW, tuple(filters)).plus(column, operator, value, key if keyed else None)
    seen = Lens.read(params, NOW)
    assert seen.filters[-1] == added
    assert seen.filters.count(added) == 1
    for place, chip in enumerate(seen.chips):
        assert chip.text
        assert Lens.read(chip.params, NOW).filters == seen.filters[:place] + seen.filters[place + 1 :]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["request_response_rmt", "left", "operator", "status", "equals"]) | st.text(),
                inner,
                max_size=3,
            )
        ),
        max_leaves=8,
    )
)
def test_whatever_somebody_wrote_into_an_address_is_shown_or_refused(value: Any) -> None:
    seen = Lens.read({"filter": json.dumps(value)}, NOW)
    assert all(len(chip.text) <= 80 for chip in seen.chips)


@pytest.mark.parametrize(
    "args",
    [
        {"range": "2h"},
        {"from": "yesterday"},
        {"from": "5", "to": "5"},
        {"from": "-1"},
        {"to": str(1 << 60)},
        {"filter": "{"},
        {"filter": "[" * 5000},
        {"filter": json.dumps("x" * 5_000)},
    ],
)
def test_an_address_that_makes_no_sense_is_refused(args: dict[str, str]) -> None:
    with pytest.raises(Trouble) as refused:
        Lens.read(args, NOW)
    assert refused.value.status == 400


BERLIN, KOLKATA = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kolkata")


def at(text: str, zone: ZoneInfo) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000)


def test_a_range_is_made_of_whole_hours_and_the_one_that_is_not_over() -> None:
    now = at("2026-11-26T21:40:13.500", BERLIN)
    seen = Lens.read({"range": "24h"}, now, zone=BERLIN)
    assert (seen.start, seen.end) == (at("2026-11-25T22:00", BERLIN), now)
    assert seen.until == at("2026-11-26T22:00", BERLIN)
    assert (seen.previous.start, seen.previous.end) == (seen.start - DAY, now - DAY)
    half = Lens.read({"range": "7d"}, now, zone=KOLKATA)
    assert half.start == at("2026-11-20T03:00", KOLKATA), "now is ten past two there, on the 27th"


def test_a_long_range_is_made_of_whole_days_of_the_readers_zone_whatever_clocks_do() -> None:
    now = at("2026-11-05T09:00", BERLIN)
    seen = Lens.read({"range": "30d"}, now, zone=BERLIN)
    assert (seen.start, seen.until) == (at("2026-10-07T00:00", BERLIN), at("2026-11-06T00:00", BERLIN))
    assert seen.until - seen.start == 30 * DAY + HOUR, "clocks were put back on the 25th of October"
    before = seen.previous
    assert (before.start, before.end) == (at("2026-09-07T00:00", BERLIN), at("2026-10-06T09:00", BERLIN))


@given(st.sampled_from(sorted(RANGES)), st.integers(1_700_000_000_000, 1_900_000_000_000))
def test_a_range_is_as_long_as_it_says_but_for_what_is_not_over(name: str, now: int) -> None:
    seen = Lens.read({"range": name}, now, zone=KOLKATA)
    assert seen.start < seen.end <= seen.until
    assert seen.until - seen.start == RANGES[name]
    assert seen.until - now <= max(RANGES[name] // 15, HOUR)
    assert seen.previous.end <= seen.start


def test_before_a_time_of_ones_own_is_what_is_as_long() -> None:
    seen = Lens.read({"from": "1000", "to": "1600"}, NOW)
    assert (seen.until, seen.previous.start, seen.previous.end) == (1600, 400, 1000)


def test_a_search_takes_the_place_of_the_one_before() -> None:
    once = Lens.read(Lens("1h", 0, 1).searching("ann"), NOW)
    twice = Lens.read(once.searching("bob"), NOW)
    assert [chip.text for chip in twice.chips] == ["“bob” is found"]
    read_filter(twice.node)


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (leaf("user_id", "equals", None), "user is unknown"),
        (leaf("user_id", "not-equals", "null"), "user is not unknown"),
        (leaf("threat", "equals", True), "threat = yes"),
        (leaf("status", "in", [429, 500]), "status is one of 429, 500"),
        ({"left": 1}, '{"left": 1}'),
    ],
)
def test_filters_are_said_in_words(node: Any, words: str) -> None:
    assert text(node) == words
