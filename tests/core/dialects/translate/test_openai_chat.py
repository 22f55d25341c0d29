"""Chat completions: requests read as OpenAI's gateways send them, and written for providers that differ."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from helicone_gw.dialects.translate.base import Destination
from helicone_gw.dialects.translate.conversation import (
    Audio,
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
from helicone_gw.dialects.translate.conversations import CHAT
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.errors import MalformedBody

ASK = {"role": "user", "content": "Hi"}
HI = Message("user", (Text("Hi"),))


def read(loss: Loss | None = None, **body: Any) -> ConversationRequest:
    data = msgspec.json.encode({"model": "m", "messages": [ASK], **body})
    return CHAT.read_request(data, loss or Loss(), model="m", stream=bool(body.get("stream")))


def written(
    request: ConversationRequest, provider: str = "openai", model: str = "gpt-4o", **to: Any
) -> tuple[Any, tuple[str, ...]]:
    loss = Loss()
    outgoing = CHAT.write_request(request, Destination(provider, model, **to), loss)
    assert outgoing.path == "/v1/chat/completions"
    return msgspec.json.decode(outgoing.body), loss.paths


def asking(*messages: Message, **fields: Any) -> ConversationRequest:
    return ConversationRequest("m", list(messages) or [HI], **fields)


def test_leading_system_and_developer_messages_are_the_system_prompt() -> None:
    found = read(messages=[{"role": "system", "content": "a"}, {"role": "developer", "content": "b"}, ASK])
    assert found.system == (Text("a"), Text("b"))
    later = read(messages=[ASK, {"role": "developer", "content": "b"}])
    assert later.messages == [HI, Message("system", (Text("b"),))]


def test_parts() -> None:
    loss = Loss()
    content = [
        {"type": "text", "text": "Look", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://x.example/a.png", "detail": "auto"}},
        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "mp3"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"}},
        {"type": "video_url", "video_url": {"url": "https://x.example/a.mp4"}},
    ]
    (message,) = read(loss, messages=[{"role": "user", "content": content, "name": "ann"}]).messages
    assert message.name == "ann"
    assert message.parts == (
        Text("Look", cache="1h"),
        Image(data="AA==", media_type="image/png", detail="low"),
        Image(url="https://x.example/a.png"),
        Audio("AA==", "audio/mpeg"),
        Document(data="AA==", media_type="application/pdf", name="a.pdf"),
    )
    assert loss.paths == ("messages.content",)


def test_calls_and_results() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    signed = {**call, "id": "c2", "extra_content": {"google": {"thought_signature": "sig"}}}
    results = [{"role": "tool", "tool_call_id": each, "content": "ok"} for each in ("c1", "c2")]
    found = read(messages=[ASK, {"role": "assistant", "content": None, "tool_calls": [call, signed]}, *results])
    assert found.messages[1:] == [
        Message("assistant", (ToolCall("c1", "f", '{"a":1}'), ToolCall("c2", "f", '{"a":1}', "sig"))),
        Message("tool", (ToolResult("c1", (Text("ok"),)), ToolResult("c2", (Text("ok"),)))),
    ]


def test_legacy_function_calls_get_ids_of_their_own() -> None:
    turn = [
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "ok"},
    ]
    found = read(messages=[ASK, *turn, *turn], functions=[{"name": "f"}], function_call={"name": "f"})
    ids = [part.id for message in found.messages for part in message.parts if isinstance(part, ToolCall)]
    answered = [part.call_id for message in found.messages for part in message.parts if isinstance(part, ToolResult)]
    assert ids == answered == ["call_function_1", "call_function_2"]
    assert found.tools == (Tool("f"),)
    assert found.tool_choice == ToolChoice("required", ("f",))


@pytest.mark.parametrize(
    ("fields", "thoughts"),
    [
        ({"reasoning_content": "hm"}, [Thinking("hm")]),
        ({"reasoning": "hm"}, [Thinking("hm")]),
        (
            {"reasoning_content": "hm", "thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "s"}]},
            [Thinking("hm", "s", vendor="anthropic")],
        ),
        (
            {"thinking_blocks": [{"type": "thinking", "thinking": "", "signature": "openai:rs_1:enc"}]},
            [Thinking("", "enc", vendor="openai", id="rs_1")],
        ),
        (
            {"thinking_blocks": [{"type": "redacted_thinking", "data": "enc"}]},
            [Thinking(redacted="enc", vendor="anthropic")],
        ),
        (
            {
                "reasoning_details": [
                    {"type": "reasoning.text", "text": "hm", "signature": "s", "format": "anthropic-claude-v1"},
                    {"type": "reasoning.encrypted", "data": "enc", "id": "rs_1", "format": "openai-responses-v1"},
                ]
            },
            [Thinking("hm", "s", vendor="anthropic"), Thinking(redacted="enc", vendor="openai", id="rs_1")],
        ),
    ],
)
def test_thoughts_in_every_form(fields: dict[str, Any], thoughts: list[Thinking]) -> None:
    loss = Loss()
    found = read(loss, messages=[ASK, {"role": "assistant", "content": "So.", **fields}])
    assert found.messages[1].parts == (*thoughts, Text("So."))
    assert loss.paths == ()


@pytest.mark.parametrize(
    ("fields", "reasoning"),
    [
        ({"reasoning_effort": "low"}, Reasoning("low", show=True)),
        ({"reasoning_effort": "none"}, Reasoning("none", show=False)),
        ({"reasoning": {"max_tokens": 900, "exclude": True}}, Reasoning(budget=900, show=False)),
        ({"reasoning": {"enabled": False}}, Reasoning("none")),
        ({"thinking": {"type": "enabled", "budget_tokens": 900}}, Reasoning(budget=900, show=True)),
        ({"thinking": {"type": "disabled"}}, Reasoning("none")),
        ({}, None),
    ],
)
def test_reasoning_in_every_form(fields: dict[str, Any], reasoning: Reasoning | None) -> None:
    found = read(**fields)
    assert found.reasoning == reasoning
    assert found.extras == {}


def test_litellms_prompt_beside_no_messages() -> None:
    assert read(messages=[], prompt="Hi").messages == [HI]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"messages": "Hi"}, "messages"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages.0.content"),
        ({"messages": [{"role": "robot", "content": "Hi"}]}, "messages.0.role"),
        ({"messages": [{"role": "tool", "content": "Hi"}]}, "messages.0.tool_call_id"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": 7}]}]}, "messages.0.content.0"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools.0.function.name"),
        ({"tool_choice": "sometimes"}, "tool_choice"),
        ({"temperature": "hot"}, "temperature"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"stop": [1]}, "stop"),
        ({"reasoning_effort": "heroic"}, "reasoning_effort"),
    ],
)
def test_what_is_malformed_is_named(body: dict[str, Any], field: str) -> None:
    with pytest.raises(MalformedBody, match=field.replace(".", r"\.")):
        read(**body)


def test_a_system_prompt_of_one_text_is_a_string_and_of_more_an_array() -> None:
    assert written(asking(system=(Text("a"),)))[0]["messages"][0] == {"role": "system", "content": "a"}
    body, _ = written(asking(system=(Text("a"), Text("b"))))
    assert body["messages"][0]["content"] == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]


def test_pictures_that_a_tool_returned_follow_as_the_users() -> None:
    result = ToolResult("c1", (Text("Look"), Image(data="AA==", media_type="image/png")))
    body, lost = written(asking(HI, Message("assistant", (ToolCall("c1", "f"),)), Message("tool", (result,))))
    assert body["messages"][2] == {"role": "tool", "tool_call_id": "c1", "content": "Look"}
    assert body["messages"][3]["role"] == "user"
    assert body["messages"][3]["content"][0]["image_url"] == {"url": "data:image/png;base64,AA=="}
    assert lost == ()


def test_the_bound_of_the_answer_is_named_as_the_provider_knows_it() -> None:
    assert written(asking(max_tokens=7))[0]["max_completion_tokens"] == 7
    assert written(asking(max_tokens=7), "groq")[0]["max_tokens"] == 7
    body, lost = written(asking(max_tokens=32000), max_output_tokens=16384)
    assert body["max_completion_tokens"] == 16384
    assert lost == ("max_tokens",)


def test_fields_that_only_some_providers_know() -> None:
    request = asking(top_k=3, min_p=0.1, metadata={"a": "b"}, verbosity="low", seed=7, user="u")
    assert written(request)[1] == ("top_k", "min_p")
    body, lost = written(request, "openrouter")
    assert (body["top_k"], body["min_p"]) == (3, 0.1)
    assert lost == ("metadata",)
    body, lost = written(request, "mistral")
    assert body["random_seed"] == 7
    assert not {"user", "verbosity", "seed", "top_k"} & body.keys()
    assert lost == ("top_k", "min_p", "metadata", "user", "verbosity")


def test_thoughts_go_back_to_who_takes_them() -> None:
    thoughts = (Thinking("hm", "s", vendor="anthropic"), Thinking(redacted="enc", vendor="openai", id="rs_1"))
    request = asking(HI, Message("assistant", (*thoughts, Text("So."))), HI)
    body, lost = written(request)
    assert body["messages"][1] == {"role": "assistant", "content": "So."}
    assert lost == ("messages.content.thinking",)
    assert written(request, "deepseek")[0]["messages"][1]["reasoning_content"] == "hm"
    assert written(request, "openrouter")[0]["messages"][1]["reasoning_details"] == [
        {"type": "reasoning.text", "text": "hm", "signature": "s", "format": "anthropic-claude-v1", "index": 0},
        {"type": "reasoning.encrypted", "data": "enc", "id": "rs_1", "format": "openai-responses-v1", "index": 1},
    ]


@pytest.mark.parametrize(
    ("reasoning", "effort"),
    [
        (Reasoning("high"), "high"),
        (Reasoning("max"), "xhigh"),
        (Reasoning(budget=0), "none"),
        (Reasoning(budget=2048), "low"),
        (Reasoning(budget=2049), "medium"),
        (Reasoning(budget=16385), "high"),
        (Reasoning(budget=-1), None),
    ],
)
def test_effort_and_budget_stand_for_one_another(reasoning: Reasoning, effort: str | None) -> None:
    body, lost = written(asking(reasoning=reasoning), model="gpt-5")
    assert body.get("reasoning_effort") == effort
    assert lost == ()


@pytest.mark.parametrize(
    ("provider", "model", "told"),
    [
        ("openai", "o3", True),
        ("openai", "gpt-5-mini", True),
        ("openai", "gpt-5-chat-latest", False),
        ("openai", "gpt-4o", False),
        ("groq", "openai/gpt-oss-120b", True),
        ("groq", "llama-3.3-70b", False),
        ("deepseek", "deepseek-reasoner", True),
        ("mistral", "magistral-medium", True),
    ],
)
def test_only_models_that_reason_are_told_how_hard(provider: str, model: str, told: bool) -> None:
    body, lost = written(asking(reasoning=Reasoning("low")), provider, model)
    assert ("reasoning_effort" in body) is told
    assert lost == (() if told else ("reasoning",))
    assert written(asking(reasoning=Reasoning("none")), provider, model)[1] == ()


def test_openais_reasoning_models_take_no_sampling() -> None:
    request = asking(temperature=0.2, top_p=1.0, frequency_penalty=0.5, top_logprobs=2, stop=("END",), seed=7)
    body, lost = written(request, model="o4-mini")
    assert not {"temperature", "frequency_penalty", "logprobs", "top_logprobs", "stop"} & body.keys()
    assert (body["top_p"], body["seed"]) == (1.0, 7)
    assert lost == ("temperature", "frequency_penalty", "logprobs", "top_logprobs", "stop")
    assert written(asking(temperature=0.2), "openrouter", "openai/o4-mini")[0]["temperature"] == 0.2


def test_usage_is_asked_for_where_the_provider_may_be_asked() -> None:
    assert written(asking(stream=True))[0]["stream_options"] == {"include_usage": True}
    assert "stream_options" not in written(asking(stream=True), asks_usage=False)[0]


def test_a_format_has_a_name_and_a_schema_has_properties() -> None:
    body, _ = written(
        asking(response_format=ResponseFormat({"type": "object"}), tools=(Tool("f", None, {"type": "object"}),))
    )
    assert body["response_format"]["json_schema"] == {"name": "answer", "schema": {"type": "object"}}
    assert body["tools"][0]["function"]["parameters"] == {"type": "object", "properties": {}}
    assert written(asking(response_format=ResponseFormat()))[0]["response_format"] == {"type": "json_object"}


def test_a_long_name_of_a_user_is_its_digest() -> None:
    assert written(asking(user="u" * 64))[0]["user"] == "u" * 64
    assert len(written(asking(user="u" * 65))[0]["user"]) == 64


def test_at_most_four_stop_sequences() -> None:
    body, lost = written(asking(stop=("a", "b", "c", "d", "e")))
    assert body["stop"] == ["a", "b", "c", "d"]
    assert lost == ("stop",)
