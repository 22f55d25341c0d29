"""Replicate's predictions, requests written (replicate.com/docs; the models' own input schemas).

Models on Replicate take a prompt and a system prompt, not messages, and name their inputs as they like: official ones
of one maker name them alike. A conversation of several turns is written out as one text.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Struct

from helicone_gw.dialects.translate.base import Destination, Outgoing
from helicone_gw.dialects.translate.conversation import (
    ConversationRequest,
    Document,
    Image,
    Message,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from helicone_gw.dialects.translate.egress_common import lose, one_answer
from helicone_gw.dialects.translate.fields import only
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.media import data_url
from helicone_gw.dialects.translate.reasoning import effort_of
from helicone_gw.errors import BadRequest

_VERSION = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
_SPEAKERS = {"user": "User", "assistant": "Assistant", "tool": "Tool", "system": "System"}


class _Inputs(Struct, frozen=True):
    """How a maker's models name their inputs; ``pictures`` is one picture's, or with ``many`` those of several."""

    longest: str = "max_tokens"
    system: str = "system_prompt"
    pictures: str | None = None
    many: bool = False
    effort: bool = False


_MAKERS = {
    "openai": _Inputs("max_completion_tokens", pictures="image_input", many=True, effort=True),
    "anthropic": _Inputs(pictures="image"),
    "google": _Inputs("max_output_tokens", "system_instruction", pictures="images", many=True),
}
_COMMON = _Inputs()


def write_prediction(request: ConversationRequest, to: Destination, loss: Loss) -> Outgoing:
    """``request`` as the body of a new prediction. Raises `BadRequest` for a model name that Replicate cannot have."""
    path, version = _place(to.model)
    inputs = _MAKERS.get(to.model.partition("/")[0], _COMMON)
    pictures: list[str] = []
    system = [part.text for part in request.system if part.text]
    given = {"prompt": _write_prompt(request, pictures, loss)} | only(
        **{inputs.system: "\n\n".join(system) or None, inputs.longest: request.max_tokens},
        temperature=request.temperature,
        top_p=request.top_p,
        top_k=request.top_k,
        min_p=request.min_p,
        frequency_penalty=request.frequency_penalty,
        presence_penalty=request.presence_penalty,
        seed=request.seed,
        stop_sequences=_write_stops(request, loss),
        **_write_pictures(pictures, inputs, loss),
        **_write_effort(request, inputs, loss),
    )
    for name, value in (("tools", request.tools), ("tool_choice", request.tool_choice)):
        if value:
            loss.note(name)
    if any(part.cache for part in request.system):
        loss.note("system.cache_control")
    if request.parallel_tool_calls is False:
        loss.note("parallel_tool_calls")
    one_answer(request, loss)
    lose(
        request,
        loss,
        "response_format",
        "verbosity",
        "top_logprobs",
        "user",
        "metadata",
        "service_tier",
        "web_search",
    )
    body = only(version=version, input=given, stream=request.stream or None)
    # At most a minute is waited in one go; after that the prediction is asked for until it is there.
    headers = {"accept": "application/json"} | ({} if request.stream else {"prefer": "wait"})
    return Outgoing("predictions", path, msgspec.json.encode(body), headers=headers)


def _place(model: str) -> tuple[str, str | None]:
    """Path and version of a model: ``owner/name``, ``owner/name:version``, ``deployments/owner/name``, or a version."""
    name, _, version = model.partition(":")
    if version or _VERSION.fullmatch(model):
        return "/v1/predictions", version or model
    deployment = model.removeprefix("deployments/")
    if not _NAME.fullmatch(deployment):
        raise BadRequest(
            f"Model {model[:80]!r} is none of Replicate's: they are called owner/name, owner/name:version, or "
            "deployments/owner/name.",
            code="model_not_found",
        )
    return f"/v1/{'deployments' if deployment != name else 'models'}/{quote(deployment, safe='/')}/predictions", None


def _write_prompt(request: ConversationRequest, pictures: list[str], loss: Loss) -> str:
    turns: list[tuple[str, str]] = []
    for index, message in enumerate(request.messages):
        words = _write_turn(message, f"messages.{index}.content", pictures, loss)
        if message.name:
            loss.note(f"messages.{index}.name")
        if words:
            turns.append((message.role, words))
    if len(turns) == 1 and turns[0][0] == "user":
        return turns[0][1]
    if not turns:
        return ""
    loss.note("messages.role")  # who said what is still told, but only to a reader
    return "\n\n".join([*(f"{_SPEAKERS[role]}: {words}" for role, words in turns), "Assistant:"])


def _write_turn(message: Message, path: str, pictures: list[str], loss: Loss) -> str:
    texts: list[str] = []
    for part in message.parts:
        if getattr(part, "cache", None):
            loss.note(f"{path}.cache_control")
        match part:
            case Text() | Refusal():
                if isinstance(part, Text) and part.citations:
                    loss.note(f"{path}.citations")
                texts.append(part.text)
            case Document(text=str() as words):
                texts.append(f"{part.name}\n\n{words}" if part.name else words)
                if part.citations or part.context:
                    loss.note(f"{path}.document")
            case Image() if part.data is not None or (part.url is not None and part.url.startswith(("http", "data:"))):
                pictures.append(part.url or data_url(part.media_type, part.data or ""))
            case ToolCall():
                loss.note(f"{path}.tool_calls")
                texts.append(f"{part.name}({part.arguments})")
            case ToolResult():
                loss.note(f"{path}.tool_result")
                texts += (each.text for each in part.parts if isinstance(each, Text))
            case Thinking():
                loss.note(f"{path}.thinking")
            case _:
                loss.note(f"{path}.{type(part).__name__.lower()}")
    return "\n".join(text for text in texts if text)


def _write_pictures(pictures: list[str], inputs: _Inputs, loss: Loss) -> dict[str, Any]:
    if not pictures:
        return {}
    if inputs.pictures is None or (len(pictures) > 1 and not inputs.many):
        loss.note("messages.content.image")
    if inputs.pictures is None:
        return {}
    return {inputs.pictures: pictures if inputs.many else pictures[-1]}


def _write_stops(request: ConversationRequest, loss: Loss) -> str | None:
    """Stop sequences as one text, separated by commas: those that have one themselves cannot be said."""
    stops = [stop for stop in request.stop if stop and "," not in stop]
    if len(stops) < len(request.stop):
        loss.note("stop")
    return ",".join(stops) or None


def _write_effort(request: ConversationRequest, inputs: _Inputs, loss: Loss) -> dict[str, Any]:
    effort = None if request.reasoning is None else effort_of(request.reasoning)
    if effort is None:
        return {}
    if not inputs.effort:
        loss.note("reasoning_effort")
        return {}
    return {"reasoning_effort": {"none": "minimal", "xhigh": "high", "max": "high"}.get(effort, effort)}
