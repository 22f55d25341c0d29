"""OpenAI's responses (https://platform.openai.com/docs/api-reference/responses)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from helicone_gw.model import Usage
from helicone_gw.testing.dialects.content import (
    CREATED,
    USAGE,
    Text,
    ToolCall,
    asked_to_stream,
    known,
    pieces,
    whole,
)
from helicone_gw.testing.dialects.openai_chat import HEADERS, error
from helicone_gw.testing.record import RecordedRequest
from helicone_gw.testing.script import ScriptedResponse, event, of_events, of_json

__all__ = ["answer", "error", "error_event", "reply", "stream", "usage_body"]

MODEL = "gpt-4o-mini-2024-07-18"
ID = "resp_67ccd2bed1ec8190b14f964abc0542670bb6a6b452d3795b"
MESSAGE_ID = "msg_67ccd2bf17f0819081ff3bb2cf6508e60bb6a6b452d3795b"


def usage_body(usage: Usage) -> dict[str, Any]:
    """``usage`` as this API writes it: totals, with classes inside them as details."""
    body = known(input_tokens=usage.input_tokens, output_tokens=usage.output_tokens, total_tokens=usage.total_tokens)
    read = known(cached_tokens=usage.cache_read_tokens)
    reasoning = known(reasoning_tokens=usage.reasoning_tokens)
    return body | known(input_tokens_details=read or None, output_tokens_details=reasoning or None)


def reply(
    text: Text | None = "Hello! How can I help you today?",
    *,
    model: str = MODEL,
    usage: Usage | None = USAGE,
    tools: Sequence[ToolCall] = (),
    incomplete: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> ScriptedResponse:
    """A unary response; ``incomplete`` says why it stopped early ("max_output_tokens", "content_filter")."""
    body = _response(_items(text, tools), model, usage, "incomplete" if incomplete else "completed", incomplete)
    return of_json(body, headers={**HEADERS, **(headers or {})}, indent=2)


def stream(
    text: Text | None = "Hello! How can I help you today?",
    *,
    model: str = MODEL,
    usage: Usage | None = USAGE,
    tools: Sequence[ToolCall] = (),
    incomplete: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> ScriptedResponse:
    """A streamed response: every event named and numbered; the whole response is in the last."""
    events: list[bytes] = []

    def emit(type: str, **fields: Any) -> None:
        events.append(event({"type": type, "sequence_number": len(events), **fields}, type))

    begun = _response([], model, None, "in_progress", None)
    emit("response.created", response=begun)
    emit("response.in_progress", response=begun)
    items = _items(text, tools)
    calls = {_item_id(call): call for call in tools}
    for index, item in enumerate(items):
        place = {"item_id": item["id"], "output_index": index}
        if item["type"] == "message":
            part = item["content"][0]
            emit("response.output_item.added", output_index=index, item={**item, **_STARTED, "content": []})
            emit("response.content_part.added", **place, content_index=0, part={**part, "text": ""})
            for piece in pieces(text or ""):
                emit("response.output_text.delta", **place, content_index=0, delta=piece, logprobs=[])
            emit("response.output_text.done", **place, content_index=0, text=part["text"], logprobs=[])
            emit("response.content_part.done", **place, content_index=0, part=part)
        else:
            emit("response.output_item.added", output_index=index, item={**item, **_STARTED, "arguments": ""})
            for piece in calls[item["id"]].pieces():
                emit("response.function_call_arguments.delta", **place, delta=piece)
            emit("response.function_call_arguments.done", **place, arguments=item["arguments"])
        emit("response.output_item.done", output_index=index, item=item)
    status = "incomplete" if incomplete else "completed"
    emit(f"response.{status}", response=_response(items, model, usage, status, incomplete))
    return of_events(*events, headers={**HEADERS, **(headers or {})})


def answer(text: Text | None = "Hello! How can I help you today?", **options: Any) -> Callable[..., ScriptedResponse]:
    """An answer streamed or not, as the request asks. ``options`` are those of `reply`."""

    def answered(request: RecordedRequest) -> ScriptedResponse:
        return (stream if asked_to_stream(request.json()) else reply)(text, **options)

    return answered


def error_event(message: str = "The model is overloaded.", code: str = "server_error", *, number: int = 1) -> bytes:
    """An error inside a stream that answered 200; ``number`` is its sequence number."""
    return event({"type": "error", "sequence_number": number, "code": code, "message": message, "param": None}, "error")


_STARTED = {"status": "in_progress"}


def _items(text: Text | None, tools: Sequence[ToolCall]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if text is not None:
        content = {"type": "output_text", "text": whole(text), "annotations": [], "logprobs": []}
        items.append(
            {"id": MESSAGE_ID, "type": "message", "status": "completed", "role": "assistant", "content": [content]}
        )
    items += [
        {
            "id": _item_id(call),
            "type": "function_call",
            "status": "completed",
            "arguments": call.arguments_json,
            "call_id": call.id,
            "name": call.name,
        }
        for call in tools
    ]
    return items


def _item_id(call: ToolCall) -> str:
    return f"fc_{call.id}"


def _response(
    items: Sequence[Any], model: str, usage: Usage | None, status: str, incomplete: str | None
) -> dict[str, Any]:
    return {
        "id": ID,
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None if incomplete is None else {"reason": incomplete},
        "instructions": None,
        "max_output_tokens": None,
        "model": model,
        "output": items,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": (usage and usage.service_tier) or "default",
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None if usage is None else usage_body(usage),
        "user": None,
        "metadata": {},
    }
