"""Noting: what is noted of zones, held against a filter: where it can hold for a request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from helicone_gw_logging.query.beside import is_beside, is_id, is_part_of_id, is_part_of_own_id, named
from helicone_gw_logging.query.coding import AT_ONCE, is_coded, masks_of
from helicone_gw_logging.query.columns import ANSWERED_MODEL
from helicone_gw_logging.query.nodes import Both, Condition, Node
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.told import intervals, number_column, one_interval, texts
from helicone_gw_logging.query.where import property_key
from helicone_gw_logging.zone_codes import places_of_mask
from helicone_gw_logging.zone_notes import ANY_PROPERTY, PROPERTY_NAME, Interval, Places, places_of_number
from helicone_gw_logging.zone_rows import TEXTS
from helicone_gw_logging.zones import SIZE, Zone, noted_zones, zones_with_part_of_id, zones_with_text

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

SINGLE: Final = 10
"""Requests that are read one after the other in the time in which one is found by its number."""

Zones = dict[int, Places] | None
"""Zones, and places in them, at which a request can be that is looked for; ``None``: at any."""


class Noted:
    """What is noted of the zones of ``span`` (from, to), held against a filter.

    ``ids``: parts of ids are looked for.
    """

    def __init__(self, connection: AsyncConnection, scope: Scope, span: tuple[int, int], *, ids: bool) -> None:
        self._connection = connection
        self._scope = scope
        self._ids = ids
        self._noted: dict[tuple[int, int], dict[int, Zone]] = {}
        self._named: dict[Condition, list[int] | None] = {}
        self._of: dict[tuple[Condition, tuple[int, int]], Zones] = {}
        self.span = span
        self.vague = set[int]()
        """Zones in which what is told by codes need not be so (`places`)."""

    async def zones(self) -> dict[int, Zone]:
        """What is noted of the numbers of each zone."""
        if self.span not in self._noted:
            self._noted[self.span] = await noted_zones(self._connection, self._scope.organization, self.span)
        return self._noted[self.span]

    async def places(self, node: Node, most: int | None = None) -> Zones:
        """Where ``node`` can hold for a request; codes are asked of ``most`` zones in which it can be anywhere, the
        newest."""
        found, noted = await self.of(node), await self.zones()
        if not is_coded(node):
            return None if found is None else {zone: places for zone, places in found.items() if zone in noted}
        there: dict[int, Places] = {
            zone: None if found is None else found[zone] for zone in noted if found is None or zone in found
        }
        unclear = sorted([zone for zone, places in there.items() if places is None], reverse=True)[:most]
        for start in range(0, len(unclear), AT_ONCE):
            some = unclear[start : start + AT_ONCE]
            masks, vague = await masks_of(self._connection, self._scope, node, some, self.of_condition)
            self.vague |= vague
            for zone in some:
                mask = masks.get(zone, 0)
                if mask == 0:
                    del there[zone]
                elif mask is not None and SINGLE * mask.bit_count() < noted[zone].requests:
                    there[zone] = places_of_mask(mask)
        return None if found is None and [*there.values()].count(None) == len(noted) else there

    async def of(self, node: Node) -> Zones:
        """Where ``node`` can hold for a request, without codes."""
        if isinstance(node, Condition):
            return await self.of_condition(node)
        if node.operator == "or":
            several = [await self.of(part) for part in node.parts]
            return _united([each for each in several if each is not None]) if None not in several else None
        found: Zones = None
        for part in _together(node):
            there = await self._of_numbers(*part) if isinstance(part, tuple) else await self.of(part)
            if there is not None:
                found = there if found is None else _both(found, there)
        return found

    async def of_condition(self, condition: Condition) -> Zones:
        """Where ``condition`` can hold for a request, without codes."""
        asked = condition, self.span
        if asked not in self._of:
            self._of[asked] = await self._read(condition)
        return self._of[asked]

    async def _read(self, condition: Condition) -> Zones:
        column = number_column(condition)
        if column is not None:
            return await self._of_numbers(column, intervals(condition))
        wanted = texts(condition)
        if self._ids and wanted is not None and is_part_of_own_id(condition):
            noted = await self.zones()
            column, (part, *_) = condition.field.column, wanted.parts
            told = await zones_with_part_of_id(self._connection, self._scope.organization, column, part, self.span)
            return {zone: told.get(zone) for zone in noted if told.get(zone) != frozenset()}
        if is_id(condition) or is_beside(condition) or (self._ids and is_part_of_id(condition)):
            if condition not in self._named:
                self._named[condition] = await named(self._connection, self._scope, condition)
            numbers = self._named[condition]
            if numbers is not None:
                return _at(numbers)
        several = [
            await zones_with_text(self._connection, self._scope.organization, name, wanted, self.span)
            for name in (names(condition) if wanted is not None else ())
            if wanted is not None
        ]
        return _united(several) if several else None

    async def _of_numbers(self, column: str, wanted: Sequence[Interval]) -> dict[int, Places]:
        found = dict[int, Places]()
        for zone, noted in (await self.zones()).items():
            places = places_of_number(noted.numbers, column, wanted)
            if places is None or places:
                found[zone] = places
        return found


def _together(node: Both) -> list[Node | tuple[str, Sequence[Interval]]]:
    """The parts of an "and", those that say from where to where a number may be made one: between two numbers there may
    be none although there are less and more."""
    between: dict[str, Interval] = {}
    others: list[Node | tuple[str, Sequence[Interval]]] = []
    for part in node.parts:
        column = number_column(part) if isinstance(part, Condition) else None
        one = one_interval(part) if isinstance(part, Condition) and column is not None else None
        if column is None or one is None:
            others.append(part)
            continue
        (low, high), (least, greatest) = one, between.get(column, (None, None))
        between[column] = (
            low if least is None or (low is not None and low > least) else least,
            high if greatest is None or (high is not None and high < greatest) else greatest,
        )
    return [*((column, [interval]) for column, interval in between.items()), *others]


def _at(numbers: Sequence[int]) -> dict[int, Places]:
    places: dict[int, set[int]] = {}
    for seq in numbers:
        places.setdefault(seq // SIZE, set()).add(seq % SIZE)
    return {zone: frozenset(some) for zone, some in places.items()}


def _both(one: dict[int, Places], other: dict[int, Places]) -> dict[int, Places]:
    found = dict[int, Places]()
    for zone in one.keys() & other.keys():
        mine, yours = one[zone], other[zone]
        places = yours if mine is None else mine if yours is None else mine & yours
        if places is None or places:
            found[zone] = places
    return found


def _united(several: Sequence[dict[int, Places]]) -> dict[int, Places]:
    found = dict[int, Places]()
    for each in several:
        for zone, places in each.items():
            there = found.get(zone, frozenset())
            found[zone] = None if there is None or places is None else there | places
    return found


def names(condition: Condition) -> tuple[str, ...]:
    """The columns, or the property, in one of which the text must be that a condition asks for."""
    if texts(condition) is None:
        return ()
    if condition.field.source == "property" and condition.key is not None:
        return PROPERTY_NAME + property_key(condition.key), ANY_PROPERTY
    if condition.field.source != "request":
        return ()
    names = ("model", "request_model") if condition.field.column == ANSWERED_MODEL else (condition.field.column,)
    return names if all(name in TEXTS for name in names) else ()
