"""Anthropic messages: replies, streams and texts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw.dialects.anthropic import MessagesFormat
from helicone_gw.dialects.base import EventFacts, Reply
from helicone_gw.model import Usage
from helicone_gw.sse import EventSplitter, encode_event, event_data, event_name

MESSAGES = MessagesFormat("messages")


def event(kind: str, **members: Any) -> bytes:
    return encode_event(json.dumps({"type": kind, **members}).encode(), kind)


def error(kind: str, message: str = "m") -> bytes:
    return event("error", error={"type": kind, "message": message})


def test_a_stream_event_by_event(recorded: Callable[[str], list[bytes]]) -> None:
    reader = MESSAGES.stream_reader()
    assert [reader.feed(one) for one in recorded("anthropic.sse")] == [
        EventFacts(preamble=True),
        EventFacts(preamble=True),
        EventFacts(preamble=True),
        EventFacts(content=True),
        EventFacts(),
        EventFacts(content=True),
        EventFacts(preamble=True),
        EventFacts(content=True),
        EventFacts(),
        EventFacts(),
        EventFacts(terminal=True),
    ]
    assert (reader.model, reader.stop_reason, reader.complete) == ("claude-sonnet-4-20250514", "tool_use", True)
    assert reader.usage == Usage(
        input_tokens=472 + 300 + 1000,
        output_tokens=89,
        cache_read_tokens=1000,
        cache_write_tokens=300,
        cache_write_1h_tokens=200,
        reasoning_tokens=30,
        web_searches=2,
        service_tier="standard",
    )


def test_usage_is_known_from_the_first_event_on(recorded: Callable[[str], list[bytes]]) -> None:
    reader = MESSAGES.stream_reader()
    assert reader.usage is None
    reader.feed(recorded("anthropic.sse")[0])
    assert reader.usage is not None
    # The output that message_start reports is a placeholder.
    assert (reader.usage.input_tokens, reader.usage.output_tokens) == (1772, None)
    assert not reader.complete


def test_a_unary_reply(reply_body: Callable[[str], bytes]) -> None:
    body = reply_body("anthropic.json")
    assert MESSAGES.reply(body) == Reply(
        "claude-sonnet-4-20250514", Usage(15, 25, cache_read_tokens=5, cache_write_tokens=0), "tool_use"
    )
    assert MESSAGES.reply_text(body) == ["Let me see.", "Hi! My name is Claude.", "Rome", "two", "v"]


def test_counting_tokens_uses_none_up() -> None:
    assert MessagesFormat("count_tokens").reply(b'{"input_tokens":2095}') == Reply()


@pytest.mark.parametrize(
    ("one", "facts"),
    [
        (error("overloaded_error", "Overloaded"), EventFacts(error="Overloaded", error_status=529)),
        (error("rate_limit_error"), EventFacts(error="m", error_status=429)),
        (error("api_error"), EventFacts(error="m", error_status=500)),
        (error("invalid_request_error"), EventFacts(error="m", error_status=400)),
        (error("authentication_error"), EventFacts(error="m", error_status=401)),
        (error("billing_error"), EventFacts(error="m", error_status=402)),
        (error("permission_error"), EventFacts(error="m", error_status=403)),
        (error("not_found_error"), EventFacts(error="m", error_status=404)),
        (error("request_too_large"), EventFacts(error="m", error_status=413)),
        (error("timeout_error"), EventFacts(error="m", error_status=504)),
        (error("brand_new_error"), EventFacts(error="m", error_status=502)),
        (b"event: error\ndata: gone\n\n", EventFacts(error="gone")),
        (
            event("content_block_start", index=0, content_block={"type": "thinking", "thinking": "", "signature": ""}),
            EventFacts(preamble=True),
        ),
        (event("content_block_start", index=0, content_block={"type": "text", "text": "a"}), EventFacts(content=True)),
        (
            event("content_block_start", index=0, content_block={"type": "redacted_thinking", "data": "AA"}),
            EventFacts(content=True),
        ),
        (
            event("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "h"}),
            EventFacts(content=True),
        ),
        (event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 1}), EventFacts()),
        (event("future_event"), EventFacts()),
        (b": ping\n\n", EventFacts(preamble=True)),
        (b"event: ping\n\n", EventFacts(preamble=True)),
        (b"data: x\n\n", EventFacts()),
    ],
)
def test_facts_of_one_event(one: bytes, facts: EventFacts) -> None:
    assert MESSAGES.stream_reader().feed(one) == facts


@pytest.mark.parametrize(
    ("reason", "stop_reason"), [("length", "max_tokens"), ("moderation", "refusal"), ("stop", "end_turn")]
)
def test_closing_stops_the_open_blocks(recorded: Callable[[str], list[bytes]], reason: str, stop_reason: str) -> None:
    reader = MESSAGES.stream_reader()
    for one in recorded("anthropic.sse")[:7]:
        reader.feed(one)
    closing = EventSplitter(1 << 16).feed(reader.closing_events(reason))
    assert [event_name(one) for one in closing] == ["content_block_stop", "message_delta", "message_stop"]
    stop, delta, end = (json.loads(event_data(one)) for one in closing)
    assert stop == {"type": "content_block_stop", "index": 1}
    assert delta["delta"] == {"stop_reason": stop_reason, "stop_sequence": None}
    assert delta["usage"] == {"output_tokens": 2}
    assert end == {"type": "message_stop"}


def test_closing_says_only_what_was_not_said(recorded: Callable[[str], list[bytes]]) -> None:
    reader = MESSAGES.stream_reader()
    names = [event_name(one) for one in EventSplitter(1 << 16).feed(reader.closing_events("stop"))]
    assert names == ["message_start", "message_delta", "message_stop"]
    events = recorded("anthropic.sse")
    for one in events[:-1]:
        reader.feed(one)
    assert reader.closing_events("stop") == events[-1]
    reader.feed(events[-1])
    assert reader.closing_events("stop") == b""


def test_prompt_text_is_every_role_and_block_in_order() -> None:
    body = {
        "model": "m",
        "system": [{"type": "text", "text": "sys", "cache_control": {"type": "ephemeral"}}],
        "metadata": {"user_id": "not text"},
        "messages": [
            {"role": "user", "content": "hi"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "see"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
                    {"type": "document", "source": {"type": "base64", "data": "AAAA"}, "title": "report"},
                    {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "plain"}},
                    {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "blk"}]}},
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hmm", "signature": "AAAA"},
                    {"type": "tool_use", "id": "t", "name": "f", "input": {"q": "args", "n": 1}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "t", "content": "result"},
                    {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "block"}]},
                ],
            },
        ],
    }
    expected = ["sys", "hi", "see", "report", "plain", "blk", "hmm", "args", "result", "block"]
    assert MESSAGES.prompt_text(json.dumps(body).encode()) == expected
    assert MESSAGES.prompt_text(b'{"system":"s","messages":[]}') == ["s"]


def test_an_error_reply() -> None:
    body = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_1"}'
    assert MESSAGES.reply(body) == Reply(error="Overloaded", error_status=529)
    assert MESSAGES.reply(b"[]") == Reply()


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=4),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["type", "index", "message", "content_block", "delta", "usage", "error", "text"]),
                inner | st.sampled_from(["message_start", "content_block_start", "message_delta", "error"]),
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_is_read_without_raising(value: Any) -> None:
    body = json.dumps(value).encode()
    MESSAGES.reply(body)
    MESSAGES.reply_text(body)
    reader = MESSAGES.stream_reader()
    reader.feed(encode_event(body))
    reader.feed(encode_event(body, "error"))
    reader.closing_events("stop")
