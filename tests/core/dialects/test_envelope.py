"""Envelopes: what routing reads of a body, and what a client is told when a field is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw.dialects import wire_format
from helicone_gw.dialects.base import Envelope, WireFormat
from helicone_gw.errors import MalformedBody

JSON_OPERATIONS = [
    ("openai", "chat"),
    ("openai", "completions"),
    ("openai", "embeddings"),
    ("openai", "responses"),
    ("openai", "moderations"),
    ("openai", "images"),
    ("openai", "audio"),
    ("openai", "rerank"),
    ("anthropic", "messages"),
    ("anthropic", "count_tokens"),
]


def wire(dialect: str, operation: str) -> WireFormat:
    found = wire_format(dialect, operation)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("dialect", "operation", "body", "envelope"),
    [
        (
            "openai",
            "chat",
            (
                b'{"model":"gpt-4o","stream":true,"user":"u","metadata":{"a":"b"},"stream_options":{"include_usage":false,'
                b'"x":1},"max_tokens":5,"max_completion_tokens":9,"messages":[{"role":"user","content":"hi"}]}'
            ),
            Envelope("gpt-4o", True, "u", {"a": "b"}, False, 9),
        ),
        ("openai", "chat", b'{"model":null,"stream":null,"user":null,"stream_options":null}', Envelope()),
        ("openai", "chat", b'{"model":"m","max_tokens":"5","temperature":1.0}', Envelope("m")),
        ("openai", "chat", b'{"model":"a","model":"b"}', Envelope("b")),
        ("openai", "chat", b'{"mod\\u0065l":"b"}', Envelope("b")),
        ("openai", "chat", b'{"model":"b","messages":[{"content":"cut emoji \\ud83d"}]}', Envelope("b")),
        ("openai", "completions", b'{"model":"m","prompt":"x","max_tokens":7}', Envelope("m", max_tokens=7)),
        ("openai", "embeddings", b'{"model":"m","input":"x","user":"u"}', Envelope("m", user="u")),
        (
            "openai",
            "responses",
            b'{"model":"m","stream":true,"max_output_tokens":3,"metadata":{"k":"v"}}',
            Envelope("m", True, metadata={"k": "v"}, max_tokens=3),
        ),
        ("openai", "images", b'{"prompt":"a cat","stream":true}', Envelope(stream=True)),
        (
            "anthropic",
            "messages",
            b'{"model":"c","max_tokens":1024,"stream":true,"metadata":{"user_id":"u1"}}',
            Envelope("c", True, "u1", {"user_id": "u1"}, None, 1024),
        ),
        (
            "gemini",
            "generate_content",
            b'{"contents":[],"generationConfig":{"maxOutputTokens":8}}',
            Envelope(max_tokens=8),
        ),
        (
            "gemini",
            "stream_generate_content",
            b'{"contents":[],"generation_config":{"max_output_tokens":8}}',
            Envelope(max_tokens=8),
        ),
        ("gemini", "embed_content", b'{"model":"models/e","content":{}}', Envelope("models/e")),
    ],
)
def test_envelope(dialect: str, operation: str, body: bytes, envelope: Envelope) -> None:
    assert wire(dialect, operation).envelope(body) == envelope


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"model":4}', ["'model'", "a string", "the number 4"]),
        (b'{"model":["a"]}', ["'model'", "a string", "an array"]),
        (b'{"model":"m","stream":"true"}', ["'stream'", "true or false", 'the string "true"']),
        (b'{"model":"m","stream":1}', ["'stream'", "the number 1"]),
        (b"[]", ["JSON object", "an array"]),
        (b"null", ["JSON object", "null"]),
        (b"", ["not valid JSON"]),
        (b'{"model":', ["not valid JSON"]),
        (b'{"model":"m"} x', ["not valid JSON"]),
        (b'{"temperature":NaN}', ["not valid JSON"]),
        (b'{"a":' + b"[" * 100_000, ["nested too deeply"]),
    ],
)
@pytest.mark.parametrize(("dialect", "operation"), JSON_OPERATIONS)
def test_a_wrong_body_is_refused_in_words(dialect: str, operation: str, body: bytes, words: list[str]) -> None:
    with pytest.raises(MalformedBody) as refusal:
        wire(dialect, operation).envelope(body)
    assert refusal.value.status == 400
    assert all(word in refusal.value.message for word in words), refusal.value.message


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"user":1}', "user"),
        (b'{"metadata":"x"}', "metadata"),
        (b'{"stream_options":[]}', "stream_options"),
        (b'{"stream_options":{"include_usage":"yes"}}', "stream_options.include_usage"),
    ],
)
def test_every_field_of_a_chat_envelope_is_checked(body: bytes, field: str) -> None:
    with pytest.raises(MalformedBody, match=f"'{field}'"):
        wire("openai", "chat").envelope(body)


def test_a_long_value_is_not_repeated_whole() -> None:
    with pytest.raises(MalformedBody) as refusal:
        wire("openai", "chat").envelope(b'{"stream":"' + b"x" * 5000 + b'"}')
    assert len(refusal.value.message) < 200


@given(st.binary(max_size=80))
def test_any_bytes_give_an_envelope_or_malformed(body: bytes) -> None:
    for dialect, operation in JSON_OPERATIONS:
        try:
            wire(dialect, operation).envelope(body)
        except MalformedBody:
            continue
