"""Anthropic messages, requests written (docs.claude.com, "Create a Message")."""

from __future__ import annotations

from typing import Any

import msgspec

from helicone_gw.dialects.translate.anthropic_thinking import write_thinking
from helicone_gw.dialects.translate.anthropic_turns import write_turns
from helicone_gw.dialects.translate.base import Destination, Outgoing
from helicone_gw.dialects.translate.conversation import ConversationRequest, Text, Tool, ToolCall, ToolChoice
from helicone_gw.dialects.translate.fields import only
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.media import write_cache
from helicone_gw.dialects.translate.reasoning import claude_version
from helicone_gw.dialects.translate.schemas import for_anthropic, object_schema

STRUCTURED = (4, 5)
"""The first version with structured outputs."""
ONE_OF_TWO = (4, 1)
"""The first version that takes either ``temperature`` or ``top_p``."""
NO_SAMPLING = (4, 7)
"""The first version that refuses sampling parameters (its migration guide)."""
TIERS = {"auto": "auto", "standard_only": "standard_only", "default": "standard_only", "priority": "auto"}
_JSON_ONLY = "Respond with a single JSON object and nothing else: no explanation, no code fence."


def write_anthropic(request: ConversationRequest, to: Destination, loss: Loss) -> Outgoing:
    """``request`` as the body of ``POST /v1/messages``."""
    body = anthropic_body(request, to, loss)
    if request.stream:
        body["stream"] = True
    return Outgoing("messages", "/v1/messages", msgspec.json.encode({"model": to.model, **body}))


def anthropic_body(request: ConversationRequest, to: Destination, loss: Loss) -> dict[str, Any]:
    """The body without model and stream, which other clouds put elsewhere (Bedrock, Vertex)."""
    version = claude_version(to.model)
    turns = write_turns(request, to, loss)
    system = [*_write_system(request.system), *_write_system(turns.system)]
    thinking = write_thinking(request, to, turns.open_call_unsigned, loss)
    body: dict[str, Any] = {"max_tokens": thinking.max_tokens, "messages": turns.messages}
    config: dict[str, Any] = only(effort=thinking.effort)
    if request.response_format is not None:
        schema = request.response_format.schema
        if schema is not None and version >= STRUCTURED:
            config["format"] = {"type": "json_schema", "schema": for_anthropic(schema, loss, "response_format")}
        else:
            loss.note("response_format")
            words = _JSON_ONLY
            if schema is not None:
                words += f" It must be valid against this JSON schema: {msgspec.json.encode(schema).decode()}"
            system.append({"type": "text", "text": words})
    if system:
        plain = len(system) == 1 and system[0].keys() == {"type", "text"}
        body["system"] = system[0]["text"] if plain else system
    tools, choice = _write_tools(request, to, thinking.mode is not None, loss)
    body |= only(
        tools=tools or None,
        tool_choice=choice,
        thinking=thinking.config,
        output_config=config or None,
        stop_sequences=_write_stops(request, loss),
        metadata=only(user_id=request.user) or None,
        service_tier=_write_tier(request, loss),
        **_write_sampling(request, version, thinking.mode, loss),
    )
    _note_losses(request, loss)
    return body


def _write_system(texts: tuple[Text, ...]) -> list[dict[str, Any]]:
    return [
        {"type": "text", "text": part.text} | only(cache_control=write_cache(part.cache))
        for part in texts
        if part.text.strip()
    ]


def _write_tools(
    request: ConversationRequest, to: Destination, thinks: bool, loss: Loss
) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    choice = request.tool_choice
    offered = request.tools
    if choice is not None and len(choice.names) > 1 - (choice.mode == "auto"):
        # Anthropic can name one tool, not some of them: the others are not offered.
        offered = tuple(tool for tool in offered if tool.name in choice.names)
    tools = [_write_tool(tool, to) for tool in offered]
    written = _write_choice(choice, to)
    if not tools:
        # Calls in the history want their tools declared, though none is offered any more.
        called = dict.fromkeys(
            part.name for message in request.messages for part in message.parts if isinstance(part, ToolCall)
        )
        tools = [_write_tool(Tool(name), to) for name in called]
        written = {"type": "none"} if tools else None
    if request.web_search:
        tools.append({"type": "web_search_20250305", "name": "web_search"})
    if thinks and written is not None and written["type"] in ("any", "tool"):
        loss.note("tool_choice")  # thinking and a forced call exclude one another
        written = {"type": "auto"}
    if request.parallel_tool_calls is False and tools and (written is None or written["type"] != "none"):
        written = {**(written or {"type": "auto"}), "disable_parallel_tool_use": True}
    return tools, written if tools else None


def _write_tool(tool: Tool, to: Destination) -> dict[str, Any]:
    return {
        "name": to.names.legal(tool.name),
        **only(description=tool.description),
        "input_schema": object_schema(tool.parameters),
    } | only(strict=tool.strict or None, cache_control=write_cache(tool.cache))


def _write_choice(choice: ToolChoice | None, to: Destination) -> dict[str, Any] | None:
    if choice is None:
        return None
    if choice.mode == "required" and len(choice.names) == 1:
        return {"type": "tool", "name": to.names.legal(choice.names[0])}
    return {"type": {"auto": "auto", "none": "none", "required": "any"}[choice.mode]}


def _write_stops(request: ConversationRequest, loss: Loss) -> list[str] | None:
    stops = [stop for stop in request.stop if stop.strip()]
    if len(stops) < len(request.stop):
        loss.note("stop")  # Anthropic refuses those that are only white space
    return stops or None


def _write_tier(request: ConversationRequest, loss: Loss) -> str | None:
    if request.service_tier is None:
        return None
    tier = TIERS.get(request.service_tier)
    if tier is None:
        loss.note("service_tier")
    return tier


def _write_sampling(
    request: ConversationRequest, version: tuple[int, int], mode: str | None, loss: Loss
) -> dict[str, Any]:
    found: dict[str, Any] = only(temperature=request.temperature, top_p=request.top_p, top_k=request.top_k)
    if found and version >= NO_SAMPLING:
        _drop(found, ("temperature", "top_p", "top_k"), loss)
    if mode is not None:
        # Thinking allows no temperature but 1, no top_k, and top_p from 0.95 up.
        _drop(found, ("temperature", "top_k"), loss)
        if found.get("top_p", 1) < 0.95:
            _drop(found, ("top_p",), loss)
    if "temperature" in found:
        clamped = min(1.0, max(0.0, found["temperature"]))
        if clamped != found["temperature"]:
            loss.note("temperature")
            found["temperature"] = clamped
        if "top_p" in found and version >= ONE_OF_TWO:
            _drop(found, ("top_p",), loss)
    return found


def _drop(found: dict[str, Any], names: tuple[str, ...], loss: Loss) -> None:
    for name in names:
        value = found.pop(name, None)
        if value is not None and not (name in ("temperature", "top_p") and value == 1):
            loss.note(name)


def _note_losses(request: ConversationRequest, loss: Loss) -> None:
    if request.n not in (None, 1):
        loss.note("n")
    for name in ("frequency_penalty", "presence_penalty", "min_p"):
        if getattr(request, name):
            loss.note(name)
    for name, path in (
        ("seed", "seed"),
        ("top_logprobs", "logprobs"),
        ("verbosity", "verbosity"),
    ):
        if getattr(request, name) is not None:
            loss.note(path)
    if request.metadata:
        loss.note("metadata")
    for name in request.extras:
        loss.note(name)
