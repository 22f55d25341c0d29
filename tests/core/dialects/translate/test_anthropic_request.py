"""Requests of Anthropic's dialect, read; and its answers, as far as they differ from what others have."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from helicone_gw.dialects.translate.conversation import (
    Citation,
    ConversationRequest,
    Document,
    Image,
    Message,
    Reasoning,
    ResponseFormat,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from helicone_gw.dialects.translate.conversations import MESSAGES
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.reply import SignatureDelta
from helicone_gw.errors import MalformedBody
from helicone_gw.sse import encode_event

SCHEMA = {"type": "object", "properties": {}}
HI = Message("user", (Text("Hi"),))


def read(loss: Loss | None = None, **body: Any) -> ConversationRequest:
    data = msgspec.json.encode({"max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}], **body})
    return MESSAGES.read_request(data, loss or Loss(), model="m", stream=False)


def turn(*blocks: Any, role: str = "user", loss: Loss | None = None) -> list[Message]:
    return read(loss, messages=[{"role": role, "content": list(blocks)}]).messages


def test_options() -> None:
    loss = Loss()
    found = read(
        loss,
        system=[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        stop_sequences=["END"],
        temperature=0.5,
        top_p=0.9,
        top_k=5,
        metadata={"user_id": "u"},
        service_tier="auto",
        tools=[
            {"name": "f", "description": "d", "input_schema": SCHEMA, "cache_control": {"type": "ephemeral"}},
            {"type": "custom", "name": "g", "input_schema": SCHEMA, "strict": True},
            {"type": "web_search_20250305", "name": "web_search"},
            {"type": "bash_20250124", "name": "bash"},
        ],
        tool_choice={"type": "tool", "name": "f", "disable_parallel_tool_use": True},
        output_config={"format": {"type": "json_schema", "schema": SCHEMA}},
        anthropic_version="2023-06-01",
        container="c",
    )
    assert found.system == (Text("Be brief.", cache="1h"),)
    assert (found.max_tokens, found.stop, found.user, found.service_tier) == (9, ("END",), "u", "auto")
    assert (found.temperature, found.top_p, found.top_k) == (0.5, 0.9, 5)
    assert found.tools == (Tool("f", "d", SCHEMA, cache="5m"), Tool("g", None, SCHEMA, strict=True))
    assert found.web_search
    assert found.tool_choice == ToolChoice("required", ("f",))
    assert found.parallel_tool_calls is False
    assert found.response_format == ResponseFormat(SCHEMA)
    assert found.extras == {"container": "c"}
    assert found.include_usage
    assert loss.paths == ("tools",)


def test_nothing_said_is_nothing_read() -> None:
    found = read()
    assert found == ConversationRequest("m", [HI], max_tokens=9, include_usage=True)


@pytest.mark.parametrize(
    ("kind", "choice"),
    [("auto", ToolChoice("auto")), ("any", ToolChoice("required")), ("none", ToolChoice("none"))],
)
def test_tool_choice(kind: str, choice: ToolChoice) -> None:
    found = read(tool_choice={"type": kind})
    assert found.tool_choice == choice
    assert found.parallel_tool_calls is None


@pytest.mark.parametrize(
    ("fields", "reasoning"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, Reasoning(budget=2000, show=True)),
        ({"thinking": {"type": "disabled"}}, Reasoning("none")),
        ({"thinking": {"type": "adaptive", "display": "omitted"}}, Reasoning(budget=-1, show=False)),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}, Reasoning("low", show=True)),
        ({"output_config": {"effort": "max"}}, Reasoning("max")),
        ({}, None),
    ],
)
def test_thinking(fields: dict[str, Any], reasoning: Reasoning | None) -> None:
    assert read(**fields).reasoning == reasoning


@pytest.mark.parametrize(
    ("block", "part"),
    [
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
            Image(data="AA==", media_type="image/png"),
        ),
        ({"type": "image", "source": {"type": "url", "url": "https://x.example/a"}}, Image(url="https://x.example/a")),
        ({"type": "image", "source": {"type": "file", "file_id": "file_1"}}, Image(file_id="file_1")),
        (
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "AA=="},
                "title": "t",
                "context": "c",
                "citations": {"enabled": True},
            },
            Document(data="AA==", media_type="application/pdf", name="t", context="c", citations=True),
        ),
        (
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a"}},
            Document(text="a", media_type="text/plain"),
        ),
        (
            {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "a"}]}},
            Document(text="a"),
        ),
        (
            {"type": "document", "source": {"type": "url", "url": "https://x.example"}},
            Document(url="https://x.example"),
        ),
        ({"type": "document", "source": {"type": "file", "file_id": "file_1"}}, Document(file_id="file_1")),
        (
            {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "a"}]},
            Document(text="a", name="t"),
        ),
        ({"type": "redacted_thinking", "data": "enc"}, Thinking(redacted="enc", vendor="anthropic")),
        ({"type": "thinking", "thinking": "hm", "signature": "s"}, Thinking("hm", "s", vendor="anthropic")),
        (
            {"type": "thinking", "thinking": "hm", "signature": "openai:rs_1:e"},
            Thinking("hm", "e", None, "openai", "rs_1"),
        ),
        ({"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}}, ToolCall("t1", "f", '{"a":1}')),
    ],
)
def test_blocks(block: Any, part: Any) -> None:
    loss = Loss()
    assert turn(block, role="assistant", loss=loss) == [Message("assistant", (part,))]
    assert loss.paths == ()


def test_results_stand_in_a_message_of_their_own() -> None:
    result = {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "no"}], "is_error": True}
    assert turn({"type": "text", "text": "Hi"}, result) == [
        Message("tool", (ToolResult("t1", (Text("no"),), is_error=True),)),
        HI,
    ]


def test_blocks_of_the_providers_own_tools_are_lost() -> None:
    loss = Loss()
    assert turn({"type": "server_tool_use", "id": "1", "name": "web_search", "input": {}}, loss=loss) == []
    assert loss.paths == ("messages.content",)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"messages": [{"role": "robot", "content": "Hi"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages.0.content.0.text"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages.0.content.0.source"),
        ({"tools": [{"input_schema": SCHEMA}]}, "tools.0.name"),
        ({"tool_choice": {"type": "some"}}, "tool_choice.type"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"output_config": {"effort": "heroic"}}, "output_config.effort"),
    ],
)
def test_what_is_malformed_is_named(body: dict[str, Any], field: str) -> None:
    with pytest.raises(MalformedBody, match=field.replace(".", r"\.")):
        read(**body)


def test_an_encrypted_thought_in_a_stream() -> None:
    block = {"type": "redacted_thinking", "data": "enc"}
    event = {"type": "content_block_start", "index": 0, "content_block": block}
    events = MESSAGES.stream_reader(Loss()).feed(encode_event(json.dumps(event).encode(), "content_block_start"))
    assert events[1] == SignatureDelta(0, "enc", "anthropic", redacted=True)


@pytest.mark.parametrize(
    ("reason", "stop"),
    [
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("stop_sequence", "stop_sequence"),
        ("tool_use", "tool_calls"),
        ("pause_turn", "pause"),
        ("refusal", "refusal"),
        ("model_context_window_exceeded", "context"),
        ("something_new", "stop"),
    ],
)
def test_stop_reasons(reason: str, stop: str) -> None:
    body = {"id": "1", "model": "m", "content": [], "stop_reason": reason, "stop_sequence": "END", "usage": {}}
    (choice,) = MESSAGES.read_reply(json.dumps(body).encode(), Loss()).choices
    assert (choice.stop, choice.stop_sequence) == (stop, "END")


def test_citations_keep_their_own_object() -> None:
    cited = {
        "type": "char_location",
        "cited_text": "a",
        "document_index": 1,
        "document_title": "t",
        "start_char_index": 0,
    }
    body = {"content": [{"type": "text", "text": "a", "citations": [cited]}], "stop_reason": "end_turn"}
    (part,) = MESSAGES.read_reply(json.dumps(body).encode(), Loss()).choices[0].parts
    assert part == Text("a", citations=(Citation(title="t", cited="a", document=1, raw=cited),))
