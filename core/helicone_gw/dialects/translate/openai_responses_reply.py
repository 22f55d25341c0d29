"""OpenAI responses, unary answers: read, and written (platform.openai.com, "The response object")."""

from __future__ import annotations

from typing import Any

import msgspec

from helicone_gw.dialects._json import count, items, mapping, text
from helicone_gw.dialects.errors import read_error
from helicone_gw.dialects.translate.conversation import (
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
from helicone_gw.dialects.translate.openai_chat_reply import read_tokens, write_annotations, write_tokens
from helicone_gw.dialects.translate.openai_responses_items import read_call, read_content, read_reasoning
from helicone_gw.dialects.translate.reply import Choice, ConversationReply, StopReason, TokenLogprob
from helicone_gw.dialects.translate.signatures import Signature, seal
from helicone_gw.dialects.translate.usage import responses_usage
from helicone_gw.dialects.usage import openai_usage
from helicone_gw.errors import MalformedBody
from helicone_gw.model import Usage

INCOMPLETE: dict[StopReason, str] = {
    "length": "max_output_tokens",
    "context": "max_output_tokens",
    "content_filter": "content_filter",
    "refusal": "content_filter",
}
"""Why a response is incomplete; for any other stop reason it is complete."""


def read_responses_reply(body: bytes, loss: Loss) -> ConversationReply:
    """A response. Raises `ValueError` for what is none."""
    raw = msgspec.json.decode(body)
    if not isinstance(raw, dict) or not isinstance(raw.get("output"), list):
        raise ValueError("the body has no output")
    if raw.get("status") == "failed":
        raise ValueError(read_error(raw.get("error")).message)
    parts: list[Part] = []
    logprobs: list[TokenLogprob] = []
    for item in raw["output"]:
        parts += _read_item(mapping(item), loss)
        for piece in items(mapping(item).get("content")):
            logprobs += read_tokens(items(mapping(piece).get("logprobs")))
    return ConversationReply(
        id=text(raw.get("id")) or "",
        model=text(raw.get("model")) or "",
        created=count(raw.get("created_at")),
        choices=[Choice(parts, read_stop(raw, parts), logprobs=tuple(logprobs) or None)],
        usage=openai_usage(raw.get("usage"), service_tier=raw.get("service_tier")),
        service_tier=text(raw.get("service_tier")),
    )


def read_stop(raw: Any, parts: list[Part]) -> StopReason:
    """The neutral stop reason of a response with these parts."""
    match mapping(raw.get("incomplete_details")).get("reason"):
        case "max_output_tokens":
            return "length"
        case "content_filter":
            return "content_filter"
    if any(isinstance(part, ToolCall) for part in parts):
        return "tool_calls"
    return "refusal" if any(isinstance(part, Refusal) for part in parts) else "stop"


def _read_item(raw: Any, loss: Loss) -> list[Part]:
    kind = raw.get("type")
    try:
        match kind:
            case "message":
                return read_content(Fields(raw, "output"), "content", loss)
            case "function_call" | "custom_tool_call":
                return [read_call(Fields(raw, "output"))]
            case "reasoning":
                return [read_reasoning(raw)]
    except MalformedBody:
        pass
    loss.note(f"output.{kind}")
    return []


def write_responses_reply(reply: ConversationReply, asked: ConversationRequest, loss: Loss) -> bytes:
    """``reply`` as a response: the first choice, for there is but one."""
    if len(reply.choices) > 1:
        loss.note("choices")
    choice = reply.choices[0] if reply.choices else Choice()
    output = []
    for index, part in enumerate(choice.parts):
        output += write_part(part, f"{reply.id}_{index}", loss, choice.logprobs if isinstance(part, Text) else None)
    refused = any(isinstance(part, Refusal) for part in choice.parts)
    body = response_object(asked, id=reply.id, model=reply.model, created=reply.created)
    body |= ending(choice.stop, refused=refused, usage=reply.usage)
    body["output"] = output
    return msgspec.json.encode(body | only(service_tier=reply.service_tier))


def response_object(asked: ConversationRequest, *, id: str, model: str, created: int | None) -> dict[str, Any]:
    """A response that has only begun, with what was asked for as OpenAI repeats it."""
    wanted = asked.response_format
    form: dict[str, Any] = {"type": "text"}
    if wanted is not None:
        form = {"type": "json_object"}
        if wanted.schema is not None:
            form = {"type": "json_schema", "name": wanted.name or "answer", "schema": wanted.schema} | only(
                strict=wanted.strict
            )
    choice = asked.tool_choice
    reasoning = asked.reasoning
    return {
        "id": id if id.startswith("resp_") else f"resp_{id}",
        "object": "response",
        "created_at": created or 0,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": "\n\n".join(part.text for part in asked.system) or None,
        "max_output_tokens": asked.max_tokens,
        "model": model or asked.model,
        "output": [],
        "parallel_tool_calls": asked.parallel_tool_calls is not False,
        "previous_response_id": None,
        "reasoning": {
            "effort": reasoning and reasoning.effort,
            "summary": reasoning and reasoning.summary,
        },
        "store": False,
        "temperature": asked.temperature,
        "text": {"format": form} | only(verbosity=asked.verbosity),
        "tool_choice": "auto" if choice is None else choice.mode,
        "tools": [
            {
                "type": "function",
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.parameters,
                "strict": tool.strict or False,
            }
            for tool in asked.tools
        ],
        "top_p": asked.top_p,
        "truncation": "disabled",
        "usage": None,
        "user": asked.user,
        "metadata": asked.metadata or {},
    }


def ending(stop: StopReason | None, *, refused: bool, usage: Usage | None) -> dict[str, Any]:
    """How a response ended: its status, why it is incomplete, and its usage. A refusal in words is a whole answer."""
    reason = None if refused and stop == "refusal" else INCOMPLETE.get(stop or "stop")
    return {
        "status": "completed" if reason is None else "incomplete",
        "incomplete_details": None if reason is None else {"reason": reason},
        "usage": None if usage is None else responses_usage(usage),
    }


def write_part(
    part: Part, id: str, loss: Loss, logprobs: tuple[TokenLogprob, ...] | None = None
) -> list[dict[str, Any]]:
    """The finished item of a part, whose id is made of ``id``; a signed call is preceded by its signature's."""
    match part:
        case Text():
            if part.signature is not None:
                loss.note("content.signature")
            content: dict[str, Any] = {
                "type": "output_text",
                "text": part.text,
                "annotations": flat(write_annotations(part.citations, 0, loss, length=len(part.text))),
                "logprobs": write_tokens(logprobs or ()),
            }
            return [message_item(f"msg_{id}", [content])]
        case Refusal():
            return [message_item(f"msg_{id}", [{"type": "refusal", "refusal": part.text}])]
        case ToolCall():
            call = call_item(f"fc_{id}", part)
            return [call] if part.signature is None else [signature_item(f"rs_{id}", part), call]
        case Thinking():
            return [reasoning_item(part.id or f"rs_{id}", part)]
    loss.note(f"content.{type(part).__name__.lower()}")
    return []


def message_item(id: str, content: list[dict[str, Any]], status: str = "completed") -> dict[str, Any]:
    """A ``message``."""
    return {"id": id, "type": "message", "status": status, "role": "assistant", "content": content}


def call_item(id: str, call: ToolCall, status: str = "completed") -> dict[str, Any]:
    """A ``function_call``, or a ``custom_tool_call``."""
    return {
        "id": id,
        "type": "custom_tool_call" if call.custom else "function_call",
        "status": status,
        "call_id": legal_id(call.id),
        "name": call.name,
        "input" if call.custom else "arguments": call.arguments,
    }


def reasoning_item(id: str, thought: Thinking) -> dict[str, Any]:
    """A ``reasoning`` item, its signature marked with its maker's name where that is not OpenAI."""
    secret = thought.redacted or thought.signature
    encrypted = None if secret is None else seal(Signature(thought.vendor or "other", secret, thought.id), "openai")
    summary = [{"type": "summary_text", "text": thought.text}] if thought.text else []
    return {"id": id, "type": "reasoning", "summary": summary} | only(encrypted_content=encrypted)


def signature_item(id: str, call: ToolCall) -> dict[str, Any]:
    """Gemini's signature of a tool call as a thought of its own, for a call has no place for one."""
    thought = Thinking("", call.signature, vendor="google", id=legal_id(call.id))
    return reasoning_item(id, thought)


def flat(annotations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Annotations as responses have them: beside the type what chat completions have one level down."""
    return [{"type": item["type"], **item["url_citation"]} for item in annotations]
