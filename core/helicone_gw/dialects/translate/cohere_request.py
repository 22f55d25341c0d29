"""Cohere's chat API v2, requests written (docs.cohere.com, "Chat API (v2)")."""

from __future__ import annotations

from collections.abc import Sequence
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
    Reasoning,
    Refusal,
    ResponseFormat,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from helicone_gw.dialects.translate.egress_common import arguments_object, clamped, lose, one_answer
from helicone_gw.dialects.translate.fields import only
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.media import data_url
from helicone_gw.dialects.translate.names import legal_id
from helicone_gw.dialects.translate.reasoning import budget_of

_MOST_STOPS = 5
_MOST_TOP_K = 500
_LARGEST_SEED = 2**64 - 1
_DETAILS = frozenset({"auto", "low", "high"})


def write_cohere(request: ConversationRequest, to: Destination, loss: Loss) -> Outgoing:
    """``request`` as the body of ``POST /v2/chat``."""
    turns = _Turns(to, loss)
    body: dict[str, Any] = {"model": to.model, "messages": turns.messages(request), "stream": request.stream}
    tools, choice, strict = _write_tools(request, to, loss)
    seed = request.seed
    if seed is not None and not 0 <= seed <= _LARGEST_SEED:
        loss.note("seed")
        seed = None
    if len(request.stop) > _MOST_STOPS:
        loss.note("stop")
    if request.parallel_tool_calls is False:
        loss.note("parallel_tool_calls")
    if request.top_logprobs:
        loss.note("top_logprobs")
    top_k = clamped(request.top_k, 0, _MOST_TOP_K, "top_k", loss)
    body |= only(
        tools=tools,
        tool_choice=choice,
        strict_tools=strict,
        response_format=_write_format(request.response_format, loss),
        thinking=_write_thinking(request.reasoning),
        max_tokens=request.max_tokens,
        stop_sequences=list(request.stop[:_MOST_STOPS]) or None,
        temperature=clamped(request.temperature, 0.0, 1.0, "temperature", loss),
        p=clamped(request.top_p, 0.01, 0.99, "top_p", loss) if request.top_p != 1 else None,
        k=None if top_k is None else int(top_k),
        frequency_penalty=clamped(request.frequency_penalty, 0.0, 1.0, "frequency_penalty", loss),
        presence_penalty=clamped(request.presence_penalty, 0.0, 1.0, "presence_penalty", loss),
        seed=seed,
        logprobs=None if request.top_logprobs is None else True,
    )
    one_answer(request, loss)
    lose(request, loss, "verbosity", "min_p", "user", "metadata", "service_tier", "web_search")
    return Outgoing("chat", "/v2/chat", msgspec.json.encode(body))


def _write_tools(
    request: ConversationRequest, to: Destination, loss: Loss
) -> tuple[list[dict[str, Any]] | None, str | None, bool | None]:
    """The tools, the choice between them, and whether their schemas are kept to: that is said for all or for none."""
    if not request.tools:
        return None, None, None
    choice = request.tool_choice
    offered: Sequence[Tool] = request.tools
    if choice is not None and choice.names:
        # There is no word for some of them: only those are offered, which comes to the same.
        offered = [tool for tool in request.tools if tool.name in choice.names] or request.tools
    strict = [tool.strict is True for tool in offered]
    if any(strict) and not all(strict):
        loss.note("tools.strict")
    if any(tool.cache for tool in offered):
        loss.note("tools.cache_control")
    return [_write_tool(tool, to) for tool in offered], _write_choice(choice), all(strict) or None


def _write_tool(tool: Tool, to: Destination) -> dict[str, Any]:
    parameters = tool.parameters or {"type": "object", "properties": {}}
    function = {"name": to.names.legal(tool.name)} | only(description=tool.description, parameters=parameters)
    return {"type": "function", "function": function}


def _write_choice(choice: ToolChoice | None) -> str | None:
    return None if choice is None or choice.mode == "auto" else choice.mode.upper()


def _write_format(form: ResponseFormat | None, loss: Loss) -> dict[str, Any] | None:
    if form is None:
        return None
    if form.name or form.description:
        loss.note("response_format.json_schema.description" if form.description else "response_format.json_schema.name")
    return {"type": "json_object"} | only(json_schema=form.schema)


def _write_thinking(reasoning: Reasoning | None) -> dict[str, Any] | None:
    if reasoning is None:
        return None
    budget = budget_of(reasoning)
    if budget == 0:
        return {"type": "disabled"}
    return {"type": "enabled"} | only(token_budget=budget)


class _Turns:
    """Writes messages; what stands in none of Cohere's is noted."""

    def __init__(self, to: Destination, loss: Loss) -> None:
        self._to = to
        self._loss = loss

    def messages(self, request: ConversationRequest) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = []
        system = self._content(request.system, "system")
        if system:
            messages.append({"role": "system", "content": system})
        for index, message in enumerate(request.messages):
            path = f"messages.{index}"
            if message.name:
                self._loss.note(f"{path}.name")
            messages += self._turn(message, f"{path}.content")
        return messages

    def _turn(self, message: Message, path: str) -> list[dict[str, Any]]:
        if message.role == "tool":
            return self._results(message, path)
        if message.role == "assistant":
            return [self._assistant(message, path)]
        return [{"role": message.role, "content": self._content(message.parts, path, pictures=message.role == "user")}]

    def _content(self, parts: Sequence[Part], path: str, *, pictures: bool = False) -> str | list[dict[str, Any]]:
        """A string where one text is all there is, which every model takes; else an array."""
        written = [part for part in (self._part(part, path, pictures) for part in parts) if part is not None]
        if len(written) == 1 and written[0]["type"] == "text":
            return str(written[0]["text"])
        return written or ""

    def _part(self, part: Part, path: str, pictures: bool) -> dict[str, Any] | None:
        if getattr(part, "cache", None):
            self._loss.note(f"{path}.cache_control")
        match part:
            case Text() | Refusal():
                if isinstance(part, Text) and part.citations:
                    self._loss.note(f"{path}.citations")
                return {"type": "text", "text": part.text}
            case Image() if pictures and (part.url or part.data is not None):
                url = part.url or data_url(part.media_type, part.data or "")
                detail = part.detail if part.detail in _DETAILS else None
                return {"type": "image_url", "image_url": {"url": url} | only(detail=detail)}
            case Document(text=str() as words):
                title = f"{part.name}\n\n" if part.name else ""
                if part.citations or part.context:
                    self._loss.note(f"{path}.document.citations" if part.citations else f"{path}.document.context")
                return {"type": "text", "text": title + words}
            case Image():
                self._loss.note(f"{path}.image")
            case Audio():
                self._loss.note(f"{path}.audio")
            case Document():
                self._loss.note(f"{path}.document")
            case _:
                self._loss.note(path)
        return None

    def _assistant(self, message: Message, path: str) -> dict[str, Any]:
        content: list[dict[str, Any]] = []
        calls: list[dict[str, Any]] = []
        for part in message.parts:
            if isinstance(part, ToolCall):
                calls.append(self._call(part, path))
            elif isinstance(part, Thinking):
                if part.redacted is not None or not part.text:
                    self._loss.note(f"{path}.thinking")
                else:
                    content.append({"type": "thinking", "thinking": part.text})
            elif (written := self._part(part, path, False)) is not None:
                content.append(written)
        found: dict[str, Any] = {"role": "assistant"} | only(tool_calls=calls or None)
        if len(content) == 1 and content[0]["type"] == "text":
            return found | {"content": content[0]["text"]}
        return found | ({"content": content} if content else {} if calls else {"content": ""})

    def _call(self, call: ToolCall, path: str) -> dict[str, Any]:
        if call.cache:
            self._loss.note(f"{path}.cache_control")
        # Arguments are text here too, but text that has to be an object.
        arguments = msgspec.json.encode(arguments_object(call, path, self._loss)).decode()
        function = {"name": self._to.names.legal(call.name), "arguments": arguments}
        return {"id": legal_id(call.id), "type": "function", "function": function}

    def _results(self, message: Message, path: str) -> list[dict[str, Any]]:
        written: list[dict[str, Any]] = []
        for result in message.parts:
            if not isinstance(result, ToolResult):
                self._loss.note(path)
                continue
            if result.is_error:
                self._loss.note(f"{path}.is_error")
            if result.cache:
                self._loss.note(f"{path}.cache_control")
            content = self._content(result.parts, path)
            written.append({"role": "tool", "tool_call_id": legal_id(result.call_id), "content": content})
        return written
