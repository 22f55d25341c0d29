"""Cohere: usage as it is billed, stop reason and content of replies and streams."""

from __future__ import annotations

import json
from typing import Any

import pytest

from helicone_gw.dialects import wire_format
from helicone_gw.dialects.base import EventFacts, Reply
from helicone_gw.dialects.cohere import CohereChatFormat, CohereEmbedFormat, CohereRerankFormat
from helicone_gw.model import Usage
from helicone_gw.sse import encode_event

CHAT = CohereChatFormat()
COUNTS = {
    "billed_units": {"input_tokens": 5.0, "output_tokens": 418.0},
    "tokens": {"input_tokens": 71, "output_tokens": 418},
    "cached_tokens": 4,
}
REPLY = {
    "id": "c14c80c3",
    "finish_reason": "COMPLETE",
    "message": {
        "role": "assistant",
        "tool_plan": "I will look.",
        "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "LLMs"}],
        "tool_calls": [{"id": "t", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}],
    },
    "usage": COUNTS,
}


def event(kind: str, **value: Any) -> bytes:
    return encode_event(json.dumps({"type": kind, **value}).encode(), kind)


def message(**members: Any) -> dict[str, Any]:
    return {"message": members}


def test_a_reply_counts_what_is_billed() -> None:
    body = json.dumps(REPLY).encode()
    assert CHAT.reply(body) == Reply(None, Usage(5, 418, cache_read_tokens=4), "COMPLETE")
    assert sorted(CHAT.reply_text(body)) == sorted(["I will look.", "hm", "LLMs", '{"a":1}'])


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        ({"tokens": {"input_tokens": 71, "output_tokens": 418}}, Usage(71, 418)),
        ({"billed_units": {"input_tokens": 5}, "cached_tokens": 64}, Usage(5, None)),
        ({"billed_units": {"search_units": 1}}, None),
        ({}, None),
        (None, None),
    ],
)
def test_what_is_not_said_is_not_known(usage: Any, counted: Usage | None) -> None:
    assert CHAT.reply(json.dumps({"usage": usage}).encode()).usage == counted


@pytest.mark.parametrize(
    ("sent", "facts"),
    [
        (event("message-start", id="x", delta=message(role="assistant")), EventFacts(preamble=True)),
        (
            event("content-start", index=0, delta=message(content={"type": "text", "text": ""})),
            EventFacts(preamble=True),
        ),
        (event("content-delta", index=0, delta=message(content={"text": "a"})), EventFacts(content=True)),
        (event("tool-plan-delta", delta=message(tool_plan="a")), EventFacts(content=True)),
        (event("tool-call-start", index=0, delta=message(tool_calls={"id": "t"})), EventFacts(content=True)),
        (event("content-end", index=0), EventFacts()),
        (event("message-end", delta={"finish_reason": "COMPLETE", "usage": COUNTS}), EventFacts(terminal=True)),
        (
            event("message-end", delta={"finish_reason": "ERROR", "error": "out of memory"}),
            EventFacts(error="out of memory", error_status=500),
        ),
        (b'event: error\ndata: {"message":"no"}\n\n', EventFacts(error="no")),
    ],
)
def test_facts_of_one_event(sent: bytes, facts: EventFacts) -> None:
    assert CHAT.stream_reader().feed(sent) == facts


def test_a_stream() -> None:
    reader = CHAT.stream_reader()
    reader.feed(event("content-delta", index=0, delta=message(content={"text": "a"})))
    assert not reader.complete
    reader.feed(event("message-end", delta={"finish_reason": "MAX_TOKENS", "usage": COUNTS}))
    assert (reader.complete, reader.stop_reason) == (True, "MAX_TOKENS")
    assert reader.usage == Usage(5, 418, cache_read_tokens=4)
    assert reader.closing_events("stop") == b""


@pytest.mark.parametrize(
    ("reason", "finish"), [("stop", "COMPLETE"), ("length", "MAX_TOKENS"), ("moderation", "ERROR")]
)
def test_closing(reason: str, finish: str) -> None:
    reader = CHAT.stream_reader()
    reader.feed(reader.closing_events(reason))
    assert (reader.complete, reader.stop_reason) == (True, finish)


@pytest.mark.parametrize("dialect", ["cohere", "bedrock"])
def test_embeddings_and_reranking_generate_nothing(dialect: str) -> None:
    embed, rerank = wire_format(dialect, "embed"), wire_format(dialect, "rerank")
    assert isinstance(embed, CohereEmbedFormat)
    assert isinstance(rerank, CohereRerankFormat)
    body = b'{"embeddings":{"float":[[0.1]]},"texts":["a"],"meta":{"billed_units":{"input_tokens":3}}}'
    assert embed.reply(body) == Reply(usage=Usage(3, 0))
    assert embed.reply_text(body) == []
    assert embed.prompt_text(b'{"texts":["a","b"]}') == ["a", "b"]
    assert rerank.reply(b'{"results":[],"meta":{"billed_units":{"search_units":1}}}') == Reply()
    assert rerank.prompt_text(b'{"query":"q","documents":["a",{"text":"b"}]}') == ["q", "a", "b"]


def test_amazons_own_embeddings_count_their_tokens_elsewhere() -> None:
    titan = CohereEmbedFormat("bedrock")
    assert titan.reply(b'{"embedding":[0.1],"inputTextTokenCount":4}') == Reply(usage=Usage(4, 0))
    assert titan.prompt_text(b'{"inputText":"a"}') == ["a"]
