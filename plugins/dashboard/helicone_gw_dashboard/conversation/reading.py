"""Reading: a logged request and its answer as one conversation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from helicone_gw_dashboard.conversation.comparing import Stretch, compared
from helicone_gw_dashboard.conversation.streams import joined
from helicone_gw_dashboard.conversation.turns import Part, Turn, mappings, message, parts, pretty

_SAID: Final = ("messages", "system", "instructions", "input", "contents", "systemInstruction", "system_instruction")
"""Members of a request that are the conversation; the others are settings."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """``asked`` are the turns of the request, ``answered`` those of the answer.

    ``tools`` are the names of the tools that were offered, ``settings`` the request's other members, as text.
    ``stretches``: the same as ``asked``, told apart by what it has in common with the request before.
    """

    asked: tuple[Turn, ...]
    answered: tuple[Turn, ...]
    tools: tuple[str, ...] = ()
    settings: Mapping[str, str] = ()  # type: ignore[assignment]
    stretches: tuple[Stretch, ...] = ()


def read(request: Any, response: Any, before: Any = None) -> Conversation:
    """A request's and an answer's bodies, as they were kept: JSON, text, or ``None`` for what was not.

    ``before`` is the body of the request before in the same session. What is in no known form has no turns.
    """
    asked = _asked(request)
    body = request if isinstance(request, Mapping) else {}
    tools = tuple(name for tool in _list(body.get("tools")) for name in _names(tool))
    settings = {name: _short(value) for name, value in body.items() if name not in (*_SAID, "tools")}
    return Conversation(tuple(asked), tuple(_answered(response)), tools, settings, compared(asked, _asked(before)))


def _asked(body: Any) -> list[Turn]:
    if not isinstance(body, Mapping):
        return []
    turns: list[Turn] = []
    for name in ("system", "instructions", "systemInstruction", "system_instruction"):
        value = body.get(name)
        if value:
            content = value.get("parts", value) if isinstance(value, Mapping) else value
            turns.append(Turn("system", tuple(parts(content))))
    for name in ("messages", "contents"):
        turns += [message(one) for one in _list(body.get(name))]
    given = body.get("input", body.get("prompt"))
    if isinstance(given, list) and any(isinstance(one, Mapping) for one in given):
        turns += [message(one) for one in given]
    elif given is not None:
        turns.append(Turn("user", tuple(parts(given if isinstance(given, (str, list)) else pretty(given)))))
    return turns


def _answered(body: Any) -> list[Turn]:
    if isinstance(body, str):
        return joined(body)
    if not isinstance(body, Mapping):
        return []
    if isinstance(body.get("error"), Mapping) and not body.get("choices"):
        error = body["error"]
        return [Turn("error", (Part("refusal", str(error.get("message") or pretty(error))),))]
    turns: list[Turn] = []
    choices, candidates = mappings(body.get("choices")), mappings(body.get("candidates"))
    turns += [message(one.get("message") or {"content": one.get("text")}, "assistant") for one in choices]
    turns += [message(item, "assistant") for item in _list(body.get("output"))]
    turns += [message(one.get("content") or {}, "assistant") for one in candidates]
    if not turns and isinstance(body.get("content"), (list, str)):
        turns.append(message(body, "assistant"))
    return turns


def _names(tool: Any) -> list[str]:
    if not isinstance(tool, Mapping):
        return []
    declared = tool.get("functionDeclarations", tool.get("function_declarations"))
    if isinstance(declared, list):
        return [str(one.get("name", "")) for one in mappings(declared)]
    function = tool.get("function", tool)
    return [str(function.get("name") or tool.get("type") or "tool")] if isinstance(function, Mapping) else []


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else pretty(value)
    return text if len(text) <= 2000 else text[:2000] + " …"
