"""Conversation: the messages that a span's attributes and events hold, in the form of OpenAI's chat completions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from helicone_gw_logging.ingest.chunks import as_json
from helicone_gw_logging.ingest.spans import SpanEvent

Side = Literal["input", "output"]

_MAX_STEPS = 8
_FLAT = {
    "input": ("gen_ai.prompt.", "llm.input_messages.", "llm.prompts."),
    "output": ("gen_ai.completion.", "llm.output_messages.", "llm.completions."),
}
_WHOLE = {
    "input": ("gen_ai.input.messages", "gen_ai.prompt", "llm.prompts"),
    "output": ("gen_ai.output.messages", "gen_ai.completion", "llm.completions"),
}
_EVENT_ROLES = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}
_CHOICE = "gen_ai.choice"
_WITH_CONTENT = frozenset(
    {"gen_ai.content.prompt", "gen_ai.content.completion", "gen_ai.client.inference.operation.details"}
)


def with_content(attributes: Mapping[str, Any], events: Iterable[SpanEvent]) -> dict[str, Any]:
    """``attributes`` and those of the events that exist to carry content beside them."""
    merged = dict(attributes)
    for event in events:
        if event.name in _WITH_CONTENT:
            for name, value in event.attributes.items():
                merged.setdefault(name, value)
    return merged


def messages(attributes: Mapping[str, Any], events: Iterable[SpanEvent], side: Side) -> list[dict[str, Any]]:
    """The messages that went in or came out, in order; none where the span does not say."""
    for prefix in _FLAT[side]:
        flat = [_message(each) for each in _listed(attributes, prefix)]
        if flat:
            return flat
    for name in _WHOLE[side]:
        value = attributes.get(name)
        value = as_json(value) if isinstance(value, str) else value
        whole = [_message(each) for each in value if isinstance(each, dict)] if isinstance(value, list) else []
        if whole:
            return [*_instructions(attributes), *whole] if side == "input" else whole
    return _told_by_events(events, side)


def _listed(attributes: Mapping[str, Any], prefix: str) -> list[dict[str, Any]]:
    """``prefix0.role``, ``prefix0.content``, ``prefix1.role``...: the members of each number, nested by dots."""
    found: dict[int, dict[str, Any]] = {}
    for name, value in attributes.items():
        if not name.startswith(prefix):
            continue
        number, *steps = name[len(prefix) :].split(".", _MAX_STEPS)
        if not (number.isdecimal() and number.isascii() and len(number) < 7 and steps):
            continue
        at = found.setdefault(int(number), {})
        for step in steps[:-1]:
            below = at.setdefault(step, {})
            if not isinstance(below, dict):
                break
            at = below
        else:
            at.setdefault(steps[-1], value)
    return [found[number] for number in sorted(found)]


def _numbered(value: Any) -> list[dict[str, Any]]:
    """``{"0": {...}, "1": {...}}`` as a list."""
    if isinstance(value, list):
        return [each for each in value if isinstance(each, dict)]
    if not isinstance(value, dict):
        return []
    numbers = sorted((int(key), each) for key, each in value.items() if key.isdecimal() and isinstance(each, dict))
    return [each for _, each in numbers]


def _message(raw: dict[str, Any]) -> dict[str, Any]:
    """A message in any of the conventions, as OpenAI's."""
    given = raw.get("message", raw) if isinstance(raw.get("message"), dict) else raw
    parts = given.get("parts")
    made: dict[str, Any] = {"role": given.get("role") if isinstance(given.get("role"), str) else "assistant"}
    if isinstance(parts, list):
        return {**made, **_of_parts([part for part in parts if isinstance(part, dict)]), **_reason(raw)}
    content = given.get("content")
    if content is None:
        texts = [
            part.get("message_content", {}).get("text")
            for part in _numbered(given.get("contents"))
            if isinstance(part.get("message_content"), dict)
        ]
        content = "\n".join(each for each in texts if isinstance(each, str)) or None
    if isinstance(content, str) and content.startswith("[{"):
        decoded = as_json(content)
        content = decoded if isinstance(decoded, list) else content
    made["content"] = content
    calls = [_call(each) for each in _numbered(given.get("tool_calls"))]
    if calls:
        made["tool_calls"] = calls
    for name in ("tool_call_id", "name"):
        if isinstance(given.get(name), str):
            made[name] = given[name]
    return {**made, **_reason(raw)}


def _call(raw: dict[str, Any]) -> dict[str, Any]:
    given = raw.get("tool_call", raw) if isinstance(raw.get("tool_call"), dict) else raw
    function: dict[str, Any] = given["function"] if isinstance(given.get("function"), dict) else given
    return {
        "id": given.get("id"),
        "type": "function",
        "function": {"name": function.get("name"), "arguments": function.get("arguments")},
    }


def _of_parts(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """OpenTelemetry's parts: text, tool_call, tool_call_response."""
    texts = [part.get("content") for part in parts if part.get("type") == "text"]
    made: dict[str, Any] = {"content": "\n".join(each for each in texts if isinstance(each, str)) or None}
    calls = [_call(part) for part in parts if part.get("type") == "tool_call"]
    if calls:
        made["tool_calls"] = calls
    for part in parts:
        if part.get("type") == "tool_call_response":
            made["tool_call_id"] = part.get("id")
            made["content"] = part.get("response", part.get("result"))
    return made


def _reason(raw: dict[str, Any]) -> dict[str, Any]:
    reason = raw.get("finish_reason")
    return {"finish_reason": reason} if isinstance(reason, str) else {}


def _instructions(attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    value = attributes.get("gen_ai.system_instructions")
    value = as_json(value) if isinstance(value, str) else value
    parts = [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []
    return [{"role": "system", **_of_parts(parts)}] if parts else []


def _told_by_events(events: Iterable[SpanEvent], side: Side) -> list[dict[str, Any]]:
    found = []
    for event in events:
        role = _EVENT_ROLES.get(event.name) if side == "input" else None
        if role is not None:
            found.append(_message({"role": role, **event.attributes}))
        elif side == "output" and event.name == _CHOICE:
            message = event.attributes.get("message")
            message = as_json(message) if isinstance(message, str) else message
            given = message if isinstance(message, dict) else event.attributes
            found.append(_message({"role": "assistant", **given, **_reason(event.attributes)}))
    return found
