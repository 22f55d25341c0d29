"""Bedrock's Converse, requests written (docs.aws.amazon.com, "Converse" and "Inference request parameters").

Anthropic's models are asked by their own API instead, which says more; see `bedrock_anthropic`.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import msgspec

from helicone_gw.dialects.translate.base import Destination, Outgoing
from helicone_gw.dialects.translate.bedrock_messages import Blocks
from helicone_gw.dialects.translate.bedrock_reasoning import write_reasoning
from helicone_gw.dialects.translate.conversation import (
    ConversationRequest,
    ResponseFormat,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from helicone_gw.dialects.translate.egress_common import clamped, lose, one_answer, parts_of
from helicone_gw.dialects.translate.fields import only
from helicone_gw.dialects.translate.loss import Loss

NO_ARGUMENTS: dict[str, Any] = {"type": "object", "properties": {}}
_TIERS = {"default": "default", "standard_only": "default", "priority": "priority", "flex": "flex"}
_MOST_METADATA = 16
_METADATA = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,\-.]{0,256}")


def model_path(model: str, action: str) -> str:
    """The path of an action on a model, whose id is one segment however many slashes and colons it has."""
    return f"/model/{quote(model, safe='-_.~')}/{action}"


def accepting(stream: bool) -> dict[str, str]:
    """What is accepted as an answer, in the words of AWS."""
    return {"accept": "application/vnd.amazon.eventstream" if stream else "application/json"}


def write_converse(request: ConversationRequest, to: Destination, loss: Loss) -> Outgoing:
    """``request`` as the body of ``POST /model/{id}/converse``, or of ``/converse-stream``."""
    blocks = Blocks(to, loss)
    body: dict[str, Any] = {"messages": blocks.messages(request)}
    body |= only(
        system=blocks.system(request) or None,
        toolConfig=_write_tools(request, to, blocks, loss),
        requestMetadata=_write_metadata(request, loss),
        serviceTier=_write_tier(request, loss),
    )
    limits = only(
        maxTokens=request.max_tokens,
        temperature=clamped(request.temperature, 0.0, 1.0, "temperature", loss),
        topP=clamped(request.top_p, 0.0, 1.0, "top_p", loss),
        stopSequences=[stop for stop in request.stop if stop] or None,
    )
    further = write_reasoning(request, to.model, loss) | _write_top_k(request.top_k, to.model, loss)
    body |= only(
        inferenceConfig=limits or None,
        additionalModelRequestFields=further or None,
        outputConfig=_write_format(request.response_format, loss),
    )
    one_answer(request, loss)
    lose(
        request,
        loss,
        "verbosity",
        "min_p",
        "frequency_penalty",
        "presence_penalty",
        "seed",
        "top_logprobs",
        "user",
        "web_search",
    )
    if request.parallel_tool_calls is False:
        loss.note("parallel_tool_calls")
    action = "converse-stream" if request.stream else "converse"
    return Outgoing(
        "converse", model_path(to.model, action), msgspec.json.encode(body), headers=accepting(request.stream)
    )


def _write_tools(request: ConversationRequest, to: Destination, blocks: Blocks, loss: Loss) -> dict[str, Any] | None:
    tools = request.tools
    choice = request.tool_choice
    mentioned = any(isinstance(part, ToolCall | ToolResult) for part in parts_of(request.messages))
    if choice is not None and choice.mode == "none" and not mentioned:
        return None
    if not tools and mentioned:
        # Calls in the history want their tools declared, which other dialects do without.
        calls = (part.name for part in parts_of(request.messages) if isinstance(part, ToolCall))
        tools = tuple(Tool(name) for name in dict.fromkeys(calls))
    written: list[dict[str, Any]] = []
    for tool in tools:
        spec = only(
            name=to.names.legal(tool.name),
            description=tool.description or None,
            inputSchema={"json": tool.parameters or NO_ARGUMENTS},
            strict=tool.strict or None,
        )
        written += [{"toolSpec": spec}, *blocks.cache_point(tool.cache, "tools")]
    if not written:
        return None
    return {"tools": written} | only(toolChoice=_write_choice(choice, to, loss))


def _write_choice(choice: ToolChoice | None, to: Destination, loss: Loss) -> dict[str, Any] | None:
    if choice is None:
        return None
    if choice.mode == "required" and len(choice.names) == 1:
        return {"tool": {"name": to.names.legal(choice.names[0])}}
    if choice.names or choice.mode == "none":
        loss.note("tool_choice")
    if choice.mode == "none":
        return None
    return {"any": {}} if choice.mode == "required" else {"auto": {}}


def _write_format(form: ResponseFormat | None, loss: Loss) -> dict[str, Any] | None:
    if form is None:
        return None
    if form.schema is None:
        loss.note("response_format")
        return None
    schema = only(
        schema=msgspec.json.encode(form.schema).decode(), name=form.name, description=form.description or None
    )
    return {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": schema}}}


def _write_top_k(top_k: int | None, model: str, loss: Loss) -> dict[str, Any]:
    if top_k is None:
        return {}
    if "amazon.nova" in model:
        return {"inferenceConfig": {"topK": top_k}}
    loss.note("top_k")
    return {}


def _write_metadata(request: ConversationRequest, loss: Loss) -> dict[str, str] | None:
    """``metadata``, which goes into AWS's log of invocations; what its keys and values may not be is left out."""
    kept = {
        name: value
        for name, value in list((request.metadata or {}).items())[:_MOST_METADATA]
        if name and isinstance(value, str) and _METADATA.fullmatch(name) and _METADATA.fullmatch(value)
    }
    if len(kept) < len(request.metadata or {}):
        loss.note("metadata")
    return kept or None


def _write_tier(request: ConversationRequest, loss: Loss) -> dict[str, str] | None:
    if request.service_tier in (None, "auto"):
        return None
    tier = _TIERS.get(request.service_tier or "")
    if tier is None:
        loss.note("service_tier")
    return None if tier is None else {"type": tier}
