"""What is asked and answered: sizes to the byte, scripts that survive, events that can be told apart."""

from __future__ import annotations

import json

import pytest

from helicone_gw.bench.workload import (
    MARK,
    REPLY_SIZE,
    Script,
    reply,
    reply_body,
    request_body,
    script_of,
    stream_chunks,
    stream_events,
)


@pytest.mark.parametrize("size", [1024, 20 << 10, 200 << 10])
@pytest.mark.parametrize("script", [Script(), Script(events=100, pause=10), Script(reply=20 << 10)])
def test_a_request_has_the_very_size_and_carries_its_script(size: int, script: Script) -> None:
    body = request_body(size, script)
    assert len(body) == size
    found = MARK.search(body)
    assert found is not None
    assert script_of(found[0]) == script
    assert json.loads(body).get("stream", False) is bool(script.events)


@pytest.mark.parametrize(("asked", "size"), [(0, REPLY_SIZE), (20 << 10, 20 << 10)])
def test_a_reply_has_the_very_size_and_says_so(asked: int, size: int) -> None:
    assert len(reply_body(asked)) == size
    assert json.loads(reply_body(asked))["choices"][0]["finish_reason"] == "stop"
    head, _, body = reply(asked).partition(b"\r\n\r\n")
    assert b"content-length: %d" % size in head
    assert body == reply_body(asked)


def test_a_stream_has_as_many_events_as_asked_for_and_done() -> None:
    events = stream_events(100)
    assert len(events) == 101
    assert events[-1] == b"data: [DONE]\n\n"
    assert len(set(events)) == 101


def test_usage_is_one_event_more_before_the_end() -> None:
    *before, usage, done = stream_events(5, usage=True)
    assert json.loads(usage.removeprefix(b"data: "))["usage"]["total_tokens"] == 288
    assert (*before, done) == stream_events(5)


def test_chunks_hold_the_events_and_the_last_one_ends_the_body() -> None:
    first = stream_events(3)[0]
    chunks = stream_chunks(3)
    assert chunks[0] == b"%x\r\n%b\r\n" % (len(first), first)
    assert chunks[-1].endswith(b"\r\n0\r\n\r\n")


def test_only_a_mark_is_a_script() -> None:
    with pytest.raises(ValueError, match="not a mark"):
        script_of(b"bench:1,2;")
