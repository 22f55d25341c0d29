"""Expressions: Helicone's FilterExpression, the form of saved filters and alerts, read into `nodes`.

::

    {"type": "all"} | {"type": "and" | "or", "expressions": [...]} |
    {"type": "condition", "field": {"table", "column", "subtype"?, "valueMode"?, "key"?}, "operator": ..., "value": ...}

``subtype`` "property" and "score" make the column one of a key; with ``valueMode`` "key" the keys of a request's
properties are asked, not their values. ``sessions`` and ``user`` say which table a column is in.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from helicone_gw_logging.query.columns import field
from helicone_gw_logging.query.nodes import ALL, Condition, FilterError, Node, both, condition, shown

_OPERATORS: Final = {"eq": "equals", "neq": "not-equals"} | {
    same: same for same in ("is", "gt", "gte", "lt", "lte", "like", "ilike", "contains", "not-contains", "in")
}
_RMT: Final = "request_response_rmt"
_TYPES: Final = ("all", "and", "or", "condition")
MAX_NESTING: Final = 64
"""How deep expressions may nest."""


class FieldName(Struct, frozen=True, forbid_unknown_fields=True):
    """What a condition asks."""

    table: str = _RMT
    column: str = ""
    subtype: Literal["property", "score", "sessions", "user"] | None = None
    valueMode: Literal["value", "key"] | None = None  # noqa: N815 - the client's name
    key: str | None = None


def is_expression(filter: Any) -> bool:
    """Whether this is meant to be an expression, good or not."""
    return isinstance(filter, dict) and "type" in filter


def read_expression(expression: Any, depth: int = 0) -> Node:
    """Read an expression. Raises `FilterError`, naming what is wrong in it."""
    if depth > MAX_NESTING:
        raise FilterError(f"filter: it nests more than {MAX_NESTING} deep")
    if not is_expression(expression):
        raise FilterError(f"filter: {shown(expression)} is no expression")
    type_, given = expression["type"], expression.keys() - {"type"}
    if type_ == "all" and not given:
        return ALL
    if type_ in ("and", "or") and given == {"expressions"} and isinstance(expression["expressions"], list):
        return both(type_, [read_expression(part, depth + 1) for part in expression["expressions"]])
    if type_ == "condition" and given == {"field", "operator", "value"}:
        return _condition(expression)
    if type_ in _TYPES:
        raise FilterError(f"filter: an expression of type {shown(type_)} has other members than {sorted(given)}")
    raise FilterError(f"filter: there is no type {shown(type_)} of expressions; there are {', '.join(_TYPES)}")


def _condition(expression: dict[str, Any]) -> Condition:
    operator = _OPERATORS.get(expression["operator"]) if isinstance(expression["operator"], str) else None
    if operator is None:
        raise FilterError(
            f"filter: there is no operator {shown(expression['operator'])}; there are {', '.join(_OPERATORS)}"
        )
    try:
        name = msgspec.convert(expression["field"], FieldName)
    except msgspec.ValidationError as problem:
        raise FilterError(f"filter: a field: {problem}") from None
    table, column, key = name.table, name.column, name.key
    if name.subtype == "property" or column in ("properties", "search_properties"):
        if name.valueMode == "key":
            return condition(field(_RMT, "property_keys"), operator, expression["value"])
        # Some name the property as the column.
        key = key or (column if column not in ("properties", "search_properties") else None)
        return condition(field(_RMT, "properties"), operator, expression["value"], key)
    if name.subtype == "score" or column == "scores" or (column == "scores_column" and key):
        key = key or (column if column not in ("scores", "scores_column") else None)
        return condition(field(_RMT, "scores"), operator, expression["value"], key)
    if name.subtype == "sessions" and not column.startswith("session_"):
        column = f"session_{column}"
    if name.subtype == "user" and not column.startswith("user_"):
        column = f"user_{column}"
    table = {"sessions": "sessions_request_response_rmt", "user": "users_view"}.get(name.subtype or "", table)
    found = field(table, column)
    return condition(found, operator, expression["value"], column if table in ("properties", "values") else key)
