"""Nodes: a filter once it is read, whatever form it came in, and what its operators and values may be."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final, Literal

from msgspec import Struct

Kind = Literal["text", "number", "timestamp", "boolean", "body"]
Source = Literal[
    "request", "property", "property-key", "score", "score-name", "feedback", "tag", "session", "user", "nothing"
]
Operator = Literal[
    "equals", "not-equals", "like", "ilike", "contains", "not-contains", "gt", "gte", "lt", "lte", "in", "is"
]

_TEXT: Final = ("equals", "not-equals", "like", "ilike", "contains", "not-contains", "in", "is")
_NUMBER: Final = ("equals", "not-equals", "gt", "gte", "lt", "lte", "in", "is")
OPERATORS: Final[dict[Kind, tuple[Operator, ...]]] = {
    "text": _TEXT,
    "number": _NUMBER,
    "timestamp": ("equals", "gt", "gte", "lt", "lte", "is"),
    "boolean": ("equals", "not-equals", "is"),
    "body": ("contains",),
}
"""What a column of each kind can be asked."""

MAX_DEPTH: Final = 32
"""How often ``and`` and ``or`` may take turns, one inside the other."""
MAX_CONDITIONS: Final = 500
MAX_VALUES: Final = 1000
"""Most values of all ``in`` together."""
MAX_PATTERN: Final = 10_000
"""Longest text to be looked for, in characters."""


_FAR: Final = 2**53
"""Epoch milliseconds that no request has, before and after all that there are."""


class FilterError(ValueError):
    """What was asked does not exist or makes no sense; the message names it, for whoever asked."""


class Field(Struct, frozen=True):
    """A column that can be asked: ``table`` and ``name`` as clients say them.

    ``source`` says what holds it: a table of the log ("request", "session", ...), or "nothing" for what Helicone has
    and this gateway does not: it is unknown for every request. ``column`` is that table's, ``scale`` what a client's
    number is multiplied by to be compared with it. ``keyed``: there is one for every key, as of properties. ``empty``
    is how clients write that there is none, beside ``"null"``.
    """

    table: str
    name: str
    kind: Kind
    source: Source
    column: str = ""
    scale: int = 1
    keyed: bool = False
    empty: str = "null"


class Condition(Struct, frozen=True):
    """A field, an operator and a value of the field's kind: str, int or float, bool, epoch milliseconds.

    ``None`` is "unknown" (with ``equals``, ``is`` and ``not-equals``); ``in`` has a tuple.
    """

    field: Field
    operator: Operator
    value: Any
    key: str | None = None


class Both(Struct, frozen=True):
    """Nodes of which all ("and") or one at least ("or") must hold. An "and" of none holds for everything."""

    operator: Literal["and", "or"]
    parts: tuple[Node, ...]


Node = Condition | Both
ALL: Final = Both("and", ())
"""Holds for every request."""


def both(operator: Literal["and", "or"], parts: Iterable[Node]) -> Node:
    """``parts`` joined, chains of one operator being made flat. Raises `FilterError` for an "or" of nothing."""
    flat: list[Node] = []
    for part in parts:
        if isinstance(part, Both) and part.operator == operator:
            flat += part.parts
        elif part == ALL and operator == "or":
            return ALL
        else:
            flat.append(part)
    if len(flat) == 1:
        return flat[0]
    if not flat and operator == "or":
        raise FilterError("filter: an 'or' of nothing matches nothing")
    return Both(operator, tuple(flat))


def checked(node: Node) -> Node:
    """``node``, if the database can be asked so much. Raises `FilterError`."""
    asked = [*conditions(node)]
    if len(asked) > MAX_CONDITIONS:
        raise FilterError(f"filter: there are more than {MAX_CONDITIONS} conditions")
    if sum(len(one.value) for one in asked if one.operator == "in") > MAX_VALUES:
        raise FilterError(f"filter: there are more than {MAX_VALUES} values to be in")
    if _depth(node) > MAX_DEPTH:
        raise FilterError(f"filter: 'and' and 'or' take turns more than {MAX_DEPTH} times")
    return node


def conditions(node: Node) -> Iterator[Condition]:
    """Every condition of ``node``."""
    if isinstance(node, Condition):
        yield node
        return
    for part in node.parts:
        yield from conditions(part)


def condition(field: Field, operator: str, value: Any, key: str | None = None) -> Condition:
    """A condition with a value as JSON has it. Raises `FilterError` naming the field, the operator or the value."""
    where = f"filter: {field.table}.{field.name}"
    allowed = OPERATORS[field.kind]
    if operator not in allowed:
        raise FilterError(f"{where} has no operator {shown(operator)}; it has {', '.join(allowed)}")
    if field.keyed and not key:
        raise FilterError(f"{where} needs a key")
    convert = _CONVERT[field.kind]
    if operator == "in":
        if not isinstance(value, list) or len(value) > MAX_VALUES:
            raise FilterError(f"{where}: 'in' needs a list of at most {MAX_VALUES} values")
        return Condition(field, "in", tuple(_value(where, field, convert, one) for one in value), key)
    of_equality = operator in ("equals", "not-equals", "is")
    if value is None or (of_equality and isinstance(value, str) and value in ("null", field.empty)):
        if not of_equality:
            raise FilterError(f"{where}: nothing is known to be {operator} null")
        return Condition(field, operator, None, key)
    return Condition(field, operator, _value(where, field, convert, value), key)


def shown(name: object) -> str:
    """A client's own word, to be repeated in a message."""
    return repr(str(name)[:100])


def _value(where: str, field: Field, convert: Callable[[Any], Any], value: Any) -> Any:
    try:
        return convert(value)
    except (ValueError, OverflowError):
        raise FilterError(f"{where} is {_ARTICLE[field.kind]}, and {shown(value)} is not one") from None


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > MAX_PATTERN:
        raise ValueError(value)
    return value


def _number(value: Any) -> int | float:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        value = float(value) if not value.strip().lstrip("+-").isdecimal() else int(value)
    if isinstance(value, int):
        return value
    if not isinstance(value, float) or math.isnan(value):
        raise ValueError(value)
    return value  # it may be infinite: larger or smaller than all that is known


def _timestamp(value: Any) -> int:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value == value:
        return round(max(-_FAR, min(_FAR, value)))
    if not isinstance(value, str):
        raise ValueError(value)
    moment = datetime.fromisoformat(value.strip())
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _boolean(value: Any) -> bool:
    known = {True: True, False: False, "true": True, "false": False}
    if not isinstance(value, (bool, int, str)) or value not in known:
        raise ValueError(value)
    return known[value]


_CONVERT: Final[dict[Kind, Callable[[Any], Any]]] = {
    "text": _text,
    "body": _text,
    "number": _number,
    "timestamp": _timestamp,
    "boolean": _boolean,
}
_ARTICLE: Final[dict[Kind, str]] = {
    "text": f"a text of at most {MAX_PATTERN} characters",
    "body": f"a text of at most {MAX_PATTERN} characters",
    "number": "a number",
    "timestamp": "an ISO 8601 time",
    "boolean": "true or false",
}


def _depth(node: Node) -> int:
    return 0 if isinstance(node, Condition) else 1 + max(map(_depth, node.parts), default=0)
