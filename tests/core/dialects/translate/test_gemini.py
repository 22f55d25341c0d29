"""Gemini's generateContent: requests read in both spellings, and written for models that differ."""

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
from helicone_gw.dialects.translate.conversations import GEMINI
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.errors import MalformedBody

HI = Message("user", (Text("Hi"),))
SCHEMA = {"type": "object", "properties": {"tag_name": {"type": "string"}}}


def read(loss: Loss | None = None, **body: Any) -> ConversationRequest:
    data = msgspec.json.encode({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}], **body})
    return GEMINI.read_request(data, loss or Loss(), model="m", stream=False)


def written(request: ConversationRequest, model: str = "gemini-2.5-flash", **to: Any) -> tuple[Any, tuple[str, ...]]:
    loss = Loss()
    outgoing = GEMINI.write_request(request, Destination("gemini", model, **to), loss)
    return msgspec.json.decode(outgoing.body), loss.paths


def asking(*messages: Message, **fields: Any) -> ConversationRequest:
    return ConversationRequest("m", list(messages) or [HI], **fields)


def test_both_spellings_are_read_and_the_clients_own_names_stay() -> None:
    camel = read(
        systemInstruction={"parts": [{"text": "Be brief."}]},
        generationConfig={"maxOutputTokens": 7, "topK": 3, "responseMimeType": "application/json"},
        tools=[{"functionDeclarations": [{"name": "f", "parametersJsonSchema": SCHEMA}]}],
    )
    snake = read(
        system_instruction={"parts": [{"text": "Be brief."}]},
        generation_config={"max_output_tokens": 7, "top_k": 3, "response_mime_type": "application/json"},
        tools=[{"function_declarations": [{"name": "f", "parameters_json_schema": SCHEMA}]}],
    )
    assert camel == snake
    assert camel.tools == (Tool("f", None, SCHEMA),)
    assert (camel.max_tokens, camel.top_k, camel.response_format) == (7, 3, ResponseFormat())


def test_older_schemas_become_json_schema() -> None:
    schema = {
        "type": "OBJECT",
        "properties": {
            "type": {"type": "STRING", "nullable": True, "maxLength": "5"},
            "list": {"type": "ARRAY", "items": {"type": "INTEGER"}},
        },
        "propertyOrdering": ["type", "list"],
    }
    found = read(generationConfig={"responseSchema": schema}).response_format
    assert found == ResponseFormat(
        {
            "type": "object",
            "properties": {
                "type": {"type": ["string", "null"], "maxLength": 5},
                "list": {"type": "array", "items": {"type": "integer"}},
            },
        }
    )


def test_calls_without_ids_and_their_results_are_paired_in_order() -> None:
    calls = [{"functionCall": {"name": "f", "args": {"n": n}}} for n in (1, 2)]
    results = [{"functionResponse": {"name": "f", "response": {"result": str(n)}}} for n in (1, 2)]
    found = read(contents=[{"role": "model", "parts": calls}, {"role": "user", "parts": [*results, {"text": "So?"}]}])
    assert [message.role for message in found.messages] == ["assistant", "tool", "user"]
    ids = [part.id for part in found.messages[0].parts if isinstance(part, ToolCall)]
    assert len(set(ids)) == 2
    assert [part.call_id for part in found.messages[1].parts if isinstance(part, ToolResult)] == ids


@pytest.mark.parametrize(
    ("response", "text", "is_error"),
    [
        ({"result": "rain"}, "rain", False),
        ({"output": "rain"}, "rain", False),
        ({"error": "no"}, "no", True),
        ({"temperature": 3}, '{"temperature":3}', False),
        ({"result": [1]}, '{"result":[1]}', False),
    ],
)
def test_results(response: Any, text: str, is_error: bool) -> None:
    parts = [{"functionResponse": {"id": "c1", "name": "f", "response": response}}]
    (message,) = read(contents=[{"role": "user", "parts": parts}]).messages
    assert message.parts == (ToolResult("c1", (Text(text),), "f", is_error),)


def test_media() -> None:
    parts = [
        {"inlineData": {"mimeType": "image/png", "data": "AA=="}},
        {"inline_data": {"mime_type": "audio/wav", "data": "AA=="}},
        {"fileData": {"mimeType": "application/pdf", "fileUri": "https://x.example/a.pdf"}},
    ]
    assert read(contents=[{"parts": parts}]).messages[0].parts == (
        Image(data="AA==", media_type="image/png"),
        Audio("AA==", "audio/wav"),
        Document(url="https://x.example/a.pdf", media_type="application/pdf"),
    )


def test_pieces_of_a_streamed_thought_are_one_again() -> None:
    parts = [
        {"text": "Hm", "thought": True},
        {"text": ".", "thought": True},
        {"text": "", "thought": True, "thoughtSignature": "c2ln"},
        {"text": "So"},
        {"text": "."},
    ]
    (message,) = read(contents=[{"role": "model", "parts": parts}]).messages
    assert message.parts == (Thinking("Hm.", "c2ln", vendor="google"), Text("So."))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"contents": [{"role": "robot", "parts": []}]}, "contents.0.role"),
        ({"contents": [{"parts": [{"text": 7}]}]}, "contents.0.parts.0.text"),
        ({"contents": [{"parts": [{"functionCall": {}}]}]}, "contents.0.parts.0.functionCall.name"),
        ({"generationConfig": {"topK": "x"}}, "generationConfig.topK"),
        ({"tools": [{"functionDeclarations": [{}]}]}, "tools.0.functionDeclarations.0.name"),
    ],
)
def test_what_is_malformed_is_named(body: dict[str, Any], field: str) -> None:
    with pytest.raises(MalformedBody, match=field.replace(".", r"\.")):
        read(**body)


def test_the_address_names_model_and_stream() -> None:
    to = Destination("gemini", "models/gemini-2.5-flash")
    assert GEMINI.write_request(asking(), to, Loss()).path == "/v1beta/models/gemini-2.5-flash:generateContent"
    streaming = GEMINI.write_request(asking(stream=True), to, Loss())
    assert streaming.path == "/v1beta/models/gemini-2.5-flash:streamGenerateContent"
    assert (streaming.query, streaming.operation) == ("alt=sse", "stream_generate_content")


def test_results_are_objects_under_the_name_of_their_call() -> None:
    calls = Message("assistant", (ToolCall("c1", "f"), ToolCall("c2", "g"), ToolCall("c3", "h")))
    results = (
        ToolResult("c1", (Text("rain"),)),
        ToolResult("c2", (Text('{"a": 1}'),)),
        ToolResult("c3", (Text("no"),), is_error=True),
    )
    body, lost = written(asking(HI, calls, Message("tool", results)))
    found = [part["functionResponse"] for part in body["contents"][2]["parts"]]
    assert [each["name"] for each in found] == ["f", "g", "h"]
    assert [each["response"] for each in found] == [{"result": "rain"}, {"a": 1}, {"error": "no"}]
    assert lost == ()


def test_pictures_that_a_function_returned() -> None:
    result = Message("tool", (ToolResult("c1", (Text("Look"), Image(data="AA==", media_type="image/png"))),))
    request = asking(HI, Message("assistant", (ToolCall("c1", "f"),)), result)
    picture = {"inlineData": {"mimeType": "image/png", "data": "AA=="}}
    assert written(request)[0]["contents"][2]["parts"][1] == picture
    newer, _ = written(request, "gemini-3-pro")
    assert newer["contents"][2]["parts"][0]["functionResponse"]["parts"] == [picture]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (ToolChoice("auto"), {"mode": "AUTO"}),
        (ToolChoice("none"), {"mode": "NONE"}),
        (ToolChoice("required"), {"mode": "ANY"}),
        (ToolChoice("required", ("g",)), {"mode": "ANY", "allowedFunctionNames": ["g"]}),
        (ToolChoice("auto", ("g",)), {"mode": "AUTO"}),
    ],
)
def test_tool_choice(choice: ToolChoice, expected: Any) -> None:
    body, _ = written(asking(tools=(Tool("f"), Tool("g")), tool_choice=choice))
    assert body["toolConfig"] == {"functionCallingConfig": expected}
    offered = [tool["name"] for tool in body["tools"][0]["functionDeclarations"]]
    assert offered == (["g"] if choice == ToolChoice("auto", ("g",)) else ["f", "g"])


@pytest.mark.parametrize(
    ("reasoning", "model", "expected", "lost"),
    [
        (Reasoning("low", show=True), "gemini-2.5-flash", {"thinkingBudget": 1024, "includeThoughts": True}, ()),
        (Reasoning("none"), "gemini-2.5-flash", {"thinkingBudget": 0}, ()),
        (Reasoning("none"), "gemini-2.5-pro", {"thinkingBudget": 128}, ()),
        (Reasoning(budget=-1), "gemini-2.5-flash", {"thinkingBudget": -1}, ()),
        (Reasoning("max"), "gemini-2.5-flash", {"thinkingBudget": 24576}, ()),
        (Reasoning(budget=99999), "gemini-2.5-pro", {"thinkingBudget": 32768}, ("reasoning",)),
        (Reasoning("xhigh"), "gemini-3-pro", {"thinkingLevel": "high"}, ()),
        (Reasoning("none"), "gemini-3-flash", {"thinkingLevel": "minimal"}, ()),
        (Reasoning("none"), "gemini-3-pro", {"thinkingLevel": "low"}, ("reasoning",)),
        (Reasoning(budget=9000), "gemini-3-pro", {"thinkingLevel": "medium"}, ()),
        (Reasoning("low"), "gemini-2.0-flash", None, ("reasoning",)),
        (Reasoning("none"), "gemini-2.0-flash", None, ()),
    ],
)
def test_thinking(reasoning: Reasoning, model: str, expected: Any, lost: tuple[str, ...]) -> None:
    body, losses = written(asking(reasoning=reasoning), model)
    assert body.get("generationConfig", {}).get("thinkingConfig") == expected
    assert losses == lost


def test_pictures_and_files_by_address() -> None:
    parts = (Image(url="https://x.example/a.webp"), Document(url="https://x.example/a"), Document(text="plain"))
    body, lost = written(asking(Message("user", parts)))
    assert body["contents"][0]["parts"] == [
        {"fileData": {"mimeType": "image/webp", "fileUri": "https://x.example/a.webp"}},
        {"fileData": {"mimeType": "application/pdf", "fileUri": "https://x.example/a"}},
        {"inlineData": {"mimeType": "text/plain", "data": "cGxhaW4="}},
    ]
    assert lost == ()


def test_a_longer_answer_than_the_model_writes_is_lowered() -> None:
    body, lost = written(asking(max_tokens=100000), max_output_tokens=65536)
    assert body["generationConfig"] == {"maxOutputTokens": 65536}
    assert lost == ("max_tokens",)


def test_a_blocked_prompt_and_grounding_of_an_answer() -> None:
    blocked = GEMINI.read_reply(b'{"promptFeedback": {"blockReason": "SAFETY"}}', Loss())
    assert (blocked.choices[0].parts, blocked.choices[0].stop) == ([], "content_filter")
    grounding = {
        "groundingChunks": [{"web": {"uri": "https://x.example", "title": "X"}}],
        "groundingSupports": [{"segment": {"startIndex": 0, "endIndex": 3}, "groundingChunkIndices": [0]}],
    }
    content = {"parts": [{"text": "€ 5"}], "role": "model"}
    candidate = {"content": content, "finishReason": "STOP", "groundingMetadata": grounding}
    reply = GEMINI.read_reply(msgspec.json.encode({"candidates": [candidate]}), Loss())
    (text,) = reply.choices[0].parts
    assert isinstance(text, Text)
    assert [(each.url, each.start, each.end) for each in text.citations] == [("https://x.example", 0, 1)]
