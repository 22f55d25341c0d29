"""The text in one event of a stream with its place, and the channel that it goes on in, in every dialect."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from helicone_gw.dialects.pieces import has_pieces, text_pieces
from helicone_gw.model import Chunk


def chunk(index: int = 0, **delta: Any) -> Any:
    return {"id": "1", "model": "m", "choices": [{"index": index, "delta": delta, "finish_reason": None}]}


def call(index: int, arguments: str) -> Any:
    return {"tool_calls": [{"index": index, "function": {"arguments": arguments}}]}


def block(index: int, **delta: Any) -> Any:
    return {"type": "content_block_delta", "index": index, "delta": delta}


def part(text: str, **more: Any) -> Any:
    return {"candidates": [{"index": 0, "content": {"parts": [{"text": text, **more}]}}]}


def output(number: int, delta: str, kind: str = "output_text") -> Any:
    return {"type": f"response.{kind}.delta", "output_index": 0, "content_index": number, "delta": delta}


@pytest.mark.parametrize(
    ("dialect", "operation", "one", "same", "other"),
    [
        ("openai", "chat", chunk(content="a"), chunk(content="b"), chunk(1, content="b")),
        ("openai", "chat", chunk(content="a"), chunk(content="b"), chunk(reasoning_content="b")),
        ("openai", "chat", chunk(**call(0, "{")), chunk(**call(0, "}")), chunk(**call(1, "}"))),
        ("openai", "completions", {"choices": [{"text": "a"}]}, {"choices": [{"text": "b"}]}, chunk(1, content="b")),
        ("openai", "responses", output(0, "a"), output(0, "b"), output(1, "b")),
        ("openai", "responses", output(0, "a"), output(0, "b"), output(0, "b", "refusal")),
        ("anthropic", "messages", block(0, text="a"), block(0, text="b"), block(1, text="b")),
        ("anthropic", "messages", block(0, text="a"), block(0, text="b"), block(0, thinking="b")),
        ("gemini", "stream_generate_content", part("a"), part("b"), part("b", thought=True)),
    ],
)
def test_what_goes_on_has_the_same_channel(dialect: str, operation: str, one: Any, same: Any, other: Any) -> None:
    channels = [text_pieces(dialect, operation, value)[0].channel for value in (one, same, other)]
    assert channels[0] == channels[1] != channels[2]


def test_a_block_may_begin_with_text() -> None:
    start = {"type": "content_block_start", "index": 3, "content_block": {"type": "text", "text": "a"}}
    (first,) = text_pieces("anthropic", "messages", start)
    (second,) = text_pieces("anthropic", "messages", block(3, text="b"))
    assert first.channel == second.channel


@pytest.mark.parametrize(
    ("dialect", "operation", "value", "texts"),
    [
        ("openai", "responses", {"type": "response.output_text.done", "text": "Hi"}, ["Hi"]),
        (
            "openai",
            "responses",
            {
                "type": "response.completed",
                "response": {
                    "instructions": "not said by the model",
                    "output": [{"type": "message", "content": [{"type": "output_text", "text": "Hi"}]}],
                },
            },
            ["Hi"],
        ),
        (
            "anthropic",
            "messages",
            {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "input": {"a": ["b"]}}},
            ["b"],
        ),
        (
            "gemini",
            "generate_content",
            {"candidates": [{"content": {"parts": [{"functionCall": {"name": "f", "args": {"a": "b"}}}]}}]},
            ["b"],
        ),
    ],
)
def test_what_stands_for_itself_is_whole(dialect: str, operation: str, value: Any, texts: list[str]) -> None:
    pieces = text_pieces(dialect, operation, value)
    assert [piece.text for piece in pieces] == texts
    assert all(piece.whole for piece in pieces)


@pytest.mark.parametrize("value", [None, 3, [], {}, {"choices": None}, {"choices": [{"delta": 1}, 2, None]}])
def test_what_is_not_the_dialect_has_no_pieces(value: Any) -> None:
    assert text_pieces("openai", "chat", value) == []


def test_pieces_are_where_they_say() -> None:
    value = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}}
    (piece,) = text_pieces("anthropic", "messages", value)
    assert piece.path == ("delta", "text")
    event = Chunk(b"event: content_block_delta\ndata: " + msgspec.json.encode(value) + b"\n\n")
    assert event.with_json({"a": 1}).data == b'event: content_block_delta\ndata: {"a":1}\n\n'


def test_streams_without_text_have_none() -> None:
    assert has_pieces("openai", "chat")
    assert not has_pieces("openai", "images")
    assert text_pieces("openai", "images", chunk(content="a")) == []
