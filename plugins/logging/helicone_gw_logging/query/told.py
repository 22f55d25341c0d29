"""Told: what a condition says that notes of zones can be held against: texts, or between what a number may be."""

from __future__ import annotations

import math
import re
from typing import Final

from helicone_gw_logging.query.nodes import Condition
from helicone_gw_logging.query.numbers import LARGEST, scaled
from helicone_gw_logging.texts import NAME_BYTES, TEXT_BYTES, text
from helicone_gw_logging.zone_notes import Interval, Wanted
from helicone_gw_logging.zone_rows import NUMBERS

RECEIVED_AT: Final = "received_at"
_PATTERNS: Final = frozenset({"like", "ilike"})
_WHOLE: Final = frozenset({"equals", "is"})
_NUMBERS: Final = frozenset({*_WHOLE, "gt", "gte", "lt", "lte", "in"})


def texts(condition: Condition) -> Wanted | None:
    """Texts of which a request has one, as a whole or in part, if ``condition`` holds for it; ``None`` where none is
    known."""
    value, operator = condition.value, condition.operator
    if not value or condition.field.kind != "text":
        return None
    if operator in _WHOLE:
        return Wanted((), _stored(value))
    if operator == "in":
        return Wanted((), frozenset().union(*map(_stored, value)))
    if operator == "contains":
        part = str(value)
    elif operator in _PATTERNS:
        # The longest piece without % and _, either of which may be escaped: what is, ends a piece as well.
        part = max(re.split(r"\\.|[%_\\]", str(value), flags=re.DOTALL), key=len)
    else:
        return None
    # What is stored is cut, without NUL; of what is longer a beginning says enough.
    cut = (text(part, TEXT_BYTES) or "")[:200]
    return Wanted([cut]) if cut else None


def number_column(condition: Condition) -> str | None:
    """The column in which a number must be noted that ``condition`` asks for; ``None`` where that is not told."""
    asked, value = condition.field, condition.value
    if asked.source != "request" or asked.kind == "text" or asked.column not in NUMBERS:
        return None
    return asked.column if value is not None and condition.operator in _NUMBERS else None


def one_interval(condition: Condition) -> Interval | None:
    """From where to where the number may be; ``None`` for one of several."""
    return None if condition.operator == "in" else intervals(condition)[0]


def intervals(condition: Condition) -> list[Interval]:
    """From where to where the number may be, in the column's own unit."""
    value, scale = condition.value, condition.field.scale
    if condition.operator == "in":
        return [(_clamped(scaled(one, scale)), _clamped(scaled(one, scale))) for one in value]
    number = _clamped(scaled(int(value) if isinstance(value, bool) else value, scale))
    match condition.operator:
        case "gt":
            return [(_clamped(math.floor(number) + 1), None)]
        case "gte":
            return [(_clamped(math.ceil(number)), None)]
        case "lt":
            return [(None, _clamped(math.ceil(number) - 1))]
        case "lte":
            return [(None, _clamped(math.floor(number)))]
        case _:
            return [(_clamped(number), _clamped(number))]


def _clamped(number: float) -> float:
    # What is larger than any number that is stored, the database takes for the largest.
    return max(-LARGEST, min(LARGEST, number))


def _stored(value: object) -> frozenset[str]:
    """How a text is stored that is the same: some columns cut sooner than others."""
    return frozenset(text(value, limit) or "" for limit in (NAME_BYTES, TEXT_BYTES))
