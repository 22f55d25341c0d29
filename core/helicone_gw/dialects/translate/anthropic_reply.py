"""Anthropic messages, unary answers: read, and written (docs.claude.com, "Messages", the response)."""

from __future__ import annotations

from typing import Any

import msgspec

from helicone_gw.dialects._json import items, mapping, text
from helicone_gw.dialects.translate.anthropic_blocks import compact, read_citation
from helicone_gw.dialects.translate.anthropic_turns import read_arguments, write_citation
from helicone_gw.dialects.translate.conversation import (
    ConversationRequest,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
)
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.names import legal_id
from helicone_gw.dialects.translate.reply import Choice, ConversationReply, StopReason
from helicone_gw.dialects.translate.signatures import Signature, seal, unseal
from helicone_gw.dialects.translate.usage import anthropic_usage as write_usage
from helicone_gw.dialects.usage import anthropic_usage
from helicone_gw.model import Usage

STOPS: dict[str, StopReason] = {
    "end_turn": "stop",
    "max_tokens": "length",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_calls",
    "pause_turn": "pause",
    "refusal": "refusal",
    "model_context_window_exceeded": "context",
}
REASONS: dict[StopReason, str] = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
    "refusal": "refusal",
    "pause": "pause_turn",
    "context": "model_context_window_exceeded",
}


def read_anthropic_reply(body: bytes, loss: Loss) -> ConversationReply:
    """A message. Raises `ValueError` for what is none."""
    raw = msgspec.json.decode(body)
    if not isinstance(raw, dict) or not isinstance(raw.get("content"), list):
        raise ValueError("the body has no content")
    parts = [part for block in raw["content"] if (part := read_reply_block(mapping(block), loss))]
    reason = text(raw.get("stop_reason"))
    usage = anthropic_usage(raw.get("usage"))
    return ConversationReply(
        id=text(raw.get("id")) or "",
        model=text(raw.get("model")) or "",
        choices=[Choice(parts, read_stop(reason), text(raw.get("stop_sequence")))],
        usage=usage,
        service_tier=None if usage is None else usage.service_tier,
    )


def read_stop(reason: str | None) -> StopReason | None:
    """The neutral stop reason; an unknown one is an ordinary stop."""
    return None if reason is None else STOPS.get(reason, "stop")


def read_reply_block(raw: Any, loss: Loss) -> Part | None:
    """A block of an answer; ``None`` for those of the provider's own tools, which are noted."""
    match raw.get("type"):
        case "text":
            citations = tuple(read_citation(item) for item in items(raw.get("citations")))
            return Text(str(raw.get("text") or ""), citations=citations)
        case "thinking":
            sealed = unseal(str(raw.get("signature") or ""), "anthropic")
            return Thinking(str(raw.get("thinking") or ""), sealed.value or None, None, sealed.vendor, sealed.id)
        case "redacted_thinking":
            sealed = unseal(str(raw.get("data") or ""), "anthropic")
            return Thinking(redacted=sealed.value, vendor=sealed.vendor, id=sealed.id)
        case "tool_use":
            given = raw.get("input")
            arguments = compact(given) if isinstance(given, dict) else "{}"
            return ToolCall(str(raw.get("id") or ""), str(raw.get("name") or ""), arguments)
    loss.note(f"content.{raw.get('type')}")
    return None


def write_anthropic_reply(reply: ConversationReply, asked: ConversationRequest, loss: Loss) -> bytes:
    """``reply`` as a message: the first choice, for there is but one."""
    if len(reply.choices) > 1:
        loss.note("choices")
    choice = reply.choices[0] if reply.choices else Choice()
    content = [block for part in choice.parts for block in _write_part(part, loss)]
    refused = any(isinstance(part, Refusal) for part in choice.parts)
    body = {
        "id": reply.id,
        "type": "message",
        "role": "assistant",
        "model": reply.model or asked.model,
        "content": content,
        "stop_reason": write_stop(choice.stop, refused=refused),
        "stop_sequence": choice.stop_sequence if choice.stop == "stop_sequence" else None,
        "usage": write_reply_usage(reply.usage, reply.service_tier),
    }
    return msgspec.json.encode(body)


def write_stop(reason: StopReason | None, *, refused: bool = False) -> str:
    """``stop_reason``."""
    return "refusal" if refused else REASONS[reason or "stop"]


def write_reply_usage(usage: Usage | None, tier: str | None) -> dict[str, Any]:
    """``usage``, which must be there; a tier only in Anthropic's words."""
    written = write_usage(usage or Usage())
    tier = tier or (None if usage is None else usage.service_tier)
    return written | ({"service_tier": tier} if tier in ("standard", "priority", "batch") else {})


def _write_part(part: Part, loss: Loss) -> list[dict[str, Any]]:
    match part:
        case Text():
            if part.signature is not None:
                loss.note("content.signature")
            block: dict[str, Any] = {"type": "text", "text": part.text}
            citations = [found for item in part.citations if (found := write_citation(item))]
            if len(citations) < len(part.citations):
                loss.note("content.citations")
            return [block | ({"citations": citations} if citations else {})] if part.text else []
        case Refusal():
            return [{"type": "text", "text": part.text}]
        case Thinking():
            return [write_thought_block(part)]
        case ToolCall():
            call_id = legal_id(part.id)
            arguments = read_arguments(part, loss, "content")
            call = {"type": "tool_use", "id": call_id, "name": part.name, "input": arguments}
            return [call] if part.signature is None else [write_call_signature(call_id, part.signature), call]
    loss.note(f"content.{type(part).__name__.lower()}")
    return []


def write_thought_block(thought: Thinking) -> dict[str, Any]:
    """A thought, its signature marked with its maker's name where that is not Anthropic."""
    vendor = thought.vendor or "other"
    if thought.redacted is not None:
        data = seal(Signature(vendor, thought.redacted, thought.id), "anthropic")
        return {"type": "redacted_thinking", "data": data}
    signature = "" if thought.signature is None else seal(Signature(vendor, thought.signature, thought.id), "anthropic")
    return {"type": "thinking", "thinking": thought.text, "signature": signature}


def write_call_signature(call_id: str, signature: str) -> dict[str, Any]:
    """Gemini's signature of a tool call as a thought of its own, for a call has no place for one."""
    return {"type": "thinking", "thinking": "", "signature": seal(Signature("google", signature, call_id), "anthropic")}
