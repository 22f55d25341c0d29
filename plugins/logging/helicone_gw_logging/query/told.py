"""Told: what a condition says that notes of zones can be held against: texts, between what a number may be, and for
which values it holds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection
from itertools import chain
from typing import Final

from msgspec import Struct

from helicone_gw_logging.query.nodes import Condition
from helicone_gw_logging.query.numbers import LARGEST, scaled
from helicone_gw_logging.query.patterns import matches
from helicone_gw_logging.query.where import property_key
from helicone_gw_logging.texts import NAME_BYTES, TEXT_BYTES, text
from helicone_gw_logging.zone_codes import Codes
from helicone_gw_logging.zone_notes import PROPERTY_NAME, Interval, Wanted, folded
from helicone_gw_logging.zone_rows import INDEXED, NUMBERS, TEXTS

RECEIVED_AT: Final = "received_at"
_PATTERNS: Final = frozenset({"like", "ilike"})
_WHOLE: Final = frozenset({"equals", "is"})
_NUMBERS: Final = frozenset({*_WHOLE, "gt", "gte", "lt", "lte", "in"})


class Asked(Struct, frozen=True):
    """What a condition asks of the column, or property, ``name``.

    ``codes``: which of its codes mean a value for which it can hold; ``unknown``: whether it can where that is unknown.
    ``text``: whether it can for a text. ``whole``: the only texts for which it can; ``None``: these are not so few.
    ``sure_codes``, ``sure_text``: the same of those for which it holds to any database; of what is unknown it does if
    it can. ``but``: the only texts for which it is not sure to hold; ``None``: these are not so few.
    """

    name: str
    codes: Callable[[Codes], Collection[int]]
    sure_codes: Callable[[Codes], Collection[int]]
    unknown: bool = False
    text: Callable[[str], bool] = lambda _: True
    sure_text: Callable[[str], bool] = lambda _: True
    whole: frozenset[str] | None = None
    but: frozenset[str] | None = None


def asked(condition: Condition) -> Asked | None:
    """What ``condition`` asks of a column of which codes are noted; ``None``: nothing of such a one."""
    name, value, operator = _coded_name(condition), condition.value, condition.operator
    if name is None:
        return None
    if value is None:
        if operator == "not-equals":
            return Asked(name, lambda codes: codes.known, lambda codes: codes.known, but=frozenset())
        return Asked(name, lambda _: (), lambda _: (), unknown=True, text=_never, sure_text=_never, whole=frozenset())
    if condition.field.kind != "text":
        return _asked_of_number(name, condition)
    wanted = texts(condition)
    if wanted is not None:
        return _asked_of_text(name, wanted.holds, _surely(condition), whole=wanted.whole)
    # What is left out must be what every database takes for the same.
    if operator == "not-equals":
        others = _stored(value)
        return _asked_of_text(
            name,
            lambda text: len(others) > 1 or text not in others,
            lambda text: text not in others,
            unknown=True,
            but=others,
        )
    if operator == "not-contains":
        part = text(value, TEXT_BYTES) or ""
        small, alike = _in_one_case(part), folded(part)
        return _asked_of_text(
            name,
            lambda text: small not in _in_one_case(text),
            lambda text: alike not in folded(text),
            unknown=True,
        )
    return None


def _never(_: str) -> bool:
    return False


def _surely(condition: Condition) -> Callable[[str], bool]:
    """For which texts ``condition``, of which some or parts of some are looked for, holds to any database."""
    value, operator = condition.value, condition.operator
    if operator == "contains":
        part = _in_one_case(text(value, TEXT_BYTES) or "")
        return lambda text: part in _in_one_case(text)
    if operator in _PATTERNS:
        said = text(value, TEXT_BYTES) or ""
        if operator == "like":
            return lambda text: matches(said, text)
        small = _in_one_case(said)
        return lambda text: matches(small, _in_one_case(text))
    several = [*map(_stored, value if operator == "in" else [value])]
    # One that a column may cut in either of two places is not the same to all of them.
    whole = frozenset(chain.from_iterable(each for each in several if len(each) == 1))
    return whole.__contains__


def _coded_name(condition: Condition) -> str | None:
    """Under what name codes of its column are noted."""
    field = condition.field
    if field.source == "property" and condition.key is not None:
        return PROPERTY_NAME + property_key(condition.key)
    if field.source != "request" or field.column == RECEIVED_AT:
        return None
    return field.column if field.column in (*INDEXED, *(TEXTS if field.kind == "text" else NUMBERS)) else None


def _asked_of_text(
    name: str,
    holds: Callable[[str], bool],
    surely: Callable[[str], bool],
    *,
    unknown: bool = False,
    whole: frozenset[str] | None = None,
    but: frozenset[str] | None = None,
) -> Asked:
    return Asked(
        name,
        lambda codes: codes.of_texts(holds),
        lambda codes: codes.of_texts(surely),
        unknown,
        holds,
        surely,
        whole,
        but,
    )


def _asked_of_number(name: str, condition: Condition) -> Asked:
    if condition.operator == "not-equals":
        value = condition.value
        other = scaled(int(value) if isinstance(value, bool) else value, condition.field.scale)
        return Asked(
            name,
            lambda codes: {*codes.known} - codes.of_number(other),
            lambda codes: {*codes.known}.difference(codes.of_numbers(other, other)),
            unknown=True,
        )
    wanted = intervals(condition)
    # What is larger than any number that is stored, was taken for the largest.
    exact = [interval for interval in wanted if not {LARGEST, -LARGEST}.intersection(interval)]
    return Asked(
        name,
        lambda codes: {*chain.from_iterable(codes.of_numbers(*interval) for interval in wanted)},
        lambda codes: {*chain.from_iterable(codes.within(*interval) for interval in exact)},
    )


def _in_one_case(said: str) -> str:
    """With small letters where these are the same as capitals to any database; i is not, in Turkish."""
    return said.translate(_SMALL_LETTERS)


_SMALL_LETTERS: Final = str.maketrans({letter: letter.lower() for letter in "ABCDEFGHJKLMNOPQRSTUVWXYZ"})


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
    number = scaled(int(value) if isinstance(value, bool) else value, scale)
    # Beyond all numbers is beyond the largest, too; what is infinite cannot be rounded.
    number = max(-2 * LARGEST, min(2 * LARGEST, number))
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
