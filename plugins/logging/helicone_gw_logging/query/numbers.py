"""Numbers: columns against a client's number, which may be larger or smaller than all that a column can hold."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Float, false, literal, true

LARGEST: Final = 2**63 - 1
"""What no whole number in a column is beyond, above zero or below."""


def of_integers(expression: ColumnElement[Any], operator: str, value: int | float) -> ColumnElement[bool]:
    """Whole numbers against any number: one between two of them is moved to the right side."""
    if abs(value) > LARGEST:
        return _beyond(expression, operator, above=value > 0)
    if isinstance(value, float) and not value.is_integer():
        if operator in ("equals", "not-equals"):
            return false() if operator == "equals" else true()
        value = math.floor(value) if operator in ("gt", "lte") else math.ceil(value)
    return _compared(expression, operator, literal(int(value), BigInteger))


def of_floats(expression: ColumnElement[Any], operator: str, value: int | float) -> ColumnElement[bool]:
    """Finite numbers against any number."""
    number = _float(value)
    if math.isinf(number):
        return _beyond(expression, operator, above=number > 0)
    return _compared(expression, operator, literal(number, Float))


def integers(values: Iterable[int | float]) -> list[int]:
    """Those of ``values`` that a column of whole numbers can hold."""
    return [int(one) for one in values if abs(one) <= LARGEST and int(one) == one]


def floats(values: Iterable[int | float]) -> list[float]:
    """Those of ``values`` that are finite."""
    return [one for one in map(_float, values) if math.isfinite(one)]


def scaled(value: int | float, scale: int) -> int | float:
    """A client's number in the unit of its column; infinite, where that is beyond all numbers."""
    if scale == 1 or isinstance(value, int):
        return value * scale
    # 0.1 dollars are 100,000,000 nano-dollars, whatever a binary fraction makes of them.
    return round(value * scale, 3)


def _float(value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _beyond(expression: ColumnElement[Any], operator: str, *, above: bool) -> ColumnElement[bool]:
    """Numbers against one that is larger (``above``), or smaller, than any that is stored."""
    if operator in ("equals", "not-equals"):
        return false() if operator == "equals" else true()
    return expression.is_not(None) if (operator in ("lt", "lte")) == above else false()


def _compared(expression: ColumnElement[Any], operator: str, value: ColumnElement[Any]) -> ColumnElement[bool]:
    match operator:
        case "equals":
            return expression == value
        case "not-equals":
            return expression.is_distinct_from(value)
        case "gt":
            return expression > value
        case "gte":
            return expression >= value
        case "lt":
            return expression < value
        case _:
            return expression <= value
