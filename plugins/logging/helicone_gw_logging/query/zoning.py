"""Zoning: what few requests have is looked for in the zones that have it, where it can be in these, and in what is not
noted yet."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace
from sqlalchemy import select

from helicone_gw_logging.measures import DAY_MS
from helicone_gw_logging.query.beside import QUICK, is_beside, is_id, is_part_of_id
from helicone_gw_logging.query.coding import is_coded
from helicone_gw_logging.query.columns import field
from helicone_gw_logging.query.few import are_few
from helicone_gw_logging.query.nodes import Condition, Node, both, conditions
from helicone_gw_logging.query.noting import SINGLE, Noted, Zones, names
from helicone_gw_logging.query.pieces import ALWAYS, Piece
from helicone_gw_logging.query.plan import Question
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.sorts import HITS
from helicone_gw_logging.query.told import RECEIVED_AT, number_column
from helicone_gw_logging.query.wanted import EVER, Wanted
from helicone_gw_logging.tables import REQUEST
from helicone_gw_logging.totals import SEQUENCE
from helicone_gw_logging.zone_notes import Places
from helicone_gw_logging.zones import SIZE, Zone, noted_until

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

MOST: Final = 16
"""Zones that are read as a whole, in any order; of what more have, the first of a list by time alone are found so."""
DENSE: Final = 4
"""Where one of so many requests is in a zone that is read as a whole, a list is as soon read in its own order."""
COMMON: Final = 256
"""A zone in which one of so many requests can be one of those that are looked for has a page of them, or nearly."""

_CACHED: Final = field("request_response_rmt", "cache_status")
_SCORES: Final = field("request_response_rmt", "scores_column")


async def zoned(connection: AsyncConnection, scope: Scope, wanted: Wanted, *, hurried: bool = False) -> Wanted:
    """``wanted`` among the pieces of the log that can have it, where what is noted of zones tells which these are.

    ``hurried``: somebody waits for what is found soon, so that not all ids of a large log are read.
    """
    node = all_of(wanted)
    if not any(map(_is_told, conditions(node))):
        return wanted
    if isinstance(node, Condition) and (wanted.table is not REQUEST or is_id(node)):
        return wanted  # an index leads there
    span = Question(scope, EVER, wanted.filter).narrowed().span
    if span.end - span.start <= DAY_MS or await are_few(connection, scope, wanted):
        return wanted
    until, rest = await noted_part(connection)
    if rest > MOST * SIZE:
        return wanted
    quick = until * SIZE + rest <= QUICK
    told = Noted(connection, scope, (max(0, until - MOST), until), ids=not hurried or quick)
    newest = await told.places(node)
    if _is_common(newest, await told.zones(), told.vague):
        return wanted
    told.span = 0, until
    zones = await told.places(node, QUICK // SIZE if hurried else None)
    noted = await told.zones()
    if zones is None:
        return wanted
    if _is_dense(zones, noted, rest):
        return wanted
    pieces = [piece_of(zone, places, noted[zone]) for zone, places in zones.items()]
    return replace(wanted, among=(*pieces, rest_of(until, rest)))


def all_of(wanted: Wanted) -> Node:
    """All that is asked for, as one filter, but for whether nothing is scored."""
    parts = [wanted.filter]
    if wanted.cached is not None:
        parts += (
            [Condition(_CACHED, "in", HITS)]
            if wanted.cached
            else [Condition(_CACHED, "not-equals", hit) for hit in HITS]
        )
    if wanted.scored:
        parts.append(Condition(_SCORES, "not-equals", None))
    return both("and", parts) if len(parts) > 1 else wanted.filter


async def noted_part(connection: AsyncConnection) -> tuple[int, int]:
    """The first zone of which nothing is noted, and how many requests there are from there on."""
    until = await noted_until(connection)
    last = await connection.scalar(select(SEQUENCE.c.value).where(SEQUENCE.c.name == REQUEST.name)) or 0
    if connection.dialect.name != "sqlite":
        # Postgres takes what is read by numbers for much, and compiles it first: thirty milliseconds for a few rows.
        await connection.exec_driver_sql("SET LOCAL jit = off")
    return until, max(0, last + 1 - until * SIZE)


def _is_told(condition: Condition) -> bool:
    """Whether what is noted tells of it, or another table; times of receipt alone have an index."""
    if is_part_of_id(condition) or is_beside(condition):
        return True
    return bool(names(condition)) or number_column(condition) not in (None, RECEIVED_AT) or is_coded(condition)


def _is_common(newest: Zones, noted: dict[int, Zone], vague: Collection[int]) -> bool:
    """Whether nothing is known, or half of the newest zones have so much that the others need not be looked at: a page
    is found at once. ``vague``: where it is not certain that they have it."""
    if newest is None:
        return True
    much = (_is_much(places, noted[zone], SINGLE if zone in vague else COMMON) for zone, places in newest.items())
    return 2 * sum(much) >= MOST


def _is_much(places: Places, noted: Zone, one_of: int) -> bool:
    """Whether it can be at any place of a zone, or at one of so many."""
    return places is None or one_of * len(places) >= noted.requests


def _is_dense(zones: dict[int, Places], noted: dict[int, Zone], rest: int) -> bool:
    """Whether so much would be read that all is as well gone through in order: it is nearly everywhere."""
    whole = [zone for zone, places in zones.items() if _is_much(places, noted[zone], SINGLE)]
    weight = sum(noted[zone].requests for zone in whole)
    if weight + rest <= MOST * SIZE or DENSE * weight <= sum(zone.requests for zone in noted.values()):
        return False
    # It may have been everywhere once, and not of late.
    newest = sorted(noted, reverse=True)[:MOST]
    return len({*whole} & {*newest}) > 1


def piece_of(zone: int, places: Places, noted: Zone) -> Piece:
    """A zone, or these places of it; many are not gone to one by one."""
    first = zone * SIZE
    if places is None or _is_much(places, noted, SINGLE):
        return Piece(((first, first + SIZE),), noted.first_at, noted.last_at, noted.requests)
    ranges = tuple((first + place, first + place + 1) for place in sorted(places))
    return Piece(ranges, noted.first_at, noted.last_at, SINGLE * len(ranges))


def is_whole(piece: Piece) -> bool:
    """Whether it is a zone, and not some places of one."""
    return len(piece.ranges) == 1 and piece.ranges[0][1] - piece.ranges[0][0] == SIZE


def rest_of(until: int, rest: int) -> Piece:
    """The ``rest``, which is not noted: nobody knows when it was received."""
    return Piece(((until * SIZE, 2**63 - 1),), *ALWAYS, rest)
