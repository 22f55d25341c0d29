"""Bedrock's Converse: usage, stop reason and content of replies and streams."""

from __future__ import annotations

import json
from typing import Any

import pytest

from helicone_gw.dialects.base import EventFacts, Reply
from helicone_gw.dialects.bedrock import ConverseFormat
from helicone_gw.model import Usage
from helicone_gw.sse import EventSplitter, encode_event, event_name

CONVERSE = ConverseFormat()
COUNTS = {
    "inputTokens": 7,
    "outputTokens": 20,
    "totalTokens": 1057,
    "cacheReadInputTokens": 1000,
    "cacheWriteInputTokens": 30,
    "cacheDetails": [{"ttl": "1h", "inputTokens": 10}, {"ttl": "5m", "inputTokens": 20}],
}
USAGE = Usage(1037, 20, cache_read_tokens=1000, cache_write_tokens=30, cache_write_1h_tokens=10, service_tier="flex")
REPLY = {
    "output": {
        "message": {
            "role": "assistant",
            "content": [
                {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "AA"}}},
                {"text": "Sunny"},
                {"toolUse": {"toolUseId": "t1", "name": "weather", "input": {"city": "Ulm"}}},
            ],
        }
    },
    "stopReason": "tool_use",
    "usage": COUNTS,
    "metrics": {"latencyMs": 500},
    "serviceTier": {"type": "flex"},
    "trace": {"promptRouter": {"invokedModelId": "arn:aws:bedrock:us-east-1::foundation-model/meta.llama3-1"}},
}


def event(name: str, **value: Any) -> bytes:
    return encode_event(json.dumps(value).encode(), name)


def delta(**members: Any) -> bytes:
    return event("contentBlockDelta", contentBlockIndex=0, delta=members)


def test_a_reply() -> None:
    assert CONVERSE.reply(json.dumps(REPLY).encode()) == Reply("meta.llama3-1", USAGE, "tool_use")
    assert CONVERSE.reply_text(json.dumps(REPLY).encode()) == ["hm", "Sunny", "Ulm"]


def test_texts_of_a_request() -> None:
    body = {
        "system": [{"text": "Be brief."}, {"cachePoint": {"type": "default"}}],
        "messages": [
            {"role": "user", "content": [{"text": "Hi"}, {"image": {"format": "png", "source": {"bytes": "AAAA"}}}]},
            {"role": "user", "content": [{"toolResult": {"toolUseId": "t1", "content": [{"json": {"a": ["b"]}}]}}]},
        ],
    }
    assert CONVERSE.prompt_text(json.dumps(body).encode()) == ["Be brief.", "Hi", "b"]


def test_without_a_cache_the_input_is_what_is_sent() -> None:
    assert CONVERSE.reply(b'{"usage":{"inputTokens":7,"outputTokens":2}}').usage == Usage(7, 2)
    assert CONVERSE.reply(b'{"usage":{}}').usage is None
    assert CONVERSE.reply(b'{"usage":{"outputTokens":2,"cacheReadInputTokens":9}}').usage == Usage(
        None, 2, cache_read_tokens=9
    )


@pytest.mark.parametrize(
    ("sent", "facts"),
    [
        (event("messageStart", role="assistant"), EventFacts(preamble=True)),
        (event("contentBlockStart", contentBlockIndex=0, start={}), EventFacts(preamble=True)),
        (
            event("contentBlockStart", contentBlockIndex=0, start={"toolUse": {"toolUseId": "t", "name": "f"}}),
            EventFacts(content=True),
        ),
        (delta(text="a"), EventFacts(content=True)),
        (delta(text=""), EventFacts(preamble=True)),
        (delta(toolUse={"input": "{"}), EventFacts(content=True)),
        (delta(reasoningContent={"text": "hm"}), EventFacts(content=True)),
        (event("contentBlockStop", contentBlockIndex=0), EventFacts()),
        (event("messageStop", stopReason="end_turn"), EventFacts(terminal=True)),
        (event("metadata", usage=COUNTS, metrics={}), EventFacts(usage_only=True)),
        (
            event("error", type="error", error={"type": "throttlingException", "message": "slow"}),
            EventFacts(error="slow", error_status=429),
        ),
        (
            event("error", type="error", error={"type": "modelStreamErrorException", "message": "x"}),
            EventFacts(error="x", error_status=424),
        ),
        (event("aNewKind", a=1), EventFacts()),
        (b": ping\n\n", EventFacts(preamble=True)),
    ],
)
def test_facts_of_one_event(sent: bytes, facts: EventFacts) -> None:
    assert CONVERSE.stream_reader().feed(sent) == facts


def test_a_stream_ends_before_its_usage_comes() -> None:
    reader = CONVERSE.stream_reader()
    for sent in (event("messageStart", role="assistant"), delta(text="a"), event("messageStop", stopReason="end_turn")):
        reader.feed(sent)
    assert (reader.complete, reader.stop_reason, reader.usage) == (True, "end_turn", None)
    reader.feed(event("metadata", usage=COUNTS, serviceTier={"type": "flex"}, trace=REPLY["trace"]))
    assert (reader.usage, reader.model) == (USAGE, "meta.llama3-1")
    assert reader.closing_events("stop") == b""


@pytest.mark.parametrize(("reason", "stop"), [("length", "max_tokens"), ("moderation", "content_filtered")])
def test_closing_ends_the_blocks_that_are_open(reason: str, stop: str) -> None:
    reader = CONVERSE.stream_reader()
    names = [event_name(each) for each in EventSplitter(1 << 16).feed(reader.closing_events(reason))]
    assert names == ["messageStart", "messageStop"]
    reader.feed(event("messageStart", role="assistant"))
    reader.feed(delta(text="a"))
    closing = EventSplitter(1 << 16).feed(reader.closing_events(reason))
    assert closing == [event("contentBlockStop", contentBlockIndex=0).replace(b": 0", b":0"), closing[1]]
    reader.feed(closing[-1])
    assert (reader.complete, reader.stop_reason) == (True, stop)
