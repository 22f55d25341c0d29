"""Bounds: what a translator has to hold of a stream is limited, and what is past it is told."""

from __future__ import annotations

import json

import pytest

from helicone_gw.dialects.translate import gemini_stream_writer, openai_responses_stream_writer, openparts
from helicone_gw.dialects.translate.conversation import ConversationRequest, Message, Text, ToolCall
from helicone_gw.dialects.translate.conversations import GEMINI, RESPONSES
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.openparts import OpenParts
from helicone_gw.dialects.translate.reply import Choice, ConversationReply, PartEnded, StreamEvent
from helicone_gw.sse import EventSplitter, event_data
from tests.core.dialects.translate.generated import stream_of

ASKED = ConversationRequest("m", [Message("user", (Text("Hi"),))], stream=True)


def test_a_response_repeats_only_so_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_responses_stream_writer, "MOST_KEPT", 8)
    loss = Loss()
    writer = RESPONSES.stream_writer(ASKED, loss)
    reply = ConversationReply("r", "m", [Choice([Text("0123456789abcdef")], "stop")])
    data = b"".join(writer.feed(event) for event in stream_of(reply))
    events = [json.loads(event_data(event)) for event in EventSplitter(1 << 20).feed(data)]
    deltas = [event["delta"] for event in events if event["type"] == "response.output_text.delta"]
    assert "".join(deltas) == "0123456789abcdef"
    assert events[-1]["response"]["output"][0]["content"][0]["text"] == "01234567"
    assert loss.paths == ("output",)


def test_a_call_too_long_to_hold_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gemini_stream_writer, "MOST_ARGUMENTS", 8)
    loss = Loss()
    writer = GEMINI.stream_writer(ASKED, loss)
    calls = [ToolCall("1", "f", '{"a":1}'), ToolCall("2", "g", '{"b":"0123456789"}'), ToolCall("3", "h", '{"c":3}')]
    reply = ConversationReply("r", "m", [Choice(list(calls), "tool_calls")])
    data = b"".join(writer.feed(event) for event in stream_of(reply))
    assert [name for name in (b'"f"', b'"g"', b'"h"') if name in data] == [b'"f"', b'"h"']
    assert loss.paths == ("content.toolcall",)


def test_long_arguments_are_not_looked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openparts, "MOST_ARGUMENTS", 4)
    parts, events = OpenParts(), list[StreamEvent]()
    parts.enter("a", "tool_call", events, id="1", name="f")
    assert parts.arguments("a", '{"a":1}')
    parts.enter("b", "tool_call", events, id="2", name="g")
    assert PartEnded(0) not in events
    parts.end_all(events)
    assert events[-2:] == [PartEnded(0), PartEnded(1)]
