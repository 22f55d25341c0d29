"""Gemini's older ``Schema`` objects (a dialect of OpenAPI 3.0) and JSON Schema."""

from __future__ import annotations

from typing import Any

_TYPES = frozenset({"STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"})
_NUMBERS = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")


def from_gemini(schema: Any) -> Any:
    """A ``Schema`` as JSON Schema: types in lower case, ``nullable`` as one of the types, counts as numbers."""
    if not isinstance(schema, dict):
        return schema
    found: dict[str, Any] = {}
    nullable = schema.get("nullable") is True
    for name, value in schema.items():
        if name == "type" and isinstance(value, str):
            kind = value.lower() if value.upper() in _TYPES else value
            found["type"] = [kind, "null"] if nullable else kind
        elif name in ("nullable", "propertyOrdering"):
            continue
        elif name == "properties" and isinstance(value, dict):
            found[name] = {key: from_gemini(inner) for key, inner in value.items()}
        elif name == "items":
            found[name] = from_gemini(value)
        elif name in ("anyOf", "any_of") and isinstance(value, list):
            found["anyOf"] = [from_gemini(inner) for inner in value]
        elif name in _NUMBERS and isinstance(value, str) and value.isdecimal():
            found[name] = int(value)  # protobuf writes 64-bit integers as text
        elif name == "example":
            found["examples"] = [value]
        else:
            found[name] = value
    return found
