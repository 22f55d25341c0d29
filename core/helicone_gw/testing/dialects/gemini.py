"""Gemini's generateContent and streamGenerateContent (https://ai.google.dev/api/generate-content)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from helicone_gw.model import Usage
from helicone_gw.testing.dialects.content import USAGE, Text, ToolCall, known, pieces, whole
from helicone_gw.testing.record import RecordedRequest
from helicone_gw.testing.script import ScriptedResponse, event, of_events, of_json

MODEL = "gemini-2.5-flash"
ID = "yRVWab3mKsm6vdIP1fSG4Ac"
HEADERS = {"server-timing": "gfet4t7; dur=742", "vary": "Origin"}


def usage_body(usage: Usage) -> dict[str, Any]:
    """``usage`` as this API writes it: thoughts beside the candidates' tokens, cached ones in the prompt's."""
    output = None if usage.output_tokens is None else usage.output_tokens - (usage.reasoning_tokens or 0)
    body = known(
        promptTokenCount=usage.input_tokens,
        candidatesTokenCount=output,
        totalTokenCount=usage.total_tokens,
        cachedContentTokenCount=usage.cache_read_tokens,
        thoughtsTokenCount=usage.reasoning_tokens,
    )
    if usage.input_tokens is not None:
        audio = usage.input_audio_tokens or 0
        details = [{"modality": "TEXT", "tokenCount": usage.input_tokens - audio}]
        details += [{"modality": "AUDIO", "tokenCount": audio}] if audio else []
        body["promptTokensDetails"] = details
    return body


def reply(
    text: Text | None = "Hello! How can I help you today?",
    *,
    model: str = MODEL,
    usage: Usage | None = USAGE,
    tools: Sequence[ToolCall] = (),
    stop_reason: str = "STOP",
    headers: Mapping[str, str] | None = None,
) -> ScriptedResponse:
    """A unary answer with one candidate."""
    parts: list[dict[str, Any]] = [] if text is None else [{"text": whole(text)}]
    body = _body([*parts, *_calls(tools)], model, stop_reason, usage)
    return of_json(body, headers={**HEADERS, **(headers or {})}, indent=2)


def stream(
    text: Text | None = "Hello! How can I help you today?",
    *,
    model: str = MODEL,
    usage: Usage | None = USAGE,
    tools: Sequence[ToolCall] = (),
    stop_reason: str = "STOP",
    sse: bool = True,
    headers: Mapping[str, str] | None = None,
) -> ScriptedResponse:
    """A streamed answer. Usage grows from one to the next, and is whole in the last, which is the only end there is.

    ``sse`` as if the query said ``alt=sse``; otherwise the same answers come as one long JSON array.
    """
    contents: list[list[dict[str, Any]]] = [[{"text": piece}] for piece in pieces(text or "")]
    contents += [[call] for call in _calls(tools)]
    partial = None if usage is None else Usage(input_tokens=usage.input_tokens)
    bodies = [_body(parts, model, None, partial) for parts in contents[:-1]]
    bodies.append(_body(contents[-1] if contents else [{"text": ""}], model, stop_reason, usage))
    if sse:
        events = (event(body, newline=b"\r\n") for body in bodies)
        return of_events(*events, headers={**HEADERS, "Content-Type": "text/event-stream", **(headers or {})})
    array = [b"[" if not number else b",\r\n" for number in range(len(bodies))]
    parts = [mark + msgspec.json.encode(body) for mark, body in zip(array, bodies, strict=True)]
    fields = {**HEADERS, "Content-Type": "application/json; charset=UTF-8", **(headers or {})}
    return ScriptedResponse(headers=tuple(fields.items()), parts=(*parts, b"]"), framing="chunked")


def answer(text: Text | None = "Hello! How can I help you today?", **options: Any) -> Callable[..., ScriptedResponse]:
    """An answer streamed or not, as the request's path and query ask. ``options`` are those of `reply`."""

    def answered(request: RecordedRequest) -> ScriptedResponse:
        if not request.path.endswith(":streamGenerateContent"):
            return reply(text, **options)
        return stream(text, sse="alt=sse" in request.query.split("&"), **options)

    return answered


_ERRORS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def error(
    status: int = 503,
    message: str = "The model is overloaded. Please try again later.",
    *,
    headers: Mapping[str, str] | None = None,
) -> ScriptedResponse:
    """An error answer."""
    return of_json(_error(status, message), status, {**HEADERS, **(headers or {})}, indent=2)


def error_event(message: str = "The model is overloaded. Please try again later.", status: int = 503) -> bytes:
    """An error inside a stream that answered 200."""
    return event(_error(status, message), newline=b"\r\n")


def _error(status: int, message: str) -> dict[str, Any]:
    return {"error": {"code": status, "message": message, "status": _ERRORS.get(status, "INTERNAL")}}


def _calls(tools: Sequence[ToolCall]) -> list[dict[str, Any]]:
    return [{"functionCall": {"name": call.name, "args": dict(call.arguments)}} for call in tools]


def _body(parts: list[dict[str, Any]], model: str, stop_reason: str | None, usage: Usage | None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}}
    candidate |= known(finishReason=stop_reason)
    body: dict[str, Any] = {"candidates": [{**candidate, "index": 0}]}
    if usage is not None:
        body["usageMetadata"] = usage_body(usage)
    return {**body, "modelVersion": model, "responseId": ID}
