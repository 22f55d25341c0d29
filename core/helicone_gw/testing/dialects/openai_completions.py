"""OpenAI's legacy completions (https://platform.openai.com/docs/api-reference/completions)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from helicone_gw.model import Usage
from helicone_gw.testing.dialects.content import CREATED, USAGE, Text, asked_to_stream, known, pieces, whole
from helicone_gw.testing.dialects.openai_chat import DONE, HEADERS, error, error_event
from helicone_gw.testing.record import RecordedRequest
from helicone_gw.testing.script import ScriptedResponse, event, of_events, of_json

__all__ = ["DONE", "answer", "error", "error_event", "reply", "stream"]

MODEL = "gpt-3.5-turbo-instruct:20230824-v2"
ID = "cmpl-uqkvlQyYK7bGYrRHQ0eXlWi7"


def _body(choices: list[Any], model: str) -> dict[str, Any]:
    return {"id": ID, "object": "text_completion", "created": CREATED, "model": model, "choices": choices}


def _choice(text: str, finish_reason: str | None) -> dict[str, Any]:
    return {"text": text, "index": 0, "logprobs": None, "finish_reason": finish_reason}


def _usage(usage: Usage) -> dict[str, Any]:
    return known(
        prompt_tokens=usage.input_tokens, completion_tokens=usage.output_tokens, total_tokens=usage.total_tokens
    )


def reply(
    text: Text = "\n\nThis is a test.",
    *,
    model: str = MODEL,
    usage: Usage | None = USAGE,
    stop_reason: str = "stop",
) -> ScriptedResponse:
    """A unary completion with one choice."""
    body = _body([_choice(whole(text), stop_reason)], model)
    if usage is not None:
        body["usage"] = _usage(usage)
    return of_json(body, headers=HEADERS, indent=2)


def stream(
    text: Text = "\n\nThis is a test.",
    *,
    model: str = MODEL,
    usage: Usage | None = USAGE,
    include_usage: bool = True,
    stop_reason: str = "stop",
) -> ScriptedResponse:
    """A streamed completion; ``include_usage`` as if the request's ``stream_options`` said so."""
    parts = [*((piece, None) for piece in pieces(text)), ("", stop_reason)]
    absent = {"usage": None} if include_usage else {}
    events = [event({**_body([_choice(piece, reason)], model), **absent}) for piece, reason in parts]
    if include_usage and usage is not None:
        events.append(event({**_body([], model), "usage": _usage(usage)}))
    return of_events(*events, DONE, headers=HEADERS)


def answer(text: Text = "\n\nThis is a test.", **options: Any) -> Callable[..., ScriptedResponse]:
    """An answer streamed or not, with usage or not, as the request asks. ``options`` are those of `reply`."""

    def answered(request: RecordedRequest) -> ScriptedResponse:
        body = request.json()
        if not asked_to_stream(body):
            return reply(text, **options)
        include_usage = (body.get("stream_options") or {}).get("include_usage") is True
        return stream(text, include_usage=include_usage, **options)

    return answered
