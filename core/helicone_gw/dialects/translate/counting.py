"""Counting the tokens of a request: Anthropic's count_tokens, Gemini's countTokens, OpenAI's input_tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import msgspec

from helicone_gw.dialects._json import count, mapping, read_body
from helicone_gw.dialects.translate.anthropic_outgoing import anthropic_body
from helicone_gw.dialects.translate.anthropic_request import read_messages
from helicone_gw.dialects.translate.base import Destination, Outgoing
from helicone_gw.dialects.translate.conversation import ConversationRequest
from helicone_gw.dialects.translate.gemini_outgoing import gemini_body
from helicone_gw.dialects.translate.gemini_request import camel, read_generate_content
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.openai_responses_outgoing import write_responses

_COUNTED_BY_ANTHROPIC = ("messages", "system", "thinking", "tool_choice", "tools", "output_config")
_COUNTED_BY_OPENAI = ("input", "instructions", "parallel_tool_calls", "reasoning", "text", "tool_choice", "tools")


def read_anthropic_count(body: bytes, loss: Loss, model: str) -> ConversationRequest:
    """The body of ``POST /v1/messages/count_tokens``. Raises `MalformedBody`."""
    return read_messages(body, loss, model=model, stream=False)


def read_gemini_count(body: bytes, loss: Loss, model: str) -> ConversationRequest:
    """The body of ``:countTokens``: a whole request for content, or its contents alone. Raises `MalformedBody`."""
    value = camel(read_body(body))
    inner = value.get("generateContentRequest")
    data = msgspec.json.encode(value if inner is None else inner)
    return read_generate_content(data, loss, model=model, stream=False)


def write_anthropic_count(request: ConversationRequest, to: Destination, loss: Loss) -> Outgoing:
    """``request`` as the body of ``POST /v1/messages/count_tokens``."""
    body = anthropic_body(request, to, loss)
    kept = {name: body[name] for name in _COUNTED_BY_ANTHROPIC if name in body}
    return Outgoing("count_tokens", "/v1/messages/count_tokens", msgspec.json.encode({"model": to.model, **kept}))


def write_gemini_count(request: ConversationRequest, to: Destination, loss: Loss) -> Outgoing:
    """``request`` as the body of ``:countTokens``."""
    name = to.model.removeprefix("models/")
    whole = {"model": f"models/{name}", **gemini_body(request, to, loss)}
    path = f"/v1beta/models/{quote(name, safe='/')}:countTokens"
    return Outgoing("count_tokens", path, msgspec.json.encode({"generateContentRequest": whole}))


def write_openai_count(request: ConversationRequest, to: Destination, loss: Loss) -> Outgoing:
    """``request`` as the body of ``POST /v1/responses/input_tokens``."""
    body = msgspec.json.decode(write_responses(request, to, loss).body)
    kept = {name: body[name] for name in _COUNTED_BY_OPENAI if name in body}
    return Outgoing("responses.other", "/v1/responses/input_tokens", msgspec.json.encode({"model": to.model, **kept}))


def read_count(body: bytes) -> int:
    """The tokens that any of the three counted. Raises `ValueError` for an answer without a number."""
    raw = mapping(msgspec.json.decode(body))
    found = count(raw.get("input_tokens", raw.get("totalTokens")))
    if found is None:
        raise ValueError("the body has no count of tokens")
    return found


def write_anthropic_tokens(tokens: int) -> dict[str, Any]:
    """Anthropic's answer."""
    return {"input_tokens": tokens}


def write_gemini_tokens(tokens: int) -> dict[str, Any]:
    """Gemini's answer."""
    return {"totalTokens": tokens}


READERS: dict[str, Callable[[bytes, Loss, str], ConversationRequest]] = {
    "anthropic": read_anthropic_count,
    "gemini": read_gemini_count,
}
ANSWERS: dict[str, Callable[[int], dict[str, Any]]] = {
    "anthropic": write_anthropic_tokens,
    "gemini": write_gemini_tokens,
}
"""By the client's dialect."""
WRITERS: dict[str, Callable[[ConversationRequest, Destination, Loss], Outgoing]] = {
    "anthropic": write_anthropic_count,
    "gemini": write_gemini_count,
    "openai": write_openai_count,
}
"""By the provider's dialect."""
COUNTING = frozenset({"openai"})
"""Providers of OpenAI's dialect that count tokens."""
