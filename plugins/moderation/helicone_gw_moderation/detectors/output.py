"""Checks of whole answers: their length, and whether they are the JSON that was asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from helicone_gw import ConfigError
from helicone_gw_moderation.detectors.base import Finding
from helicone_gw_moderation.detectors.patterns import compile_pattern

MAX_JSON = 1 << 20
"""Characters of an answer that are read as JSON; a longer one does not fit any schema."""

MAX_PATTERNED = 1024
"""Characters of a string that a schema's ``pattern`` is tried on; a longer one does not match. The work may grow with
their square."""


class LengthDetector:
    """A `Detector` of texts shorter or longer than they should be, in characters."""

    name = "length"
    overlap = 0
    finds = frozenset(("length", "too_short", "too_long"))

    def __init__(self, least: int = 0, most: int | None = None) -> None:
        self._least = least
        self._most = most

    def find(self, text: str) -> list[Finding]:
        """One finding for the whole of a text that is too short, or for what of it is too much."""
        if len(text) < self._least:
            return [Finding(0, len(text), self.name, "length", "too_short", 1.0)]
        if self._most is not None and len(text) > self._most:
            return [Finding(self._most, len(text), self.name, "length", "too_long", 1.0)]
        return []


class SchemaDetector:
    """A `Detector` of texts that are not JSON, or not of the schema (JSON Schema, by default draft 2020-12).

    Raises `ConfigError` for what is no schema, refers to another document, or has a pattern that could take long.
    """

    name = "schema"
    overlap = 0
    finds = frozenset(("schema", "not_json", "schema_mismatch"))

    def __init__(self, schema: Mapping[str, Any]) -> None:
        # Slow to import, and few have a schema.
        from jsonschema.exceptions import SchemaError  # type: ignore[import-untyped]
        from jsonschema.validators import extend, validator_for  # type: ignore[import-untyped]
        from referencing import Registry

        kind = validator_for(schema)
        try:
            kind.check_schema(schema)
        except SchemaError as problem:
            where = ".".join(map(str, problem.absolute_path))
            raise ConfigError([f"schema: {where}: {problem.message}"]) from None
        problems = list(_problems(schema))
        if problems:
            raise ConfigError([f"schema: {problem}" for problem in problems])
        # An empty registry: nothing is ever fetched.
        bounded = extend(kind, {"pattern": _pattern, "uniqueItems": _unique_items})
        self._validator = bounded(_without_dialect(schema), registry=Registry())
        self._names = _has_patterns_of_names(schema)

    def find(self, text: str) -> list[Finding]:
        """One finding for the whole text, unless it fits."""
        label = None
        try:
            if len(text) > MAX_JSON or not self._fits(msgspec.json.decode(text)):
                label = "schema_mismatch"
        except msgspec.DecodeError:
            label = "not_json"
        except Exception:  # a validator's own limits: nesting, a reference that leads nowhere, a number too large
            label = "schema_mismatch"
        return [] if label is None else [Finding(0, len(text), self.name, "schema", label, 1.0)]

    def _fits(self, value: Any) -> bool:
        return not (self._names and _has_long_name(value)) and bool(self._validator.is_valid(value))


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[Any]:
    if isinstance(instance, str) and (len(instance) > MAX_PATTERNED or not re.search(pattern, instance)):
        yield _mismatch("does not match")


def _unique_items(validator: Any, wanted: bool, instance: Any, schema: Any) -> Iterator[Any]:
    # The library compares each item with each other one.
    if wanted and isinstance(instance, list):
        seen = {json.dumps(_comparable(item), sort_keys=True) for item in instance}
        if len(seen) < len(instance):
            yield _mismatch("has the same item twice")


def _mismatch(message: str) -> Any:
    from jsonschema.exceptions import ValidationError

    return ValidationError(message)


def _comparable(value: Any) -> Any:
    """``value`` with ``1.0`` as ``1``, which are the same to JSON Schema."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_comparable(item) for item in value]
    if isinstance(value, dict):
        return {name: _comparable(item) for name, item in value.items()}
    return value


def _without_dialect(schema: Any) -> Any:
    """``schema`` without ``$schema``, at which the library would go on with a validator of its own."""
    if isinstance(schema, Mapping):
        said = {name: value for name, value in schema.items() if name != "$schema" or not isinstance(value, str)}
        return {name: _without_dialect(value) for name, value in said.items()}
    return [_without_dialect(value) for value in schema] if isinstance(schema, list) else schema


def _has_patterns_of_names(schema: Any) -> bool:
    if isinstance(schema, Mapping):
        return bool(schema.keys() & {"patternProperties", "propertyNames"}) or any(
            map(_has_patterns_of_names, schema.values())
        )
    return isinstance(schema, list) and any(map(_has_patterns_of_names, schema))


def _has_long_name(value: Any) -> bool:
    if isinstance(value, dict):
        return any(len(name) > MAX_PATTERNED for name in value) or any(map(_has_long_name, value.values()))
    return isinstance(value, list) and any(map(_has_long_name, value))


def _problems(schema: Any) -> Iterator[str]:
    if isinstance(schema, Mapping):
        for key, value in schema.items():
            if key in ("$ref", "$dynamicRef") and isinstance(value, str) and not value.startswith("#"):
                yield f"{key} refers to another document, and none is fetched"
            sources = [value] if key == "pattern" else list(value) if key == "patternProperties" else []
            for source in sources:
                if isinstance(source, str):
                    try:
                        compile_pattern(source, use_re2=False)
                    except ValueError as problem:
                        yield f"{key}: {problem}"
            yield from _problems(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _problems(value)
