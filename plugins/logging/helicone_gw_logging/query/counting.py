"""Counting: how many requests a filter holds for, told by codes where these say for which it does, so that only those
are read of which they do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import func, select

from helicone_gw_logging.measures import DAY_MS
from helicone_gw_logging.query.among import MOST as MOST_AMONG
from helicone_gw_logging.query.coding import AT_ONCE, Columns, is_coded, known_places, of_either_model
from helicone_gw_logging.query.nodes import Condition, Node
from helicone_gw_logging.query.noting import Noted
from helicone_gw_logging.query.plan import Question
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.told import RECEIVED_AT, Asked, asked, intervals, number_column
from helicone_gw_logging.query.wanted import EVER, Wanted
from helicone_gw_logging.query.zoning import MOST as MOST_WHOLE
from helicone_gw_logging.query.zoning import all_of, is_whole, noted_part, piece_of, rest_of
from helicone_gw_logging.tables import REQUEST
from helicone_gw_logging.zone_codes import OTHER, UNKNOWN, Mask, mask_of_codes, mask_of_places, places_of_mask
from helicone_gw_logging.zone_notes import rare_places
from helicone_gw_logging.zones import SIZE, Coded, Zone

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

FEW: Final = 10_000
"""Requests that are read as soon as codes of all zones."""


class _Held(Struct, frozen=True):
    """Where in a zone something holds for certain, and where it can, the former included."""

    surely: Mask
    perhaps: Mask


async def counted(connection: AsyncConnection, scope: Scope, wanted: Wanted) -> int | None:
    """How many requests are ``wanted``; ``None`` where codes do not tell, or all are as soon counted."""
    node = all_of(wanted)
    if not scope.whole or wanted.scored is not None or not is_coded(node) or _are_few(wanted):
        return None
    span = Question(scope, EVER, wanted.filter).narrowed().span
    until, rest = await noted_part(connection)
    if span.end - span.start <= DAY_MS or rest > MOST_WHOLE * SIZE:
        return None
    noted = Noted(connection, scope, (0, until), ids=False)
    zones, coarse = await noted.zones(), await noted.of(node)
    there = [zone for zone in zones if coarse is None or zone in coarse]
    if not zones:
        return None
    oldest = await connection.scalar(select(func.min(REQUEST.c.received_at)).where(scope.of(REQUEST)))
    everywhere, found, weight, pieces = _everywhere(), 0, rest, [rest_of(until, rest)]
    for start in range(0, len(there), AT_ONCE):
        some = there[start : start + AT_ONCE]
        held = _Zones(Columns(connection, scope.organization), noted, zones)
        for zone, each in (await held.of(node, some)).items():
            # Of a zone that is as old as what is left, retention may have taken a part.
            surely = each.surely if oldest is not None and zones[zone].first_at > oldest else 0
            left = each.perhaps & ~surely
            piece = piece_of(zone, places_of_mask(left), zones[zone])
            if not is_whole(piece):
                found += zones[zone].requests if surely == everywhere else surely.bit_count()
            if left:
                pieces.append(piece)
                weight += piece.weight
        if weight > MOST_AMONG:
            return None
    read = replace(wanted, among=tuple(pieces)).numbers(scope)
    return found + int(await connection.scalar(select(func.count()).select_from(read.subquery())) or 0)


def _are_few(wanted: Wanted) -> bool:
    return wanted.among is not None and sum(piece.weight for piece in wanted.among) <= FEW


def _everywhere() -> Mask:
    return int.from_bytes(b"\1" * SIZE, "little")


class _Zones:
    """A filter held against what is noted of some zones."""

    def __init__(self, columns: Columns, noted: Noted, zones: Mapping[int, Zone]) -> None:
        self._columns = columns
        self._noted = noted
        self._zones = zones
        self._everywhere = _everywhere()

    async def of(self, node: Node, zones: Sequence[int]) -> dict[int, _Held]:
        """Where ``node`` holds, in each of ``zones`` in which it can."""
        if isinstance(node, Condition):
            either = of_either_model(node)
            return await (self._of_condition(node, zones) if either is None else self.of(either, zones))
        if node.operator == "or":
            found = dict[int, _Held]()
            for part in node.parts:
                for zone, held in (await self.of(part, zones)).items():
                    before = found.get(zone, _NOWHERE)
                    found[zone] = _Held(before.surely | held.surely, before.perhaps | held.perhaps)
            return found
        found = dict.fromkeys(zones, _Held(self._everywhere, self._everywhere))
        for part in node.parts:
            # Where it cannot be, nothing more needs to be read.
            there, both = await self.of(part, [*found]), dict[int, _Held]()
            for zone, held in there.items():
                before = found[zone]
                perhaps = before.perhaps & held.perhaps
                if perhaps:
                    both[zone] = _Held(before.surely & held.surely, perhaps)
            found = both
        return found

    async def _of_condition(self, condition: Condition, zones: Sequence[int]) -> dict[int, _Held]:
        if number_column(condition) == RECEIVED_AT:
            return self._received(condition, zones)
        there, unclear = known_places(await self._noted.of_condition(condition), zones)
        found = {zone: _Held(0, mask) for zone, mask in there.items()}
        said = asked(condition)
        coded = {} if said is None else await self._columns.read(said.name, unclear)
        for zone in unclear:
            noted = coded.get(zone)
            held = _Held(0, self._everywhere) if said is None or noted is None else _held(said, noted)
            if held.perhaps:
                found[zone] = held
        return found

    def _received(self, condition: Condition, zones: Sequence[int]) -> dict[int, _Held]:
        found, ((low, high),) = dict[int, _Held](), intervals(condition)
        for zone in zones:
            first, last = self._zones[zone].first_at, self._zones[zone].last_at
            if (low is None or low <= last) and (high is None or first <= high):
                all_of_it = (low is None or low <= first) and (high is None or last <= high)
                found[zone] = _Held(self._everywhere if all_of_it else 0, self._everywhere)
        return found


_NOWHERE: Final = _Held(0, 0)


def _held(said: Asked, noted: Coded) -> _Held:
    """Where it holds, by the codes of a zone."""
    codes = noted.codes
    some = {UNKNOWN} if said.unknown else set[int]()
    perhaps, surely = some.union(said.codes(codes)), some.union(said.sure_codes(codes))
    if OTHER in codes.places and noted.texts is not None:
        rare, sure = (rare_places(noted.texts, noted.places, holds) for holds in (said.text, said.sure_text))
        return _Held(
            mask_of_codes(codes, surely) | mask_of_places(sure), mask_of_codes(codes, perhaps) | mask_of_places(rare)
        )
    # A text that has a code is none of the others.
    if said.whole is None or not said.whole.issubset(codes.texts):
        perhaps.add(OTHER)
    if said.but is not None and said.but.issubset(codes.texts):
        surely.add(OTHER)
    mask = mask_of_codes(codes, perhaps)
    return _Held(mask if perhaps == surely else mask_of_codes(codes, surely), mask)
