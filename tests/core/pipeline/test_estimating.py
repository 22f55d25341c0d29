"""Tokens of answers that were broken off: counted by what can be seen, marked, and unknown where nothing can."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw.dialects import wire_format
from helicone_gw.headers import Headers
from helicone_gw.helicone import EMPTY
from helicone_gw.model import Request, Usage
from helicone_gw.pipeline.answer import SAMPLE_BYTES, LiveStream
from helicone_gw.pipeline.estimating import (
    MAX_PROMPT,
    READ_PROMPT,
    estimate,
    generated_tokens,
    prompt_tokens,
    text_tokens,
)
from helicone_gw.sse import split_events
from helicone_gw.testing.dialects import anthropic, gemini, openai_chat, openai_completions, openai_responses
from helicone_gw.testing.dialects.content import ToolCall

PROSE = "The quick brown fox jumps over the lazy dog, and nobody minds. "
MESSAGES = [{"role": "user", "content": PROSE * 10}]


def asked(body: Any, dialect: str = "openai", operation: str = "chat", *, stream: bool = True) -> Request:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Request("POST", "/x", "", Headers(), data, dialect, operation, EMPTY, model="m", stream=stream)


CHAT = asked({"model": "m", "messages": MESSAGES})


async def streamed(dialect: str, operation: str, *pieces: bytes) -> LiveStream:
    """A stream that was read to its end, as a relay reads it."""

    async def source() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    wire = wire_format(dialect, operation)
    assert wire is not None
    reader = wire.stream_reader()
    live = LiveStream(source(), True, reader=reader, wire=wire)
    while (data := await live.read()) is not None:
        live.begun = live.begun or any(reader.feed(event).content for event in split_events(data))
    return live


async def generated(dialect: str, operation: str, *pieces: bytes) -> int | None:
    live = await streamed(dialect, operation, *pieces)
    assert live.wire is not None
    return generated_tokens(live.wire, live)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        # What OpenAI's o200k_base counts.
        (PROSE * 20, 281),
        ("def f(x: int) -> int:\n    return x + 1\n" * 20, 280),
        ("人工智能是计算机科学的一个分支，它企图了解智能的实质。" * 20, 380),
        ("الذكاء الاصطناعي هو سلوك وخصائص معينة تتسم بها البرامج" * 20, 300),
    ],
    ids=["prose", "code", "chinese", "arabic"],
)
def test_a_text_is_estimated_by_its_alphabet(text: str, tokens: int) -> None:
    assert text_tokens(text) == pytest.approx(tokens, rel=0.4)


@given(st.text(), st.text())
def test_pieces_add_up_to_the_whole(one: str, other: str) -> None:
    assert text_tokens(one + other) == pytest.approx(text_tokens(one) + text_tokens(other))


@pytest.mark.parametrize(
    "request_",
    [
        CHAT,
        asked({"model": "m", "input": PROSE * 10}, operation="responses"),
        asked({"model": "m", "prompt": PROSE * 10}, operation="completions"),
        asked({"model": "m", "max_tokens": 5, "messages": MESSAGES}, "anthropic", "messages"),
        asked({"contents": [{"parts": [{"text": PROSE * 10}]}]}, "gemini", "stream_generate_content"),
        asked({"model": "m", "input": [PROSE * 5, PROSE * 5]}, operation="embeddings"),
    ],
    ids=lambda request: request.operation,
)
def test_a_prompt_counts_alike_in_every_dialect(request_: Request) -> None:
    assert prompt_tokens(request_) == pytest.approx(text_tokens(PROSE * 10), abs=5)


def test_what_a_prompt_consists_of_counts() -> None:
    tool = {"type": "function", "function": {"name": "look_up", "description": PROSE, "parameters": {"type": "object"}}}
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object", "title": PROSE}}}
    call = {"id": "1", "type": "function", "function": {"name": "look_up", "arguments": '{"a": 1}'}}
    talk = [
        {"role": "system", "content": PROSE},
        *MESSAGES,
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": PROSE},
    ]
    bodies: list[dict[str, Any]] = [{"messages": talk[:number]} for number in (2, 3, 4)]
    bodies += [{"messages": talk, "tools": [tool]}, {"messages": talk, "tools": [tool], "response_format": schema}]
    sizes = [prompt_tokens(asked({"model": "m", **body})) or 0 for body in bodies]
    assert sizes == sorted(set(sizes)), "each of them counts"


PICTURE = {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}


@pytest.mark.parametrize(
    "request_",
    [
        asked({"model": "m", "messages": [{"role": "user", "content": [PICTURE]}]}),
        asked({"model": "m", "input": "Hi", "previous_response_id": "resp_1"}, operation="responses"),
        asked({"contents": [{"parts": [{"text": "Hi"}]}], "cachedContent": "c/1"}, "gemini", "generate_content"),
        asked({"model": "m", "input": [[1, 2, 3]]}, operation="embeddings"),
        asked({"model": "m", "prompt": "a cat"}, operation="images"),
        asked({"model": "m", "messages": 5}),
        asked(b"["),
        CHAT.replace(body=None),
        asked({"model": "m", "messages": [{"role": "user", "content": "x" * MAX_PROMPT}]}),
    ],
    ids=["picture", "stored", "cached", "tokens", "other operation", "malformed", "no JSON", "upload", "too long"],
)
def test_what_is_not_text_that_can_be_seen_is_unknown(request_: Request) -> None:
    assert prompt_tokens(request_) is None


def test_a_long_prompt_is_counted_as_it_stands() -> None:
    many = asked({"model": "m", "messages": MESSAGES * (READ_PROMPT // 500)})
    assert many.body is not None
    assert len(many.body) > READ_PROMPT
    whole = text_tokens(PROSE * 10) * (READ_PROMPT // 500)
    assert prompt_tokens(many) == pytest.approx(whole, rel=0.2)
    picture = {"role": "user", "content": [PICTURE]}
    assert prompt_tokens(asked({"model": "m", "messages": [*MESSAGES * (READ_PROMPT // 500), picture]})) is None


TEXT = tuple(f"{word} " for word in PROSE.split())


@pytest.mark.parametrize(
    ("module", "dialect", "operation"),
    [
        (openai_chat, "openai", "chat"),
        (openai_completions, "openai", "completions"),
        (openai_responses, "openai", "responses"),
        (anthropic, "anthropic", "messages"),
        (gemini, "gemini", "stream_generate_content"),
    ],
)
async def test_what_came_of_a_stream_counts(module: ModuleType, dialect: str, operation: str) -> None:
    parts = module.stream(TEXT).parts
    whole = await generated(dialect, operation, *parts)
    assert whole == pytest.approx(text_tokens(PROSE), abs=2)
    half = await generated(dialect, operation, *parts[: len(parts) // 2])
    assert half is not None
    assert 0 < half < (whole or 0)
    assert await generated(dialect, operation) == 0


async def test_arguments_of_tools_are_generated_too() -> None:
    calls = [ToolCall("look_up", {"text": PROSE})]
    for module, dialect, operation in ((openai_chat, "openai", "chat"), (anthropic, "anthropic", "messages")):
        found = await generated(dialect, operation, *module.stream("", tools=calls).parts)
        assert found == pytest.approx(text_tokens(PROSE), abs=8)


async def test_a_long_stream_is_estimated_from_its_beginning() -> None:
    parts = openai_chat.stream(TEXT * 100).parts
    live = await streamed("openai", "chat", *parts)
    assert sum(map(len, live.sample)) <= SAMPLE_BYTES
    assert live.wire is not None
    assert generated_tokens(live.wire, live) == pytest.approx(text_tokens(PROSE * 100), rel=0.05)


@pytest.mark.parametrize("together", [False, True])
async def test_what_comes_before_the_content_is_none_of_it(together: bool) -> None:
    """OpenAI's responses begin by repeating the instructions and the tools, however long they are."""
    echo, *rest = openai_responses.stream(TEXT * 3).parts
    echo = echo.replace(b'"object"', b'"instructions":"%s","object"' % (b"x" * (SAMPLE_BYTES // 2)))
    pieces = [echo, echo, echo, *rest[:-4]]
    found = await generated("openai", "responses", *[b"".join(pieces[2:])] if together else pieces)
    assert found == pytest.approx(text_tokens(PROSE * 3), rel=0.05)


async def test_what_has_no_event_in_it_yet_generated_nothing_that_is_known() -> None:
    assert await generated("openai", "chat", b'data: {"choices"') == 0
    assert await generated("openai", "chat", b"data: " + b"x" * SAMPLE_BYTES) is None
    assert await generated("openai", "images", b'data: {"b64_json": "aaaa"}\n\n') is None


async def test_what_the_provider_said_is_kept() -> None:
    wire = wire_format("anthropic", "messages")
    live = await streamed("anthropic", "messages", *anthropic.stream(TEXT).parts[:-3])
    found = estimate(CHAT, wire, Usage(1000, None, cache_read_tokens=900), live)
    assert found is not None
    assert (found.input_tokens, found.cache_read_tokens, found.estimated) == (1000, 900, True)
    assert found.output_tokens == pytest.approx(text_tokens(PROSE), abs=2)
    assert estimate(CHAT, wire, Usage(1, 2), live) == Usage(1, 2), "nothing was left to estimate"


def test_a_stream_that_had_not_begun_and_an_answer_that_nobody_waited_for() -> None:
    wire = wire_format("openai", "chat")
    begun, waited = estimate(CHAT, wire, None, None), estimate(CHAT.replace(stream=False), wire, None, None)
    assert begun is not None
    assert waited is not None
    assert (begun.output_tokens, waited.output_tokens) == (0, None)
    vectors = asked({"model": "m", "input": "Hi"}, operation="embeddings", stream=False)
    assert estimate(vectors, wire_format("openai", "embeddings"), None, None) == Usage(0, 0, estimated=True)


def test_what_nothing_can_be_said_of_is_unknown() -> None:
    upload = CHAT.replace(body=None, stream=False, operation="files")
    assert estimate(upload, None, None, None) is None
