"""OpenParts: a part ends when another one begins; tool calls go on until their arguments are whole."""

from __future__ import annotations

import pytest

from helicone_gw.dialects.translate.openparts import OpenParts
from helicone_gw.dialects.translate.reply import PartEnded, PartStarted, StreamEvent, ToolArgumentsDelta


def test_a_part_ends_when_another_begins():
    parts, events = OpenParts(2), list[StreamEvent]()
    assert parts.enter("thinking", "thinking", events) == 0
    assert parts.enter("thinking", "thinking", events) == 0
    assert parts.enter("text", "text", events) == 1
    assert parts.enter("thinking", "thinking", events) == 2
    parts.end_all(events)
    assert events == [
        PartStarted(0, "thinking", choice=2),
        PartEnded(0, 2),
        PartStarted(1, "text", choice=2),
        PartEnded(1, 2),
        PartStarted(2, "thinking", choice=2),
        PartEnded(2, 2),
    ]
    assert parts.started == 3


def test_calls_may_take_turns_until_they_are_whole():
    parts, events = OpenParts(), list[StreamEvent]()
    parts.enter("a", "tool_call", events, id="1", name="f")
    assert parts.arguments("a", '{"x":')
    parts.enter("b", "tool_call", events, id="2", name="g")
    assert parts.enter("a", "tool_call", events) == 0
    assert parts.arguments("a", "1}")
    parts.enter("b", "tool_call", events)
    parts.enter("c", "tool_call", events, id="3", name="h")
    assert [event for event in events if isinstance(event, PartEnded)] == [PartEnded(0)]
    assert not parts.is_open("a")
    assert not parts.arguments("a", " ")
    parts.end_all(events)
    parts.end_all(events)
    assert [event for event in events if isinstance(event, PartEnded)] == [PartEnded(0), PartEnded(1), PartEnded(2)]


@pytest.mark.parametrize("filled", [False, True])
def test_a_call_without_arguments_gets_an_empty_object_where_that_is_wanted(filled: bool) -> None:
    parts, events = OpenParts(filled=filled), list[StreamEvent]()
    parts.enter("a", "tool_call", events, name="f")
    parts.enter("b", "tool_call", events, name="g")
    assert parts.arguments("b", '{"x": 1}')
    parts.enter("c", "text", events)
    parts.end_all(events)
    assert [event for event in events if isinstance(event, ToolArgumentsDelta)] == (
        [ToolArgumentsDelta(0, "{}")] if filled else []
    )
