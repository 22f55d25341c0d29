"""A stream held back: order, bounds, what is cut in two and what is not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from helicone_gw import Chunk, stream_reader
from helicone_gw_moderation.endings import ended_channels
from helicone_gw_moderation.plan import Hit
from helicone_gw_moderation.report import ModerationCounters
from helicone_gw_moderation.stream import StreamGuard
from tests.plugins.moderation.finding import KEY, PHRASE, plan


def event(content: str | None = None, index: int = 0, **choice: Any) -> Chunk:
    delta = {} if content is None else {"content": content}
    value = {"id": "1", "object": "chat.completion.chunk", "model": "m"}
    value["choices"] = [{"index": index, "delta": delta, "finish_reason": None, **choice}]  # type: ignore[assignment]
    return Chunk(b"data: " + msgspec.json.encode(value) + b"\n\n")


DONE = Chunk(b"data: [DONE]\n\n")


class Held:
    """A guard of chat completions, and what it found."""

    def __init__(self, *names: str, action: str = "block", max_held: int = 1 << 20, hold: float = 0.5) -> None:
        self.hits: list[Hit] = []
        self.counters = ModerationCounters()
        self.guard = StreamGuard(
            plan(*names, action=action),  # type: ignore[arg-type]
            None,
            "openai",
            "chat",
            stream_reader("openai", "chat"),
            self.hits.append,
            self.counters,
            hold=hold,
            max_held=max_held,
        )
        self.now = 0.0

    def feed(self, chunk: Chunk) -> str:
        out = self.guard.feed(chunk, self.now)
        return _text([chunk] if out is None else out)

    def tick(self, seconds: float) -> str:
        self.now += seconds
        return _text(self.guard.tick(self.now))

    def end(self) -> str:
        return _text(self.guard.end(self.now))


def _text(chunks: Any) -> str:
    """Contents, with ``.`` between events, ``!`` for an end with its reason."""
    out = []
    for chunk in chunks:
        choices = (chunk.json or {"choices": [{"delta": {"content": "[DONE]"}}]})["choices"]
        for choice in choices:
            reason = choice.get("finish_reason")
            out.append((choice["delta"].get("content") or "") + (f"!{reason}" if reason else ""))
    return "|".join(out)


def test_events_leave_in_order_and_as_they_came() -> None:
    held = Held("secret")
    assert held.feed(event("Hello ")) == ""
    assert held.feed(event("other", index=1)) == ""
    assert held.feed(event(finish_reason="stop", index=1)) == ""
    assert held.feed(event("there", finish_reason="stop")) == "Hello |other|!stop|there!stop"
    assert held.feed(DONE) == "[DONE]"


def test_what_has_no_text_passes_at_once() -> None:
    held = Held("secret")
    chunk = event()
    assert held.guard.feed(chunk, 0) is None


def test_an_event_is_cut_where_only_its_end_may_be_something() -> None:
    held = Held("secret")
    assert held.feed(event("The key is sk-te")) == ""
    assert held.tick(0.4) == ""
    assert held.tick(0.1) == "The key is "
    assert held.feed(event(KEY[5:])) == ""
    assert held.tick(5) == ""
    assert held.end() == "!content_filter|[DONE]"
    assert [hit.label for hit in held.hits] == ["test_key"]


@pytest.mark.parametrize(
    "more", [{"logprobs": {"content": []}}, {"delta": {"content": "Key: sk-te", "role": "assistant"}}]
)
def test_an_event_that_says_more_is_not_said_twice(more: dict[str, Any]) -> None:
    held = Held("secret")
    held.feed(event("Key: sk-te", **more))
    assert held.tick(1) == ""
    assert held.feed(event("nt it")) == ""
    assert held.end() == "Key: sk-te|nt it"


def test_what_left_in_time_is_not_taken_back_but_known() -> None:
    held = Held("injection")
    assert held.feed(event("Please ignore all ")) == ""
    assert held.tick(0.5) == "Please ignore all "
    assert held.feed(event(PHRASE[len("ignore all ") :])) == ""
    assert held.end() == "!content_filter|[DONE]"
    assert [hit.late for hit in held.hits] == [len("ignore all ")]


def test_held_events_have_a_bound_beyond_which_the_text_is_decided() -> None:
    held = Held("secret", max_held=1000)
    assert held.feed(event("sk-test-Ab3d")) == ""
    assert held.feed(event("", index=1, blob="x" * 1000)) == "sk-test-Ab3d|"
    assert held.counters.overflowed == 1
    assert held.feed(event("x" * 2000)) == "x" * 2000


def test_after_a_refusal_nothing_leaves() -> None:
    held = Held("secret")
    held.feed(event("Before. " * 20))
    assert (
        held.feed(event(f"{KEY} and more, until it was looked at all of it, to its end: so."))
        == "!content_filter|[DONE]"
    )
    assert held.feed(event("more")) == ""
    assert held.tick(9) == ""
    assert held.end() == ""


def test_however_many_channels_there_are_they_are_bounded_and_looked_at() -> None:
    held = Held("secret", max_held=1 << 24)
    for index in range(300):
        held.feed(event("fine", index=index))
    assert len(held.guard._windows) == 256
    held.feed(event(KEY, index=299))
    assert held.guard.blocked


@pytest.mark.parametrize(
    ("value", "prefixes"),
    [
        (None, [()]),
        ({"type": "message_stop"}, [()]),
        ({"type": "response.completed"}, [()]),
        ({"done": True}, [()]),
        ({"type": "content_block_stop", "index": 2}, [(2,)]),
        ({"type": "response.output_text.done", "output_index": 1, "content_index": 0}, [(1, 0)]),
        ({"choices": [{"index": 1, "finish_reason": "stop"}]}, [("choices", 1)]),
        ({"choices": [{"finish_reason": "stop"}]}, [("choices",)]),
        ({"candidates": [{"index": 0, "finishReason": "STOP"}]}, [("candidates", 0)]),
        ({"choices": [{"index": 0, "delta": {}}]}, []),
        ({"choices": None, "type": 3}, []),
        ([], []),
    ],
)
def test_which_channels_an_event_ends(value: Any, prefixes: list[tuple[Any, ...]]) -> None:
    data = b"data: [DONE]\n\n" if value is None else b"data: {}\n\n"
    assert ended_channels(value, data) == prefixes


JSON = '{"choices":[{"index":0,"delta":{"content":"%s ."}}]}'


@pytest.mark.parametrize(
    "data",
    [
        f"data: plain {KEY} .",
        f'data: "{KEY} ."',
        f"data: [{JSON % KEY}]",
        f"data: {JSON % KEY} and more",
        f"data: \ufeff{JSON % KEY}",
        "data: " + JSON % f"\t{KEY}",
        f": {KEY} :",
        f": {KEY} :\ndata: {JSON % 'Fine'}",
        f"event: x\r: {KEY} :",
        f'data: {{"choices":[{{"delta":{{"{KEY}":1}}}}]}}',
        f'data: {{"choices":[{{"delta":{{"tool_calls":[{{"function":{{"arguments":{{"{KEY}":"{KEY}"}}}}}}]}}}}]}}',
    ],
)
@pytest.mark.parametrize("action", ["block", "redact"])
def test_whatever_an_event_is_what_is_found_in_it_does_not_leave(data: str, action: str) -> None:
    held = Held("secret", action=action)
    asked = Chunk(data.encode() + b"\n\n")
    left = held.guard.feed(asked, 0.0)
    out = b"".join(chunk.data for chunk in [*([asked] if left is None else left), *held.guard.end(1.0)])
    assert KEY.encode() not in out
    assert {hit.label for hit in held.hits} == {"test_key"}
    assert (b"[TEST_KEY]" in out) is (action == "redact")
    assert held.guard.blocked is (action == "block")


@pytest.mark.parametrize("data", [": a comment\n\n", "data: [DONE]\n\n", ": ping\nevent: a\ndata: {}\n\n"])
def test_other_events_leave_as_they_came(data: str) -> None:
    held, asked = Held("secret", action="redact"), Chunk(data.encode())
    assert [chunk.data for chunk in held.guard.feed(asked, 0.0) or [asked]] == [data.encode()]
