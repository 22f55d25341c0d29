"""Requests and answers of every dialect are read as one conversation, whatever somebody put into them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw_dashboard.conversation import Part, Turn, read
from helicone_gw_dashboard.conversation.turns import MAX_TEXT

WORDS = ["messages", "role", "content", "type", "text", "parts", "choices", "delta", "tool_calls", "function", "input"]
WORDS += ["output", "candidates", "message", "index", "arguments", "name", "tools", "system", "contents", "image_url"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5),
    max_leaves=25,
)


@given(JSON, JSON, JSON)
def test_whatever_was_sent_is_read_without_a_fault(request: Any, response: Any, before: Any) -> None:
    read(request, response, before)


@given(st.lists(JSON, max_size=5))
def test_whatever_was_streamed_is_read_without_a_fault(events: list[Any]) -> None:
    read(None, "".join(f"data: {json.dumps(event)}\n\n" for event in events))


def asked(**request: Any) -> list[Turn]:
    return list(read(request, None).asked)


def answered(response: Any) -> list[Turn]:
    return list(read(None, response).answered)


def test_openai_chat() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    call = {"id": "c", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Rome"}'}}
    turns = asked(
        messages=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "What is it?"}, picture]},
            {"role": "assistant", "content": None, "reasoning_content": "Hm.", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c", "content": "sunny"},
        ]
    )
    assert turns == [
        Turn("system", (Part("text", "Be brief."),)),
        Turn(
            "user",
            (
                Part("text", "What is it?"),
                Part("image", "data:image/png;base64,AAAA", address="data:image/png;base64,AAAA"),
            ),
        ),
        Turn("assistant", (Part("thinking", "Hm."), Part("call", '{\n  "city": "Rome"\n}', name="weather"))),
        Turn("tool", (Part("result", "sunny", name="c"),)),
    ]


def test_anthropic_messages() -> None:
    turns = asked(
        system=[{"type": "text", "text": "Be brief."}],
        messages=[{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "sunny"}]}],
    )
    assert turns == [
        Turn("system", (Part("text", "Be brief."),)),
        Turn("user", (Part("result", "sunny", name="t"),)),
    ]
    content = [
        {"type": "thinking", "thinking": "Hm."},
        {"type": "tool_use", "name": "weather", "input": {"city": "Rome"}},
    ]
    assert answered({"type": "message", "role": "assistant", "content": content}) == [
        Turn("assistant", (Part("thinking", "Hm."), Part("call", '{\n  "city": "Rome"\n}', name="weather")))
    ]


def test_openai_responses() -> None:
    turns = asked(instructions="Be brief.", input=[{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}])
    assert turns == [Turn("system", (Part("text", "Be brief."),)), Turn("user", (Part("text", "Hi"),))]
    message = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello"}]}
    assert answered({"output": [message]}) == [Turn("assistant", (Part("text", "Hello"),))]


def test_gemini() -> None:
    turns = asked(
        systemInstruction={"parts": [{"text": "Be brief."}]},
        contents=[{"role": "user", "parts": [{"text": "Hi"}]}, {"role": "model", "parts": [{"text": "Hello"}]}],
    )
    assert [turn.role for turn in turns] == ["system", "user", "assistant"]
    parts = [{"text": "Hm.", "thought": True}, {"functionCall": {"name": "weather", "args": {}}}]
    assert answered({"candidates": [{"content": {"role": "model", "parts": parts}}]}) == [
        Turn("assistant", (Part("thinking", "Hm."), Part("call", "{}", name="weather")))
    ]


CHUNKS = [
    {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]},
    {"choices": [{"index": 0, "delta": {"content": "Hel"}}]},
    {"choices": [{"index": 0, "delta": {"content": "lo"}}]},
    {
        "choices": [
            {"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"name": "weather", "arguments": ""}}]}}
        ]
    },
    {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}}]},
]
EVENTS = [
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "name": "weather", "input": {}}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{}"}},
]


@pytest.mark.parametrize("events", [CHUNKS, EVENTS], ids=["openai", "anthropic"])
def test_a_stream_is_the_answer_that_it_would_have_been_at_once(events: list[Any]) -> None:
    stream = "".join(f"event: x\ndata: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
    assert answered(stream) == [Turn("assistant", (Part("text", "Hello"), Part("call", "{}", name="weather")))]


@pytest.mark.parametrize("address", ["https://example.com/a.png", "data:text/html;base64,AAAA", "javascript:alert(1)"])
def test_no_picture_is_loaded_from_anywhere_else(address: str) -> None:
    (turn,) = asked(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": address}}]}])
    assert turn.parts == (Part("image", address),)


def test_what_is_repeated_of_the_request_before_is_told() -> None:
    first = {"messages": [{"role": "user", "content": "Hi"}]}
    second = {"messages": [*first["messages"], {"role": "assistant", "content": "Hello"}]}
    assert [(each.kind, len(each.turns)) for each in read(second, None, first).stretches] == [("same", 1), ("new", 1)]
    assert [each.kind for each in read(second, None, None).stretches] == ["new"]
    assert read(None, None, first).stretches == ()


def said(*words: str) -> dict[str, Any]:
    """A request whose turns are the user's and the assistant's by turns, after a system prompt."""
    roles = ("system", "user", "assistant")
    messages = [
        {"role": roles[place] if place < 2 else roles[1 + (place + 1) % 2], "content": one}
        for place, one in enumerate(words)
    ]
    return {"messages": messages}


def test_what_changed_of_a_turn_is_told_line_by_line() -> None:
    rules = "Be kind.\nBe brief.\nToday is {}."
    found = read(said(rules.format("Friday"), "Hi"), None, said(rules.format("Thursday"), "Hi")).stretches
    assert [each.kind for each in found] == ["changed", "same"]
    assert found[0].lines == (
        ("", "Be kind."),
        ("", "Be brief."),
        ("removed", "Today is Thursday."),
        ("added", "Today is Friday."),
    )


def test_what_has_little_in_common_is_new_and_not_a_change() -> None:
    found = read(
        said("a", "Find a hotel.\nIn Lisbon.\nNear the river."), None, said("a", "No.\nStop.\nWait.")
    ).stretches
    assert [each.kind for each in found] == ["same", "new"]


def test_turns_that_are_there_no_more_are_told() -> None:
    before = said("rules", "one", "1", "two", "2", "three")
    now = said("rules", "two", "2", "three")
    found = read(now, None, before).stretches
    assert [(each.kind, len(each.turns)) for each in found] == [("same", 1), ("left_out", 2), ("same", 3)]


def test_a_very_long_conversation_is_compared_from_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("helicone_gw_dashboard.conversation.comparing.MOST_TURNS", 3)
    found = read(said("a", "b", "c", "d"), None, said("a", "b", "x")).stretches
    assert [(each.kind, len(each.turns)) for each in found] == [("same", 2), ("new", 2)]


def test_an_error_is_the_answer() -> None:
    (turn,) = answered({"error": {"message": "too many", "type": "x"}})
    assert turn.role == "error"
    assert turn.parts[0].text == "too many"


def test_what_is_too_long_is_cut() -> None:
    (turn,) = asked(messages=[{"role": "user", "content": "x" * (MAX_TEXT + 5)}])
    assert len(turn.parts[0].text) == MAX_TEXT + 2


def test_settings_and_tools_stand_beside_it() -> None:
    tools = [{"type": "function", "function": {"name": "weather"}}, {"functionDeclarations": [{"name": "time"}]}]
    found = read({"model": "m", "temperature": 0.2, "tools": [*tools, {"type": "web_search"}], "messages": []}, None)
    assert found.tools == ("weather", "time", "web_search")
    assert dict(found.settings) == {"model": "m", "temperature": "0.2"}
