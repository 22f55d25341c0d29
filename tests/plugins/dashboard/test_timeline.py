"""Where the time of a request went: waits that somebody noted, attempts, and the rest."""

from __future__ import annotations

import json
from typing import Any

import pytest

from helicone_gw_dashboard.timeline import timeline

ATTEMPT = {
    "started_at": 1_100,
    "first_byte_at": 1_300,
    "ended_at": 1_400,
    "provider": "openai",
    "model": "gpt-4o",
    "request_model": "gpt-4o",
    "status": 200,
    "error_code": None,
}


def row(**notes: Any) -> dict[str, Any]:
    return {"received_at": 1_000, "ended_at": 2_000, "annotations": json.dumps(notes)}


def test_an_answer_that_waited_for_a_check_says_for_whose() -> None:
    steps = timeline(row(**{"pipeline.waits": [["moderation", 400, 500]]}), [ATTEMPT])
    assert [(step.name, step.start, step.took) for step in steps] == [
        ("Gateway", 0, 100),
        ("openai gpt-4o: first byte", 100, 200),
        ("openai gpt-4o: answer", 300, 100),
        ("The answer, for a check of moderation", 400, 500),
        ("Gateway", 900, 100),
    ]


@pytest.mark.parametrize("note", [None, 1, [[]], [["a", -1, 2]], [["a", "b", 2]], [[1, 2, 3]]])
def test_what_is_no_such_note_shows_nothing(note: object) -> None:
    assert len(timeline(row(**{"pipeline.waits": note}), [ATTEMPT])) == 4
