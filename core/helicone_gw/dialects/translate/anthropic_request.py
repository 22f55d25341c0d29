"""Anthropic messages, requests read (docs.claude.com, "Create a Message")."""

from __future__ import annotations

from typing import Any, Literal, cast

from helicone_gw.dialects._json import read_body, text
from helicone_gw.dialects.translate.anthropic_blocks import read_message, read_text
from helicone_gw.dialects.translate.conversation import (
    ConversationRequest,
    Effort,
    Message,
    Reasoning,
    ResponseFormat,
    Text,
    Tool,
    ToolChoice,
)
from helicone_gw.dialects.translate.fields import Fields, malformed
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.media import read_cache
from helicone_gw.dialects.translate.reasoning import EFFORTS

_MODES: dict[str, Literal["auto", "none", "required"]] = {
    "auto": "auto",
    "any": "required",
    "none": "none",
    "tool": "required",
}


def read_messages(body: bytes, loss: Loss, *, model: str, stream: bool) -> ConversationRequest:
    """The body of ``POST /v1/messages`` in neutral form. Raises `MalformedBody`."""
    fields = Fields(read_body(body))
    fields.ignore("model", "stream", "anthropic_version", "anthropic_beta", "betas")
    metadata = fields.object("metadata")
    config = fields.object("output_config")
    tools, searches = _read_tools(fields, loss)
    choice = fields.object("tool_choice")
    request = ConversationRequest(
        model=model,
        messages=_read_turns(fields, loss),
        system=_read_system(fields, loss),
        tools=tuple(tools),
        tool_choice=_read_tool_choice(choice),
        parallel_tool_calls=False if choice is not None and choice.flag("disable_parallel_tool_use") else None,
        response_format=_read_format(fields.object("output_format") or (config and config.object("format"))),
        reasoning=_read_reasoning(fields, config),
        max_tokens=fields.whole("max_tokens"),
        stop=fields.texts("stop_sequences"),
        temperature=fields.number("temperature"),
        top_p=fields.number("top_p"),
        top_k=fields.whole("top_k"),
        user=None if metadata is None else text(metadata.any("user_id")),
        service_tier=fields.text("service_tier"),
        web_search=searches,
        stream=stream,
        include_usage=True,
    )
    if metadata is not None:
        metadata.lose(loss)
    if config is not None:
        config.lose(loss)
    request.extras = fields.rest()
    return request


def _read_system(fields: Fields, loss: Loss) -> tuple[Text, ...]:
    system = fields.any("system")
    if system is None or isinstance(system, str):
        return (Text(system),) if system else ()
    return tuple(read_text(block, loss) for block in fields.objects("system"))


def _read_turns(fields: Fields, loss: Loss) -> list[Message]:
    messages: list[Message] = []
    for field in fields.objects("messages"):
        messages += read_message(field, loss)
    return messages


def _read_tools(fields: Fields, loss: Loss) -> tuple[list[Tool], bool]:
    """The functions, and whether the provider is to search the web."""
    tools: list[Tool] = []
    searches = False
    for tool in fields.objects("tools"):
        kind = tool.text("type") or "custom"
        if kind != "custom":
            if kind.startswith("web_search_"):
                searches = True
            else:
                loss.note(tool.path)
            continue
        tools.append(
            Tool(
                name=tool.needed("name"),
                description=tool.text("description"),
                parameters=tool.mapping("input_schema"),
                strict=tool.flag("strict"),
                cache=read_cache(tool.any("cache_control")),
            )
        )
        tool.ignore("eager_input_streaming")
        tool.lose(loss)
    return tools, searches


def _read_tool_choice(choice: Fields | None) -> ToolChoice | None:
    if choice is None:
        return None
    kind = choice.needed("type")
    mode = _MODES.get(kind)
    if mode is None:
        malformed(choice.at("type"), "one of auto, any, tool, none", kind)
    return ToolChoice(mode, (choice.needed("name"),) if kind == "tool" else ())


def _read_format(format: Fields | None) -> ResponseFormat | None:
    if format is None:
        return None
    # Not "strict" in the sense of OpenAI, which wants every property required.
    return ResponseFormat(schema=format.mapping("schema") or {})


def _read_reasoning(fields: Fields, config: Fields | None) -> Reasoning | None:
    effort = config.text("effort") if config is not None else None
    if effort is not None and effort not in EFFORTS:
        malformed("output_config.effort", "one of low, medium, high, xhigh, max", effort)
    thinking = fields.object("thinking")
    kind: Any = None if thinking is None else thinking.text("type")
    if thinking is None or kind == "disabled":
        if kind == "disabled":
            return Reasoning(effort="none")
        return None if effort is None else Reasoning(effort=cast(Effort, effort))
    show = thinking.text("display") != "omitted"
    if kind == "enabled":
        return Reasoning(cast("Effort | None", effort), thinking.whole("budget_tokens"), show)
    return Reasoning(cast("Effort | None", effort), None if effort else -1, show)
