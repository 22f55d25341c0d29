"""Schemas: JSON Schema of what has no type of its own, which is filters, made of the columns that there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from msgspec import Meta

from helicone_gw_logging.query.columns import KEYED, TABLES
from helicone_gw_logging.query.nodes import OPERATORS, Field, Kind

_PREFIX: Final = "#/components/schemas/"

FilterBody = Annotated[
    Any,
    Meta(
        description="Which requests: a FilterNode or a FilterExpression.",
        extra_json_schema={"$ref": f"{_PREFIX}Filter"},
    ),
]
"""A filter in a body; `helicone_gw_logging.query.filters` reads it."""

_VALUES: Final[Mapping[Kind, dict[str, Any]]] = {
    "text": {"type": "string"},
    "body": {"type": "string"},
    "number": {"type": "number"},
    "timestamp": {"type": "string", "format": "date-time"},
    "boolean": {"type": "boolean"},
}
_OPERATORS_OF_EXPRESSIONS: Final = [
    "eq",
    "neq",
    "is",
    "gt",
    "gte",
    "lt",
    "lte",
    "like",
    "ilike",
    "contains",
    "not-contains",
    "in",
]


def filter_schemas() -> dict[str, Any]:
    """The component ``Filter`` and what it is made of."""
    return {
        "Filter": {"oneOf": [_reference("FilterNode"), _reference("FilterExpression")]},
        "FilterNode": {
            "oneOf": [
                {"const": "all"},
                _reference("FilterLeaf"),
                _reference("FilterBranch"),
                {"type": "array", "items": _reference("FilterNode"), "description": "All of these."},
            ]
        },
        "FilterBranch": _object(
            {"left": _reference("FilterNode"), "operator": {"enum": ["and", "or"]}, "right": _reference("FilterNode")},
            required=True,
        ),
        "FilterLeaf": _object(
            {
                table: _object({name: _asked(field) for name, field in columns.items()})
                for table, columns in TABLES.items()
            }
            | {table: _by_key(field.kind) for table, field in KEYED.items()}
        ),
        **{_name(kind): _operators(kind) for kind in OPERATORS},
        "FilterExpression": {
            "oneOf": [
                _object({"type": {"const": "all"}}, required=True),
                _object(
                    {
                        "type": {"enum": ["and", "or"]},
                        "expressions": {"type": "array", "items": _reference("FilterExpression")},
                    },
                    required=True,
                ),
                _object(
                    {
                        "type": {"const": "condition"},
                        "field": _reference("FilterField"),
                        "operator": {"enum": _OPERATORS_OF_EXPRESSIONS},
                        "value": {"type": ["string", "number", "boolean", "null", "array"]},
                    },
                    required=True,
                ),
            ]
        },
        "FilterField": _object(
            {
                "table": {"enum": [*TABLES, *KEYED]},
                "column": {"type": "string"},
                "subtype": {"enum": ["property", "score", "sessions", "user", None]},
                "valueMode": {"enum": ["value", "key", None]},
                "key": {"type": ["string", "null"]},
            }
        ),
    }


def _asked(field: Field) -> dict[str, Any]:
    return _by_key(field.kind) if field.keyed else _reference(_name(field.kind))


def _by_key(kind: Kind) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": _reference(_name(kind))}


def _operators(kind: Kind) -> dict[str, Any]:
    value = _VALUES[kind]
    known: dict[str, Any] = {
        operator: {"type": "array", "items": value}
        if operator == "in"
        else {"anyOf": [value, {"enum": [None, "null"]}]}
        if operator in ("equals", "not-equals", "is")
        else value
        for operator in OPERATORS[kind]
    }
    return _object(known)


def _object(properties: Mapping[str, Any], *, required: bool = False) -> dict[str, Any]:
    described: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    return described | ({"required": [*properties]} if required else {})


def _name(kind: Kind) -> str:
    return f"{kind.title()}Operators"


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"{_PREFIX}{name}"}
