"""OpenAI chat completions, unary answers: read, and written (platform.openai.com, "The chat completion object")."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from helicone_gw.dialects._json import count, items, mapping, text
from helicone_gw.dialects.translate.conversation import (
    Citation,
    ConversationRequest,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
)
from helicone_gw.dialects.translate.fields import Fields, only
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.names import legal_id
from helicone_gw.dialects.translate.openai_chat_messages import LEGACY_ID, read_thinking
from helicone_gw.dialects.translate.openai_chat_turns import write_tool_call
from helicone_gw.dialects.translate.reply import Choice, ConversationReply, StopReason, TokenLogprob
from helicone_gw.dialects.translate.signatures import Signature, seal
from helicone_gw.dialects.translate.usage import chat_usage
from helicone_gw.dialects.usage import openai_usage

STOPS: dict[str, StopReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}
FINISHES: dict[StopReason, str] = {
    "stop": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "pause": "stop",
    "context": "length",
}
"""Stop reasons in OpenAI's words; a refusal in words of its own (`Refusal`) is an ordinary stop there."""


def read_chat_reply(body: bytes, loss: Loss) -> ConversationReply:
    """A chat completion. Raises `ValueError` for what is none."""
    raw = msgspec.json.decode(body)
    if not isinstance(raw, dict) or not isinstance(raw.get("choices"), list):
        raise ValueError("the body has no choices")
    return ConversationReply(
        id=text(raw.get("id")) or "",
        model=text(raw.get("model")) or "",
        created=count(raw.get("created")),
        choices=[_read_choice(mapping(choice), place, loss) for place, choice in enumerate(raw["choices"])],
        usage=openai_usage(raw.get("usage"), service_tier=raw.get("service_tier")),
        service_tier=text(raw.get("service_tier")),
    )


def _read_choice(choice: Any, place: int, loss: Loss) -> Choice:
    message = mapping(choice.get("message"))
    parts: list[Part] = [*read_thinking(Fields(message))]
    content = text(message.get("content"))
    if content:
        citations = (read_annotation(item) for item in items(message.get("annotations")))
        parts.append(Text(content, citations=tuple(found for found in citations if found)))
    if refusal := text(message.get("refusal")):
        parts.append(Refusal(refusal))
    parts += (call for raw in items(message.get("tool_calls")) if (call := _read_call(mapping(raw))))
    legacy = mapping(message.get("function_call"))
    if name := text(legacy.get("name")):
        parts.append(ToolCall(LEGACY_ID, name, text(legacy.get("arguments")) or "{}"))
    if message.get("audio") is not None:
        loss.note("choices.message.audio")
    return Choice(
        parts,
        read_finish(choice.get("finish_reason"), refused=bool(refusal)),
        logprobs=read_logprobs(choice.get("logprobs")),
        index=place if (index := count(choice.get("index"))) is None else index,
    )


def _read_call(raw: Any) -> ToolCall | None:
    custom = mapping(raw.get("custom"))
    function = custom or mapping(raw.get("function"))
    name = text(function.get("name"))
    if name is None:
        return None
    arguments = function.get("input" if custom else "arguments")
    if isinstance(arguments, dict):  # some servers forget that it is text
        arguments = msgspec.json.encode(arguments).decode()
    extra = mapping(mapping(raw.get("extra_content")).get("google")).get("thought_signature")
    return ToolCall(
        text(raw.get("id")) or LEGACY_ID,
        name,
        text(arguments) or ("" if custom else "{}"),
        signature=text(extra),
        custom=bool(custom),
    )


def read_finish(reason: Any, *, refused: bool = False) -> StopReason | None:
    """The neutral stop reason; an unknown one is an ordinary stop."""
    found = None if reason is None else STOPS.get(str(reason), "stop")
    return "refusal" if found == "stop" and refused else found


def read_annotation(value: Any) -> Citation | None:
    """A ``url_citation``, ``None`` for any other annotation."""
    raw = mapping(value)
    inner = mapping(raw.get("url_citation")) or raw
    url = text(inner.get("url"))
    if url is None:
        return None
    return Citation(
        url, text(inner.get("title")), start=count(inner.get("start_index")), end=count(inner.get("end_index"))
    )


def read_logprobs(value: Any) -> tuple[TokenLogprob, ...] | None:
    """``logprobs`` of a choice: those of its content, or else of its refusal."""
    raw = mapping(value)
    tokens = items(raw.get("content")) or items(raw.get("refusal"))
    return read_tokens(tokens) if tokens else None


def read_tokens(tokens: Iterable[Any]) -> tuple[TokenLogprob, ...]:
    """Tokens with ``token``, ``logprob``, ``bytes`` and ``top_logprobs``."""
    found = []
    for token in tokens:
        raw = mapping(token)
        probability = raw.get("logprob")
        if isinstance(probability, int | float):
            found.append(
                TokenLogprob(
                    str(raw.get("token") or ""),
                    float(probability),
                    tuple(raw["bytes"]) if isinstance(raw.get("bytes"), list) else None,
                    read_tokens(items(raw.get("top_logprobs"))),
                )
            )
    return tuple(found)


def write_tokens(tokens: Iterable[TokenLogprob], *, nested: bool = True) -> list[dict[str, Any]]:
    """The opposite of `read_tokens`."""
    return [
        {
            "token": token.token,
            "logprob": token.logprob,
            "bytes": list(token.bytes if token.bytes is not None else token.token.encode("utf-8", "replace")),
        }
        | ({"top_logprobs": write_tokens(token.top, nested=False)} if nested else {})
        for token in tokens
    ]


def write_chat_reply(reply: ConversationReply, asked: ConversationRequest, loss: Loss) -> bytes:
    """``reply`` as a chat completion."""
    body: dict[str, Any] = {
        "id": reply.id,
        "object": "chat.completion",
        "created": reply.created or 0,
        "model": reply.model or asked.model,
        "choices": [_write_choice(choice, loss) for choice in reply.choices],
    }
    body |= only(
        usage=None if reply.usage is None else chat_usage(reply.usage),
        service_tier=reply.service_tier,
    )
    return msgspec.json.encode(body)


def _write_choice(choice: Choice, loss: Loss) -> dict[str, Any]:
    texts: list[str] = []
    annotations: list[dict[str, Any]] = []
    length = 0
    for part in choice.parts:
        if isinstance(part, Text):
            annotations += write_annotations(part.citations, length, loss, length=len(part.text))
            texts.append(part.text)
            length += len(part.text)
    refusals = [part.text for part in choice.parts if isinstance(part, Refusal)]
    calls = [write_tool_call(part, legal_id(part.id), part.name) for part in choice.parts if isinstance(part, ToolCall)]
    message: dict[str, Any] = {
        "role": "assistant",
        "content": "".join(texts) if texts else None,
        "refusal": "".join(refusals) or None,
    }
    message |= only(
        tool_calls=calls or None,
        annotations=annotations or None,
        **write_thinking([part for part in choice.parts if isinstance(part, Thinking)]),
    )
    return {
        "index": choice.index,
        "message": message,
        "logprobs": None if choice.logprobs is None else {"content": write_tokens(choice.logprobs), "refusal": None},
        "finish_reason": write_finish(choice.stop, refused=bool(refusals)),
    }


def write_finish(reason: StopReason | None, *, refused: bool) -> str:
    """``finish_reason``; ``refused``: the refusal is in the message."""
    if reason == "refusal" and refused:
        return "stop"
    return FINISHES[reason or "stop"]


def write_annotations(
    citations: Iterable[Citation], offset: int, loss: Loss, *, length: int = 0
) -> list[dict[str, Any]]:
    """Citations of pages as annotations; those of documents have no place in the dialect.

    The text that cites begins at ``offset`` and has ``length`` characters; all of it where a citation names no place.
    """
    found = []
    for citation in citations:
        if citation.url is None:
            loss.note("content.citations")
            continue
        place = {"start_index": (citation.start or 0) + offset, "end_index": _end(citation, length) + offset}
        inner = {"url": citation.url, "title": citation.title or citation.url, **place}
        found.append({"type": "url_citation", "url_citation": inner})
    return found


def _end(citation: Citation, length: int) -> int:
    return length if citation.end is None else citation.end


def write_thinking(thoughts: list[Thinking]) -> dict[str, Any]:
    """Thoughts as LiteLLM shows them: all text in ``reasoning_content``, and what is signed as ``thinking_blocks``."""
    blocks = [block for thought in thoughts if (block := write_block(thought))]
    return {
        "reasoning_content": "".join(thought.text for thought in thoughts) or None,
        "thinking_blocks": blocks or None,
    }


def write_block(thought: Thinking) -> dict[str, Any] | None:
    """A signed or encrypted thought as Anthropic's block; ``None`` for one that is neither."""
    vendor = thought.vendor or "other"
    if thought.redacted is not None:
        data = seal(Signature(vendor, thought.redacted, thought.id), "anthropic")
        return {"type": "redacted_thinking", "data": data}
    if thought.signature is None:
        return None
    signature = seal(Signature(vendor, thought.signature, thought.id), "anthropic")
    return {"type": "thinking", "thinking": thought.text, "signature": signature}
