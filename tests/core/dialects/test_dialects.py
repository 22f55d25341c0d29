"""Every wire format keeps the promises that all of them share."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw.dialects import _BY_NAME, error_format, wire_format
from helicone_gw.dialects.base import ErrorFormat, Reply, StreamReader, WireFormat
from helicone_gw.errors import MalformedBody
from helicone_gw.sse import EventSplitter

EVERY = [pytest.param(wire, id=f"{wire.dialect}-{wire.operation}") for wire in _BY_NAME.values()]


@pytest.mark.parametrize(
    ("dialect", "operation"),
    [
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
        ("gemini", "generate_content"),
        ("gemini", "stream_generate_content"),
        ("gemini", "count_tokens"),
        ("gemini", "embed_content"),
        ("gemini", "batch_embed_contents"),
    ],
)
def test_formats_are_found_by_dialect_and_operation(dialect: str, operation: str) -> None:
    wire: WireFormat | None = wire_format(dialect, operation)
    assert wire is not None
    assert (wire.dialect, wire.operation) == (dialect, operation)
    errors: ErrorFormat = error_format(dialect)
    assert errors.dialect == dialect


@pytest.mark.parametrize(("dialect", "operation"), [("openai", "files"), ("anthropic", "chat"), ("cohere", "other")])
def test_what_is_passed_through_unread_has_none(dialect: str, operation: str) -> None:
    assert wire_format(dialect, operation) is None


@pytest.mark.parametrize("wire", EVERY)
@given(data=st.binary(max_size=60))
def test_no_bytes_make_a_reader_raise(wire: WireFormat, data: bytes) -> None:
    assert isinstance(wire.reply(data), Reply)
    assert all(isinstance(text, str) for text in wire.reply_text(data))
    reader: StreamReader = wire.stream_reader()
    for event in (data, b"data: " + data + b"\n\n", b"event: error\ndata: " + data + b"\n\n"):
        reader.feed(event)
    assert reader.usage is None or reader.usage.total_tokens is None or reader.usage.total_tokens >= 0
    EventSplitter(1 << 20).feed(reader.closing_events("stop"))


@pytest.mark.parametrize("wire", EVERY)
@given(body=st.binary(max_size=60))
def test_any_body_is_edited_or_malformed(wire: WireFormat, body: bytes) -> None:
    for edit in (
        lambda: wire.with_model(body, "m"),
        lambda: wire.without_metadata(body, frozenset({"a"})),
        lambda: wire.asking_for_usage(body),
        lambda: wire.prompt_text(body),
    ):
        try:
            edit()
        except MalformedBody:
            continue


@pytest.mark.parametrize("wire", EVERY)
def test_nesting_without_end_is_survived(wire: WireFormat) -> None:
    deep = b'{"a":' * 100_000
    with pytest.raises(MalformedBody):
        wire.envelope(deep)
    with pytest.raises(MalformedBody):
        wire.prompt_text(deep)
    assert wire.reply(deep) == Reply()
    wire.reply_text(deep)
    wire.stream_reader().feed(b"data: " + deep + b"\n\n")


@pytest.mark.parametrize("wire", EVERY)
def test_texts_can_be_encoded(wire: WireFormat) -> None:
    body = json.dumps(dict.fromkeys(("messages", "prompt", "input", "system", "contents"), "cut �")).encode()
    for text in wire.prompt_text(body):
        assert text.encode().decode() == "cut \ufffd"
