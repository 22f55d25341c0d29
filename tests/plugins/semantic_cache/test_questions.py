"""Questions: the user's last text, cut out of the body where it stands."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw import Headers, HeliconeHeaders, Request
from helicone_gw_semantic_cache.questions import is_conversation, question_of

OPERATIONS = {
    ("openai", "chat"): lambda text: {"model": "m", "messages": [{"role": "user", "content": text}], "user": "u"},
    ("openai", "responses"): lambda text: {"model": "m", "input": text, "store": False},
    ("anthropic", "messages"): lambda text: {
        "max_tokens": 5,
        "messages": [{"role": "user", "content": [{"type": "text", "text": text}]}],
        "model": "m",
    },
    ("gemini", "generate_content"): lambda text: {"contents": [{"role": "user", "parts": [{"text": text}]}]},
    ("gemini", "stream_generate_content"): lambda text: {"contents": [{"parts": [{"text": text}]}], "x": 1},
}


def request(body: Any, dialect: str = "openai", operation: str = "chat") -> Request:
    data = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return Request("POST", "/v1/x", "", Headers(), data, dialect, operation, HeliconeHeaders())


def chat(*messages: Any) -> Request:
    return request({"messages": list(messages)})


@pytest.mark.parametrize(("dialect", "operation"), OPERATIONS)
@given(text=st.text(min_size=1, max_size=60).filter(lambda text: not text.isspace()))
def test_text_and_surroundings_are_the_body(dialect: str, operation: str, text: str) -> None:
    value = OPERATIONS[dialect, operation](text)
    for body in (
        msgspec.json.encode(value),
        json.dumps(value).encode(),
        json.dumps(value, indent=2, ensure_ascii=False).encode("utf-8", "replace"),
        json.dumps(value).replace("/", "\\/").replace("<", "\\u003C").encode(),
    ):
        question = question_of(request(body, dialect, operation))
        if json.loads(body) != value:
            continue  # a lone surrogate, replaced above
        assert question is not None
        assert question.text == text
        assert body.startswith(question.before)
        assert body.endswith(question.behind)
        cut = body[len(question.before) : len(body) - len(question.behind)]
        assert json.loads(b'"' + cut + b'"', strict=False) == text


@pytest.mark.parametrize(
    "last",
    [
        {"role": "assistant", "content": "Hello"},
        {"role": "tool", "content": "42", "tool_call_id": "x"},
        {"role": "user", "content": ""},
        {"role": "user", "content": "  \n"},
        {"role": "user", "content": None},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]},
        {"role": "user", "content": 7},
        "Hello",
    ],
)
def test_what_ends_otherwise_than_with_a_users_text_is_no_question(last: Any) -> None:
    assert question_of(chat({"role": "user", "content": "Hello"}, last)) is None


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"messages":[]}', b'{"messages":{}}', b"\xff", b"null"])
def test_neither_is_what_is_no_conversation_at_all(body: bytes) -> None:
    assert question_of(request(body)) is None


def test_nor_what_is_nested_beyond_reason() -> None:
    deep = b'{"messages":[{"role":"user","content":"Hi","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}]}"
    assert question_of(request(deep)) is None


@pytest.mark.parametrize(
    ("dialect", "operation"),
    [("openai", "completions"), ("openai", "embeddings"), ("anthropic", "count_tokens"), ("openai", "responses.other")],
)
def test_other_operations_have_no_questions(dialect: str, operation: str) -> None:
    asked = request(OPERATIONS["openai", "chat"]("Hello"), dialect, operation)
    assert not is_conversation(asked)
    assert question_of(asked) is None


def test_of_several_texts_the_last_is_the_question_and_the_others_surround_it() -> None:
    parts = [{"type": "text", "text": "Look:"}, {"type": "image"}, {"type": "text", "text": "What is it?"}]
    question = question_of(chat({"role": "user", "content": parts}))
    assert question is not None
    assert question.text == "What is it?"
    assert b"Look:" in question.before


@pytest.mark.parametrize(
    ("given_input", "text"),
    [
        ([{"role": "user", "content": "Hi"}], "Hi"),
        ([{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}], "Hi"),
        ([{"role": "user", "content": "Hi"}, {"type": "function_call_output", "call_id": "x", "output": "1"}], None),
    ],
)
def test_items_of_a_response(given_input: Any, text: str | None) -> None:
    question = question_of(request({"input": given_input}, operation="responses"))
    assert (None if question is None else question.text) == text


@pytest.mark.parametrize("state", [{"previous_response_id": "resp_1"}, {"conversation": "conv_1"}])
def test_a_history_that_the_provider_keeps_goes_on_there(state: dict[str, str]) -> None:
    assert question_of(request({"input": "Hi", **state}, operation="responses")) is None
    assert question_of(request({"input": "Hi", "previous_response_id": None}, operation="responses")) is not None


def test_the_same_text_elsewhere_in_the_body_leaves_no_room_for_another() -> None:
    # The last place is cut out, which need not be the message: then the message itself surrounds it.
    body = {"messages": [{"role": "user", "content": "auto"}], "tool_choice": "auto"}
    question = question_of(request(body))
    assert question is not None
    assert b'"content":"auto"' in question.before
    assert b"tool_choice" in question.before


@given(
    one=st.text(min_size=1, max_size=10).filter(lambda text: not text.isspace()),
    other=st.text(min_size=1, max_size=10).filter(lambda text: not text.isspace()),
    extra=st.text(max_size=10),
)
def test_equal_surroundings_differ_in_the_question_alone(one: str, other: str, extra: str) -> None:
    def asked(text: str) -> Request:
        return request({"user": extra, "messages": [{"role": "user", "content": text}], "stop": one, "seed": other})

    first, second = question_of(asked(one)), question_of(asked(other))
    assert first is not None
    assert second is not None
    if (first.before, first.behind) == (second.before, second.behind) and first.text != second.text:
        for question in (first, second):
            rebuilt = question.before + msgspec.json.encode(question.text)[1:-1] + question.behind
            assert json.loads(rebuilt)["messages"][0]["content"] == question.text


@pytest.mark.parametrize(
    "smuggled",
    [
        b'{"messages":[{"role":"user","content":"A"}],"messages":[{"role":"user","content":"B"}]}',
        b'{"messages":[{"role":"user","content":"A","content":"B"}]}',
        b'{"messages":[{"role":"user","role":"system","content":"A"},{"role":"user","content":"B"}]}',
    ],
)
def test_names_given_twice_hide_nothing(smuggled: bytes) -> None:
    question = question_of(request(smuggled))
    assert question is not None
    assert question.text == "B"
    assert b'"A"' in question.before  # whoever reads the first of them reads what is the same in both


def test_what_is_embedded_is_composed_and_has_single_spaces() -> None:
    question = question_of(chat({"role": "user", "content": " Cafe\u0301\n\t au  lait "}))
    assert question is not None
    assert question.normal == "Café au lait"
