"""The text in one event of a stream, in every dialect."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw.dialects.deltas import delta_texts, has_deltas
from helicone_gw.sse import encode_event


def texts(dialect: str, operation: str, value: Any, name: str | None = None) -> list[str]:
    return delta_texts(dialect, operation, encode_event(json.dumps(value).encode(), name))


def chunk(**delta: Any) -> Any:
    return {"id": "1", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a":'}}


@pytest.mark.parametrize(
    ("dialect", "operation", "value", "found"),
    [
        ("openai", "chat", chunk(role="assistant", content="Hi"), ["Hi"]),
        ("openai", "chat", chunk(reasoning_content="Hm"), ["Hm"]),
        ("openai", "chat", chunk(refusal="No"), ["No"]),
        ("openai", "chat", chunk(tool_calls=[CALL]), ['{"a":']),
        ("openai", "chat", {"choices": [], "usage": {"prompt_tokens": 1}}, []),
        ("openai", "completions", {"choices": [{"text": "Hi", "index": 0}]}, ["Hi"]),
        ("openai", "responses", {"type": "response.output_text.delta", "delta": "Hi"}, ["Hi"]),
        ("openai", "responses", {"type": "response.function_call_arguments.delta", "delta": "{"}, ["{"]),
        ("openai", "responses", {"type": "response.output_text.done", "text": "Hi"}, []),
        ("openai", "responses", {"type": "response.created", "response": {"instructions": "x"}}, []),
        (
            "anthropic",
            "messages",
            {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hi"}},
            ["Hi"],
        ),
        ("anthropic", "messages", {"type": "x", "delta": {"type": "thinking_delta", "thinking": "Hm"}}, ["Hm"]),
        ("anthropic", "messages", {"type": "x", "delta": {"type": "input_json_delta", "partial_json": "{"}}, ["{"]),
        ("anthropic", "messages", {"type": "x", "delta": {"type": "signature_delta", "signature": "EqQ="}}, []),
        ("anthropic", "messages", {"type": "message_start", "message": {"id": "m"}}, []),
        ("gemini", "stream_generate_content", {"candidates": [{"content": {"parts": [{"text": "Hi"}]}}]}, ["Hi"]),
        (
            "gemini",
            "generate_content",
            {"candidates": [{"content": {"parts": [{"functionCall": {"name": "f", "args": {"a": "b"}}}]}}]},
            ["b"],
        ),
        ("cohere", "chat", {"type": "content-delta", "delta": {"message": {"content": {"text": "Hi"}}}}, ["Hi"]),
        ("bedrock", "converse", {"contentBlockIndex": 0, "delta": {"text": "Hi"}}, ["Hi"]),
        ("bedrock", "converse", {"contentBlockIndex": 0, "delta": {"toolUse": {"input": "{"}}}, ["{"]),
        ("ollama", "chat", {"message": {"role": "assistant", "content": "Hi"}, "done": False}, ["Hi"]),
    ],
)
def test_what_an_event_adds(dialect: str, operation: str, value: Any, found: list[str]) -> None:
    assert has_deltas(dialect, operation)
    assert texts(dialect, operation, value) == found


def test_predictions_are_plain_text() -> None:
    assert delta_texts("replicate", "predictions", b"event: output\ndata: Hi\n\n") == ["Hi"]
    assert delta_texts("replicate", "predictions", b'event: done\ndata: {"a": "b"}\n\n') == []
    assert has_deltas("replicate", "predictions")


def test_other_operations_have_none() -> None:
    assert not has_deltas("openai", "images")
    assert texts("openai", "images", {"b64_json": "aaaa"}) == []


@given(st.binary(), st.sampled_from([("openai", "chat"), ("anthropic", "messages"), ("replicate", "predictions")]))
def test_it_never_raises(data: bytes, key: tuple[str, str]) -> None:
    delta_texts(*key, b"data: " + data + b"\n\n")
