"""Answers: only what ended by itself, in words alone, has a text; streamed or not, it is the same text."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from helicone_gw.sse import split_events
from helicone_gw.testing import ScriptedResponse
from helicone_gw.testing.dialects import anthropic, gemini, openai_chat, openai_responses
from helicone_gw.testing.dialects.content import ToolCall
from helicone_gw_semantic_cache.answers import text_of_body, text_of_events

DIALECTS = {
    "chat": ("openai", "chat", openai_chat),
    "responses": ("openai", "responses", openai_responses),
    "messages": ("anthropic", "messages", anthropic),
    "gemini": ("gemini", "generate_content", gemini),
}
TEXT = "Paris is the capital of France."


def read(dialect: str, response: ScriptedResponse, *, streamed: bool) -> str | None:
    name, operation, _ = DIALECTS[dialect]
    if streamed:
        return text_of_events(name, operation, [event for part in response.parts for event in split_events(part)])
    return text_of_body(name, operation, response.body)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("streamed", [False, True])
def test_a_whole_answer_has_its_text(dialect: str, streamed: bool) -> None:
    kit: Any = DIALECTS[dialect][2]
    made = kit.stream(TEXT) if streamed else kit.reply(TEXT)
    assert read(dialect, made, streamed=streamed) == TEXT


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("streamed", [False, True])
def test_an_answer_with_a_call_of_a_tool_has_none(dialect: str, streamed: bool) -> None:
    kit: Any = DIALECTS[dialect][2]
    tools = [ToolCall("get_weather", {"city": "Paris"})]
    made = kit.stream(TEXT, tools=tools) if streamed else kit.reply(TEXT, tools=tools)
    assert read(dialect, made, streamed=streamed) is None


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_stream_without_its_end_has_none(dialect: str) -> None:
    kit: Any = DIALECTS[dialect][2]
    name, operation, _ = DIALECTS[dialect]
    events = list(kit.stream(TEXT).parts)
    for end in range(len(events)):
        if dialect == "gemini" and end == len(events):
            continue
        assert text_of_events(name, operation, events[:end]) is None
    assert text_of_events(name, operation, events) == TEXT


@pytest.mark.parametrize(
    ("dialect", "reason"),
    [
        ("chat", "length"),
        ("chat", "content_filter"),
        ("messages", "max_tokens"),
        ("messages", "refusal"),
        ("gemini", "SAFETY"),
        ("gemini", "MAX_TOKENS"),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_an_answer_that_was_stopped_has_none(dialect: str, reason: str, streamed: bool) -> None:
    kit: Any = DIALECTS[dialect][2]
    made = kit.stream(TEXT, stop_reason=reason) if streamed else kit.reply(TEXT, stop_reason=reason)
    assert read(dialect, made, streamed=streamed) is None


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        ("chat", {"error": {"message": "no"}}),
        ("chat", {"choices": []}),
        ("chat", {"choices": [{"message": {"content": None}, "finish_reason": "stop"}]}),
        ("chat", {"choices": [{"message": {"content": "x", "refusal": "no"}, "finish_reason": "stop"}]}),
        ("responses", {"status": "incomplete", "output": []}),
        ("responses", {"status": "queued", "output": []}),
        ("responses", {"status": "completed", "output": [{"type": "web_search_call"}]}),
        ("messages", {"type": "error", "error": {}}),
        ("gemini", {"promptFeedback": {"blockReason": "SAFETY"}}),
        ("gemini", [{"candidates": []}]),
        ("chat", "text"),
        ("chat", None),
    ],
)
def test_what_is_no_answer_has_no_text(dialect: str, body: Any) -> None:
    name, operation, _ = DIALECTS[dialect]
    assert text_of_body(name, operation, msgspec.json.encode(body)) is None


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000])
def test_neither_has_what_is_no_json(body: bytes) -> None:
    assert text_of_body("openai", "chat", body) is None


def test_thoughts_are_not_part_of_the_text() -> None:
    content = [{"type": "thinking", "thinking": "hm", "signature": ""}, {"type": "text", "text": "Paris"}]
    body = msgspec.json.encode({"stop_reason": "end_turn", "content": content})
    assert text_of_body("anthropic", "messages", body) == "Paris"
    parts = [{"text": "hm", "thought": True}, {"text": "Paris"}]
    body = msgspec.json.encode({"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]})
    assert text_of_body("gemini", "generate_content", body) == "Paris"


def test_an_error_inside_a_stream_is_no_end_of_it() -> None:
    events = [*openai_chat.stream(TEXT).parts[:-1], openai_chat.error_event(), openai_chat.DONE]
    assert text_of_events("openai", "chat", events) is None


def test_of_several_choices_all_must_have_ended() -> None:
    def choice(index: int, reason: str | None) -> dict[str, Any]:
        return {"index": index, "message": {"content": f"text {index}"}, "finish_reason": reason}

    both = msgspec.json.encode({"choices": [choice(0, "stop"), choice(1, "stop")]})
    one = msgspec.json.encode({"choices": [choice(0, "stop"), choice(1, "length")]})
    assert text_of_body("openai", "chat", both) == "text 0\ntext 1"
    assert text_of_body("openai", "chat", one) is None


def test_operations_without_questions_have_no_answers() -> None:
    assert text_of_body("openai", "embeddings", b"{}") is None
    assert text_of_events("openai", "completions", [b"data: [DONE]\n\n"]) is None
