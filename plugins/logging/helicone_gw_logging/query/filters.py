"""Filters: Helicone's FilterNode, the form that queries have, read into `nodes`.

::

    node := "all" | {} | leaf | {"left": node, "operator": "and" | "or", "right": node} | [node, ...]
    leaf := {table: {column: {operator: value}}}
    map  := {"request_response_rmt": {"properties" | "search_properties" | "scores": {key: {operator: value}}}}

Where a leaf names several tables, columns or operators, all of them must hold, as must all nodes of a list.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from helicone_gw_logging.query.columns import KEYED, field
from helicone_gw_logging.query.expressions import is_expression, read_expression
from helicone_gw_logging.query.nodes import ALL, Field, FilterError, Node, both, checked, condition, shown

_BRANCH: Final = frozenset({"left", "operator", "right"})
MAX_NESTING: Final = 600
"""How deep a filter may nest: clients fold lists into branches that contain the rest."""


def read_filter(filter: Any) -> Node:
    """A filter in either form, as JSON has it. Raises `FilterError`, naming what is wrong in it."""
    try:
        return checked(read_expression(filter) if is_expression(filter) else _node(filter))
    except RecursionError:
        raise FilterError("filter: it nests too deep") from None


def _node(rest: Any) -> Node:
    # Folded lists nest to the right: what is on the left is put aside, so that a long one needs no deep recursion.
    aside: list[tuple[str, Node]] = []
    while isinstance(rest, dict) and rest.keys() & _BRANCH:
        if rest.keys() != _BRANCH:
            raise FilterError("filter: a branch has exactly left, operator and right")
        operator = rest["operator"]
        if operator not in ("and", "or"):
            raise FilterError(f"filter: there is no operator {shown(operator)} between filters; there are and, or")
        if len(aside) == MAX_NESTING:
            raise FilterError(f"filter: it nests more than {MAX_NESTING} deep")
        aside.append((operator, _node(rest["left"])))
        rest = rest["right"]
    node = _end(rest)
    for operator, left in reversed(aside):
        node = both("and" if operator == "and" else "or", (left, node))
    return node


def _end(filter: Any) -> Node:
    if filter == "all" or filter == {}:
        return ALL
    if isinstance(filter, list):
        return both("and", [_node(part) for part in filter])
    if not isinstance(filter, dict):
        raise FilterError(f'filter: {shown(filter)} is no filter; all requests are "all"')
    return both("and", _leaf(filter))


def _leaf(leaf: dict[str, Any]) -> Iterator[Node]:
    for table, columns in leaf.items():
        for column, rest in _members(columns, f"table {shown(table)}"):
            found = field(table, column)
            if table in KEYED:
                yield from _asked(found, rest, column)
            elif found.keyed:
                for key, operators in _members(rest, f"column {shown(column)}"):
                    yield from _asked(found, operators, key)
            else:
                yield from _asked(found, rest, None)


def _asked(field: Field, operators: Any, key: str | None) -> Iterator[Node]:
    for operator, value in _members(operators, f"column {shown(key or field.name)}"):
        yield condition(field, operator, value, key)


def _members(part: Any, where: str) -> list[tuple[str, Any]]:
    if not isinstance(part, dict) or not part:
        raise FilterError(f"filter: {where} needs an object with what is asked of it")
    return [*part.items()]
