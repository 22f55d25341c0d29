"""OpenAI's custom tools, which take free text: elsewhere they are functions with that text as their one argument."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from helicone_gw.dialects._json import mapping, text
from helicone_gw.dialects.translate.conversation import ConversationRequest, Part, Tool, ToolCall

ARGUMENT = "input"
PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {ARGUMENT: {"type": "string"}},
    "required": [ARGUMENT],
    "additionalProperties": False,
}


def custom_tool(name: str, description: str | None, format: Any) -> Tool:
    """A custom tool; the grammar that its text must follow is told in words."""
    grammar = mapping(mapping(format).get("grammar")) or mapping(format)
    words = [description] if description else []
    if definition := text(grammar.get("definition")):
        words.append(f"The input must follow this {grammar.get('syntax') or ''} grammar:\n{definition}")
    return Tool(name, "\n\n".join(words) or None, PARAMETERS, custom=True)


def custom_names(request: ConversationRequest) -> frozenset[str]:
    """The names of the custom tools that a request offers."""
    return frozenset(tool.name for tool in request.tools if tool.custom)


def as_custom(part: Part, names: frozenset[str]) -> Part:
    """A call of a custom tool as the client knows it: with the text, not with the object around it."""
    if isinstance(part, ToolCall) and part.name in names and not part.custom:
        return replace(part, arguments=unwrapped(part.arguments), custom=True)
    return part


def unwrapped(arguments: str) -> str:
    """The text in a function's arguments; all of them where there is none."""
    try:
        value = mapping(msgspec.json.decode(arguments)).get(ARGUMENT)
    except ValueError:
        value = None
    return value if isinstance(value, str) else arguments


def wrapped(call: ToolCall) -> ToolCall:
    """A call of a custom tool as one of the function that it is elsewhere."""
    if not call.custom:
        return call
    return replace(call, arguments=msgspec.json.encode({ARGUMENT: call.arguments}).decode(), custom=False)
