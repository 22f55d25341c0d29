"""What is changed of a prompt before it is routed: web search, and prompts that are too long."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helicone_gw import Headers, HeliconeHeaders, Request
from helicone_gw_router.online import has_plugins, with_search
from helicone_gw_router.overflow import LONGEST_CHUNK, allowed, chunks, estimated, middle_out, truncated


def request(body: Any, operation: str = "chat") -> Request:
    content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    return Request("POST", "/v1/x", "", Headers(), content, "openai", operation, HeliconeHeaders())


@pytest.mark.parametrize(
    ("operation", "field", "value"),
    [
        ("chat", "web_search_options", {}),
        ("responses", "tools", [{"type": "web_search"}]),
        ("messages", "tools", [{"type": "web_search_20250305", "name": "web_search"}]),
        ("generate_content", "tools", [{"google_search": {}}]),
    ],
)
def test_search_in_each_dialect(operation: str, field: str, value: Any) -> None:
    once = with_search(request({"a": 1}, operation), as_plugin=False)
    assert once.json() == {"a": 1, field: value}
    assert with_search(once, as_plugin=False).json() == once.json(), "once is enough"


def test_search_as_a_plugin() -> None:
    once = with_search(request({"plugins": [{"id": "file"}]}), as_plugin=True)
    assert once.json() == {"plugins": [{"id": "file"}, {"id": "web"}]}
    assert with_search(once, as_plugin=True) is once


def test_plugins_are_for_openrouter_alone() -> None:
    assert with_search(request({"plugins": [{"id": "web"}]}), as_plugin=False).json() == {"web_search_options": {}}


def test_a_listed_plugin_asks_for_search_by_itself_and_another_for_nothing() -> None:
    web, other = request({"plugins": [{"id": "web"}]}), request({"plugins": [{"id": "file"}]})
    assert with_search(web, as_plugin=False, online=False).json() == {"web_search_options": {}}
    assert with_search(other, as_plugin=False, online=False).json() == {}
    assert with_search(other, as_plugin=True, online=False) is other, "OpenRouter's own"
    assert [has_plugins(each) for each in (web, request({"model": "x"}), request(None))] == [True, False, False]


@pytest.mark.parametrize("body", [None, b"", b"no json", b"[1]"])
def test_a_body_that_cannot_be_changed_stays(body: bytes | None) -> None:
    one = request(body)
    assert with_search(one, as_plugin=False) is one


@pytest.mark.parametrize("value", [5, "web", {"id": "web"}, None])
def test_lists_that_are_none(value: Any) -> None:
    assert with_search(request({"plugins": value}), as_plugin=False, online=False).json() == {}
    tools = with_search(request({"tools": value}, "responses"), as_plugin=False).json()["tools"]
    assert tools == [{"type": "web_search"}]


def test_what_the_answer_needs_is_left_free() -> None:
    assert allowed({"max_tokens": 100}, 1000) == 900
    assert allowed({"max_completion_tokens": 200, "max_tokens": 100}, 1000) == 800
    assert allowed({"generationConfig": {"maxOutputTokens": 300}}, 1000) == 700
    assert allowed({"max_tokens": 0}, 1000) == 900
    assert allowed({"max_tokens": True}, 1000) == 900
    assert allowed({"max_tokens": 5000}, 1000) == 0


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": "user", "content": "x" * 400}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "x" * 400}]}]},
        {"system": "x" * 200, "messages": [{"role": "user", "content": "x" * 200}]},
        {"input": "x" * 400},
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": "x" * 400}]}]},
        {"contents": [{"parts": [{"text": "x" * 200}]}], "systemInstruction": {"parts": [{"text": "x" * 200}]}},
    ],
)
def test_tokens_of_every_dialect(body: dict[str, Any]) -> None:
    assert estimated(body) == 100
    assert estimated(middle_out(body, 40)) <= 40 or len(json.dumps(body)) < LONGEST_CHUNK


def test_truncating_collapses_what_says_nothing() -> None:
    text = "a  b\n\n\n\nc <!-- gone --> /* gone */ 123e4567-e89b-12d3-a456-426614174000 d"
    body = {"messages": [{"role": "user", "content": text}]}
    assert truncated(body)["messages"][0]["content"] == "a b\n\nc d"
    assert body["messages"][0]["content"] == text, "the client's own stays"


def test_middle_out_keeps_beginning_and_end() -> None:
    texts = ["Instructions. " + "a " * 2000, "b " * 4000, "c " * 2000 + "The question?"]
    body = {"messages": [{"role": "user", "content": text} for text in texts]}
    cut = middle_out(body, 1500)
    assert estimated(cut) <= 1500
    assert cut["messages"][0]["content"].startswith("Instructions.")
    assert cut["messages"][-1]["content"].endswith("The question?")
    assert len(cut["messages"]) == 2, "the one in the middle is gone"


@pytest.mark.parametrize(
    "cut",
    [
        lambda text: truncated({"prompt": text[0] + "/* gone */" + text[1]}),
        lambda text: truncated({"prompt": f"{text[0]}-123e4567-e89b-12d3-a456-426614174000-{text[1]}"}),
        lambda text: middle_out({"prompt": text[0] * 2000 + "z" * 4000 + text[1] * 2000}, 1000),
    ],
)
def test_what_stood_apart_becomes_no_word(cut: Callable[[str], dict[str, Any]]) -> None:
    left = cut("xy")["prompt"]
    assert len(left.split()) == 2, "two words are left"
    assert (left[0], left[-1]) == ("x", "y")


def test_calls_of_tools_are_not_dropped() -> None:
    call = {"role": "assistant", "content": "", "tool_calls": [{"id": "1"}]}
    body = {"messages": [{"role": "user", "content": "a " * 4000}, call, {"role": "user", "content": "b " * 4000}]}
    assert call in middle_out(body, 100)["messages"]


@settings(deadline=None)
@given(st.text(max_size=5000))
def test_pieces_make_the_text(text: str) -> None:
    pieces = chunks(text)
    assert "".join(pieces) == text
    assert all(0 < len(piece) <= LONGEST_CHUNK for piece in pieces)


@settings(deadline=None)
@given(st.lists(st.text(alphabet="ab .\n", max_size=3000), min_size=1, max_size=6), st.integers(0, 2000))
def test_middle_out_comes_down_to_the_limit(texts: list[str], limit: int) -> None:
    body = {"messages": [{"role": "user", "content": text} for text in texts]}
    assert estimated(middle_out(body, limit)) <= max(limit, 1)
