"""What the pieces of the hot path cost beside their plain alternatives: ratios are printed, and never asserted.

CPU time of this process, the least of several rounds. `make bench` shows them; the gate only sees that both ways give
the same result.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from helicone_gw.bench.workload import Script, reply_body, request_body, stream_events
from helicone_gw.dialects import wire_format
from helicone_gw.sse import EventSplitter

ROUNDS = 5
TIMES = 200


def microseconds(call: Callable[[], Any]) -> float:
    """CPU microseconds of one call."""
    best = float("inf")
    for _ in range(ROUNDS):
        begun = time.process_time_ns()
        for _ in range(TIMES):
            call()
        best = min(best, (time.process_time_ns() - begun) / TIMES / 1000)
    return best


def show(what: str, ours: Callable[[], Any], plain: Callable[[], Any]) -> None:
    mine, theirs = microseconds(ours), microseconds(plain)
    print(f"\n{what}: {mine:.2f} us, {mine / theirs if theirs else 0:.2f} times the plain way's {theirs:.2f} us")


@pytest.mark.parametrize("size", [1024, 20 << 10, 200 << 10])
def test_the_envelope_of_a_request(size: int) -> None:
    body = request_body(size, Script(events=100))
    chat = wire_format("openai", "chat")
    assert chat is not None
    plain = json.loads(body)
    found = chat.envelope(body)
    assert (found.model, found.stream) == (plain["model"], plain["stream"])
    show(f"envelope of {size} bytes, beside json.loads", lambda: chat.envelope(body), lambda: json.loads(body))


def test_the_usage_of_a_reply() -> None:
    body = reply_body()
    chat = wire_format("openai", "chat")
    assert chat is not None
    usage = chat.reply(body).usage
    assert usage is not None
    assert usage.input_tokens == json.loads(body)["usage"]["prompt_tokens"]
    show("usage of a reply, beside json.loads", lambda: chat.reply(body), lambda: json.loads(body))


def test_the_events_of_a_stream() -> None:
    events = stream_events(100)
    stream = b"".join(events)

    def split() -> list[bytes]:
        return EventSplitter(1 << 20).feed(stream)

    def decode() -> list[Any]:
        return [json.loads(event[6:]) for event in stream.split(b"\n\n") if event and event != b"data: [DONE]"]

    assert split() == list(events)
    assert len(decode()) == 100
    show("101 events split, beside decoding each with json", split, decode)
