"""OpenAI's other JSON operations: moderations, images, audio, rerank."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw.dialects.base import EventFacts, Reply
from helicone_gw.dialects.openai_json import OpenAIJsonFormat
from helicone_gw.model import Usage

IMAGES = OpenAIJsonFormat("images")
RERANK = OpenAIJsonFormat("rerank", input_only=True)


@pytest.mark.parametrize(
    ("wire", "body", "reply"),
    [
        (
            IMAGES,
            (
                b'{"created":1,"data":[{"b64_json":"AAAA"}],"usage":{"total_tokens":100,"input_tokens":50,'
                b'"output_tokens":50,"input_tokens_details":{"text_tokens":10,"image_tokens":40}}}'
            ),
            Reply(usage=Usage(50, 50, input_image_tokens=40)),
        ),
        (
            OpenAIJsonFormat("moderations"),
            b'{"id":"modr","model":"omni-moderation","results":[]}',
            Reply("omni-moderation"),
        ),
        (
            OpenAIJsonFormat("audio"),
            (
                b'{"text":"hi","usage":{"type":"tokens","input_tokens":14,"input_token_details":{"audio_tokens":14},'
                b'"output_tokens":45,"total_tokens":59}}'
            ),
            Reply(usage=Usage(14, 45, input_audio_tokens=14)),
        ),
        (OpenAIJsonFormat("audio"), b'{"text":"hi","usage":{"type":"duration","seconds":3}}', Reply()),
        (OpenAIJsonFormat("audio"), b"\xff\xfbID3", Reply()),
        (RERANK, b'{"model":"rerank-1","results":[],"usage":{"total_tokens":9}}', Reply("rerank-1", Usage(9, 0))),
        (
            RERANK,
            b'{"results":[],"meta":{"billed_units":{"search_units":1},"tokens":{"input_tokens":7,"output_tokens":0}}}',
            Reply(usage=Usage(7, 0)),
        ),
        (RERANK, b'{"results":[],"meta":{"billed_units":{"search_units":1}}}', Reply()),
    ],
)
def test_unary_replies(wire: OpenAIJsonFormat, body: bytes, reply: Reply) -> None:
    assert wire.reply(body) == reply


@pytest.mark.parametrize(
    ("event", "facts", "complete"),
    [
        (b'data: {"type":"image_generation.partial_image","b64_json":"AA"}\n\n', EventFacts(content=True), False),
        (
            b'data: {"type":"image_generation.completed","b64_json":"AA"}\n\n',
            EventFacts(content=True, terminal=True),
            True,
        ),
        (b'data: {"type":"speech.audio.delta","audio":"AA"}\n\n', EventFacts(content=True), False),
        (b'data: {"type":"speech.audio.done"}\n\n', EventFacts(terminal=True), True),
        (b'data: {"type":"transcript.text.delta","delta":"a"}\n\n', EventFacts(content=True), False),
        (b"data: [DONE]\n\n", EventFacts(terminal=True), True),
        (b": ping\n\n", EventFacts(preamble=True), False),
        (b"data: x\n\n", EventFacts(), False),
        (
            b'event: error\ndata: {"type":"error","message":"m","code":"rate_limit_exceeded"}\n\n',
            EventFacts(error="m", error_status=429),
            False,
        ),
        (b'data: {"error":{"message":"m","type":"server_error"}}\n\n', EventFacts(error="m", error_status=500), False),
        (b"event: error\ndata: gone\n\n", EventFacts(error="gone"), False),
    ],
)
def test_facts_of_one_event(event: bytes, facts: EventFacts, complete: bool) -> None:
    reader = IMAGES.stream_reader()
    assert reader.feed(event) == facts
    assert reader.complete is complete
    assert reader.closing_events("stop") == b""


def test_usage_of_a_stream() -> None:
    reader = IMAGES.stream_reader()
    reader.feed(
        b'data: {"type":"speech.audio.done","usage":{"input_tokens":4,"output_tokens":9,"total_tokens":13}}\n\n'
    )
    assert reader.usage == Usage(4, 9)


def test_texts() -> None:
    assert IMAGES.prompt_text(b'{"prompt":"a cat","size":"auto"}') == ["a cat"]
    assert IMAGES.reply_text(b'{"data":[{"b64_json":"AA","revised_prompt":"a red cat"}]}') == ["a red cat"]
    assert RERANK.prompt_text(b'{"query":"q","documents":["a",{"text":"b"}]}') == ["q", "a", "b"]
    speech = OpenAIJsonFormat("audio")
    assert speech.prompt_text(b'{"input":"say","voice":"alloy","instructions":"softly"}') == ["say", "softly"]
    assert speech.reply_text(b"plain transcript\n") == ["plain transcript\n"]
    moderation = OpenAIJsonFormat("moderations")
    body = b'{"input":[{"type":"text","text":"t"},{"type":"image_url","image_url":{"url":"u"}}]}'
    assert moderation.prompt_text(body) == ["t"]


@given(st.binary(max_size=60))
def test_anything_is_read_without_raising(data: bytes) -> None:
    IMAGES.reply(data)
    IMAGES.reply_text(data)
    IMAGES.stream_reader().feed(b"data: " + data + b"\n\n")
