"""Anthropic's messages (https://docs.anthropic.com/en/api/messages, .../messages-streaming)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from helicone_gw.model import Usage
from helicone_gw.testing.dialects.content import USAGE, Text, ToolCall, asked_to_stream, known, pieces, whole
from helicone_gw.testing.record import RecordedRequest
from helicone_gw.testing.script import ScriptedResponse, event, of_events, of_json

MODEL = "claude-sonnet-4-5-20250929"
ID = "msg_01XFDUDYJgAACzvnptvVoYEL"
REQUEST_ID = "req_018EeWyXxfu5pfWkrYcMdjWG"

HEADERS = {
    "anthropic-organization-id": "4f1d3d2e-6b1c-4a57-9f0e-2d9a5b7c8e10",
    "anthropic-ratelimit-requests-limit": "4000",
    "anthropic-ratelimit-requests-remaining": "3999",
    "request-id": REQUEST_ID,
}


def usage_body(usage: Usage) -> dict[str, Any]:
    """``usage`` as this API writes it: ``input_tokens`` is what is left beside the cached tokens."""
    cached = (usage.cache_read_tokens or 0) + (usage.cache_write_tokens or 0)
    body = known(
        input_tokens=None if usage.input_tokens is None else usage.input_tokens - cached,
        cache_creation_input_tokens=usage.cache_write_tokens,
        cache_read_input_tokens=usage.cache_read_tokens,
        output_tokens=usage.output_tokens,
    )
    if usage.cache_write_tokens is not None and usage.cache_write_1h_tokens is not None:
        body["cache_creation"] = {
            "ephemeral_5m_input_tokens": usage.cache_write_tokens - usage.cache_write_1h_tokens,
            "ephemeral_1h_input_tokens": usage.cache_write_1h_tokens,
        }
    body["service_tier"] = usage.service_tier or "standard"
    if usage.web_searches is not None:
        body["server_tool_use"] = {"web_search_requests": usage.web_searches}
    if usage.reasoning_tokens is not None:
        body["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return body


def reply(
    text: Text | None = "Hello! How can I help you today?",
    *,
    model: str = MODEL,
    usage: Usage | None = USAGE,
    tools: Sequence[ToolCall] = (),
    stop_reason: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> ScriptedResponse:
    """A unary message."""
    content: list[dict[str, Any]] = [] if text is None else [{"type": "text", "text": whole(text)}]
    content += [{"type": "tool_use", "id": call.id, "name": call.name, "input": dict(call.arguments)} for call in tools]
    body = _message(model, content, _stop_reason(stop_reason, tools))
    if usage is not None:
        body["usage"] = usage_body(usage)
    return of_json(body, headers={**HEADERS, **(headers or {})})


def stream(
    text: Text | None = "Hello! How can I help you today?",
    *,
    model: str = MODEL,
    usage: Usage | None = USAGE,
    tools: Sequence[ToolCall] = (),
    stop_reason: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> ScriptedResponse:
    """A streamed message: input tokens come with its start, output tokens with its end."""
    events: list[bytes] = []

    def emit(type: str, **fields: Any) -> None:
        events.append(event({"type": type, **fields}, type))

    message = _message(model, [], None)
    if usage is not None:
        # What was written so far: the true number comes last and replaces this one.
        message["usage"] = usage_body(usage) | known(output_tokens=None if usage.output_tokens is None else 1)
    emit("message_start", message=message)
    index = 0
    if text is not None:
        emit("content_block_start", index=index, content_block={"type": "text", "text": ""})
        emit("ping")
        for piece in pieces(text):
            emit("content_block_delta", index=index, delta={"type": "text_delta", "text": piece})
        emit("content_block_stop", index=index)
        index += 1
    for call in tools:
        block = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
        emit("content_block_start", index=index, content_block=block)
        for piece in ["", *call.pieces()]:
            emit("content_block_delta", index=index, delta={"type": "input_json_delta", "partial_json": piece})
        emit("content_block_stop", index=index)
        index += 1
    final = {} if usage is None else {"usage": usage_body(usage)}
    emit("message_delta", delta={"stop_reason": _stop_reason(stop_reason, tools), "stop_sequence": None}, **final)
    emit("message_stop")
    return of_events(*events, headers={**HEADERS, **(headers or {})})


def answer(text: Text | None = "Hello! How can I help you today?", **options: Any) -> Callable[..., ScriptedResponse]:
    """An answer streamed or not, as the request asks. ``options`` are those of `reply`."""

    def answered(request: RecordedRequest) -> ScriptedResponse:
        return (stream if asked_to_stream(request.json()) else reply)(text, **options)

    return answered


_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}


def error(
    status: int = 529,
    message: str = "Overloaded",
    *,
    type: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> ScriptedResponse:
    """An error answer."""
    problem = {"type": type or _ERRORS.get(status, "api_error"), "message": message}
    body = {"type": "error", "error": problem, "request_id": REQUEST_ID}
    return of_json(body, status, {**HEADERS, **(headers or {})})


def error_event(message: str = "Overloaded", type: str = "overloaded_error") -> bytes:
    """An error inside a stream that answered 200."""
    return event({"type": "error", "error": {"type": type, "message": message}}, "error")


def _message(model: str, content: list[dict[str, Any]], stop_reason: str | None) -> dict[str, Any]:
    return {
        "id": ID,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
    }


def _stop_reason(given: str | None, tools: Sequence[ToolCall]) -> str:
    return given or ("tool_use" if tools else "end_turn")
