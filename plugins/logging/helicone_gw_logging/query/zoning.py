"""Zoning: a text that few requests have is looked for in the zones that have it, and in what is not noted yet."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace
from sqlalchemy import select

from helicone_gw_logging.measures import DAY_MS
from helicone_gw_logging.query.columns import ANSWERED_MODEL
from helicone_gw_logging.query.nodes import Condition, Node, conditions
from helicone_gw_logging.query.plan import Question
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.wanted import EVER, Wanted
from helicone_gw_logging.query.where import property_key
from helicone_gw_logging.tables import REQUEST
from helicone_gw_logging.texts import TEXT_BYTES, text
from helicone_gw_logging.totals import SEQUENCE
from helicone_gw_logging.zones import ANY_PROPERTY, NAMES, PROPERTY_NAME, SIZE, zones_with

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

MOST: Final = 16
"""Zones that are read as a whole: of a text that more have, a page is found sooner in the order that is asked for."""
_PATTERNS: Final = frozenset({"like", "ilike"})
_WHOLE: Final = frozenset({"equals", "is"})

_Zones = set[int] | None
"""Zones in which a request can be that is looked for; ``None``: in any."""


async def zoned(connection: AsyncConnection, scope: Scope, wanted: Wanted) -> Wanted:
    """``wanted`` among the numbers of requests that it can have, where texts of zones tell that these are few."""
    if wanted.table is not REQUEST or not any(map(_parts, conditions(wanted.filter))):
        return wanted
    span = Question(scope, EVER, wanted.filter).narrowed().span
    if span.end - span.start <= DAY_MS:
        return wanted
    found = _Found(connection, scope.organization)
    zones = await found.of(wanted.filter)
    last = await connection.scalar(select(SEQUENCE.c.value).where(SEQUENCE.c.name == REQUEST.name)) or 0
    if zones is None or len(zones) + (last - found.until * SIZE) // SIZE > MOST:
        return wanted
    return replace(wanted, among=(*_ranges(zones), (found.until * SIZE, 2**63 - 1)))


class _Found:
    """What the texts of zones tell of a filter; ``until`` is the first zone of which nothing is known."""

    def __init__(self, connection: AsyncConnection, organization: str) -> None:
        self._connection = connection
        self._organization = organization
        self.until = 2**40

    async def of(self, node: Node) -> _Zones:
        """The zones before ``until`` in which ``node`` can hold for a request."""
        if isinstance(node, Condition):
            return await self._of_condition(node)
        several = [await self.of(part) for part in node.parts]
        known = [each for each in several if each is not None]
        if node.operator == "and":
            return set.intersection(*known) if known else None
        return set().union(*known) if len(known) == len(several) else None

    async def _of_condition(self, condition: Condition) -> _Zones:
        parts = _parts(condition)
        if not parts:
            return None
        zones: set[int] = set()
        for name in _names(condition):
            some, until = await zones_with(self._connection, self._organization, name, parts)
            zones |= some
            # Zones that are noted meanwhile are looked through all the same.
            self.until = min(self.until, until)
        return zones


def _names(condition: Condition) -> tuple[str, ...]:
    """The columns, or the property, in one of which the text must be."""
    if condition.field.source == "property" and condition.key is not None:
        return PROPERTY_NAME + property_key(condition.key), ANY_PROPERTY
    if condition.field.source != "request":
        return ()
    names = ("model", "request_model") if condition.field.column == ANSWERED_MODEL else (condition.field.column,)
    return names if all(name in NAMES for name in names) else ()


def _parts(condition: Condition) -> list[str]:
    """Texts of which a request has one, at least in part, if ``condition`` holds for it; none where nobody knows."""
    value, operator = condition.value, condition.operator
    if not value or not _names(condition):
        return []
    if operator == "in":
        parts = [*map(str, value)]
    elif operator == "contains" or operator in _WHOLE:
        parts = [str(value)]
    elif operator in _PATTERNS:
        # The longest piece without % and _, either of which may be escaped: what is, ends a piece as well.
        parts = [max(re.split(r"\\.|[%_\\]", str(value), flags=re.DOTALL), key=len)]
    else:
        return []
    cut = [_beginning(part) for part in parts]
    return cut if all(cut) else []


def _beginning(part: str) -> str:
    # What is stored is cut, without NUL; of what is longer a beginning says enough.
    return (text(part, TEXT_BYTES) or "")[:200]


def _ranges(zones: set[int]) -> list[tuple[int, int]]:
    """Numbers of requests (from, to) of zones, those side by side together."""
    found: list[tuple[int, int]] = []
    for zone in sorted(zones):
        if found and found[-1][1] == zone * SIZE:
            found[-1] = found[-1][0], (zone + 1) * SIZE
        else:
            found.append((zone * SIZE, (zone + 1) * SIZE))
    return found
