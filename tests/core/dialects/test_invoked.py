"""Streams of which only the events tell whose they are end as they do."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from helicone_gw.dialects import stream_reader
from helicone_gw.dialects.invoked import AnyReader
from helicone_gw.model import Usage
from helicone_gw.sse import encode_event

METRICS = {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 3, "outputTokenCount": 4}}
STREAMS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "meta": ({"generation": "a", "stop_reason": None}, {"generation": "", "stop_reason": "stop"}),
    "amazon": (
        {"outputText": "a", "index": 0, "completionReason": None},
        {"outputText": "", "completionReason": "FINISH"},
    ),
    "nova": ({"contentBlockDelta": {"delta": {"text": "a"}}}, {"messageStop": {"stopReason": "end_turn"}}),
    "mistral": ({"outputs": [{"text": "a", "stop_reason": None}]}, {"outputs": [{"text": "", "stop_reason": "stop"}]}),
    "openai": ({"choices": [{"delta": {"content": "a"}}]}, {"choices": [{"delta": {}, "finish_reason": "stop"}]}),
    "cohere": (
        {"event_type": "text-generation", "text": "a"},
        {"event_type": "stream-end", "finish_reason": "COMPLETE"},
    ),
    "claude 2": ({"completion": "a", "stop_reason": None}, {"completion": "", "stop_reason": "stop_sequence"}),
}


def event(value: Any) -> bytes:
    return encode_event(msgspec.json.encode(value), value.get("type"))


@pytest.mark.parametrize("maker", STREAMS)
def test_a_stream_is_complete_when_it_says_so_and_what_ends_it_says_so(maker: str) -> None:
    delta, last = STREAMS[maker]
    whole, cut = AnyReader(), AnyReader()
    assert whole.feed(event(delta)).content
    assert not whole.complete
    whole.feed(event({**last, **METRICS}))
    assert (whole.complete, whole.usage) == (True, Usage(3, 4))
    assert whole.closing_events("stop") == b""
    cut.feed(event(delta))
    for piece in cut.closing_events("content_filter").split(b"\n\n")[:-1]:
        cut.feed(piece + b"\n\n")
    assert cut.complete


def test_anthropics_events_are_read_as_they_are_elsewhere() -> None:
    reader = stream_reader("bedrock", "invoke")
    reader.feed(event({"type": "message_start", "message": {"model": "c", "usage": {"input_tokens": 5}}}))
    reader.feed(event({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}}))
    assert (reader.complete, reader.model) == (False, "c")
    closing = reader.closing_events("content_filter")
    assert b"refusal" in closing
    reader.feed(event({"type": "message_stop", **METRICS}))
    assert (reader.complete, reader.usage) == (True, Usage(3, 4))


def test_a_stream_of_no_known_form_needs_no_end() -> None:
    reader = stream_reader("vertex", "other")
    assert not reader.feed(event({"predictions": ["a"]})).content
    assert (reader.complete, reader.closing_events("stop")) == (True, b"")
    assert reader.feed(event({"error": {"message": "Broken."}})).error == "Broken."


def test_a_run_of_an_assistant_ends_with_its_done() -> None:
    reader = AnyReader()
    reader.feed(event({"object": "thread.run", "id": "r"}))
    assert reader.closing_events("stop") == b"event: done\ndata: [DONE]\n\n"
