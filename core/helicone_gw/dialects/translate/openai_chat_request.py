"""OpenAI chat completions, requests read (platform.openai.com, "Create chat completion").

Beside OpenAI's own fields those that its gateways agree on: ``reasoning_content`` and ``thinking_blocks`` (LiteLLM),
``reasoning`` and ``reasoning_details`` (OpenRouter), ``cache_control`` on parts, ``top_k`` and ``min_p``.
"""

from __future__ import annotations

from typing import Literal, cast

from msgspec.structs import replace

from helicone_gw.dialects._json import read_body
from helicone_gw.dialects.translate.conversation import (
    ConversationRequest,
    Effort,
    Message,
    Part,
    Reasoning,
    ResponseFormat,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from helicone_gw.dialects.translate.custom_tools import custom_tool
from helicone_gw.dialects.translate.fields import Fields, malformed
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.media import read_cache
from helicone_gw.dialects.translate.openai_chat_messages import LEGACY_ID, read_message, read_system
from helicone_gw.dialects.translate.reasoning import EFFORTS


def read_chat(body: bytes, loss: Loss, *, model: str, stream: bool) -> ConversationRequest:
    """The body of ``POST /v1/chat/completions`` in neutral form. Raises `MalformedBody`."""
    fields = Fields(read_body(body))
    fields.ignore("model", "stream")
    system, messages = _read_messages(fields, loss)
    options = fields.object("stream_options")
    request = ConversationRequest(
        model=model,
        messages=messages,
        system=system,
        tools=tuple(_read_tools(fields, loss)),
        tool_choice=_read_tool_choice(fields, loss),
        parallel_tool_calls=fields.flag("parallel_tool_calls"),
        response_format=read_response_format(fields),
        reasoning=_read_reasoning(fields),
        verbosity=fields.text("verbosity"),
        max_tokens=_read_max_tokens(fields),
        stop=fields.texts("stop"),
        temperature=fields.number("temperature"),
        top_p=fields.number("top_p"),
        top_k=fields.whole("top_k"),
        min_p=fields.number("min_p"),
        frequency_penalty=fields.number("frequency_penalty"),
        presence_penalty=fields.number("presence_penalty"),
        seed=fields.whole("seed"),
        n=fields.whole("n"),
        top_logprobs=_read_logprobs(fields),
        user=fields.text("user"),
        metadata=fields.mapping("metadata"),
        service_tier=fields.text("service_tier"),
        web_search=fields.any("web_search_options") is not None,
        stream=stream,
        include_usage=stream and options is not None and options.flag("include_usage") is True,
    )
    request.extras = fields.rest()
    if request.extras.get("modalities") == ["text"]:
        del request.extras["modalities"]
    return request


def _read_messages(fields: Fields, loss: Loss) -> tuple[tuple[Text, ...], list[Message]]:
    """The system parts that lead, and the messages; results of one turn's tools in one message."""
    system: list[Text] = []
    messages: list[Message] = []
    legacy = 0
    if not fields.array("messages") and (prompt := fields.any("prompt")) is not None:
        # What litellm sends for completion(prompt=...).
        texts = prompt if isinstance(prompt, list) else [prompt]
        parts = tuple(Text(text) for text in texts if isinstance(text, str))
        return (), [Message("user", parts)]
    for field in fields.objects("messages"):
        role = field.needed("role")
        if role in ("system", "developer") and not messages:
            system += read_system(field, loss)
            continue
        message = read_message(field, role, loss)
        legacy += any(isinstance(part, ToolCall) and part.id == LEGACY_ID for part in message.parts)
        if legacy:
            message = _numbered(message, f"{LEGACY_ID}_{legacy}")
        if message.role == "tool" and messages and messages[-1].role == "tool":
            messages[-1] = Message("tool", messages[-1].parts + message.parts)
        else:
            messages.append(message)
    return tuple(system), messages


def _numbered(message: Message, id: str) -> Message:
    """``message`` with this id for its legacy function call, or for the result of one."""

    def named(part: Part) -> Part:
        if isinstance(part, ToolCall) and part.id == LEGACY_ID:
            return replace(part, id=id)
        if isinstance(part, ToolResult) and part.call_id == LEGACY_ID:
            return replace(part, call_id=id)
        return part

    return replace(message, parts=tuple(named(part) for part in message.parts))


def _read_max_tokens(fields: Fields) -> int | None:
    newer, older = fields.whole("max_completion_tokens"), fields.whole("max_tokens")
    return newer if newer is not None else older


def _read_logprobs(fields: Fields) -> int | None:
    wanted, top = fields.flag("logprobs"), fields.whole("top_logprobs")
    return (top or 0) if wanted else None


def _read_tools(fields: Fields, loss: Loss) -> list[Tool]:
    tools: list[Tool] = []
    for tool in fields.objects("tools"):
        kind = tool.text("type") or "function"
        custom = tool.object("custom")
        if kind == "custom" and custom is not None:
            tools.append(custom_tool(custom.needed("name"), custom.text("description"), custom.any("format")))
            continue
        function = tool.object("function")
        if kind != "function" or function is None:
            loss.note(tool.path)
            continue
        tools.append(_read_function(function, loss, read_cache(tool.any("cache_control"))))
    tools += [_read_function(function, loss) for function in fields.objects("functions")]
    return tools


def _read_function(function: Fields, loss: Loss, cache: str | None = None) -> Tool:
    found = Tool(
        name=function.needed("name"),
        description=function.text("description"),
        parameters=function.mapping("parameters"),
        strict=function.flag("strict") or None,
        cache=cache or read_cache(function.any("cache_control")),
    )
    function.lose(loss)
    return found


def _read_tool_choice(fields: Fields, loss: Loss) -> ToolChoice | None:
    choice = fields.any("tool_choice", "function_call")
    if choice is None:
        return None
    if isinstance(choice, str):
        if choice not in ("auto", "none", "required", "any"):
            malformed("tool_choice", "auto, none, required or an object", choice)
        mode = "required" if choice == "any" else choice
        return ToolChoice(cast(Literal["auto", "none", "required"], mode))
    named = Fields(choice, "tool_choice")
    allowed = named.object("allowed_tools")
    if allowed is not None:
        names = [tool.object("function") or tool for tool in allowed.objects("tools")]
        mode = "required" if allowed.text("mode") == "required" else "auto"
        return ToolChoice(
            cast(Literal["auto", "required"], mode), tuple(name for tool in names if (name := tool.text("name")))
        )
    name = (named.object("function") or named.object("custom") or named).text("name")
    if name is None:
        loss.note("tool_choice")
        return None
    return ToolChoice("required", (name,))


def read_response_format(fields: Fields, name: str = "response_format") -> ResponseFormat | None:
    """``response_format``; plain text is none."""
    form = fields.object(name)
    if form is None:
        return None
    kind = form.text("type")
    if kind == "json_object":
        return ResponseFormat()
    if kind != "json_schema":
        return None
    # Responses write beside the type what chat completions write one level down.
    inner = form.object("json_schema") or form
    return ResponseFormat(
        schema=inner.mapping("schema") or {},
        name=inner.text("name"),
        description=inner.text("description"),
        strict=inner.flag("strict"),
    )


def _read_reasoning(fields: Fields) -> Reasoning | None:
    effort = fields.text("reasoning_effort")
    if effort is not None:
        return Reasoning(effort=_effort(effort, "reasoning_effort"), show=effort != "none")
    nested = fields.object("reasoning")
    if nested is not None:
        effort, budget = nested.text("effort"), nested.whole("max_tokens")
        if nested.flag("enabled") is False:
            return Reasoning(effort="none")
        show = nested.flag("exclude") is not True
        return Reasoning(_effort(effort, "reasoning.effort") if effort else None, budget, show)
    thinking = fields.object("thinking")
    if thinking is not None:
        if thinking.text("type") == "disabled":
            return Reasoning(effort="none")
        return Reasoning(budget=thinking.whole("budget_tokens"), show=True)
    return None


def _effort(word: str, path: str) -> Effort:
    lower = word.lower()
    if lower not in EFFORTS:
        malformed(path, f"one of {', '.join(sorted(EFFORTS))}", word)
    return cast(Effort, lower)
