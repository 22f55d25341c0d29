"""The JSON Schema of the configuration file, for editors: the core's part and that of any plugins."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from helicone_gw.config.models import GatewayConfig
from helicone_gw.config.plugin_items import InstanceOptions
from helicone_gw.plugin import Plugin

DIALECT = "https://json-schema.org/draft/2020-12/schema"
REFERENCE = r"\$\{"
"""Marks text that holds a reference, which may stand in for any number, switch or choice."""


def json_schema(plugins: Mapping[str, type[Plugin]]) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the configuration with these plugins, by their entry points' names."""
    definitions: dict[str, Any] = {}
    schema = _collect(GatewayConfig, "", definitions)
    for unused in ("PluginSpec", "PluginConfig"):
        definitions.pop(unused, None)
    items: list[dict[str, Any]] = []
    for name, cls in sorted(plugins.items()):
        items.extend(_plugin_items(name, cls, definitions))
    plugin_list = schema["properties"]["plugins"]
    schema["properties"]["plugins"] = {
        "title": "Plugins",
        "description": plugin_list["description"],
        "anyOf": [{"type": "array", "items": {"anyOf": items} if items else False}, {"type": "null"}],
    }
    for section, part in schema["properties"].items():
        if section != "plugins":
            # A section whose lines are all comments is null, and as good as absent.
            part["anyOf"] = [{key: part.pop(key) for key in list(part) if key not in _ANNOTATIONS}, {"type": "null"}]
            part.setdefault("description", GatewayConfig.model_fields[section].description)
    for section in ("providers", "models"):
        entries = schema["properties"][section]["anyOf"][0]
        entries["additionalProperties"] = {"anyOf": [entries["additionalProperties"], {"type": "null"}]}
    _allow_references(schema)
    _allow_references(definitions)
    return {
        "$schema": DIALECT,
        "title": "helicone-gw",
        "description": "Configuration of helicone-gw.",
        **{key: value for key, value in schema.items() if key not in ("title", "description", "$defs")},
        "$defs": dict(sorted(definitions.items())),
    }


def schema_text(plugins: Mapping[str, type[Plugin]]) -> str:
    """`json_schema` as the text of a file."""
    return json.dumps(json_schema(plugins), indent=2, ensure_ascii=False) + "\n"


_ANNOTATIONS = frozenset({"title", "description"})


def _dedent(part: Any) -> None:
    """Take the indentation of the source out of descriptions, as Python does since 3.13."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key == "description" and isinstance(value, str):
                part[key] = inspect.cleandoc(value)
            else:
                _dedent(value)
    elif isinstance(part, list):
        for each in part:
            _dedent(each)


def _collect(model: type[BaseModel], prefix: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """``model``'s schema, its definitions moved to ``definitions`` under names that start with ``prefix``."""
    schema = model.model_json_schema(ref_template=f"#/$defs/{prefix}{{model}}")
    _dedent(schema)
    for name, definition in schema.pop("$defs", {}).items():
        definitions[f"{prefix}{name}"] = definition
    return schema


def _plugin_items(name: str, cls: type[Plugin], definitions: dict[str, Any]) -> list[dict[str, Any]]:
    own = _collect(cls.Config, f"{name}.", definitions)
    instance = InstanceOptions.model_json_schema()
    description = _summary(cls) or _summary(cls.Config) or f"The {name} plugin."
    block = {
        **own,
        "title": name,
        "description": description,
        "type": "object",
        "properties": {**own.get("properties", {}), **instance["properties"]},
    }
    definitions[name] = block
    required = bool(own.get("required"))
    reference = {"$ref": f"#/$defs/{name}"}
    configured = {
        "type": "object",
        "description": description,
        "properties": {name: reference if required else {"anyOf": [reference, {"type": "null"}]}},
        "required": [name],
        "additionalProperties": False,
    }
    return [configured] if required else [{"const": name, "description": description}, configured]


def _summary(cls: type) -> str:
    """The first paragraph of the docstring that the class itself has."""
    doc = cls.__dict__.get("__doc__")
    return " ".join(inspect.cleandoc(doc).split("\n\n")[0].split()) if doc else ""


def _allow_references(part: Any) -> None:
    """Let ``"${VAR}"`` stand wherever a number, a switch or one of several words is expected."""
    if isinstance(part, list):
        for item in part:
            _allow_references(item)
    if not isinstance(part, dict):
        return
    for key, value in part.items():
        if key in ("default", "enum", "const", "examples"):
            continue
        _allow_references(value)
    kind = part.get("type")
    if kind in ("integer", "number", "boolean"):
        # minimum and the like speak of numbers only, pattern of strings only.
        part["type"] = [kind, "string"]
        part["pattern"] = REFERENCE
    elif kind == "string" and "enum" in part:
        choice = {"type": part.pop("type"), "enum": part.pop("enum")}
        part["anyOf"] = [choice, {"type": "string", "pattern": REFERENCE}]
