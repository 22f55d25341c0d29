"""The demo provider's answers in OpenAI's formats: chat completions, completions, responses, embeddings, models."""

from __future__ import annotations

import base64
import struct
from typing import Any

from helicone_gw.upstream.demo_text import CREATED, Talk, count_tokens, pieces, vector

Event = tuple[str | None, Any]
"""A server-sent event: its name, if it has one, and its JSON data (``None``: the ``[DONE]`` mark)."""

DONE: Event = (None, None)


def _usage(talk: Talk) -> dict[str, Any]:
    return {
        "prompt_tokens": talk.input_tokens,
        "completion_tokens": talk.output_tokens,
        "total_tokens": talk.input_tokens + talk.output_tokens,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def _finish(talk: Talk) -> str:
    return "length" if talk.cut else "stop"


def chat_completion(talk: Talk) -> dict[str, Any]:
    """A ``chat.completion``."""
    message: dict[str, Any] = {"role": "assistant", "content": talk.text, "refusal": None, "annotations": []}
    return {
        "id": f"chatcmpl-demo{talk.id}",
        "object": "chat.completion",
        "created": CREATED,
        "model": talk.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(talk)}],
        "usage": _usage(talk),
        "system_fingerprint": "demo",
    }


def chat_chunks(talk: Talk, include_usage: bool) -> list[Event]:
    """The same as ``chat.completion.chunk`` events; usage only if asked for, as OpenAI does."""

    def chunk(choices: list[dict[str, Any]], usage: dict[str, Any] | None = None) -> Event:
        event: dict[str, Any] = {
            "id": f"chatcmpl-demo{talk.id}",
            "object": "chat.completion.chunk",
            "created": CREATED,
            "model": talk.model,
            "system_fingerprint": "demo",
            "choices": choices,
        }
        if include_usage:
            event["usage"] = usage
        return None, event

    def delta(value: dict[str, Any], finish: str | None = None) -> list[dict[str, Any]]:
        return [{"index": 0, "delta": value, "logprobs": None, "finish_reason": finish}]

    events = [chunk(delta({"role": "assistant", "content": "", "refusal": None}))]
    events += [chunk(delta({"content": piece})) for piece in pieces(talk.text)]
    events.append(chunk(delta({}, _finish(talk))))
    if include_usage:
        events.append(chunk([], _usage(talk)))
    return [*events, DONE]


def completion(talk: Talk) -> dict[str, Any]:
    """A legacy ``text_completion``."""
    return {
        "id": f"cmpl-demo{talk.id}",
        "object": "text_completion",
        "created": CREATED,
        "model": talk.model,
        "choices": [{"index": 0, "text": talk.text, "logprobs": None, "finish_reason": _finish(talk)}],
        "usage": _usage(talk),
    }


def completion_chunks(talk: Talk, include_usage: bool) -> list[Event]:
    """The same in events."""
    base = {"id": f"cmpl-demo{talk.id}", "object": "text_completion", "created": CREATED, "model": talk.model}

    def chunk(text: str, finish: str | None) -> Event:
        choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": finish}
        return None, base | {"choices": [choice]} | ({"usage": None} if include_usage else {})

    events = [chunk(piece, None) for piece in pieces(talk.text)]
    events.append(chunk("", _finish(talk)))
    if include_usage:
        events.append((None, base | {"choices": [], "usage": _usage(talk)}))
    return [*events, DONE]


def response(talk: Talk, asked: dict[str, Any]) -> dict[str, Any]:
    """A completed ``response``; ``asked`` is the request, whose parameters a response repeats."""
    return _response(talk, asked, "incomplete" if talk.cut else "completed", [_message(talk, talk.text, "completed")])


def _response(talk: Talk, asked: dict[str, Any], status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
    over = status != "in_progress"
    usage = {
        "input_tokens": talk.input_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": talk.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": talk.input_tokens + talk.output_tokens,
    }
    return {
        "id": f"resp_demo{talk.id}",
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
        "instructions": asked.get("instructions"),
        "max_output_tokens": asked.get("max_output_tokens"),
        "metadata": asked.get("metadata") or {},
        "model": talk.model,
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": asked.get("previous_response_id"),
        "store": False,
        "temperature": asked.get("temperature", 1.0),
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": asked.get("top_p", 1.0),
        "truncation": "disabled",
        "usage": usage if over else None,
    }


def _message(talk: Talk, text: str | None, status: str) -> dict[str, Any]:
    content = [] if text is None else [_part(text)]
    return {"id": f"msg_demo{talk.id}", "type": "message", "role": "assistant", "status": status, "content": content}


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def response_events(talk: Talk, asked: dict[str, Any]) -> list[Event]:
    """The same in the named, numbered events of the responses API."""
    begun = {"response": _response(talk, asked, "in_progress", [])}
    item = {"item_id": f"msg_demo{talk.id}", "output_index": 0, "content_index": 0}
    whole = response(talk, asked)
    script: list[tuple[str, dict[str, Any]]] = [
        ("response.created", begun),
        ("response.in_progress", begun),
        ("response.output_item.added", {"output_index": 0, "item": _message(talk, None, "in_progress")}),
        ("response.content_part.added", item | {"part": _part("")}),
        *(("response.output_text.delta", item | {"delta": piece, "logprobs": []}) for piece in pieces(talk.text)),
        ("response.output_text.done", item | {"text": talk.text, "logprobs": []}),
        ("response.content_part.done", item | {"part": _part(talk.text)}),
        ("response.output_item.done", {"output_index": 0, "item": whole["output"][0]}),
        (f"response.{whole['status']}", {"response": whole}),
    ]
    return [(name, {"type": name, "sequence_number": at} | data) for at, (name, data) in enumerate(script)]


def embeddings(model: str, inputs: list[str], dimensions: int, as_base64: bool) -> dict[str, Any]:
    """A list of ``embedding``, as floats or as base64 of little-endian float32."""

    def encoded(text: str) -> list[float] | str:
        values = vector(text, dimensions)
        return base64.b64encode(struct.pack(f"<{dimensions}f", *values)).decode() if as_base64 else values

    tokens = count_tokens(inputs)
    return {
        "object": "list",
        "data": [{"object": "embedding", "index": at, "embedding": encoded(text)} for at, text in enumerate(inputs)],
        "model": model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def model(name: str) -> dict[str, Any]:
    """One ``model``."""
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "helicone-gw"}
