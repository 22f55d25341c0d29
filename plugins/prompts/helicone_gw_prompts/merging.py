"""Merging: a prompt and the request that asks for it become one body, in the dialect of the request."""

from __future__ import annotations

from typing import Any

from helicone_gw_prompts.template import Inputs, Problem, fill

_ALIASES = {
    "system_instruction": "systemInstruction",
    "generation_config": "generationConfig",
    "safety_settings": "safetySettings",
    "tool_config": "toolConfig",
}
"""Names of Gemini's that clients spell either way."""

MESSAGES = {
    ("openai", "chat"): "messages",
    ("openai", "responses"): "input",
    ("anthropic", "messages"): "messages",
    ("anthropic", "count_tokens"): "messages",
    ("gemini", "generate_content"): "contents",
    ("gemini", "stream_generate_content"): "contents",
}
"""The operations in which prompts can be used, and the field of each that holds its messages."""

SYSTEM = {
    "openai": ("instructions",),
    "anthropic": ("system",),
    "gemini": ("systemInstruction", "system_instruction"),
}
"""The fields of each dialect in which the system speaks, beside messages."""

SCHEMAS = {
    "openai": ("tools", "response_format", "text"),
    "anthropic": ("tools", "output_config", "output_format"),
    "gemini": ("tools", "generationConfig", "generation_config"),
}
"""The fields of each dialect in which JSON is a template: tools, and what an answer is to look like."""

_NULLABLE = {"openai": ("response_format", "text"), "anthropic": ("output_config",), "gemini": ()}
"""Fields of which a request's ``null`` says nothing."""


def merge(saved: dict[str, Any], asked: dict[str, Any], dialect: str, operation: str) -> dict[str, Any]:
    """``saved`` (in the request's dialect) under what the request says: its own fields win.

    Messages, tools and what the system says are the prompt's and then the request's.
    """
    if dialect == "gemini":
        asked = {_ALIASES.get(name, name): value for name, value in asked.items()}
    merged = {**saved, **asked}
    for name in _NULLABLE[dialect]:
        if asked.get(name) is None and saved.get(name) is not None:
            merged[name] = saved[name]
    field = MESSAGES[dialect, operation]
    merged[field] = [*_items(saved.get(field), dialect), *_items(asked.get(field), dialect)]
    tools = [*(saved.get("tools") or ()), *(asked.get("tools") or ())]
    if tools:
        merged["tools"] = tools
    elif "tools" in merged and not asked.get("tools"):
        del merged["tools"]
    _join_system(merged, saved, asked, dialect)
    return merged


def fill_messages(value: Any, inputs: Inputs, problems: list[Problem]) -> Any:
    """A request's messages, of any dialect, with the variables in their texts filled in."""
    if isinstance(value, str):
        return fill(value, inputs, problems)
    if isinstance(value, list):
        return [fill_messages(item, inputs, problems) if isinstance(item, (dict, str)) else item for item in value]
    if isinstance(value, dict):
        return {
            name: fill_messages(item, inputs, problems) if name in ("content", "text", "parts") else item
            for name, item in value.items()
        }
    return value


def _items(value: Any, dialect: str) -> list[Any]:
    """Messages as a list; a text alone is what its user says."""
    if value is None:
        return []
    if isinstance(value, list):
        return value
    if dialect == "gemini":
        return [value if isinstance(value, dict) else {"role": "user", "parts": [{"text": value}]}]
    return [{"role": "user", "content": value}]


def _join_system(merged: dict[str, Any], saved: dict[str, Any], asked: dict[str, Any], dialect: str) -> None:
    if dialect == "openai":
        first, second = saved.get("instructions"), asked.get("instructions")
        if isinstance(first, str) and isinstance(second, str):
            merged["instructions"] = f"{first}\n\n{second}"
        elif first is not None and second is None:
            merged["instructions"] = first
    elif dialect == "anthropic":
        first, second = saved.get("system"), asked.get("system")
        if first and second:
            merged["system"] = [*_blocks(first), *_blocks(second)]
        elif first:
            merged["system"] = first
    else:
        first, second = saved.get("systemInstruction"), asked.get("systemInstruction")
        if first and second:
            merged["systemInstruction"] = {"parts": [*_parts(first), *_parts(second)]}
        elif first:
            merged["systemInstruction"] = first
        if isinstance(saved.get("generationConfig"), dict) and isinstance(asked.get("generationConfig"), dict):
            merged["generationConfig"] = {**saved["generationConfig"], **asked["generationConfig"]}


def _blocks(system: Any) -> list[Any]:
    return system if isinstance(system, list) else [{"type": "text", "text": system}]


def _parts(instruction: Any) -> list[Any]:
    if isinstance(instruction, dict):
        parts = instruction.get("parts")
        return parts if isinstance(parts, list) else [parts]
    return [{"text": instruction}] if isinstance(instruction, str) else list(instruction)
