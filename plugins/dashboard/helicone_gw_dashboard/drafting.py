"""Drafting: bodies of chat completions as forms show them, read back from forms, and compared line by line."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from werkzeug.datastructures import MultiDict

from helicone_gw_dashboard import conversation
from helicone_gw_dashboard.view import Trouble

ROLES: Final = ("system", "developer", "user", "assistant", "tool")
MOST_LINES: Final = 2_000
"""Lines of a version that are compared."""
AROUND: Final = 3
"""Unchanged lines that are shown around a change."""

_VARIABLE = re.compile(r"\{\{\s*hc\s*:\s*([A-Za-z_-][A-Za-z0-9_-]*)\s*:\s*([A-Za-z_-][A-Za-z0-9_-]*)\s*\}\}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Message:
    """One message as a form shows it: its words, or with ``whole`` all of it as JSON, for what is more than words."""

    role: str
    text: str
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Draft:
    """A body as a form shows it; ``settings`` is a JSON object of all members beside model and messages."""

    model: str
    messages: Sequence[Message]
    settings: str


EMPTY: Final = Draft("", (Message("system", ""), Message("user", "")), "")


def draft(body: Mapping[str, Any]) -> Draft:
    """A body of a chat completion for a form."""
    messages = [_message(each) for each in body.get("messages") or []]
    settings = {name: value for name, value in body.items() if name not in ("model", "messages")}
    shown = json.dumps(settings, indent=2, ensure_ascii=False) if settings else ""
    return Draft(str(body.get("model") or ""), messages, shown)


def translated(request: Any) -> Draft:
    """A logged request of any dialect for a form: its words, its model, and settings that all dialects share."""
    body = request if isinstance(request, Mapping) else {}
    if isinstance(body.get("messages"), list) and "system" not in body and not _anthropic(body):
        kept = {name: value for name, value in body.items() if name not in ("stream", "stream_options", "metadata")}
        return draft(kept)
    turns = conversation.read(request, None).asked
    messages = [
        Message(
            turn.role if turn.role in ROLES else "assistant" if turn.role == "model" else "user",
            "\n".join(part.text for part in turn.parts if part.kind in ("text", "result")),
        )
        for turn in turns
    ]
    settings = {name: body[name] for name in ("temperature", "top_p", "max_tokens") if name in body}
    shown = json.dumps(settings, indent=2) if settings else ""
    return Draft(str(body.get("model") or ""), messages, shown)


def body_of(form: MultiDict[str, str]) -> dict[str, Any]:
    """The body that a form says. Raises `Trouble` (400) where what should be JSON is none."""
    settings = _json("The other settings", form.get("settings", "").strip() or "{}")
    if not isinstance(settings, dict):
        raise Trouble(400, "The other settings are not a JSON object.")
    messages: list[Any] = []
    for role, content, whole in zip(form.getlist("role"), form.getlist("content"), form.getlist("whole"), strict=False):
        text = content.replace("\r\n", "\n")
        if whole == "yes":
            messages.append(_json(f"Message {len(messages) + 1}", text))
        elif text.strip():
            messages.append({"role": role, "content": text})
    model = form.get("model", "").strip()
    return {**({"model": model} if model else {}), "messages": messages, **settings}


def variables(body: Mapping[str, Any]) -> dict[str, str]:
    """The variables that are in a body, with their types."""
    return dict(_VARIABLE.findall(json.dumps(body, ensure_ascii=False)))


def lines(body: Mapping[str, Any]) -> list[str]:
    """A body for reading: messages as text under their roles, and the rest as JSON."""
    shown = draft(body)
    found = [f"model: {shown.model or '–'}"]
    for message in shown.messages:
        found += [f"── {message.role}", *message.text.splitlines()]
    if shown.settings:
        found += ["── settings", *shown.settings.splitlines()]
    return found[:MOST_LINES]


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What changed from one body to another: kind ("added", "removed", "gap" or "") and line; nothing where they are
    the same."""
    one, other = lines(before), lines(after)
    matcher = difflib.SequenceMatcher(None, one, other)
    for number, group in enumerate(matcher.get_grouped_opcodes(AROUND)):
        if number:
            yield "gap", "⋯"
        for tag, start, end, begin, stop in group:
            if tag == "equal":
                yield from (("", line) for line in one[start:end])
                continue
            yield from (("removed", line) for line in one[start:end])
            yield from (("added", line) for line in other[begin:stop])


def _message(value: Any) -> Message:
    plain = isinstance(value, Mapping) and value.keys() == {"role", "content"} and value["role"] in ROLES
    if plain and isinstance(value["content"], str):
        return Message(value["role"], value["content"])
    role = str(value.get("role", "")) if isinstance(value, Mapping) else ""
    return Message(role, json.dumps(value, indent=2, ensure_ascii=False), whole=True)


def _anthropic(body: Mapping[str, Any]) -> bool:
    """Whether a message has parts of a kind that only Anthropic's messages have."""
    said = [each.get("content") for each in body["messages"] if isinstance(each, Mapping)]
    kinds = {part.get("type") for parts in said if isinstance(parts, list) for part in parts if isinstance(part, dict)}
    return bool(kinds & {"tool_use", "tool_result", "thinking", "image", "document"})


def _json(what: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Trouble(400, f"{what}: that is not JSON.") from None
