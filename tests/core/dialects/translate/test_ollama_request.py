"""Ollama's chat, requests: in the shape of its reference, and what has no word there is told."""

from __future__ import annotations

import contextlib
from typing import Any

import jsonschema
import pytest
from hypothesis import given

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
from helicone_gw.dialects.translate.ollama_chat import OllamaEgress
from helicone_gw.errors import BadRequest
from tests.core.dialects.translate.asking import PIXEL, asked, assistant, body, requests, results, to, user

MODEL = "qwen3:8b"


def written(request: ConversationRequest, model: str = MODEL) -> tuple[Any, list[str]]:
    """The body, and what was lost."""
    loss = Loss()
    return body(OllamaEgress().write_request(request, to("ollama", model), loss)), list(loss.paths)


def closed(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


NUMBER, TEXT, WHOLE = {"type": "number"}, {"type": "string"}, {"type": "integer"}
FUNCTION = closed(["name", "arguments"], name=TEXT, arguments={"type": "object"})
MESSAGE = closed(
    ["role", "content"],
    role={"enum": ["system", "user", "assistant", "tool"]},
    content=TEXT,
    thinking=TEXT,
    images={"type": "array", "items": {"type": "string", "pattern": "^[A-Za-z0-9+/=]+$"}},
    tool_calls={"type": "array", "items": closed(["function"], id=TEXT, function=FUNCTION)},
    tool_name=TEXT,
    tool_call_id=TEXT,
)
REQUEST = closed(
    ["model", "messages", "stream"],
    model=TEXT,
    messages={"type": "array", "items": MESSAGE},
    stream={"type": "boolean"},
    tools={
        "type": "array",
        "items": closed(
            ["type", "function"],
            type={"const": "function"},
            function=closed(["name", "parameters"], name=TEXT, description=TEXT, parameters={"type": "object"}),
        ),
    },
    format={"anyOf": [{"const": "json"}, {"type": "object"}]},
    think={"anyOf": [{"type": "boolean"}, {"enum": ["low", "medium", "high"]}]},
    options=closed(
        [],
        num_predict=WHOLE,
        temperature=NUMBER,
        top_p=NUMBER,
        top_k=WHOLE,
        min_p=NUMBER,
        seed=WHOLE,
        stop={"type": "array", "items": TEXT},
        frequency_penalty=NUMBER,
        presence_penalty=NUMBER,
    ),
    logprobs={"const": True},
    top_logprobs=WHOLE,
)
VALIDATOR = jsonschema.Draft202012Validator(REQUEST)


@given(requests(MODEL))
def test_whatever_is_asked_has_the_shape_of_the_reference(request: ConversationRequest) -> None:
    VALIDATOR.validate(written(request)[0])


@given(requests(MODEL))
def test_strict_translation_refuses_exactly_what_would_be_lost(request: ConversationRequest) -> None:
    _, lost = written(request)
    with pytest.raises(BadRequest, match="without loss") if lost else contextlib.nullcontext():
        OllamaEgress().write_request(request, to("ollama", MODEL), Loss(strict=True))


def test_a_conversation_with_everything_in_it() -> None:
    request = asked(
        user("What is this?", Image(data=PIXEL, media_type="image/png"), "And why?"),
        assistant(Thinking("hm"), "Let me see.", ToolCall("call_1", "look", '{"at":[1]}')),
        results(ToolResult("call_1", (Text("a cat"),))),
        system=(Text("Be brief."),),
        tools=(Tool("look", "Looks.", {"type": "object"}),),
        response_format=ResponseFormat({"type": "object"}),
        reasoning=Reasoning("high"),
        max_tokens=100,
        stop=("END",),
        temperature=1.5,
        top_p=0.9,
        top_k=40,
        min_p=0.05,
        frequency_penalty=0.1,
        presence_penalty=0.2,
        seed=7,
        top_logprobs=2,
    )
    value, lost = written(request)
    assert lost == []
    assert value == {
        "model": MODEL,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What is this?\nAnd why?", "images": [PIXEL]},
            {
                "role": "assistant",
                "content": "Let me see.",
                "thinking": "hm",
                "tool_calls": [{"id": "call_1", "function": {"name": "look", "arguments": {"at": [1]}}}],
            },
            {"role": "tool", "content": "a cat", "tool_name": "look", "tool_call_id": "call_1"},
        ],
        "stream": False,
        "tools": [
            {
                "type": "function",
                "function": {"name": "look", "description": "Looks.", "parameters": {"type": "object"}},
            }
        ],
        "format": {"type": "object"},
        "think": True,
        "options": {
            "num_predict": 100,
            "temperature": 1.5,
            "top_p": 0.9,
            "top_k": 40,
            "min_p": 0.05,
            "seed": 7,
            "stop": ["END"],
            "frequency_penalty": 0.1,
            "presence_penalty": 0.2,
        },
        "logprobs": True,
        "top_logprobs": 2,
    }


def test_the_address() -> None:
    outgoing = OllamaEgress().write_request(asked(user("a")), to("ollama", MODEL), Loss())
    assert (outgoing.method, outgoing.path, outgoing.operation) == ("POST", "/api/chat", "chat")


@pytest.mark.parametrize(
    ("request_", "lost"),
    [
        (asked(user("a"), n=3, user="u", metadata={"a": "b"}), ["n", "user", "metadata"]),
        (asked(user("a"), parallel_tool_calls=False), ["parallel_tool_calls"]),
        (asked(user("a"), tools=(Tool("f"),), tool_choice=ToolChoice("required")), ["tool_choice"]),
        (asked(user("a"), tools=(Tool("f", strict=True),)), ["tools.strict"]),
        (asked(user(Image(url="https://example.com/a.png"))), ["messages.content.image"]),
        (asked(user(Audio("AAAA", "audio/wav"))), ["messages.content.audio"]),
        (asked(user(Document(file_id="f"))), ["messages.content.document"]),
        (asked(user(Text("a", cache="5m"))), ["messages.content.cache_control"]),
        (asked(results(ToolResult("1", is_error=True))), ["messages.content.is_error"]),
        (asked(assistant(Thinking("hm", "sig", vendor="anthropic"))), ["messages.content.thinking"]),
        (asked(assistant(ToolCall("1", "f", "{"))), ["messages.content.arguments"]),
        (asked(user("a"), response_format=ResponseFormat({}, "n")), ["response_format.json_schema.name"]),
        (asked(Message("user", (Text("a"),), "Ann")), ["messages.name"]),
        (asked(user(Image(url=f"data:image/png;base64,{PIXEL}")), response_format=ResponseFormat()), []),
    ],
)
def test_what_has_no_word_is_lost(request_: ConversationRequest, lost: list[str]) -> None:
    assert written(request_)[1] == lost


@pytest.mark.parametrize(
    ("choice", "offered"),
    [
        (None, ["f", "g"]),
        (ToolChoice("auto"), ["f", "g"]),
        (ToolChoice("auto", ("g",)), ["g"]),
        (ToolChoice("none"), []),
    ],
)
def test_tools_that_may_not_be_called_are_not_offered(choice: ToolChoice | None, offered: list[str]) -> None:
    value, lost = written(asked(user("a"), tools=(Tool("f"), Tool("g")), tool_choice=choice))
    assert [tool["function"]["name"] for tool in value.get("tools", [])] == offered
    assert lost == []


@pytest.mark.parametrize(
    ("model", "reasoning", "think"),
    [
        (MODEL, None, None),
        (MODEL, Reasoning("none"), False),
        (MODEL, Reasoning("low"), True),
        (MODEL, Reasoning(budget=-1), True),
        ("gpt-oss:20b", Reasoning("minimal"), "low"),
        ("gpt-oss:20b", Reasoning("none"), "low"),
        ("gpt-oss:20b", Reasoning("xhigh"), "high"),
        ("gpt-oss:20b", Reasoning(show=True), "medium"),
    ],
)
def test_reasoning(model: str, reasoning: Reasoning | None, think: Any) -> None:
    assert written(asked(user("a"), reasoning=reasoning), model)[0].get("think") == think
