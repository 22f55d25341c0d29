"""Ollama's /api/chat, requests written (docs.ollama.com, "Generate a chat message")."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from helicone_gw.dialects.translate.base import Destination, Outgoing
from helicone_gw.dialects.translate.conversation import (
    Audio,
    ConversationRequest,
    Document,
    Effort,
    Image,
    Message,
    Part,
    Reasoning,
    Refusal,
    ResponseFormat,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
)
from helicone_gw.dialects.translate.egress_common import arguments_object, called_names, lose, one_answer
from helicone_gw.dialects.translate.fields import only
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.media import split_data_url
from helicone_gw.dialects.translate.names import legal_id
from helicone_gw.dialects.translate.reasoning import budget_of, effort_of

_LEVELS: dict[Effort, str] = {"minimal": "low", "low": "low", "medium": "medium"}
_TAKES_LEVELS = re.compile(r"gpt-oss")
"""Models that are told how much to think; the others only whether to."""


def write_ollama(request: ConversationRequest, to: Destination, loss: Loss) -> Outgoing:
    """``request`` as the body of ``POST /api/chat``."""
    turns = _Turns(request, to, loss)
    options = only(
        num_predict=request.max_tokens,
        temperature=request.temperature,
        top_p=request.top_p,
        top_k=request.top_k,
        min_p=request.min_p,
        seed=request.seed,
        stop=list(request.stop) or None,
        frequency_penalty=request.frequency_penalty,
        presence_penalty=request.presence_penalty,
    )
    body: dict[str, Any] = {"model": to.model, "messages": turns.messages(), "stream": request.stream}
    body |= only(
        tools=_write_tools(request, to, loss),
        format=_write_format(request.response_format, loss),
        think=_write_thinking(request.reasoning, to.model),
        options=options or None,
        logprobs=None if request.top_logprobs is None else True,
        top_logprobs=request.top_logprobs or None,
    )
    if request.parallel_tool_calls is False:
        loss.note("parallel_tool_calls")
    one_answer(request, loss)
    lose(request, loss, "verbosity", "user", "metadata", "service_tier", "web_search")
    return Outgoing("chat", "/api/chat", msgspec.json.encode(body))


def _write_tools(request: ConversationRequest, to: Destination, loss: Loss) -> list[dict[str, Any]] | None:
    """The tools that may be called. That one has to be cannot be said; that none may is said by offering none."""
    choice, offered = request.tool_choice, request.tools
    if not offered:
        return None
    if choice is not None:
        if choice.mode == "none":
            return None
        if choice.mode == "required":
            loss.note("tool_choice")
        if choice.names:
            offered = tuple(tool for tool in offered if tool.name in choice.names) or offered
    if any(tool.cache for tool in offered):
        loss.note("tools.cache_control")
    if any(tool.strict for tool in offered):
        loss.note("tools.strict")
    return [_write_tool(tool, to) for tool in offered]


def _write_tool(tool: Tool, to: Destination) -> dict[str, Any]:
    parameters = tool.parameters or {"type": "object", "properties": {}}
    function = {"name": to.names.legal(tool.name)} | only(description=tool.description, parameters=parameters)
    return {"type": "function", "function": function}


def _write_format(form: ResponseFormat | None, loss: Loss) -> Any:
    if form is None:
        return None
    if form.name or form.description:
        loss.note("response_format.json_schema.description" if form.description else "response_format.json_schema.name")
    return "json" if form.schema is None else form.schema


def _write_thinking(reasoning: Reasoning | None, model: str) -> bool | str | None:
    if reasoning is None:
        return None
    effort = effort_of(reasoning)
    if _TAKES_LEVELS.search(model):
        # They cannot be told not to think.
        return _LEVELS.get(effort or "medium", "low" if effort == "none" else "high")
    return budget_of(reasoning) != 0


class _Turns:
    """Writes messages; what stands in none of Ollama's is noted."""

    def __init__(self, request: ConversationRequest, to: Destination, loss: Loss) -> None:
        self._request = request
        self._to = to
        self._loss = loss
        self._names = called_names(request.messages)

    def messages(self) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = []
        if self._request.system:
            messages.append({"role": "system", **self._content(self._request.system, "system")})
        for index, message in enumerate(self._request.messages):
            path = f"messages.{index}"
            if message.name:
                self._loss.note(f"{path}.name")
            messages += self._turn(message, f"{path}.content")
        return messages

    def _turn(self, message: Message, path: str) -> list[dict[str, Any]]:
        if message.role == "tool":
            return [
                self._result(part, path) for part in message.parts if isinstance(part, ToolResult) or self._lost(path)
            ]
        # A model's text was one text before it was cut at its tool calls; a person's parts are texts of their own.
        glue = "" if message.role == "assistant" else "\n"
        found = {"role": message.role, **self._content(message.parts, path, glue)}
        if message.role == "assistant":
            thoughts = "".join(part.text for part in message.parts if isinstance(part, Thinking))
            calls = [self._call(part, path) for part in message.parts if isinstance(part, ToolCall)]
            found |= only(thinking=thoughts or None, tool_calls=calls or None)
        return [found]

    def _lost(self, path: str) -> bool:
        self._loss.note(path)
        return False

    def _content(self, parts: Sequence[Part], path: str, glue: str = "\n") -> dict[str, Any]:
        """``content`` and ``images``: one text, and the pictures beside it."""
        texts: list[str] = []
        images: list[str] = []
        for part in parts:
            if getattr(part, "cache", None):
                self._loss.note(f"{path}.cache_control")
            match part:
                case Text() | Refusal():
                    if isinstance(part, Text) and part.citations:
                        self._loss.note(f"{path}.citations")
                    texts.append(part.text)
                case Image():
                    images += self._image(part, path)
                case Document(text=str() as words):
                    if part.citations or part.context:
                        self._loss.note(f"{path}.document.citations" if part.citations else f"{path}.document.context")
                    texts.append(f"{part.name}\n\n{words}" if part.name else words)
                case Document():
                    self._loss.note(f"{path}.document")
                case Audio():
                    self._loss.note(f"{path}.audio")
                case Thinking():
                    if part.redacted is not None or part.signature is not None:
                        self._loss.note(f"{path}.thinking")
                case ToolCall() | ToolResult():
                    pass  # written beside the content
        return {"content": glue.join(texts)} | only(images=images or None)

    def _image(self, image: Image, path: str) -> list[str]:
        if image.detail not in (None, "auto"):
            self._loss.note(f"{path}.image.detail")
        if image.data is not None:
            return [image.data]
        inline = None if image.url is None else split_data_url(image.url)
        if inline is None:
            self._loss.note(f"{path}.image")  # Ollama fetches nothing from the web
            return []
        return [inline[1]]

    def _call(self, call: ToolCall, path: str) -> dict[str, Any]:
        function = {"name": self._to.names.legal(call.name), "arguments": arguments_object(call, path, self._loss)}
        return {"id": legal_id(call.id), "function": function}

    def _result(self, result: Part, path: str) -> dict[str, Any]:
        assert isinstance(result, ToolResult)
        if result.is_error:
            self._loss.note(f"{path}.is_error")
        if result.cache:
            self._loss.note(f"{path}.cache_control")
        name = result.name or self._names.get(result.call_id)
        found = {"role": "tool", **self._content(result.parts, path)}
        legal = None if name is None else self._to.names.legal(name)
        return found | only(tool_name=legal) | {"tool_call_id": legal_id(result.call_id)}
