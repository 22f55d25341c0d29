"""OpenAI responses: replies, streams and texts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw.dialects import wire_format
from helicone_gw.dialects.base import EventFacts, Reply
from helicone_gw.dialects.openai_responses import MOST_KEPT, ResponsesFormat
from helicone_gw.model import Usage
from helicone_gw.sse import EventSplitter, encode_event, event_data, event_name

RESPONSES = ResponsesFormat("responses")
USAGE = Usage(
    input_tokens=328,
    output_tokens=52,
    cache_read_tokens=128,
    cache_write_tokens=64,
    reasoning_tokens=12,
    web_searches=1,
    service_tier="default",
)


def event(kind: str, **members: Any) -> bytes:
    return encode_event(json.dumps({"type": kind, **members}).encode(), kind)


def completed(recorded: Callable[[str], list[bytes]]) -> bytes:
    return json.dumps(json.loads(event_data(recorded("responses.sse")[-1]))["response"]).encode()


def test_a_stream_event_by_event(recorded: Callable[[str], list[bytes]]) -> None:
    reader = RESPONSES.stream_reader()
    facts = [reader.feed(event) for event in recorded("responses.sse")]
    before, item, added, delta, text_done, item_done, end = facts[:4], facts[4], facts[5:7], *facts[7:]
    assert before == [EventFacts(preamble=True)] * 4
    assert item == EventFacts(content=True)
    assert added == [EventFacts(preamble=True)] * 2
    assert delta == text_done == item_done == EventFacts(content=True)
    assert end == EventFacts(terminal=True)
    assert (reader.model, reader.stop_reason, reader.complete) == ("gpt-4.1-2025-04-14", "completed", True)
    assert reader.usage == USAGE
    assert reader.sequence == 11


def test_a_unary_reply_says_what_the_stream_said(recorded: Callable[[str], list[bytes]]) -> None:
    body = completed(recorded)
    assert RESPONSES.reply(body) == Reply("gpt-4.1-2025-04-14", USAGE, "completed")
    assert RESPONSES.reply_text(body) == ["news", "Hi"]


def test_a_response_shown_again_does_not_report_its_usage_again(recorded: Callable[[str], list[bytes]]) -> None:
    shown = wire_format("openai", "responses.other")
    assert shown is not None
    assert shown.reply(completed(recorded)) == Reply("gpt-4.1-2025-04-14", None, "completed")
    reader = shown.stream_reader()
    for each in recorded("responses.sse"):
        reader.feed(each)
    assert reader.usage is None
    assert reader.complete


@pytest.mark.parametrize(
    ("one", "facts"),
    [
        (event("response.function_call_arguments.delta", delta="{"), EventFacts(content=True)),
        (event("response.reasoning_summary_text.delta", delta="hm"), EventFacts(content=True)),
        (event("response.output_text.delta", delta=""), EventFacts(preamble=True)),
        (event("response.image_generation_call.partial_image", partial_image_b64="AA"), EventFacts(content=True)),
        (event("response.queued", response={"status": "queued"}), EventFacts(preamble=True)),
        (event("response.something.new"), EventFacts()),
        (
            event("error", code="rate_limit_exceeded", message="slow", param=None, sequence_number=3),
            EventFacts(error="slow", error_status=429),
        ),
        (event("error", error={"type": "server_error", "message": "oops"}), EventFacts(error="oops", error_status=500)),
        (b'data: {"error":{"message":"m","code":"server_error"}}\n\n', EventFacts(error="m", error_status=500)),
        (b"event: error\ndata: gone\n\n", EventFacts(error="gone")),
        (
            event(
                "response.failed", response={"status": "failed", "error": {"code": "server_error", "message": "bad"}}
            ),
            EventFacts(terminal=True, error="bad", error_status=500),
        ),
        (
            event("response.failed", response={"status": "failed"}),
            EventFacts(terminal=True, error="The provider says that the response failed."),
        ),
        (b"data: [DONE]\n\n", EventFacts(terminal=True)),
        (b": ping\n\n", EventFacts(preamble=True)),
        (b"data: x\n\n", EventFacts()),
    ],
)
def test_facts_of_one_event(one: bytes, facts: EventFacts) -> None:
    assert RESPONSES.stream_reader().feed(one) == facts


@pytest.mark.parametrize(
    ("kind", "response", "stop_reason"),
    [
        (
            "incomplete",
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            "max_output_tokens",
        ),
        ("incomplete", {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "content_filter"),
        ("failed", {"status": "failed", "error": {"code": "x", "message": "m"}}, "failed"),
        ("completed", {}, "completed"),
    ],
)
def test_how_a_response_ends(kind: str, response: dict[str, Any], stop_reason: str) -> None:
    reader = RESPONSES.stream_reader()
    assert reader.feed(event(f"response.{kind}", response=response)).terminal
    assert (reader.complete, reader.stop_reason) == (True, stop_reason)


@pytest.mark.parametrize(
    ("reason", "status", "details"),
    [
        ("stop", "completed", None),
        ("length", "incomplete", {"reason": "max_output_tokens"}),
        ("moderation", "incomplete", {"reason": "content_filter"}),
    ],
)
def test_closing_is_the_last_state_with_the_finished_items(
    recorded: Callable[[str], list[bytes]], reason: str, status: str, details: Any
) -> None:
    reader = RESPONSES.stream_reader()
    for one in recorded("responses.sse")[:8]:
        reader.feed(one)
    (closing,) = EventSplitter(1 << 16).feed(reader.closing_events(reason))
    value = json.loads(event_data(closing))
    assert event_name(closing) == value["type"] == f"response.{status}"
    assert value["sequence_number"] == 8
    response = value["response"]
    assert (response["id"], response["status"], response["incomplete_details"]) == ("resp_67", status, details)
    assert [item["id"] for item in response["output"]] == ["ws_1"]
    assert b'"temperature":1.0' in closing
    assert RESPONSES.stream_reader().feed(closing) == EventFacts(terminal=True)


def test_closing_before_anything_came_is_still_a_response() -> None:
    closing = RESPONSES.stream_reader().closing_events("stop")
    assert json.loads(event_data(closing))["response"]["output"] == []


def test_finished_items_are_kept_up_to_a_bound() -> None:
    reader = RESPONSES.stream_reader()
    for number in range(3):
        reader.feed(event("response.output_item.done", item={"id": number, "result": "A" * (MOST_KEPT // 2)}))
    output = json.loads(event_data(reader.closing_events("stop")))["response"]["output"]
    assert [item["id"] for item in output] == [0]


def test_an_ended_stream_needs_no_closing(recorded: Callable[[str], list[bytes]]) -> None:
    reader = RESPONSES.stream_reader()
    for one in recorded("responses.sse"):
        reader.feed(one)
    assert reader.closing_events("stop") == b""


def test_prompt_text_is_every_kind_of_item() -> None:
    body = {
        "model": "m",
        "instructions": "be kind",
        "text": {"format": {"type": "text"}},
        "prompt": {"id": "pmpt_1", "variables": {"name": "Ann", "note": {"type": "input_text", "text": "var"}}},
        "input": [
            {"role": "developer", "content": "dev"},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
            {"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": "data:AAAA"}]},
            {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "thought"}]},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a":1}'},
            {"type": "function_call_output", "call_id": "c", "output": "tool says"},
            {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "part"}]},
            {"type": "image_generation_call", "id": "i", "result": "AAAA"},
            {"type": "computer_call_output", "output": {"type": "computer_screenshot", "image_url": "data:AAAA"}},
            {"type": "local_shell_call", "action": {"type": "exec", "command": ["ls", "-l"], "env": {}}},
            {"type": "item_reference", "id": "ref"},
        ],
    }
    texts = RESPONSES.prompt_text(json.dumps(body).encode())
    assert texts == ["be kind", "Ann", "var", "dev", "hi", "thought", '{"a":1}', "tool says", "part", "ls", "-l"]
    assert RESPONSES.prompt_text(b'{"input":"plain"}') == ["plain"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=4),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["type", "response", "item", "usage", "error", "output", "status", "sequence_number"]),
                inner
                | st.sampled_from(["response.completed", "response.failed", "error", "response.output_item.done"]),
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_is_read_without_raising(value: Any) -> None:
    body = json.dumps(value).encode()
    RESPONSES.reply(body)
    RESPONSES.reply_text(body)
    reader = RESPONSES.stream_reader()
    reader.feed(encode_event(body))
    reader.feed(encode_event(body, "error"))
    reader.closing_events("stop")
