"""OpenAI's chat completions (https://platform.openai.com/docs/api-reference/chat)."""

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
from helicone_gw.testing.record import RecordedRequest
from helicone_gw.testing.script import ScriptedResponse, event, of_events, of_json

MODEL = "gpt-4o-mini-2024-07-18"
ID = "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT"
DONE = b"data: [DONE]\n\n"
"""The last event of every stream."""

HEADERS = {
    "openai-organization": "example-organization",
    "openai-processing-ms": "212",
    "openai-version": "2020-10-01",
    "x-ratelimit-limit-requests": "10000",
    "x-ratelimit-remaining-requests": "9999",
    "x-request-id": "req_7d53a8c1e2b94f6f8e0a1b2c3d4e5f60",
}


def usage_body(usage: Usage) -> dict[str, Any]:
    """``usage`` as this API writes it: totals, with classes inside them as details."""
    body = known(
        prompt_tokens=usage.input_tokens, completion_tokens=usage.output_tokens, total_tokens=usage.total_tokens
    )
    prompt = known(cached_tokens=usage.cache_read_tokens, audio_tokens=usage.input_audio_tokens)
    completion = known(reasoning_tokens=usage.reasoning_tokens, audio_tokens=usage.output_audio_tokens)
    if completion:
        completion |= {"accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}
    return body | known(prompt_tokens_details=prompt or None, completion_tokens_details=completion or None)


def reply(
    text: Text | None = "Hello! How can I help you today?",
    *,
    model: str = MODEL,
    usage: Usage | None = USAGE,
    tools: Sequence[ToolCall] = (),
    stop_reason: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> ScriptedResponse:
    """A unary completion with one choice."""
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if text is None else whole(text),
        "refusal": None,
        "annotations": [],
    }
    if tools:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments_json}}
            for call in tools
        ]
    body: dict[str, Any] = {
        "id": ID,
        "object": "chat.completion",
        "created": CREATED,
        "model": model,
        "choices": [
            {"index": 0, "message": message, "logprobs": None, "finish_reason": _stop_reason(stop_reason, tools)}
        ],
    }
    if usage is not None:
        body["usage"] = usage_body(usage)
    body |= {"service_tier": _tier(usage), "system_fingerprint": "fp_44709d6fcb"}
    return of_json(body, headers={**HEADERS, **(headers or {})}, indent=2)


def stream(
    text: Text | None = "Hello! How can I help you today?",
    *,
    model: str = MODEL,
    usage: Usage | None = USAGE,
    include_usage: bool = True,
    tools: Sequence[ToolCall] = (),
    stop_reason: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> ScriptedResponse:
    """A streamed completion; ``include_usage`` as if the request's ``stream_options`` said so."""

    def chunk(choices: list[Any], **fields: Any) -> bytes:
        body = {
            "id": ID,
            "object": "chat.completion.chunk",
            "created": CREATED,
            "model": model,
            "service_tier": _tier(usage),
            "system_fingerprint": "fp_44709d6fcb",
            "choices": choices,
        }
        return event({**body, **({"usage": None} if include_usage else {}), **fields})

    def delta(fields: dict[str, Any], finish_reason: str | None = None) -> bytes:
        return chunk([{"index": 0, "delta": fields, "logprobs": None, "finish_reason": finish_reason}])

    events = [delta({"role": "assistant", "content": None if text is None else "", "refusal": None})]
    events += [delta({"content": piece}) for piece in pieces(text or "")]
    for index, call in enumerate(tools):
        first = {"index": index, "id": call.id, "type": "function", "function": {"name": call.name, "arguments": ""}}
        events.append(delta({"tool_calls": [first]}))
        events += [
            delta({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}) for piece in call.pieces()
        ]
    events.append(delta({}, _stop_reason(stop_reason, tools)))
    if include_usage and usage is not None:
        events.append(chunk([], usage=usage_body(usage)))
    return of_events(*events, DONE, headers={**HEADERS, **(headers or {})})


def answer(text: Text | None = "Hello! How can I help you today?", **options: Any) -> Callable[..., ScriptedResponse]:
    """An answer streamed or not, with usage or not, as the request asks. ``options`` are those of `reply`."""

    def answered(request: RecordedRequest) -> ScriptedResponse:
        body = request.json()
        if not asked_to_stream(body):
            return reply(text, **options)
        include_usage = (body.get("stream_options") or {}).get("include_usage") is True
        return stream(text, include_usage=include_usage, **options)

    return answered


_ERRORS: dict[int, tuple[str, str | None]] = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", "unsupported_country_region_territory"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
}


def error_body(message: str, status: int = 500, *, type: str | None = None, code: str | None = None) -> dict[str, Any]:
    """An error as this API writes it."""
    usual_type, usual_code = _ERRORS.get(status, ("server_error", None))
    return {"error": {"message": message, "type": type or usual_type, "param": None, "code": code or usual_code}}


def error(
    status: int = 500,
    message: str = "The server had an error while processing your request. Sorry about that!",
    *,
    type: str | None = None,
    code: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> ScriptedResponse:
    """An error answer."""
    body = error_body(message, status, type=type, code=code)
    return of_json(body, status, {**HEADERS, **(headers or {})}, indent=4)


def error_event(message: str = "The server had an error while processing your request.", status: int = 500) -> bytes:
    """An error inside a stream that answered 200."""
    return event(error_body(message, status))


def _stop_reason(given: str | None, tools: Sequence[ToolCall]) -> str:
    return given or ("tool_calls" if tools else "stop")


def _tier(usage: Usage | None) -> str:
    return (usage and usage.service_tier) or "default"
