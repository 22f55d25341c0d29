"""Turns: what somebody said in a conversation, whichever dialect it was said in.

The words of OpenAI's two APIs, Anthropic's and Gemini's differ, and so do those of the many that resemble one of them.
What is read here is what people look for: text, reasoning, pictures, calls of tools and what the tools gave back. All
that is not known is shown as the JSON that it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

Kind = Literal["text", "thinking", "image", "call", "result", "refusal", "other"]

MAX_TEXT: Final = 200_000
"""Characters of one part that are shown; the raw body has the rest."""

_PICTURES: Final = ("data:image/png;", "data:image/jpeg;", "data:image/gif;", "data:image/webp;")
"""Beginnings of addresses that are shown as pictures: their bytes are in the address, and nothing is loaded."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a turn: ``text``; ``name`` is a tool's, ``address`` a picture's where it can be shown."""

    kind: Kind
    text: str = ""
    name: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """What ``role`` ("system", "user", "assistant", "tool", ...) said at once."""

    role: str
    parts: tuple[Part, ...]


def message(value: Any, role: str = "user") -> Turn:
    """A message of any dialect; ``role`` for one that names none."""
    if not isinstance(value, Mapping):
        return Turn(role, tuple(parts(value)))
    said = value.get("role") or _ROLES.get(str(value.get("type")), role)
    thoughts = (value.get("reasoning_content"), value.get("reasoning"))
    found = [Part("thinking", _cut(words)) for words in thoughts if isinstance(words, str) and words]
    content = value.get("content", value.get("parts"))
    if said == "tool":
        found.append(Part("result", _plain(content), name=str(value.get("tool_call_id") or value.get("name") or "")))
    elif content is not None:
        found += parts(content)
    elif "type" in value:
        found += _part(value)
    if isinstance(value.get("refusal"), str) and value["refusal"]:
        found.append(Part("refusal", _cut(value["refusal"])))
    for call in mappings(value.get("tool_calls")):
        found += _call(call)
    if isinstance(value.get("function_call"), Mapping):
        found += _call({"function": value["function_call"]})
    return Turn(_ROLES.get(str(said), str(said)), tuple(found))


def parts(content: Any) -> Iterator[Part]:
    """The parts of a message's content: text, or a list of blocks."""
    if content is None:
        return
    if isinstance(content, str):
        if content:
            yield Part("text", _cut(content))
        return
    for block in content if isinstance(content, list) else [content]:
        yield from _part(block)


def _part(block: Any) -> Iterator[Part]:
    if isinstance(block, str):
        yield Part("text", _cut(block))
        return
    if not isinstance(block, Mapping):
        yield Part("other", pretty(block))
        return
    kind = str(block.get("type", ""))
    if kind in ("thinking", "reasoning") or block.get("thought") is True:
        summary = block.get("summary")
        words = block.get("thinking") or block.get("text") or (_plain(summary) if summary else "")
        yield Part("thinking", _cut(str(words)) or "(not shown by the provider)")
    elif kind in ("tool_use", "server_tool_use", "function_call", "custom_tool_call", "mcp_call"):
        given = block.get("input", block.get("arguments"))
        yield Part("call", _plain(given), name=str(block.get("name", "")))
    elif isinstance(block.get("functionCall"), Mapping):
        call = block["functionCall"]
        yield Part("call", _plain(call.get("args")), name=str(call.get("name", "")))
    elif isinstance(block.get("functionResponse"), Mapping):
        answer = block["functionResponse"]
        yield Part("result", _plain(answer.get("response")), name=str(answer.get("name", "")))
    elif kind in ("tool_result", "function_call_output", "custom_tool_call_output"):
        name = str(block.get("tool_use_id") or block.get("call_id") or "")
        yield Part("result", _plain(block.get("content", block.get("output"))), name=name)
    elif kind == "refusal":
        yield Part("refusal", _cut(str(block.get("refusal", ""))))
    elif (address := _picture(block)) is not None:
        yield Part("image", text=address[:200], address=address if address.startswith(_PICTURES) else "")
    elif isinstance(block.get("text"), str):
        yield Part("text", _cut(block["text"]))
    elif "content" in block and kind == "message":
        yield from parts(block["content"])
    else:
        yield Part("other", pretty(block))


def mapping(value: Any) -> Mapping[str, Any]:
    """``value`` if it is an object of JSON, else an empty one: what models and their users send need not be right."""
    return value if isinstance(value, Mapping) else {}


def mappings(value: Any) -> list[Mapping[str, Any]]:
    """The objects in ``value``, if it is an array of JSON."""
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _call(call: Mapping[str, Any]) -> Iterator[Part]:
    function = call.get("function", call.get("custom", call))
    if isinstance(function, Mapping):
        given = function.get("arguments", function.get("input"))
        yield Part("call", _plain(given), name=str(function.get("name", "")))


def _picture(block: Mapping[str, Any]) -> str | None:
    """The address of a picture in a block, whichever dialect it is of."""
    image = block.get("image_url")
    if isinstance(image, Mapping):
        image = image.get("url")
    if isinstance(image, str):
        return image
    source = block.get("source")
    if block.get("type") == "image" and isinstance(source, Mapping):
        if isinstance(source.get("data"), str):
            return f"data:{source.get('media_type', '')};base64,{source['data']}"
        return str(source.get("url") or source.get("file_id") or "a picture")
    data = block.get("inlineData", block.get("inline_data"))
    if isinstance(data, Mapping) and isinstance(data.get("data"), str):
        return f"data:{data.get('mimeType', data.get('mime_type', ''))};base64,{data['data']}"
    return None


def _plain(value: Any) -> str:
    """What a tool was given, or gave, as text: JSON in text is laid out."""
    if isinstance(value, str):
        try:
            decoded = json.loads(value)
        except (ValueError, RecursionError):
            return _cut(value)
        return pretty(decoded) if isinstance(decoded, (dict, list)) else _cut(value)
    if isinstance(value, list) and all(isinstance(one, Mapping) and isinstance(one.get("text"), str) for one in value):
        return _cut("\n".join(one["text"] for one in value))
    return "" if value is None else pretty(value)


def pretty(value: Any) -> str:
    """JSON for reading."""
    return _cut(json.dumps(value, indent=2, ensure_ascii=False))


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + " …"


_ROLES: Final = {
    "model": "assistant",
    "developer": "system",
    "function": "tool",
    "function_call": "assistant",
    "custom_tool_call": "assistant",
    "reasoning": "assistant",
    "function_call_output": "tool",
    "custom_tool_call_output": "tool",
    "message": "user",
}
