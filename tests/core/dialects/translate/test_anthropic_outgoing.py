"""Requests written in Anthropic's dialect: what it wants otherwise than others, and what its models allow."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from helicone_gw.dialects.translate.base import Destination
from helicone_gw.dialects.translate.conversation import (
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

OLD, MIDDLE, NEW = "claude-3-5-sonnet-20241022", "claude-sonnet-4-5", "claude-opus-4-7"
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}}
ASK = Message("user", (Text("Hi"),))
CALL = ToolCall("call_1", "f", '{"a":1}')
RESULT = Message("tool", (ToolResult("call_1", (Text("ok"),)),))


def written(request: ConversationRequest, model: str = MIDDLE, most: int | None = None) -> tuple[Any, tuple[str, ...]]:
    loss = Loss()
    outgoing = MESSAGES.write_request(request, Destination("anthropic", model, most), loss)
    assert (outgoing.path, outgoing.operation) == ("/v1/messages", "messages")
    return msgspec.json.decode(outgoing.body), loss.paths


def asking(*messages: Message, **fields: Any) -> ConversationRequest:
    return ConversationRequest("m", list(messages) or [ASK], **fields)


def test_max_tokens_is_the_requests_else_the_models_else_a_default() -> None:
    assert written(asking(max_tokens=7))[0]["max_tokens"] == 7
    assert written(asking(), most=64000)[0]["max_tokens"] == 64000
    assert written(asking())[0]["max_tokens"] == 4096


def test_neighbours_of_one_role_are_joined_and_results_come_first() -> None:
    body, lost = written(asking(ASK, ASK, Message("assistant", (CALL,)), RESULT, ASK))
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "user"]
    assert [block["type"] for block in body["messages"][2]["content"]] == ["tool_result", "text"]
    assert body["messages"][1]["content"] == [{"type": "tool_use", "id": "call_1", "name": "f", "input": {"a": 1}}]
    assert lost == ()


def test_a_conversation_begins_with_the_user() -> None:
    body, _ = written(asking(Message("assistant", (Text("Welcome"),)), ASK))
    assert body["messages"][0] == {"role": "user", "content": "Continue."}
    assert written(ConversationRequest("m", [], system=(Text("Rules"),)))[0]["messages"][0]["role"] == "user"


def test_a_prefilled_answer_ends_in_no_white_space_and_no_text_is_empty() -> None:
    body, _ = written(asking(Message("user", (Text("Hi"), Text(" "))), Message("assistant", (Text("Sure: \n"),))))
    assert body["messages"] == [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Sure:"}]


def test_a_later_system_message_joins_the_first() -> None:
    later = Message("system", (Text("Later"),))
    body, lost = written(asking(ASK, later, ASK, system=(Text("First"),)))
    assert body["system"] == [{"type": "text", "text": "First"}, {"type": "text", "text": "Later"}]
    assert lost == ("messages.role",)


def test_cache_markers_stay_where_they_are() -> None:
    marked = Message("user", (Text("long", cache="1h"), Text("short", cache="5m")))
    body, _ = written(asking(marked, system=(Text("Rules", cache="5m"),), tools=(Tool("f", cache="5m"),)))
    assert body["system"][0]["cache_control"] == {"type": "ephemeral"}
    assert [part["cache_control"] for part in body["messages"][0]["content"]] == [
        {"type": "ephemeral", "ttl": "1h"},
        {"type": "ephemeral"},
    ]
    assert body["tools"][0]["cache_control"] == {"type": "ephemeral"}


def test_arguments_that_are_no_object_become_one() -> None:
    broken = Message("assistant", (ToolCall("call_1", "f", '{"a":'),))
    body, lost = written(asking(ASK, broken, RESULT))
    assert body["messages"][1]["content"][0]["input"] == {"arguments": '{"a":'}
    assert lost == ("messages.content.arguments",)


def test_tools_of_the_history_are_declared_though_none_is_offered() -> None:
    body, _ = written(asking(ASK, Message("assistant", (CALL,)), RESULT))
    assert [tool["name"] for tool in body["tools"]] == ["f"]
    assert body["tool_choice"] == {"type": "none"}


@pytest.mark.parametrize(
    ("choice", "expected", "offered"),
    [
        (ToolChoice("auto"), {"type": "auto"}, ["f", "g"]),
        (ToolChoice("none"), {"type": "none"}, ["f", "g"]),
        (ToolChoice("required"), {"type": "any"}, ["f", "g"]),
        (ToolChoice("required", ("g",)), {"type": "tool", "name": "g"}, ["f", "g"]),
        (ToolChoice("required", ("f", "g")), {"type": "any"}, ["f", "g"]),
        (ToolChoice("auto", ("g",)), {"type": "auto"}, ["g"]),
    ],
)
def test_tool_choice(choice: ToolChoice, expected: dict[str, str], offered: list[str]) -> None:
    body, lost = written(asking(tools=(Tool("f"), Tool("g")), tool_choice=choice))
    assert body["tool_choice"] == expected
    assert [tool["name"] for tool in body["tools"]] == offered
    assert lost == ()


def test_one_call_at_a_time() -> None:
    body, _ = written(asking(tools=(Tool("f"),), parallel_tool_calls=False))
    assert body["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert "tool_choice" not in written(asking(tools=(Tool("f"),), parallel_tool_calls=True))[0]


@pytest.mark.parametrize(
    ("fields", "model", "kept", "lost"),
    [
        ({"temperature": 1.7}, MIDDLE, {"temperature": 1.0}, ("temperature",)),
        ({"temperature": 0.5, "top_p": 0.9}, OLD, {"temperature": 0.5, "top_p": 0.9}, ()),
        ({"temperature": 0.5, "top_p": 0.9}, MIDDLE, {"temperature": 0.5}, ("top_p",)),
        ({"temperature": 1.0, "top_p": 0.9, "top_k": 3}, NEW, {}, ("top_p", "top_k")),
        ({"temperature": 0.5}, NEW, {}, ("temperature",)),
    ],
)
def test_sampling(fields: dict[str, Any], model: str, kept: dict[str, Any], lost: tuple[str, ...]) -> None:
    body, losses = written(asking(**fields), model)
    assert {name: body[name] for name in ("temperature", "top_p", "top_k") if name in body} == kept
    assert losses == lost


@pytest.mark.parametrize(
    ("reasoning", "model", "expected", "lost"),
    [
        (Reasoning("low"), MIDDLE, {"thinking": {"type": "enabled", "budget_tokens": 1024}}, ()),
        (Reasoning(budget=9000), MIDDLE, {"thinking": {"type": "enabled", "budget_tokens": 9000}}, ()),
        (Reasoning(budget=100), MIDDLE, {"thinking": {"type": "enabled", "budget_tokens": 1024}}, ()),
        (Reasoning("none"), MIDDLE, {"thinking": {"type": "disabled"}}, ()),
        (Reasoning("none"), NEW, {}, ()),
        (Reasoning("high"), OLD, {}, ("reasoning",)),
        (
            Reasoning("minimal", show=True),
            NEW,
            {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "low"}},
            (),
        ),
        (
            Reasoning("xhigh"),
            "claude-opus-4-6",
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
            (),
        ),
        (Reasoning(budget=9000), NEW, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "medium"}}, ()),
        (Reasoning(budget=-1), NEW, {"thinking": {"type": "adaptive"}}, ()),
    ],
)
def test_thinking(reasoning: Reasoning, model: str, expected: dict[str, Any], lost: tuple[str, ...]) -> None:
    body, losses = written(asking(reasoning=reasoning), model)
    assert {name: body[name] for name in ("thinking", "output_config") if name in body} == expected
    assert losses == lost


def test_the_budget_leaves_room_for_the_answer() -> None:
    assert written(asking(reasoning=Reasoning("high")))[0]["max_tokens"] == 24576 + 4096
    body, lost = written(asking(reasoning=Reasoning("high"), max_tokens=5000))
    assert (body["max_tokens"], body["thinking"]["budget_tokens"]) == (5000, 2500)
    assert lost == ("reasoning",)
    body, lost = written(asking(reasoning=Reasoning("low"), max_tokens=1000))
    assert "thinking" not in body
    assert lost == ("reasoning",)


def test_thinking_excludes_forced_calls_and_sampling() -> None:
    request = asking(
        reasoning=Reasoning("low"), tools=(Tool("f"),), tool_choice=ToolChoice("required"), temperature=0.2
    )
    body, lost = written(request)
    assert body["tool_choice"] == {"type": "auto"}
    assert "temperature" not in body
    assert lost == ("tool_choice", "temperature")


def test_thinking_by_budget_waits_while_a_call_has_no_signed_thought() -> None:
    signed = Message("assistant", (Thinking("hm", "sig", vendor="anthropic"), CALL))
    assert "thinking" in written(asking(ASK, signed, RESULT, reasoning=Reasoning("low")))[0]
    foreign = Message("assistant", (Thinking("hm", "sig", vendor="google"), CALL))
    body, lost = written(asking(ASK, foreign, RESULT, reasoning=Reasoning("low")))
    assert "thinking" not in body
    assert lost == ("messages.content.thinking", "reasoning")
    again, _ = written(asking(ASK, foreign, RESULT, ASK, reasoning=Reasoning("low")))
    assert "thinking" in again


def test_structured_output_where_the_model_has_it_and_in_words_where_not() -> None:
    body, lost = written(asking(response_format=ResponseFormat(SCHEMA)))
    assert body["output_config"]["format"]["schema"] == {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "additionalProperties": False,
    }
    assert lost == ("response_format.minimum",)
    for request, model in ((ResponseFormat(SCHEMA), OLD), (ResponseFormat(), MIDDLE)):
        body, lost = written(asking(response_format=request), model)
        assert "JSON" in body["system"]
        assert lost == ("response_format",)


@pytest.mark.parametrize(
    ("part", "source"),
    [
        (Image(url="https://x.example/a.png"), {"type": "url", "url": "https://x.example/a.png"}),
        (Image(data="AA==", media_type="image/jpg"), {"type": "base64", "media_type": "image/jpeg", "data": "AA=="}),
        (Image(file_id="file_1"), {"type": "file", "file_id": "file_1"}),
        (Document(text="a"), {"type": "text", "media_type": "text/plain", "data": "a"}),
        (Document(data="aGk=", name="a.txt"), {"type": "text", "media_type": "text/plain", "data": "hi"}),
        (Document(data="AA==", name="a.pdf"), {"type": "base64", "media_type": "application/pdf", "data": "AA=="}),
        (Document(url="https://x.example/a.pdf"), {"type": "url", "url": "https://x.example/a.pdf"}),
    ],
)
def test_media(part: Any, source: dict[str, str]) -> None:
    body, lost = written(asking(Message("user", (Text("Look"), part))))
    assert body["messages"][0]["content"][1]["source"] == source
    assert lost == ()


def test_files_that_lie_elsewhere_are_lost() -> None:
    body, lost = written(asking(Message("user", (Text("Look"), Document(file_id="file-openai")))))
    assert body["messages"][0]["content"] == "Look"
    assert lost == ("messages.content.document",)
