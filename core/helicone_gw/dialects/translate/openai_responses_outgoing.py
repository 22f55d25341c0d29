"""OpenAI responses, requests written (platform.openai.com, "Create a model response")."""

from __future__ import annotations

from typing import Any

import msgspec

from helicone_gw.dialects.translate.base import Destination, Outgoing
from helicone_gw.dialects.translate.conversation import (
    Audio,
    ConversationRequest,
    Document,
    Image,
    Message,
    Part,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from helicone_gw.dialects.translate.custom_tools import wrapped
from helicone_gw.dialects.translate.fields import only
from helicone_gw.dialects.translate.limits import bounded
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.media import audio_format, data_url
from helicone_gw.dialects.translate.names import legal_id, legal_user
from helicone_gw.dialects.translate.openai_chat_outgoing import TIERS, refused_by_reasoning
from helicone_gw.dialects.translate.reasoning import effort_of, takes_effort
from helicone_gw.dialects.translate.schemas import object_schema

EXTRAS = frozenset({"prompt_cache_key", "prompt_cache_retention", "safety_identifier", "store"})


def write_responses(request: ConversationRequest, to: Destination, loss: Loss) -> Outgoing:
    """``request`` as the body of ``POST /v1/responses``; nothing is stored there."""
    tools = [_write_tool(tool, to) for tool in request.tools]
    if request.web_search:
        tools.append({"type": "web_search"})
    tier = request.service_tier
    body: dict[str, Any] = {"model": to.model, "input": _write_input(request, to, loss), "store": False}
    body |= only(
        instructions="\n\n".join(part.text for part in request.system) or None,
        tools=tools or None,
        tool_choice=_write_tool_choice(request.tool_choice, to) if tools else None,
        parallel_tool_calls=request.parallel_tool_calls if tools else None,
        text=_write_text(request),
        max_output_tokens=bounded(request.max_tokens, to.max_output_tokens, loss),
        temperature=request.temperature,
        top_p=request.top_p,
        top_logprobs=request.top_logprobs,
        user=legal_user(request.user),
        metadata=request.metadata or None,
        service_tier=TIERS.get(tier, tier) if tier else None,
        **_write_reasoning(request, to, loss),
    )
    for name in refused_by_reasoning(request, to):
        if body.pop(name, None) is not None:
            loss.note(name)
    for name, value in request.extras.items():
        if name in EXTRAS:
            body[name] = value
        else:
            loss.note(name)
    _note_losses(request, loss)
    if request.stream:
        body["stream"] = True
    return Outgoing("responses", "/v1/responses", msgspec.json.encode(body))


def _write_tool(tool: Tool, to: Destination) -> dict[str, Any]:
    return {
        "type": "function",
        "name": to.names.legal(tool.name),
        "description": tool.description,
        "parameters": object_schema(tool.parameters),
        # Left out it would mean true, which not every schema can stand.
        "strict": tool.strict or False,
    }


def _write_tool_choice(choice: ToolChoice | None, to: Destination) -> Any:
    if choice is None:
        return None
    if not choice.names or choice.mode == "none":
        return choice.mode
    functions = [{"type": "function", "name": to.names.legal(name)} for name in choice.names]
    if choice.mode == "required" and len(functions) == 1:
        return functions[0]
    return {"type": "allowed_tools", "mode": choice.mode, "tools": functions}


def _write_text(request: ConversationRequest) -> dict[str, Any] | None:
    wanted = request.response_format
    written: dict[str, Any] | None = None
    if wanted is not None and wanted.schema is None:
        written = {"type": "json_object"}
    elif wanted is not None:
        written = {"type": "json_schema"} | only(
            name=wanted.name or "answer",
            description=wanted.description,
            schema=wanted.schema,
            strict=wanted.strict,
        )
    return only(format=written, verbosity=request.verbosity) or None


def _write_reasoning(request: ConversationRequest, to: Destination, loss: Loss) -> dict[str, Any]:
    reasoning = request.reasoning
    if reasoning is None:
        return {}
    effort = effort_of(reasoning)
    if not takes_effort(to.model):
        if effort != "none":
            loss.note("reasoning")
        return {}
    nested = only(
        effort="xhigh" if effort == "max" else effort,
        summary=reasoning.summary or ("auto" if reasoning.show else None),
    )
    # Nothing is stored, so that the next turn needs the encrypted thoughts.
    return {"reasoning": nested or None, "include": ["reasoning.encrypted_content"]}


def _note_losses(request: ConversationRequest, loss: Loss) -> None:
    if request.n not in (None, 1):
        loss.note("n")
    for name in ("frequency_penalty", "presence_penalty", "min_p", "stop"):
        if getattr(request, name):
            loss.note(name)
    for name in ("seed", "top_k"):
        if getattr(request, name) is not None:
            loss.note(name)
    if any(part.cache for part in request.system) or any(tool.cache for tool in request.tools):
        loss.note("cache_control")


def _write_input(request: ConversationRequest, to: Destination, loss: Loss) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for index, message in enumerate(request.messages):
        path = f"messages.{index}.content"
        if message.name is not None:
            loss.note(f"messages.{index}.name")
        found += _write_message(message, to, loss, path)
    return found


def _write_message(message: Message, to: Destination, loss: Loss, path: str) -> list[dict[str, Any]]:
    """The items of a message: content in one, every call, result and thought in one of its own."""
    found: list[dict[str, Any]] = []
    content: list[dict[str, Any]] = []
    spoken = message.role == "assistant"

    def flush() -> None:
        if content:
            found.append({"type": "message", "role": message.role, "content": list(content)})
            content.clear()

    for part in message.parts:
        if getattr(part, "cache", None) is not None:
            loss.note("cache_control")
        item = _write_item(part, to, loss, path)
        if item is not None:
            flush()
            found.append(item)
        elif not isinstance(part, Thinking):
            written = write_content(part, loss, path, spoken=spoken)
            if written is not None:
                content.append(written)
    flush()
    return found


def _write_item(part: Part, to: Destination, loss: Loss, path: str) -> dict[str, Any] | None:
    match part:
        case ToolCall():
            part = wrapped(part)
            call: dict[str, Any] = {
                "type": "function_call",
                "call_id": legal_id(part.id),
                "name": to.names.legal(part.name),
                "arguments": part.arguments,
            }
            return call
        case ToolResult():
            if part.is_error:
                loss.note(f"{path}.is_error")
            parts = [written for inner in part.parts if (written := write_content(inner, loss, path, spoken=False))]
            plain = len(parts) == 1 and parts[0]["type"] == "input_text"
            output: Any = parts[0]["text"] if plain else parts or ""
            return {"type": "function_call_output", "call_id": legal_id(part.call_id), "output": output}
        case Thinking():
            encrypted = part.signature or part.redacted
            if part.vendor != "openai" or encrypted is None:
                loss.note(f"{path}.thinking")
                return None
            summary = [{"type": "summary_text", "text": part.text}] if part.text else []
            return {"type": "reasoning", "summary": summary, "encrypted_content": encrypted} | only(id=part.id)
    return None


def write_content(part: Part, loss: Loss, path: str, *, spoken: bool) -> dict[str, Any] | None:
    """A part of a message; ``spoken``: by the assistant."""
    match part:
        case Text():
            return {"type": "output_text" if spoken else "input_text", "text": part.text} if part.text else None
        case Refusal():
            return {"type": "refusal", "refusal": part.text}
        case Image():
            url = part.url or (None if part.data is None else data_url(part.media_type, part.data))
            if not spoken and (url or part.file_id):
                place = {"image_url": url} if url else {"file_id": part.file_id}
                return {"type": "input_image", "detail": part.detail or "auto", **place}
        case Document() if not spoken:
            return _write_document(part, loss, path)
        case Audio():
            kind = audio_format(part.media_type)
            if kind is not None and not spoken:
                return {"type": "input_audio", "input_audio": {"data": part.data, "format": kind}}
    loss.note(f"{path}.{type(part).__name__.lower()}")
    return None


def _write_document(document: Document, loss: Loss, path: str) -> dict[str, Any]:
    if document.context or document.citations:
        loss.note(f"{path}.document.{'citations' if document.citations else 'context'}")
    if document.text is not None:
        title = f"{document.name}\n\n" if document.name else ""
        return {"type": "input_text", "text": title + document.text}
    if document.url is not None:
        return {"type": "input_file", "file_url": document.url}
    if document.file_id is not None:
        return {"type": "input_file", "file_id": document.file_id}
    data = data_url(document.media_type, document.data or "")
    return {"type": "input_file", "filename": document.name or "document", "file_data": data}
