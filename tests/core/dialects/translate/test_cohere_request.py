"""Cohere's chat, requests: in the shape of its reference, and what has no word there is told."""

from __future__ import annotations

import contextlib
from typing import Any

import jsonschema
import pytest
from hypothesis import given

from helicone_gw.dialects.translate.cohere_chat import CohereEgress
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

MODEL = "command-a-03-2025"


def written(request: ConversationRequest) -> tuple[Any, list[str]]:
    """The body, and what was lost."""
    loss = Loss()
    return body(CohereEgress().write_request(request, to("cohere", MODEL), loss)), list(loss.paths)


def text_or(*items: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [{"type": "string"}, {"type": "array", "items": {"anyOf": list(items)}}]}


def closed(**properties: Any) -> dict[str, Any]:
    required = [name for name, schema in properties.items() if not schema.pop("optional", False)]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


TEXT = closed(type={"const": "text"}, text={"type": "string"})
IMAGE = closed(
    type={"const": "image_url"},
    image_url=closed(url={"type": "string"}, detail={"enum": ["auto", "low", "high"], "optional": True}),
)
THINKING = closed(type={"const": "thinking"}, thinking={"type": "string"})
CALL = closed(
    id={"type": "string", "pattern": "^[a-zA-Z0-9_-]{1,64}$"},
    type={"const": "function"},
    function=closed(name={"type": "string", "pattern": "^[a-zA-Z0-9_-]{1,64}$"}, arguments={"type": "string"}),
)
TOOL = closed(
    type={"const": "function"},
    function=closed(
        name={"type": "string", "pattern": "^[a-zA-Z0-9_-]{1,64}$"},
        description={"type": "string", "optional": True},
        parameters={"type": "object"},
    ),
)
MESSAGE = {
    "anyOf": [
        closed(role={"const": "user"}, content=text_or(TEXT, IMAGE)),
        closed(role={"const": "system"}, content=text_or(TEXT)),
        closed(role={"const": "tool"}, tool_call_id={"type": "string"}, content=text_or(TEXT)),
        closed(
            role={"const": "assistant"},
            content={**text_or(TEXT, THINKING), "optional": True},
            tool_calls={"type": "array", "items": CALL, "optional": True},
        ),
    ]
}


def optional(**schema: Any) -> dict[str, Any]:
    return {**schema, "optional": True}


REQUEST = closed(
    model={"type": "string"},
    messages={"type": "array", "items": MESSAGE},
    stream={"type": "boolean"},
    tools=optional(type="array", items=TOOL, minItems=1),
    strict_tools=optional(type="boolean"),
    tool_choice=optional(enum=["REQUIRED", "NONE"]),
    response_format=optional(**closed(type={"const": "json_object"}, json_schema={"type": "object", "optional": True})),
    thinking=optional(
        **closed(
            type={"enum": ["enabled", "disabled"]}, token_budget={"type": "integer", "minimum": 1, "optional": True}
        )
    ),
    max_tokens=optional(type="integer", minimum=1),
    stop_sequences=optional(type="array", items={"type": "string"}, maxItems=5),
    temperature=optional(type="number", minimum=0, maximum=1),
    p=optional(type="number", minimum=0.01, maximum=0.99),
    k=optional(type="integer", minimum=0, maximum=500),
    frequency_penalty=optional(type="number", minimum=0, maximum=1),
    presence_penalty=optional(type="number", minimum=0, maximum=1),
    seed=optional(type="integer", minimum=0, maximum=2**64 - 1),
    logprobs=optional(type="boolean"),
)
VALIDATOR = jsonschema.Draft202012Validator(REQUEST)


@given(requests(MODEL))
def test_whatever_is_asked_has_the_shape_of_the_reference(request: ConversationRequest) -> None:
    value, _ = written(request)
    VALIDATOR.validate(value)


@given(requests(MODEL))
def test_strict_translation_refuses_exactly_what_would_be_lost(request: ConversationRequest) -> None:
    _, lost = written(request)
    with pytest.raises(BadRequest, match="without loss") if lost else contextlib.nullcontext():
        CohereEgress().write_request(request, to("cohere", MODEL), Loss(strict=True))


def test_a_conversation_with_everything_in_it() -> None:
    request = asked(
        user("What is this?", Image(data=PIXEL, media_type="image/png", detail="low")),
        assistant(Thinking("hm", vendor="other"), "Let me see.", ToolCall("call_1", "look", '{"at":[1]}')),
        results(ToolResult("call_1", (Text("a cat"),))),
        system=(Text("Be brief."),),
        tools=(Tool("look", "Looks.", {"type": "object"}, strict=True),),
        tool_choice=ToolChoice("required"),
        response_format=ResponseFormat({"type": "object"}),
        reasoning=Reasoning(budget=2000),
        max_tokens=100,
        stop=("END",),
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        frequency_penalty=0.1,
        presence_penalty=0.2,
        seed=7,
        top_logprobs=0,
        stream=True,
    )
    value, lost = written(request)
    assert lost == []
    assert value == {
        "model": MODEL,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}", "detail": "low"}},
                ],
            },
            {
                "role": "assistant",
                "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Let me see."}],
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "look", "arguments": '{"at":[1]}'},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": "a cat"},
        ],
        "tools": [
            {
                "type": "function",
                "function": {"name": "look", "description": "Looks.", "parameters": {"type": "object"}},
            }
        ],
        "tool_choice": "REQUIRED",
        "strict_tools": True,
        "response_format": {"type": "json_object", "json_schema": {"type": "object"}},
        "thinking": {"type": "enabled", "token_budget": 2000},
        "max_tokens": 100,
        "stop_sequences": ["END"],
        "temperature": 0.5,
        "p": 0.9,
        "k": 40,
        "frequency_penalty": 0.1,
        "presence_penalty": 0.2,
        "seed": 7,
        "logprobs": True,
        "stream": True,
    }


def test_the_address() -> None:
    outgoing = CohereEgress().write_request(asked(user("a")), to("cohere", MODEL), Loss())
    assert (outgoing.method, outgoing.path, outgoing.operation) == ("POST", "/v2/chat", "chat")


@pytest.mark.parametrize(
    ("request_", "lost"),
    [
        (asked(user("a"), temperature=1.5), ["temperature"]),
        (asked(user("a"), frequency_penalty=-1.0, presence_penalty=2.0), ["frequency_penalty", "presence_penalty"]),
        (asked(user("a"), top_p=0.0), ["top_p"]),
        (asked(user("a"), seed=-1), ["seed"]),
        (asked(user("a"), stop=tuple("abcdef")), ["stop"]),
        (asked(user("a"), top_logprobs=3), ["top_logprobs"]),
        (asked(user("a"), n=3, user="u", metadata={"a": "b"}), ["n", "user", "metadata"]),
        (asked(user("a"), parallel_tool_calls=False), ["parallel_tool_calls"]),
        (asked(user(Audio("AAAA", "audio/wav"))), ["messages.content.audio"]),
        (asked(user(Document(data="AAAA", media_type="application/pdf"))), ["messages.content.document"]),
        (asked(user(Text("a", cache="5m"))), ["messages.content.cache_control"]),
        (asked(results(ToolResult("1", (Image(url="https://e.com/a.png"),)))), ["messages.content.image"]),
        (asked(results(ToolResult("1", is_error=True))), ["messages.content.is_error"]),
        (asked(assistant(Thinking(redacted="x", vendor="anthropic"))), ["messages.content.thinking"]),
        (asked(assistant(ToolCall("1", "f", "{"))), ["messages.content.arguments"]),
        (asked(user("a"), tools=(Tool("f", strict=True), Tool("g"))), ["tools.strict"]),
        (asked(Message("user", (Text("a"),), "Ann")), ["messages.name"]),
        (asked(user("a"), top_p=1.0, temperature=1.0, n=1), []),
    ],
)
def test_what_has_no_word_is_lost(request_: ConversationRequest, lost: list[str]) -> None:
    assert written(request_)[1] == lost


@pytest.mark.parametrize(
    ("choice", "word", "offered"),
    [
        (None, None, ["f", "g"]),
        (ToolChoice("auto"), None, ["f", "g"]),
        (ToolChoice("none"), "NONE", ["f", "g"]),
        (ToolChoice("required"), "REQUIRED", ["f", "g"]),
        (ToolChoice("required", ("g",)), "REQUIRED", ["g"]),
        (ToolChoice("auto", ("f",)), None, ["f"]),
    ],
)
def test_tools_that_may_not_be_called_are_not_offered(
    choice: ToolChoice | None, word: str | None, offered: list[str]
) -> None:
    value, lost = written(asked(user("a"), tools=(Tool("f"), Tool("g")), tool_choice=choice))
    assert value.get("tool_choice") == word
    assert [tool["function"]["name"] for tool in value["tools"]] == offered
    assert lost == []


@pytest.mark.parametrize(
    ("reasoning", "thinking"),
    [
        (Reasoning("none"), {"type": "disabled"}),
        (Reasoning("medium"), {"type": "enabled", "token_budget": 8192}),
        (Reasoning(budget=-1), {"type": "enabled"}),
        (Reasoning(show=True), {"type": "enabled"}),
    ],
)
def test_reasoning(reasoning: Reasoning, thinking: Any) -> None:
    assert written(asked(user("a"), reasoning=reasoning))[0]["thinking"] == thinking


def test_plain_text_documents_are_text() -> None:
    value, lost = written(asked(user(Document(text="b", name="Notes"))))
    assert value["messages"][0]["content"] == "Notes\n\nb"
    assert lost == []
