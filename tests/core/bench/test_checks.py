"""Which answers are good, and what is said of those that are not."""

from __future__ import annotations

import json

import pytest

from helicone_gw.bench.checks import Check
from helicone_gw.bench.workload import Script, reply_body, stream_events

STREAM = Script(events=6)
EVENTS = stream_events(6)


@pytest.mark.parametrize("exact", [True, False])
def test_the_providers_own_bytes_are_good(exact: bool) -> None:
    assert Check(Script(), exact=exact).fault(200, reply_body()) is None
    assert Check(STREAM, exact=exact).fault(200, b"".join(EVENTS)) is None
    assert Check(STREAM, exact=exact).events(b"".join(EVENTS)) == 7


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize(
    ("events", "fault"),
    [
        (EVENTS[:-1], "no [DONE]"),
        ((*EVENTS[:2], *EVENTS[3:]), "event missing"),
        ((EVENTS[0], EVENTS[2], EVENTS[1], *EVENTS[3:]), "events out of order"),
        ((*EVENTS[:2], EVENTS[1], *EVENTS[2:]), "event repeated"),
        ((), "no [DONE]"),
    ],
)
def test_a_stream_with_an_event_missing_moved_or_repeated(exact: bool, events: tuple[bytes, ...], fault: str) -> None:
    assert Check(STREAM, exact=exact).fault(200, b"".join(events)) == fault


@pytest.mark.parametrize(("exact", "fault"), [(True, "bytes differ"), (False, "event corrupted")])
def test_a_stream_with_a_broken_event(exact: bool, fault: str) -> None:
    broken = b"".join(EVENTS).replace(b'"delta"', b'"delta', 1)
    assert Check(STREAM, exact=exact).fault(200, broken) == fault


def test_a_stream_encoded_anew_is_good_unless_the_very_bytes_are_asked_for() -> None:
    data = [json.loads(event.removeprefix(b"data: ")) for event in EVENTS[:-1]]
    anew = b"".join(b"data: " + json.dumps(value).encode() + b"\n\n" for value in data) + EVENTS[-1]
    assert Check(STREAM, exact=False).fault(200, anew) is None
    assert Check(STREAM, exact=False).events(anew) == 7
    assert Check(STREAM, exact=True).fault(200, anew) == "bytes differ"


def test_replies_that_are_not_right() -> None:
    body = reply_body()
    exact, loose = Check(Script(), exact=True), Check(Script(), exact=False)
    assert exact.fault(502, body) == loose.fault(502, body) == "status 502"
    assert exact.fault(200, body[:-1]) == "wrong length"
    assert exact.fault(200, body.replace(b"fox", b"cat")) == "bytes differ"
    assert loose.fault(200, body[:-1]) == "not JSON"
    assert loose.fault(200, body.replace(b"token-00000", b"token-00001")) == "text differs"
    assert loose.fault(200, json.dumps(json.loads(body)).encode()) is None
