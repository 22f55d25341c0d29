"""Bedrock's Converse, requests: AWS's own model of the service accepts each, and what has no word there is told."""

from __future__ import annotations

import contextlib
import itertools
import json
from typing import Any

import botocore.loaders
import botocore.model
import botocore.parsers
import botocore.validate
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helicone_gw.dialects.translate.bedrock_converse import ConverseEgress
from helicone_gw.dialects.translate.bedrock_request import model_path
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
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.errors import BadRequest
from tests.core.dialects.translate.asking import PIXEL, asked, assistant, body, requests, results, to, user

NOVA = "us.amazon.nova-pro-v1:0"
NOVA_2 = "us.amazon.nova-2-lite-v1:0"
GPT_OSS = "openai.gpt-oss-120b-1:0"
LLAMA = "meta.llama3-3-70b-instruct-v1:0"
SERVICE = botocore.model.ServiceModel(botocore.loaders.Loader().load_service_model("bedrock-runtime", "service-2"))
CONVERSE = SERVICE.operation_model("Converse").input_shape
HELLO = asked(user("Hello"))


def written(request: ConversationRequest, model: str = NOVA) -> tuple[Any, list[str]]:
    """The body, and what was lost."""
    loss = Loss()
    return body(ConverseEgress().write_request(request, to("bedrock", model), loss)), list(loss.paths)


def check(value: Any, model: str) -> None:
    """AWS's SDK would send this: every member is known, of its type, within its bounds."""
    parameters = botocore.parsers.RestJSONParser()._parse_shape(CONVERSE, value)
    assert_same_members(value, parameters)
    report = botocore.validate.ParamValidator().validate({"modelId": model, **parameters}, CONVERSE)
    assert not report.has_errors(), report.generate_report()


def assert_same_members(given: Any, parsed: Any) -> None:
    """The parser drops members that it does not know: none was dropped."""
    if isinstance(given, dict) and isinstance(parsed, dict):
        assert set(given) <= set(parsed)
        for name, value in given.items():
            assert_same_members(value, parsed[name])
    elif isinstance(given, list):
        for left, right in zip(given, parsed, strict=True):
            assert_same_members(left, right)


@pytest.mark.parametrize("model", [NOVA, NOVA_2, GPT_OSS, LLAMA])
@settings(max_examples=40)
@given(data=st.data())
def test_whatever_is_asked_aws_would_accept(model: str, data: st.DataObject) -> None:
    request = data.draw(requests(model))
    value, _ = written(request, model)
    check(value, model)
    roles = [message["role"] for message in value["messages"]]
    assert all(left != right for left, right in itertools.pairwise(roles))


@given(requests(NOVA))
def test_strict_translation_refuses_exactly_what_would_be_lost(request: ConversationRequest) -> None:
    _, lost = written(request)
    with pytest.raises(BadRequest, match="without loss") if lost else contextlib.nullcontext():
        ConverseEgress().write_request(request, to("bedrock", NOVA), Loss(strict=True))


def test_a_conversation_with_everything_in_it() -> None:
    request = asked(
        user("What is this?", Image(data=PIXEL, media_type="image/jpeg")),
        assistant(
            Thinking("hm", "c2ln", vendor="anthropic"),
            "Let me see.",
            ToolCall("toolu_1", "look", '{"at":[1,2]}'),
            ToolCall("toolu_2", "look", ""),
        ),
        results(
            ToolResult("toolu_1", (Text("a cat"), Image(data=PIXEL, media_type="image/png"))),
            ToolResult("toolu_2", (Text("failed"),), is_error=True),
        ),
        user(Document(data="AAAA", media_type="application/pdf", name="A/B.pdf", citations=True), "And this?"),
        system=(Text("Be brief.", cache="1h"),),
        tools=(Tool("look", "Looks.", {"type": "object"}, strict=True, cache="5m"),),
        tool_choice=ToolChoice("required", ("look",)),
        max_tokens=100,
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        stop=("END",),
        metadata={"team": "a"},
        service_tier="flex",
        response_format=ResponseFormat({"type": "object"}, "answer"),
    )
    value, lost = written(request)
    assert lost == []
    assert value == {
        "messages": [
            {
                "role": "user",
                "content": [
                    {"text": "What is this?"},
                    {"image": {"format": "jpeg", "source": {"bytes": PIXEL}}},
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "c2ln"}}},
                    {"text": "Let me see."},
                    {"toolUse": {"toolUseId": "toolu_1", "name": "look", "input": {"at": [1, 2]}}},
                    {"toolUse": {"toolUseId": "toolu_2", "name": "look", "input": {}}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "toolResult": {
                            "toolUseId": "toolu_1",
                            "content": [{"text": "a cat"}, {"image": {"format": "png", "source": {"bytes": PIXEL}}}],
                        }
                    },
                    {"toolResult": {"toolUseId": "toolu_2", "content": [{"text": "failed"}], "status": "error"}},
                    {
                        "document": {
                            "format": "pdf",
                            "name": "A-B-pdf",
                            "source": {"bytes": "AAAA"},
                            "citations": {"enabled": True},
                        }
                    },
                    {"text": "And this?"},
                ],
            },
        ],
        "system": [{"text": "Be brief."}, {"cachePoint": {"type": "default", "ttl": "1h"}}],
        "toolConfig": {
            "tools": [
                {
                    "toolSpec": {
                        "name": "look",
                        "description": "Looks.",
                        "inputSchema": {"json": {"type": "object"}},
                        "strict": True,
                    }
                },
                {"cachePoint": {"type": "default"}},
            ],
            "toolChoice": {"tool": {"name": "look"}},
        },
        "requestMetadata": {"team": "a"},
        "serviceTier": {"type": "flex"},
        "inferenceConfig": {"maxTokens": 100, "temperature": 0.5, "topP": 0.9, "stopSequences": ["END"]},
        "additionalModelRequestFields": {"inferenceConfig": {"topK": 40}},
        "outputConfig": {
            "textFormat": {
                "type": "json_schema",
                "structure": {"jsonSchema": {"schema": '{"type":"object"}', "name": "answer"}},
            }
        },
    }


@pytest.mark.parametrize(
    ("model", "path"),
    [
        (NOVA, "/model/us.amazon.nova-pro-v1%3A0/converse"),
        (
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/a.b",
            "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fa.b/converse",
        ),
    ],
)
def test_the_model_is_one_segment_of_the_path(model: str, path: str) -> None:
    outgoing = ConverseEgress().write_request(HELLO, to("bedrock", model), Loss())
    assert (outgoing.path, outgoing.operation, outgoing.method) == (path, "converse", "POST")
    streamed = ConverseEgress().write_request(asked(user("a"), stream=True), to("bedrock", model), Loss())
    assert streamed.path == model_path(model, "converse-stream") == f"{path}-stream"
    assert outgoing.headers == {"accept": "application/json"}
    assert streamed.headers == {"accept": "application/vnd.amazon.eventstream"}


@pytest.mark.parametrize(
    ("request_", "lost"),
    [
        (asked(user("a"), temperature=1.5), ["temperature"]),
        (asked(user("a"), n=2, seed=1, user="u"), ["n", "seed", "user"]),
        (asked(user("a"), extras={"logit_bias": {}}), ["logit_bias"]),
        (asked(user("a"), response_format=ResponseFormat()), ["response_format"]),
        (asked(user("a"), parallel_tool_calls=False), ["parallel_tool_calls"]),
        (asked(user("a"), service_tier="scale"), ["service_tier"]),
        (asked(user("a"), metadata={"a": "ü"}), ["metadata"]),
        (asked(user(Image(url="https://example.com/a.png"))), ["messages.content.image"]),
        (asked(user(Audio("AAAA", "audio/x-odd"))), ["messages.content.audio"]),
        (asked(user(Document(file_id="f"))), ["messages.content.document"]),
        (asked(user("a"), Message("system", (Text("b"),))), ["messages.role"]),
        (asked(Message("user", (Text("a"),), "Ann")), ["messages.name"]),
        (asked(assistant(Thinking("hm", "x", vendor="google"))), ["messages.content.thinking"]),
        (asked(assistant(Thinking(redacted="no base64!", vendor="anthropic"))), ["messages.content.thinking"]),
        (asked(assistant(ToolCall("1", "f", "{"))), ["messages.content.arguments"]),
        (asked(user("a"), temperature=1.0, top_p=1.0, service_tier="auto", n=1), []),
    ],
)
def test_what_has_no_word_is_lost(request_: ConversationRequest, lost: list[str]) -> None:
    assert written(request_)[1] == lost


def test_models_that_sign_nothing_take_back_any_thought() -> None:
    value, lost = written(asked(user("a"), assistant(Thinking("hm"), "b")), GPT_OSS)
    assert value["messages"][1]["content"][0] == {"reasoningContent": {"reasoningText": {"text": "hm"}}}
    assert lost == []


def test_only_some_models_cache() -> None:
    request = asked(user(Text("a", cache="5m")))
    value, lost = written(request, LLAMA)
    assert value["messages"][0]["content"] == [{"text": "a"}]
    assert lost == ["messages.content.cache_control"]
    assert written(request, NOVA_2)[0]["messages"][0]["content"][1] == {"cachePoint": {"type": "default"}}


@pytest.mark.parametrize(
    ("choice", "expected", "lost"),
    [
        (None, None, []),
        (ToolChoice("auto"), {"auto": {}}, []),
        (ToolChoice("required"), {"any": {}}, []),
        (ToolChoice("required", ("f", "g")), {"any": {}}, ["tool_choice"]),
        (ToolChoice("auto", ("f",)), {"auto": {}}, ["tool_choice"]),
    ],
)
def test_tool_choice(choice: ToolChoice | None, expected: Any, lost: list[str]) -> None:
    value, found = written(asked(user("a"), tools=(Tool("f"), Tool("g")), tool_choice=choice))
    assert (value["toolConfig"].get("toolChoice"), found) == (expected, lost)


def test_no_tool_may_be_called() -> None:
    tools, choice = (Tool("f"),), ToolChoice("none")
    assert "toolConfig" not in written(asked(user("a"), tools=tools, tool_choice=choice))[0]
    history = (user("a"), assistant(ToolCall("1", "f")), results(ToolResult("1")))
    value, lost = written(asked(*history, tools=tools, tool_choice=choice))
    assert "toolChoice" not in value["toolConfig"]
    assert lost == ["tool_choice"]


def test_tools_of_the_history_are_declared() -> None:
    value, lost = written(asked(user("a"), assistant(ToolCall("1", "f")), results(ToolResult("1", (Text("b"),)))))
    assert [tool["toolSpec"]["name"] for tool in value["toolConfig"]["tools"]] == ["f"]
    assert lost == []


def test_ids_and_names_that_are_not_allowed_are_changed_alike() -> None:
    value, _ = written(
        asked(
            user("a"),
            assistant(ToolCall("call|1", "get time")),
            results(ToolResult("call|1")),
            tools=(Tool("get time"),),
        )
    )
    check(value, NOVA)
    use, result = (message["content"][0] for message in value["messages"][1:])
    assert use["toolUse"]["toolUseId"] == result["toolResult"]["toolUseId"]
    assert use["toolUse"]["name"] == value["toolConfig"]["tools"][0]["toolSpec"]["name"]


@pytest.mark.parametrize(
    ("model", "reasoning", "fields", "lost"),
    [
        (NOVA, Reasoning("none"), None, []),
        (NOVA, Reasoning(budget=5000), None, ["reasoning_effort"]),
        (NOVA_2, Reasoning("high"), {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}}, []),
        (NOVA_2, Reasoning("none"), {"reasoningConfig": {"type": "disabled"}}, []),
        (GPT_OSS, Reasoning("xhigh"), {"reasoning_effort": "high"}, []),
        (GPT_OSS, Reasoning("none"), {"reasoning_effort": "low"}, ["reasoning_effort"]),
        (LLAMA, Reasoning("high"), None, ["reasoning_effort"]),
    ],
)
def test_reasoning(model: str, reasoning: Reasoning, fields: Any, lost: list[str]) -> None:
    value, found = written(asked(user("a"), reasoning=reasoning), model)
    assert (value.get("additionalModelRequestFields"), found) == (fields, lost)


def test_documents_have_names_of_their_own() -> None:
    twice = Document(text="a", name="x/y")
    value, _ = written(asked(user(twice, twice, Document(text="b", media_type="text/markdown"))))
    documents = [block["document"] for block in value["messages"][0]["content"]]
    assert [(each["name"], each["format"]) for each in documents] == [
        ("x-y", "txt"),
        ("x-y 2", "txt"),
        ("document", "md"),
    ]


def test_the_body_is_json_without_a_model() -> None:
    outgoing = ConverseEgress().write_request(HELLO, to("bedrock", NOVA), Loss())
    assert json.loads(outgoing.body) == {"messages": [{"role": "user", "content": [{"text": "Hello"}]}]}
