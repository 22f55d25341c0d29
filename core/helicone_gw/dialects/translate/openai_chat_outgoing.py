"""OpenAI chat completions, requests written (platform.openai.com, "Create chat completion")."""

from __future__ import annotations

from typing import Any

import msgspec

from helicone_gw.dialects.translate.base import Destination, Outgoing
from helicone_gw.dialects.translate.chat_providers import refused, takes
from helicone_gw.dialects.translate.conversation import ConversationRequest, Reasoning, ResponseFormat, Tool, ToolChoice
from helicone_gw.dialects.translate.fields import only
from helicone_gw.dialects.translate.limits import bounded
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.media import write_cache
from helicone_gw.dialects.translate.names import legal_user
from helicone_gw.dialects.translate.openai_chat_turns import write_messages
from helicone_gw.dialects.translate.reasoning import effort_of, is_openais, takes_effort
from helicone_gw.dialects.translate.schemas import object_schema

MOST_STOPS = 4
OPENAI_EXTRAS = frozenset(
    {"logit_bias", "prediction", "prompt_cache_key", "prompt_cache_retention", "safety_identifier", "store"}
)
"""Fields that chat completions and responses, or chat and legacy completions, have in common."""
PASSED_EXTRAS = frozenset({"logit_bias", "prediction"})
SEED_IS_RANDOM = frozenset({"mistral"})
"""Providers that call it ``random_seed``."""
TIERS = {"standard_only": "default"}
"""Anthropic's service tiers in OpenAI's words."""


def write_chat(request: ConversationRequest, to: Destination, loss: Loss) -> Outgoing:
    """``request`` as the body of ``POST /v1/chat/completions``."""
    cacheable = takes(to.provider, "cache_control")
    body: dict[str, Any] = {"model": to.model, "messages": write_messages(request, to, loss)}
    tools = [_write_tool(tool, to, cacheable) for tool in request.tools]
    if tools:
        body["tools"] = tools
        body |= only(
            tool_choice=_write_tool_choice(request.tool_choice, to, loss),
            parallel_tool_calls=request.parallel_tool_calls,
        )
    longest = "max_completion_tokens" if takes(to.provider, "max_completion_tokens") else "max_tokens"
    body |= only(
        response_format=_write_format(request.response_format),
        **{longest: bounded(request.max_tokens, to.max_output_tokens, loss)},
        stop=_write_stop(request, loss),
        temperature=request.temperature,
        top_p=request.top_p,
        frequency_penalty=request.frequency_penalty,
        presence_penalty=request.presence_penalty,
        seed=request.seed,
        n=request.n,
        user=legal_user(request.user),
        verbosity=request.verbosity,
        **_write_reasoning(request.reasoning, to, loss),
    )
    for name, value in (("top_k", request.top_k), ("min_p", request.min_p)):
        if value is not None:
            if takes(to.provider, "top_k" if name == "top_k" else "min_p"):
                body[name] = value
            else:
                loss.note(name)
    if request.top_logprobs is not None:
        body["logprobs"] = True
        body |= only(top_logprobs=request.top_logprobs or None)
    if takes(to.provider, "openai_fields"):
        tier = request.service_tier
        body |= only(metadata=request.metadata or None, service_tier=TIERS.get(tier, tier) if tier else None)
    else:
        _lose(loss, metadata=request.metadata or None, service_tier=request.service_tier)
    if request.web_search:
        _write_search(to, body, loss)
    _write_extras(request, to, body, loss)
    for name in (*refused(to.provider), *refused_by_reasoning(request, to)):
        if body.pop(name, None) is not None:
            loss.note(name)
    if to.provider in SEED_IS_RANDOM and "seed" in body:
        body["random_seed"] = body.pop("seed")
    if request.stream:
        body["stream"] = True
        if to.asks_usage:
            body["stream_options"] = {"include_usage": True}
    return Outgoing("chat", "/v1/chat/completions", msgspec.json.encode(body))


def _write_tool(tool: Tool, to: Destination, cacheable: bool) -> dict[str, Any]:
    function = only(
        name=to.names.legal(tool.name),
        description=tool.description,
        parameters=_write_parameters(tool),
        strict=tool.strict,
    )
    return {"type": "function", "function": function} | only(
        cache_control=write_cache(tool.cache) if cacheable else None
    )


def _write_parameters(tool: Tool) -> dict[str, Any] | None:
    return None if tool.parameters is None else object_schema(tool.parameters)


def _write_tool_choice(choice: ToolChoice | None, to: Destination, loss: Loss) -> Any:
    if choice is None:
        return None
    if not choice.names or choice.mode == "none":
        return choice.mode
    functions = [{"type": "function", "function": {"name": to.names.legal(name)}} for name in choice.names]
    if choice.mode == "required" and len(functions) == 1:
        return functions[0]
    if takes(to.provider, "openai_fields"):
        return {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": functions}}
    loss.note("tool_choice")
    return choice.mode


def _write_format(format: ResponseFormat | None) -> dict[str, Any] | None:
    if format is None:
        return None
    if format.schema is None:
        return {"type": "json_object"}
    schema = only(
        name=format.name or "answer", description=format.description, schema=format.schema, strict=format.strict
    )
    return {"type": "json_schema", "json_schema": schema}


def refused_by_reasoning(request: ConversationRequest, to: Destination) -> tuple[str, ...]:
    """Fields that OpenAI's reasoning models answer with an error; a temperature of 1 is what they have anyway."""
    if not (takes(to.provider, "openai_fields") and is_openais(to.model)):
        return ()
    usual = tuple(name for name in ("temperature", "top_p") if getattr(request, name) not in (None, 1))
    return (*usual, "frequency_penalty", "presence_penalty", "logprobs", "top_logprobs", "stop")


def _write_stop(request: ConversationRequest, loss: Loss) -> list[str] | None:
    if len(request.stop) > MOST_STOPS:
        loss.note("stop")
    return list(request.stop[:MOST_STOPS]) or None


def _write_reasoning(reasoning: Reasoning | None, to: Destination, loss: Loss) -> dict[str, Any]:
    if reasoning is None:
        return {}
    if takes(to.provider, "reasoning_details"):
        nested = only(
            effort=reasoning.effort,
            max_tokens=reasoning.budget if reasoning.effort is None and (reasoning.budget or 0) > 0 else None,
            exclude=True if reasoning.show is False else None,
        )
        return {"reasoning": nested or {"enabled": reasoning.budget != 0}}
    effort = effort_of(reasoning)
    if not takes_effort(to.model):
        if effort != "none":
            loss.note("reasoning")
        return {}
    return {} if effort is None else {"reasoning_effort": "xhigh" if effort == "max" else effort}


def _write_extras(request: ConversationRequest, to: Destination, body: dict[str, Any], loss: Loss) -> None:
    ours = takes(to.provider, "openai_fields")
    for name, value in request.extras.items():
        if (name in OPENAI_EXTRAS and ours) or name in PASSED_EXTRAS:
            body[name] = value
        else:
            loss.note(name)


def _write_search(to: Destination, body: dict[str, Any], loss: Loss) -> None:
    if takes(to.provider, "reasoning_details"):
        body["plugins"] = [{"id": "web"}]  # OpenRouter's
    elif "search" in to.model:
        body["web_search_options"] = {}
    else:
        loss.note("web_search")


def _lose(loss: Loss, **fields: Any) -> None:
    for name, value in fields.items():
        if value is not None:
            loss.note(name)
