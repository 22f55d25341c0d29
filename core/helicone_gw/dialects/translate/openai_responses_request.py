"""OpenAI responses, requests read (platform.openai.com, "Create a model response")."""

from __future__ import annotations

from typing import Any, Literal, cast

from helicone_gw.dialects._json import items, mapping, read_body
from helicone_gw.dialects.translate.conversation import (
    ConversationRequest,
    Effort,
    Reasoning,
    Text,
    Tool,
    ToolChoice,
)
from helicone_gw.dialects.translate.custom_tools import custom_tool
from helicone_gw.dialects.translate.fields import Fields, malformed
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.openai_chat_request import read_response_format
from helicone_gw.dialects.translate.openai_responses_items import read_input
from helicone_gw.dialects.translate.reasoning import EFFORTS
from helicone_gw.errors import BadRequest

STATEFUL = ("previous_response_id", "conversation", "prompt")
"""What refers to something that lies at OpenAI and nowhere else."""
_INCLUDED = frozenset({"reasoning.encrypted_content", "message.output_text.logprobs"})
_LOGPROBS = "message.output_text.logprobs"


def read_responses(body: bytes, loss: Loss, *, model: str, stream: bool) -> ConversationRequest:
    """The body of ``POST /v1/responses`` in neutral form.

    Raises `MalformedBody`, and `BadRequest` for a response that continues a stored one: only its maker has that.
    """
    fields = Fields(read_body(body))
    fields.ignore("model", "stream", "stream_options")
    for name in STATEFUL:
        if fields.any(name) is not None:
            raise BadRequest(
                f"The field {name!r} refers to what is stored at OpenAI, and this request goes to a provider that does "
                "not have it. Send the whole conversation in 'input' instead.",
                code="stored_state_not_available",
            )
    system, messages = read_input(fields, loss)
    instructions = fields.text("instructions")
    if instructions:
        system = (Text(instructions), *system)
    tools, searches = _read_tools(fields, loss)
    form = fields.object("text")
    included = fields.texts("include")
    for name in included:
        if name not in _INCLUDED:
            loss.note(f"include.{name}")
    top = fields.whole("top_logprobs")
    request = ConversationRequest(
        model=model,
        messages=messages,
        system=system,
        tools=tuple(tools),
        tool_choice=_read_tool_choice(fields, loss),
        parallel_tool_calls=fields.flag("parallel_tool_calls"),
        response_format=None if form is None else read_response_format(form, "format"),
        reasoning=_read_reasoning(fields.object("reasoning")),
        verbosity=None if form is None else form.text("verbosity"),
        max_tokens=fields.whole("max_output_tokens"),
        temperature=fields.number("temperature"),
        top_p=fields.number("top_p"),
        top_logprobs=(top or 0) if top or _LOGPROBS in included else None,
        user=fields.text("user"),
        metadata=fields.mapping("metadata"),
        service_tier=fields.text("service_tier"),
        web_search=searches,
        stream=stream,
        include_usage=True,
    )
    request.extras = fields.rest()
    for name, usual in (("truncation", "disabled"), ("background", False), ("store", False)):
        if request.extras.get(name) == usual:
            del request.extras[name]
    return request


def _read_tools(fields: Fields, loss: Loss) -> tuple[list[Tool], bool]:
    tools: list[Tool] = []
    searches = False
    for tool in fields.objects("tools"):
        kind = tool.needed("type")
        if kind.startswith("web_search"):
            searches = True
        elif kind == "custom":
            tools.append(custom_tool(tool.needed("name"), tool.text("description"), tool.any("format")))
        elif kind == "function":
            found = Tool(
                tool.needed("name"),
                tool.text("description"),
                tool.mapping("parameters"),
                tool.flag("strict") or None,
            )
            tool.lose(loss)
            tools.append(found)
        else:
            loss.note(tool.path)
    return tools, searches


def _read_tool_choice(fields: Fields, loss: Loss) -> ToolChoice | None:
    choice = fields.any("tool_choice")
    if choice is None:
        return None
    if isinstance(choice, str):
        if choice not in ("auto", "none", "required"):
            malformed("tool_choice", "auto, none, required or an object", choice)
        return ToolChoice(cast(Literal["auto", "none", "required"], choice))
    named = Fields(choice, "tool_choice")
    match named.text("type"):
        case "function" | "custom":
            return ToolChoice("required", (named.needed("name"),))
        case "allowed_tools":
            names = [mapping(tool).get("name") for tool in items(named.any("tools"))]
            mode: Any = "required" if named.text("mode") == "required" else "auto"
            return ToolChoice(mode, tuple(name for name in names if isinstance(name, str)))
    loss.note("tool_choice")
    return None


def _read_reasoning(reasoning: Fields | None) -> Reasoning | None:
    if reasoning is None:
        return None
    effort, summary = reasoning.text("effort"), reasoning.text("summary") or reasoning.text("generate_summary")
    if effort is not None and effort not in EFFORTS:
        malformed("reasoning.effort", f"one of {', '.join(sorted(EFFORTS))}", effort)
    if effort is None and summary is None:
        return None
    return Reasoning(cast("Effort | None", effort), None if effort else -1, True if summary else None, summary)
