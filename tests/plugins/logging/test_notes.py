"""Notes: what caches, limits, checks and translations noted is in columns of its own; what nobody noted is unknown."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw_logging.notes import NOTED, noted
from helicone_gw_logging.tables import REQUEST

HIT = {
    "cache.status": "hit",
    "cache.reference_id": "first",
    "cache.saved_ms": 800,
    "cache.saved_nano_usd": None,
    "cache.saved_prompt_tokens": 100,
    "cache.saved_completion_tokens": 0,
}


def columns_of(notes: dict[str, Any], asked: bool | None) -> dict[str, Any]:
    return dict(zip(NOTED, noted(notes, asked), strict=True))


def test_a_hit_and_what_it_saved() -> None:
    row = columns_of(HIT, None)
    assert (row["cache_enabled"], row["cache_status"], row["cache_reference_id"]) == (True, "hit", "first")
    assert (row["saved_ms"], row["saved_nano_usd"]) == (800, None)
    assert (row["saved_prompt_tokens"], row["saved_completion_tokens"]) == (100, 0)


def test_what_only_equals_a_number_is_unknown_whatever_was_noted_before() -> None:
    saved = [columns_of({**HIT, "cache.saved_ms": value}, None)["saved_ms"] for value in (1, True, 1.0, 1)]
    assert saved == [1, None, None, 1]


def test_the_cache_that_had_the_answer_is_the_one_that_counts() -> None:
    similar = {"semantic-cache.status": "hit", "semantic-cache.reference_id": "like", "semantic-cache.saved_ms": 7}
    row = columns_of({"cache.status": "miss", "cache.miss_reason": "new"} | similar, None)
    assert (row["cache_status"], row["cache_reference_id"], row["saved_ms"]) == ("hit", "like", 7)
    both_missed = columns_of({"cache.status": "miss", "semantic-cache.status": "stopped"}, None)
    assert (both_missed["cache_status"], both_missed["cache_reference_id"]) == ("miss", None)


@pytest.mark.parametrize(
    ("notes", "asked", "enabled"),
    [({}, None, False), ({}, True, True), ({}, False, False), ({"x.y": 1}, None, False), ({"x.y": 1}, True, True)],
)
def test_a_cache_is_enabled_when_it_was_asked_for_or_looked_into(
    notes: dict[str, Any], asked: bool | None, enabled: bool
) -> None:
    row = columns_of(notes, asked)
    assert (row["cache_enabled"], row["cache_status"], row["threat"]) == (enabled, None, None)


def test_what_was_lost_and_what_was_found() -> None:
    row = columns_of({"translation.loss": ["logprobs", "n"], "security.threat": False, "ratelimit.status": "ok"}, None)
    assert (row["translation_loss"], row["threat"], row["ratelimit_status"]) == ("logprobs, n", False, "ok")
    assert columns_of({"security.threat": True}, None)["threat"] is True


anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=2000)),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([*HIT, "translation.loss", "security.threat", "ratelimit.status"]), anything))
def test_whatever_was_noted_fits_its_column(notes: dict[str, Any]) -> None:
    for name, value in columns_of(notes, None).items():
        column = REQUEST.c[name]
        assert isinstance(value, column.type.python_type) or value is None
        if isinstance(value, str):
            assert "\0" not in value
            assert len(value.encode()) <= 1024
        elif type(value) is int:
            assert 0 <= value < 2**63


@pytest.mark.parametrize(
    ("notes", "threat"),
    [({"threat": True}, True), ({"threat": False}, False), ({"security.threat": True}, True), ({"threats": []}, None)],
)
def test_a_threat_is_what_was_columns_of(notes: dict[str, Any], threat: bool | None) -> None:
    assert columns_of(notes, None)["threat"] is threat
