"""Merging: a prompt under a request's own fields, in every dialect."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from helicone_gw_prompts.merging import fill_messages, merge
from helicone_gw_prompts.template import Inputs

CHAT = ("openai", "chat")


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def test_the_requests_fields_win_and_lists_are_joined() -> None:
    saved = {
        "model": "a",
        "temperature": 0.1,
        "messages": [user("1")],
        "tools": [{"t": 1}],
        "response_format": {"r": 1},
    }
    asked = {"model": "b", "top_p": None, "messages": [user("2")], "tools": [{"t": 2}], "response_format": None}
    assert merge(saved, asked, *CHAT) == {
        "model": "b",
        "temperature": 0.1,
        "top_p": None,
        "messages": [user("1"), user("2")],
        "tools": [{"t": 1}, {"t": 2}],
        "response_format": {"r": 1},
    }
    assert merge(saved, {"response_format": {"r": 2}}, *CHAT)["response_format"] == {"r": 2}


def test_no_tools_of_neither_side_are_no_empty_list() -> None:
    assert "tools" not in merge({"messages": []}, {"messages": []}, *CHAT)
    assert "tools" not in merge({"tools": []}, {}, *CHAT)


def test_responses_join_input_and_instructions() -> None:
    saved = {"instructions": "A", "input": [user("1")], "text": {"format": 1}}
    merged = merge(saved, {"instructions": "B", "input": "2", "text": None}, "openai", "responses")
    assert merged == {"instructions": "A\n\nB", "input": [user("1"), user("2")], "text": {"format": 1}}
    assert merge(saved, {"instructions": None}, "openai", "responses")["instructions"] == "A"


def test_messages_join_what_the_system_says() -> None:
    merged = merge(
        {"system": "A", "max_tokens": 9}, {"system": [{"type": "text", "text": "B"}]}, "anthropic", "messages"
    )
    assert merged["system"] == [{"type": "text", "text": "A"}, {"type": "text", "text": "B"}]
    assert merge({"system": "A"}, {"max_tokens": 1}, "anthropic", "messages")["system"] == "A"
    assert merge({}, {"system": "B"}, "anthropic", "messages")["system"] == "B"


def test_gemini_in_either_spelling() -> None:
    saved = {
        "systemInstruction": {"parts": [{"text": "A"}]},
        "contents": [{"role": "user", "parts": [{"text": "1"}]}],
        "generationConfig": {"temperature": 0.1, "topP": 1},
    }
    asked = {
        "system_instruction": {"parts": [{"text": "B"}]},
        "contents": "2",
        "generation_config": {"temperature": 0.9},
    }
    assert merge(saved, asked, "gemini", "generate_content") == {
        "systemInstruction": {"parts": [{"text": "A"}, {"text": "B"}]},
        "contents": [{"role": "user", "parts": [{"text": "1"}]}, {"role": "user", "parts": [{"text": "2"}]}],
        "generationConfig": {"temperature": 0.9, "topP": 1},
    }


def test_variables_in_the_requests_own_messages() -> None:
    inputs = Inputs({"x": "X"})
    tag = "{{hc:x:string}}"
    assert fill_messages([user(tag), {"role": tag, "parts": [{"text": tag, "id": tag}]}], inputs, []) == [
        user("X"),
        {"role": tag, "parts": [{"text": "X", "id": tag}]},
    ]
    assert fill_messages([{"content": [{"type": "text", "text": tag}]}], inputs, []) == [
        {"content": [{"type": "text", "text": "X"}]}
    ]


VALUES = st.none() | st.integers() | st.text(max_size=3)
FIELDS = st.dictionaries(st.sampled_from(["model", "seed", "user", "stop"]), VALUES)
LISTS = st.lists(st.builds(user, st.text(max_size=3)), max_size=3)


@given(FIELDS, LISTS, FIELDS, LISTS)
def test_nothing_is_lost_and_nothing_else_is_there(
    saved: dict[str, Any], first: list[Any], asked: dict[str, Any], second: list[Any]
) -> None:
    merged = merge({**saved, "messages": first}, {**asked, "messages": second}, *CHAT)
    assert merged == {**saved, **asked, "messages": first + second}
