"""Gemini generateContent, requests read (ai.google.dev, "Generating content"). Names may be written in snake case."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from helicone_gw.dialects._json import read_body
from helicone_gw.dialects.translate.conversation import (
    ConversationRequest,
    Effort,
    Reasoning,
    ResponseFormat,
    Text,
    Tool,
    ToolChoice,
)
from helicone_gw.dialects.translate.fields import Fields
from helicone_gw.dialects.translate.gemini_parts import read_contents, read_parts
from helicone_gw.dialects.translate.gemini_schemas import from_gemini
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.reasoning import EFFORTS

_SNAKE = re.compile(r"_([a-z0-9])")
_OPAQUE = frozenset({"args", "response", "parameters", "parametersJsonSchema", "responseSchema", "responseJsonSchema"})
"""Members whose content is the client's own, names and all."""
_SEARCHES = ("googleSearch", "googleSearchRetrieval")
_MODES = {"AUTO": "auto", "ANY": "required", "NONE": "none", "VALIDATED": "auto"}


def read_generate_content(body: bytes, loss: Loss, *, model: str, stream: bool) -> ConversationRequest:
    """The body of ``POST /v1beta/models/{model}:generateContent`` in neutral form. Raises `MalformedBody`."""
    fields = Fields(camel(read_body(body)))
    fields.ignore("model")
    config = fields.object("generationConfig") or Fields({}, "generationConfig")
    tools, searches = _read_tools(fields, loss)
    names = fields.object("toolConfig")
    calling = names and names.object("functionCallingConfig")
    request = ConversationRequest(
        model=model,
        messages=read_contents(fields, loss),
        system=_read_system(fields, loss),
        tools=tuple(tools),
        tool_choice=None if calling is None else _read_tool_choice(calling),
        response_format=_read_format(config),
        reasoning=_read_reasoning(config.object("thinkingConfig")),
        max_tokens=config.whole("maxOutputTokens"),
        stop=config.texts("stopSequences"),
        temperature=config.number("temperature"),
        top_p=config.number("topP"),
        top_k=config.whole("topK"),
        frequency_penalty=config.number("frequencyPenalty"),
        presence_penalty=config.number("presencePenalty"),
        seed=config.whole("seed"),
        n=config.whole("candidateCount"),
        top_logprobs=(config.whole("logprobs") or 0) if config.flag("responseLogprobs") else None,
        metadata=cast("dict[str, str] | None", fields.mapping("labels")),
        service_tier=fields.text("serviceTier"),
        web_search=searches,
        stream=stream,
        include_usage=True,
    )
    config.ignore("logprobs")
    if config.value.get("responseModalities") in (["TEXT"], ["text"]):
        config.ignore("responseModalities")
    config.lose(loss)
    request.extras = fields.rest()
    return request


def camel(value: Any) -> Any:
    """``value`` with every name in camel case, the client's own objects left as they are."""
    if isinstance(value, list):
        return [camel(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    found: dict[str, Any] = {}
    for name, inner in value.items():
        written = _SNAKE.sub(lambda match: match[1].upper(), name) if "_" in name else name
        found[written] = inner if written in _OPAQUE else camel(inner)
    return found


def _read_system(fields: Fields, loss: Loss) -> tuple[Text, ...]:
    value = fields.any("systemInstruction")
    if value is None:
        return ()
    if isinstance(value, str):
        return (Text(value),)
    instruction = fields.object("systemInstruction")
    assert instruction is not None
    parts = read_parts(instruction, loss)
    if any(not isinstance(part, Text) for part in parts):
        loss.note("systemInstruction.parts")
    return tuple(part for part in parts if isinstance(part, Text))


def _read_tools(fields: Fields, loss: Loss) -> tuple[list[Tool], bool]:
    tools: list[Tool] = []
    searches = False
    entries = fields.any("tools")
    if isinstance(entries, Mapping):  # one tool outside any list is taken too
        fields = Fields({"tools": [entries]})
    for entry in fields.objects("tools"):
        for function in entry.objects("functionDeclarations"):
            parameters = function.mapping("parametersJsonSchema")
            if parameters is None and (schema := function.mapping("parameters")) is not None:
                parameters = from_gemini(schema)
            tools.append(Tool(function.needed("name"), function.text("description"), parameters))
            function.ignore("behavior")
            function.lose(loss)
        searches = searches or any(entry.any(name) is not None for name in _SEARCHES)
        entry.lose(loss)
    return tools, searches


def _read_tool_choice(calling: Fields) -> ToolChoice | None:
    mode = _MODES.get((calling.text("mode") or "AUTO").upper())
    if mode is None:
        return None
    return ToolChoice(cast(Any, mode), calling.texts("allowedFunctionNames"))


def _read_format(config: Fields) -> ResponseFormat | None:
    kind = config.text("responseMimeType")
    schema = config.mapping("responseJsonSchema")
    if schema is None and (given := config.mapping("responseSchema")) is not None:
        schema = from_gemini(given)
    if kind != "application/json" and schema is None:
        return None
    return ResponseFormat(schema=schema)


def _read_reasoning(thinking: Fields | None) -> Reasoning | None:
    if thinking is None:
        return None
    level = (thinking.text("thinkingLevel") or "").lower()
    return Reasoning(
        effort=cast(Effort, level) if level in EFFORTS else None,
        budget=thinking.whole("thinkingBudget"),
        show=thinking.flag("includeThoughts"),
    )
