"""OpenAI responses: requests read and written, answers written as a response that SDKs and the next turn can use."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from helicone_gw.dialects.translate.base import Destination
from helicone_gw.dialects.translate.codecs import CONVERSATION_EGRESS, conversation_egress
from helicone_gw.dialects.translate.conversation import (
    Citation,
    ConversationRequest,
    Document,
    Image,
    Message,
    Reasoning,
    Refusal,
    ResponseFormat,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from helicone_gw.dialects.translate.conversations import CHAT, RESPONSES
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.reply import Choice, ConversationReply, StopReason
from helicone_gw.errors import BadRequest, MalformedBody
from helicone_gw.model import Usage
from helicone_gw.sse import EventSplitter, event_data
from tests.core.dialects.translate.generated import stream_of

HI = Message("user", (Text("Hi"),))
SCHEMA = {"type": "object", "properties": {}}
EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


def read(loss: Loss | None = None, **body: Any) -> ConversationRequest:
    data = msgspec.json.encode({"model": "m", "input": "Hi", **body})
    return RESPONSES.read_request(data, loss or Loss(), model="m", stream=False)


def written(request: ConversationRequest) -> tuple[Any, tuple[str, ...]]:
    loss = Loss()
    outgoing = RESPONSES.write_request(request, Destination("openai", "gpt-5"), loss)
    assert (outgoing.path, outgoing.operation) == ("/v1/responses", "responses")
    return msgspec.json.decode(outgoing.body), loss.paths


def asking(*messages: Message, **fields: Any) -> ConversationRequest:
    return ConversationRequest("m", list(messages) or [HI], **fields)


def test_instructions_and_leading_developer_messages_are_the_system_prompt() -> None:
    found = read(instructions="a", input=[{"role": "developer", "content": "b"}, {"role": "user", "content": "Hi"}])
    assert found.system == (Text("a"), Text("b"))
    assert found.messages == [HI]


def test_what_an_assistant_did_one_after_another_is_one_message() -> None:
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "Hm"}, {"type": "summary_text", "text": "Ha"}],
            "encrypted_content": "enc",
        },
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Wait"}], "id": "msg_1"},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}", "id": "fc_1", "status": "completed"},
        {"type": "function_call", "call_id": "c2", "name": "g", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "rain"},
        {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "snow"}]},
    ]
    loss = Loss()
    assert read(loss, input=items).messages == [
        HI,
        Message(
            "assistant",
            (
                Thinking("Hm\n\nHa", "enc", vendor="openai", id="rs_1"),
                Text("Wait"),
                ToolCall("c1", "f"),
                ToolCall("c2", "g"),
            ),
        ),
        Message("tool", (ToolResult("c1", (Text("rain"),)), ToolResult("c2", (Text("snow"),)))),
    ]
    assert loss.paths == ()


@pytest.mark.parametrize("field", ["previous_response_id", "conversation", "prompt"])
def test_what_is_stored_at_openai_cannot_be_continued_elsewhere(field: str) -> None:
    with pytest.raises(BadRequest, match=field) as refused:
        read(**{field: "resp_1"})
    assert refused.value.code == "stored_state_not_available"


def test_options() -> None:
    found = read(
        text={"format": {"type": "json_schema", "name": "a", "schema": SCHEMA, "strict": True}, "verbosity": "low"},
        reasoning={"effort": "low", "summary": "auto"},
        tools=[{"type": "function", "name": "f", "parameters": SCHEMA, "strict": False}, {"type": "web_search"}],
        tool_choice={"type": "function", "name": "f"},
        top_logprobs=2,
        store=False,
    )
    assert found.response_format == ResponseFormat(SCHEMA, "a", strict=True)
    assert found.verbosity == "low"
    assert found.reasoning == Reasoning("low", show=True, summary="auto")
    assert found.tools == (Tool("f", None, SCHEMA),)
    assert found.web_search
    assert found.tool_choice == ToolChoice("required", ("f",))
    assert found.top_logprobs == 2
    assert found.extras == {}
    assert read().top_logprobs is None
    assert read(include=["message.output_text.logprobs"]).top_logprobs == 0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"input": [{"role": "robot", "content": "Hi"}]}, "input.0.role"),
        ({"input": [{"type": "function_call", "call_id": "c"}]}, "input.0.name"),
        ({"input": 7}, "input"),
        ({"tools": [{"type": "function"}]}, "tools.0.name"),
        ({"reasoning": {"effort": "heroic"}}, "reasoning.effort"),
    ],
)
def test_what_is_malformed_is_named(body: dict[str, Any], field: str) -> None:
    with pytest.raises(MalformedBody, match=field.replace(".", r"\.")):
        read(**body)


def test_items_written() -> None:
    thought = Thinking("Hm", "enc", vendor="openai", id="rs_1")
    said = Message("assistant", (thought, Text("Wait"), ToolCall("c1", "f")))
    pictures = Message(
        "user",
        (Image(url="https://x.example/a.png"), Document(data="AA==", media_type="application/pdf", name="a.pdf")),
    )
    body, lost = written(asking(said, Message("tool", (ToolResult("c1", (Text("rain"),)),)), pictures))
    assert body["input"] == [
        {
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "Hm"}],
            "encrypted_content": "enc",
            "id": "rs_1",
        },
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Wait"}]},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "rain"},
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_image", "detail": "auto", "image_url": "https://x.example/a.png"},
                {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="},
            ],
        },
    ]
    assert body["store"] is False
    assert lost == ()


def test_thoughts_are_asked_for_encrypted() -> None:
    body, _ = written(asking(reasoning=Reasoning(budget=9000, show=True)))
    assert body["reasoning"] == {"effort": "medium", "summary": "auto"}
    assert body["include"] == ["reasoning.encrypted_content"]


@pytest.mark.parametrize(
    ("model", "request_", "responses"),
    [
        ("gpt-4o", asking(), False),
        ("gpt-5-codex", asking(), True),
        ("o3-pro", asking(), True),
        ("gpt-5", asking(), False),
        ("gpt-5", asking(reasoning=Reasoning("low", show=True)), True),
        ("gpt-5", asking(reasoning=Reasoning("low", show=True), stop=("END",)), False),
        ("gpt-4o", asking(reasoning=Reasoning("low", show=True)), False),
        ("o4-mini", asking(HI, Message("assistant", (Thinking("", "enc", vendor="openai"),))), True),
    ],
)
def test_who_is_asked_through_responses(model: str, request_: ConversationRequest, responses: bool) -> None:
    found = conversation_egress("openai", Destination("openai", model), request_)
    assert found is (RESPONSES if responses else CHAT)
    assert conversation_egress("openai", Destination("groq", model), request_) is CONVERSATION_EGRESS["openai"]


PARTS: list[Any] = [
    Thinking("Hm", "sig", vendor="anthropic"),
    Text("Hello", citations=(Citation("https://x.example", "X"),)),
    ToolCall("c1", "f", '{"a":1}'),
]


@pytest.mark.parametrize(
    ("stop", "status", "reason"),
    [
        ("stop", "completed", None),
        ("tool_calls", "completed", None),
        ("length", "incomplete", "max_output_tokens"),
        ("content_filter", "incomplete", "content_filter"),
        ("refusal", "incomplete", "content_filter"),
    ],
)
def test_an_answer_is_a_response_to_the_sdk_whole_and_streamed(
    stop: StopReason, status: str, reason: str | None
) -> None:
    reply = ConversationReply("r1", "claude", [Choice(PARTS, stop)], 1700000000, Usage(10, 5, cache_read_tokens=3))
    asked = asking(system=(Text("Be brief."),), tools=(Tool("f", None, SCHEMA),), temperature=0.5)
    whole = Response.model_validate_json(RESPONSES.write_reply(reply, asked, Loss()), strict=False)
    assert (whole.id, whole.status, whole.instructions) == ("resp_r1", status, "Be brief.")
    assert (whole.incomplete_details and whole.incomplete_details.reason) == reason
    assert [item.type for item in whole.output] == ["reasoning", "message", "function_call"]
    assert whole.output_text == "Hello"
    writer = RESPONSES.stream_writer(asked, Loss())
    plain = ConversationReply(
        "r1", "claude", [Choice([PARTS[0], Text("Hello"), PARTS[2]], stop)], 1700000000, reply.usage
    )
    data = b"".join(writer.feed(event) for event in stream_of(plain))
    events = [EVENT.validate_json(event_data(event)) for event in EventSplitter(1 << 20).feed(data)]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].type == f"response.{status}"
    final = events[-1].response
    assert final.usage == whole.usage
    assert [item.model_dump(exclude={"content"}) for item in final.output] == [
        item.model_dump(exclude={"content"}) for item in whole.output
    ]


def test_a_refusal_in_words_is_a_whole_answer() -> None:
    reply = ConversationReply("r1", "m", [Choice([Refusal("I will not.")], "refusal")], 1)
    body = json.loads(RESPONSES.write_reply(reply, asking(), Loss()))
    assert body["status"] == "completed"
    assert body["output"][0]["content"] == [{"type": "refusal", "refusal": "I will not."}]


def test_a_failed_response_is_no_answer() -> None:
    with pytest.raises(ValueError, match="It broke"):
        RESPONSES.read_reply(b'{"status": "failed", "output": [], "error": {"message": "It broke"}}', Loss())
