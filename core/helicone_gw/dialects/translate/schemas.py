"""JSON Schemas as providers take them: each understands less than the standard, and another part of it."""

from __future__ import annotations

from typing import Any

from helicone_gw.dialects.translate.loss import Loss

_ANTHROPIC_UNKNOWN = frozenset(
    {
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "maxItems",
        "uniqueItems",
        "minProperties",
        "maxProperties",
    }
)
"""Constraints that Anthropic's structured outputs refuse (docs.claude.com, "Structured outputs")."""
_MAPS = ("properties", "$defs", "definitions", "patternProperties")
_LISTS = ("anyOf", "allOf", "oneOf", "prefixItems")
_SINGLE = ("items", "additionalProperties", "not")


def object_schema(parameters: dict[str, Any] | None) -> dict[str, Any]:
    """The schema of a tool's arguments, which is always an object's."""
    if not parameters:
        return {"type": "object", "properties": {}}
    # OpenAI refuses an object without properties.
    return {"type": "object", **({} if "anyOf" in parameters else {"properties": {}}), **parameters}


def for_anthropic(schema: dict[str, Any], loss: Loss, path: str) -> dict[str, Any]:
    """``schema`` for Anthropic's structured outputs: objects closed, constraints that it refuses left out."""

    def change(node: dict[str, Any]) -> dict[str, Any]:
        kept = {}
        for name, value in node.items():
            if name in _ANTHROPIC_UNKNOWN or (name == "minItems" and value not in (0, 1)):
                loss.note(f"{path}.{name}")
            else:
                kept[name] = value
        if kept.get("type") == "object":
            kept["additionalProperties"] = False
        return kept

    changed: dict[str, Any] = _walk(schema, change)
    return changed


def _walk(schema: Any, change: Any) -> Any:
    """``schema`` with every schema inside it changed, properties that happen to be named like keywords excepted."""
    if not isinstance(schema, dict):
        return schema
    node = change(schema)
    for name, value in node.items():
        if name in _MAPS and isinstance(value, dict):
            node[name] = {key: _walk(inner, change) for key, inner in value.items()}
        elif name in _LISTS and isinstance(value, list):
            node[name] = [_walk(inner, change) for inner in value]
        elif name in _SINGLE:
            node[name] = _walk(value, change)
    return node
