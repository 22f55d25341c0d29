"""Gemini generateContent, requests written (ai.google.dev, "Generating content")."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec

from helicone_gw.dialects.translate.base import Destination, Outgoing
from helicone_gw.dialects.translate.conversation import ConversationRequest, Reasoning, Tool
from helicone_gw.dialects.translate.fields import only
from helicone_gw.dialects.translate.gemini_turns import write_contents
from helicone_gw.dialects.translate.limits import bounded
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.reasoning import budget_of, effort_of, takes_levels

MOST_STOPS = 5
LEAST_PRO_BUDGET = 128
MOST_BUDGET = {"pro": 32768, "flash": 24576}
"""Bounds of ``thinkingBudget`` of the 2.5 models ("Thinking")."""
LEVELS = {"none": "minimal", "xhigh": "high", "max": "high"}


def write_gemini(request: ConversationRequest, to: Destination, loss: Loss) -> Outgoing:
    """``request`` as the body of ``POST /v1beta/models/{model}:generateContent``, or of the streaming one."""
    model = quote(to.model.removeprefix("models/"), safe="/")
    body = msgspec.json.encode(gemini_body(request, to, loss))
    if request.stream:
        path = f"/v1beta/models/{model}:streamGenerateContent"
        return Outgoing("stream_generate_content", path, body, "alt=sse")
    return Outgoing("generate_content", f"/v1beta/models/{model}:generateContent", body)


def gemini_body(request: ConversationRequest, to: Destination, loss: Loss) -> dict[str, Any]:
    """The body, in which neither the model nor the stream is named."""
    turns = write_contents(request, to, loss)
    system = [{"text": part.text} for part in (*request.system, *turns.system) if part.text]
    if any(part.cache for part in request.system) or any(tool.cache for tool in request.tools):
        loss.note("cache_control")
    tools, config = _write_tools(request, to, loss)
    body: dict[str, Any] = {"contents": turns.contents}
    body |= only(
        systemInstruction={"parts": system} if system else None,
        tools=tools or None,
        toolConfig=config,
        generationConfig=_write_config(request, to, loss) or None,
    )
    _note_losses(request, loss)
    return body


def _write_tools(
    request: ConversationRequest, to: Destination, loss: Loss
) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    choice, offered = request.tool_choice, request.tools
    if choice is not None and choice.mode == "auto" and choice.names:
        # Names are allowed only where a call is required: the other tools are not offered.
        offered = tuple(tool for tool in offered if tool.name in choice.names)
    functions = [_write_tool(tool, to, loss) for tool in offered]
    tools: list[dict[str, Any]] = [{"functionDeclarations": functions}] if functions else []
    if request.web_search:
        tools.append({"googleSearch": {}})
    if request.parallel_tool_calls is False and functions:
        loss.note("parallel_tool_calls")
    if choice is None or not functions:
        return tools, None
    calling: dict[str, Any] = {"mode": {"auto": "AUTO", "none": "NONE", "required": "ANY"}[choice.mode]}
    if choice.names and choice.mode == "required":
        calling["allowedFunctionNames"] = [to.names.legal(name) for name in choice.names]
    return tools, {"functionCallingConfig": calling}


def _write_tool(tool: Tool, to: Destination, loss: Loss) -> dict[str, Any]:
    if tool.strict:
        loss.note("tools.strict")
    return only(
        name=to.names.legal(tool.name), description=tool.description, parametersJsonSchema=tool.parameters or None
    )


def _write_config(request: ConversationRequest, to: Destination, loss: Loss) -> dict[str, Any]:
    if len(request.stop) > MOST_STOPS:
        loss.note("stop")
    temperature = request.temperature
    if temperature is not None and not 0 <= temperature <= 2:
        loss.note("temperature")
        temperature = min(2.0, max(0.0, temperature))
    wanted = request.response_format
    asks_logprobs = request.top_logprobs is not None
    return only(
        maxOutputTokens=bounded(request.max_tokens, to.max_output_tokens, loss),
        stopSequences=list(request.stop[:MOST_STOPS]) or None,
        temperature=temperature,
        topP=request.top_p,
        topK=request.top_k,
        frequencyPenalty=request.frequency_penalty,
        presencePenalty=request.presence_penalty,
        seed=request.seed,
        candidateCount=request.n,
        responseLogprobs=True if asks_logprobs else None,
        logprobs=(request.top_logprobs or None) if asks_logprobs else None,
        responseMimeType=None if wanted is None else "application/json",
        responseJsonSchema=None if wanted is None else wanted.schema,
        thinkingConfig=_write_thinking(request.reasoning, to.model.lower(), loss),
    )


def _write_thinking(reasoning: Reasoning | None, model: str, loss: Loss) -> dict[str, Any] | None:
    if reasoning is None:
        return None
    show = only(includeThoughts=reasoning.show or None)
    if takes_levels(model):
        effort = effort_of(reasoning)
        if effort == "none" and "pro" in model:
            loss.note("reasoning")  # those models always think
            effort = "low"
        return (only(thinkingLevel=LEVELS.get(effort, effort) if effort else None) | show) or None
    if not model.removeprefix("models/").startswith("gemini-2.5") and "gemini-" in model:
        if effort_of(reasoning) != "none":
            loss.note("reasoning")
        return None
    budget = budget_of(reasoning)
    if budget is None:
        return {"thinkingBudget": -1} | show
    most = MOST_BUDGET["pro" if "pro" in model else "flash"]
    least = LEAST_PRO_BUDGET if "pro" in model else 0
    clamped = min(most, max(least, budget))
    if clamped != budget and reasoning.budget is not None:
        loss.note("reasoning")
    return {"thinkingBudget": clamped} | show


def _note_losses(request: ConversationRequest, loss: Loss) -> None:
    if request.min_p:
        loss.note("min_p")
    for name in ("user", "verbosity", "service_tier"):
        if getattr(request, name) is not None:
            loss.note(name)
    if request.metadata:
        loss.note("metadata")
    for name in request.extras:
        loss.note(name)
