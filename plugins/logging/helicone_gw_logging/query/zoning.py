"""Zoning: what few requests have is looked for in the zones that have it, where it can be in these, and in what is not
noted yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace
from sqlalchemy import select

from helicone_gw_logging.measures import DAY_MS
from helicone_gw_logging.query.beside import QUICK, is_beside, is_id, is_part_of_id, is_part_of_own_id, named
from helicone_gw_logging.query.coding import AT_ONCE, is_coded, masks_of
from helicone_gw_logging.query.columns import ANSWERED_MODEL, field
from helicone_gw_logging.query.nodes import Both, Condition, Node, both, conditions
from helicone_gw_logging.query.pieces import ALWAYS, Piece
from helicone_gw_logging.query.plan import Question
from helicone_gw_logging.query.requests import are_few
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.sorts import HITS
from helicone_gw_logging.query.told import RECEIVED_AT, intervals, number_column, one_interval, texts
from helicone_gw_logging.query.wanted import EVER, Wanted
from helicone_gw_logging.query.where import property_key
from helicone_gw_logging.tables import REQUEST
from helicone_gw_logging.totals import SEQUENCE
from helicone_gw_logging.zone_codes import places_of_mask
from helicone_gw_logging.zone_notes import ANY_PROPERTY, PROPERTY_NAME, Interval, Places, places_of_number
from helicone_gw_logging.zone_rows import TEXTS
from helicone_gw_logging.zones import SIZE, Zone, noted_until, noted_zones, zones_with_part_of_id, zones_with_text

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

MOST: Final = 16
"""Zones that are read as a whole, in any order; of what more have, the first of a list by time alone are found so."""
SINGLE: Final = 10
"""Requests that are read one after the other in the time in which one is found by its number."""
DENSE: Final = 4
"""Where one of so many requests is in a zone that is read as a whole, a list is as soon read in its own order."""
COMMON: Final = 256
"""A zone in which one of so many requests can be one of those that are looked for has a page of them, or nearly."""

_Zones = dict[int, Places] | None
"""Zones, and places in them, at which a request can be that is looked for; ``None``: at any."""
_CACHED: Final = field("request_response_rmt", "cache_status")


async def zoned(connection: AsyncConnection, scope: Scope, wanted: Wanted, *, hurried: bool = False) -> Wanted:
    """``wanted`` among the pieces of the log that can have it, where what is noted of zones tells which these are.

    ``hurried``: somebody waits for what is found soon, so that not all ids of a large log are read.
    """
    node = wanted.filter if not wanted.cached else both("and", [wanted.filter, Condition(_CACHED, "in", HITS)])
    if not any(map(_is_told, conditions(node))):
        return wanted
    if isinstance(node, Condition) and (wanted.table is not REQUEST or is_id(node)):
        return wanted  # an index leads there
    span = Question(scope, EVER, wanted.filter).narrowed().span
    if span.end - span.start <= DAY_MS or await are_few(connection, scope, wanted):
        return wanted
    until = await noted_until(connection)
    last = await connection.scalar(select(SEQUENCE.c.value).where(SEQUENCE.c.name == REQUEST.name)) or 0
    rest = max(0, last + 1 - until * SIZE)
    if rest > MOST * SIZE:
        return wanted
    if connection.dialect.name != "sqlite":
        # Postgres takes what is read by numbers for much, and compiles it first: thirty milliseconds for a few rows.
        await connection.exec_driver_sql("SET LOCAL jit = off")
    told = _Told(connection, scope, (max(0, until - MOST), until), ids=not hurried or last <= QUICK)
    newest = await told.places(node)
    if _is_common(newest, await told.zones()):
        return wanted
    told.span = 0, until
    zones = await told.places(node, QUICK // SIZE if hurried else None)
    noted = await told.zones()
    if zones is None:
        return wanted
    # Many of a zone are not gone to one by one.
    zones = {zone: None if _is_much(places, noted[zone], SINGLE) else places for zone, places in zones.items()}
    if _is_dense(zones, noted, rest):
        return wanted
    pieces = [_piece(zone, places, noted[zone]) for zone, places in zones.items()]
    # Of what is not noted, nobody knows when it was received.
    return replace(wanted, among=(*pieces, Piece(((until * SIZE, 2**63 - 1),), *ALWAYS, rest)))


def _is_told(condition: Condition) -> bool:
    """Whether what is noted tells of it, or another table; times of receipt alone have an index."""
    if is_part_of_id(condition) or is_beside(condition):
        return True
    return bool(_names(condition)) or number_column(condition) not in (None, RECEIVED_AT) or is_coded(condition)


def _is_common(newest: _Zones, noted: dict[int, Zone]) -> bool:
    """Whether nothing is known, or half of the newest zones have so much that the others need not be looked at: a page
    is found at once."""
    if newest is None:
        return True
    return 2 * sum(_is_much(places, noted[zone], COMMON) for zone, places in newest.items()) >= MOST


def _is_much(places: Places, noted: Zone, one_of: int) -> bool:
    """Whether it can be at any place of a zone, or at one of so many."""
    return places is None or one_of * len(places) >= noted.requests


def _is_dense(zones: dict[int, Places], noted: dict[int, Zone], rest: int) -> bool:
    """Whether so much would be read that all is as well gone through in order: it is nearly everywhere."""
    whole = [zone for zone, places in zones.items() if places is None]
    weight = sum(noted[zone].requests for zone in whole)
    if weight + rest <= MOST * SIZE or DENSE * weight <= sum(zone.requests for zone in noted.values()):
        return False
    # It may have been everywhere once, and not of late.
    newest = sorted(noted, reverse=True)[:MOST]
    return len({*whole} & {*newest}) > 1


def _piece(zone: int, places: Places, noted: Zone) -> Piece:
    first = zone * SIZE
    if places is None:
        return Piece(((first, first + SIZE),), noted.first_at, noted.last_at, noted.requests)
    ranges = tuple((first + place, first + place + 1) for place in sorted(places))
    return Piece(ranges, noted.first_at, noted.last_at, SINGLE * len(ranges))


class _Told:
    """What is noted of the zones of ``span`` (from, to), held against a filter.

    ``ids``: parts of ids are looked for.
    """

    def __init__(self, connection: AsyncConnection, scope: Scope, span: tuple[int, int], *, ids: bool) -> None:
        self._connection = connection
        self._scope = scope
        self._ids = ids
        self._noted: dict[tuple[int, int], dict[int, Zone]] = {}
        self._named: dict[Condition, list[int] | None] = {}
        self._of: dict[tuple[Condition, tuple[int, int]], _Zones] = {}
        self.span = span

    async def zones(self) -> dict[int, Zone]:
        """What is noted of the numbers of each zone."""
        if self.span not in self._noted:
            self._noted[self.span] = await noted_zones(self._connection, self._scope.organization, self.span)
        return self._noted[self.span]

    async def places(self, node: Node, most: int | None = None) -> _Zones:
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
            masks = await masks_of(self._connection, self._scope, node, some, self._of_condition)
            for zone in some:
                mask = masks.get(zone, 0)
                if mask == 0:
                    del there[zone]
                elif mask is not None and SINGLE * mask.bit_count() < noted[zone].requests:
                    there[zone] = places_of_mask(mask)
        return None if found is None and [*there.values()].count(None) == len(noted) else there

    async def of(self, node: Node) -> _Zones:
        """Where ``node`` can hold for a request, without codes."""
        if isinstance(node, Condition):
            return await self._of_condition(node)
        if node.operator == "or":
            several = [await self.of(part) for part in node.parts]
            return _united([each for each in several if each is not None]) if None not in several else None
        found: _Zones = None
        for part in _together(node):
            there = await self._of_numbers(*part) if isinstance(part, tuple) else await self.of(part)
            if there is not None:
                found = there if found is None else _both(found, there)
        return found

    async def _of_condition(self, condition: Condition) -> _Zones:
        asked = condition, self.span
        if asked not in self._of:
            self._of[asked] = await self._read(condition)
        return self._of[asked]

    async def _read(self, condition: Condition) -> _Zones:
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
            for name in (_names(condition) if wanted is not None else ())
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


def _names(condition: Condition) -> tuple[str, ...]:
    """The columns, or the property, in one of which the text must be that a condition asks for."""
    if texts(condition) is None:
        return ()
    if condition.field.source == "property" and condition.key is not None:
        return PROPERTY_NAME + property_key(condition.key), ANY_PROPERTY
    if condition.field.source != "request":
        return ()
    names = ("model", "request_model") if condition.field.column == ANSWERED_MODEL else (condition.field.column,)
    return names if all(name in TEXTS for name in names) else ()
