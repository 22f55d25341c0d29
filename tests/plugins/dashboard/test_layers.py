"""What each plugin took of a request's time: by phase, in its place, and never more than can be true."""

from __future__ import annotations

import json
from typing import Any

import pytest

from helicone_gw_dashboard.explaining import others
from helicone_gw_dashboard.layers import NOTE, Took, layers
from helicone_gw_dashboard.pages.sessions import waterfall


def row(note: object, took: int = 100) -> dict[str, Any]:
    return {"received_at": 1_000, "ended_at": 1_000 + took, "annotations": json.dumps({NOTE: note})}


def test_hooks_stand_in_the_phase_of_their_kind_in_the_order_in_which_they_began() -> None:
    note = [
        ["cache", "pre_request", 2_000, 500, 1],
        ["limits", "pre_request", 1_000, 1_000, 1],
        ["router", "route_model", 3_000, 250, 1],
        ["cache", "on_stream_chunk", 50_000, 10_000, 40],
        ["logging", "on_finish", 99_000, 100, 1],
    ]
    found = layers(row(note))
    assert [phase.title for phase in found] == ["Inwards", "Routing", "Outwards", "Afterwards"]
    inwards, _, outwards, _ = found
    assert [step.plugin for step in inwards.steps] == ["limits", "cache"]
    assert inwards.took == 1.5
    assert outwards.steps == [Took("cache", "on_stream_chunk", 50, 10, 40, 50, 10)]


def test_what_began_late_or_took_long_stays_within_the_whole() -> None:
    (phase,) = layers(row([["a", "on_finish", 150_000, 10_000, 1], ["b", "on_finish", 90_000, 20_000, 1]]))
    assert [(step.left, step.width) for step in phase.steps] == [
        (90, pytest.approx(10)),
        (99.5, pytest.approx(0.5)),
    ]


@pytest.mark.parametrize(
    "note", [None, "x", 1, {}, [[]], [["a", "on_finish", -1, 1, 1]], [[1, "on_finish", 1, 1, 1]], [["a", "b", 1, 1, 1]]]
)
def test_what_is_no_such_note_shows_nothing(note: object) -> None:
    assert layers(row(note)) == []


def test_a_request_that_was_not_timed_or_has_no_end_shows_nothing() -> None:
    assert layers({"received_at": 1, "ended_at": 2, "annotations": "{}"}) == []
    assert layers({"received_at": 1, "ended_at": None, "annotations": json.dumps({NOTE: []})}) == []
    assert layers({}) == []


def test_the_note_is_not_listed_among_the_others() -> None:
    given = {"annotations": json.dumps({NOTE: [], "cache.status": "hit"})}
    assert others(given) == {"cache.status": "hit"}


def test_a_waterfall_of_five_hundred_requests_stays_within_its_session() -> None:
    requests = [
        {"id": str(place), "offset_ms": place * 20, "latency": 15 if place % 7 else None} for place in range(500)
    ]
    nodes = [
        {"path": f"/{place}", "depth": 1, "offset_ms": place * 2000, "duration_ms": 2000, "request_ids": ids}
        for place, ids in enumerate([one["id"] for one in requests[at : at + 100]] for at in range(0, 500, 100))
    ]
    bars = waterfall(nodes, requests)
    assert (len(bars), sum(bar.request for bar in bars)) == (505, 500)
    assert all(0 <= bar.left <= 100 and 0 <= bar.left + bar.width <= 100.001 for bar in bars)
    assert [bar.row["id"] for bar in bars if bar.request] == [one["id"] for one in requests]
