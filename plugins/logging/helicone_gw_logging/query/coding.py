"""Coding: which requests of a zone a filter can hold for, told by the codes of all columns that it asks.

So only those are read that have what many have of each column and few of all together, that lack what nearly all have,
or have another.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from helicone_gw_logging.query.columns import ANSWERED_MODEL
from helicone_gw_logging.query.nodes import Both, Condition, Node, conditions
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.told import Asked, asked
from helicone_gw_logging.zone_codes import OTHER, UNKNOWN, Codes, Mask, mask_of_codes, mask_of_places
from helicone_gw_logging.zone_notes import Places, rare_places
from helicone_gw_logging.zones import Coded, coded_zones

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

AT_ONCE: Final = 64
"""Zones whose codes are in memory together: half a megabyte a column."""

MOST: Final = 50
"""Conditions of a filter that are held against codes; each takes some forty microseconds a zone."""

Masks = dict[int, Mask | None]
"""By zone where a request can be; ``None``: anywhere in it. In zones that are not there it cannot be."""
Coarse = Callable[[Condition], Awaitable[Mapping[int, Places] | None]]
"""Where it is known without codes that a condition can hold, by zone; ``None``: nothing is known."""


def is_coded(node: Node) -> bool:
    """Whether codes can tell anything of it, and it does not ask too much of them."""
    parts = [*conditions(node)]
    return len(parts) <= MOST and any(each.field.column == ANSWERED_MODEL or asked(each) for each in parts)


async def masks_of(
    connection: AsyncConnection, scope: Scope, node: Node, zones: Sequence[int], coarse: Coarse
) -> tuple[Masks, set[int]]:
    """Where ``node`` can hold in ``zones``, of which there are `AT_ONCE` at most, and in which of these it need not: of
    something that is asked nothing is known there, or not enough."""
    some = _Zones(Columns(connection, scope.organization), coarse)
    return await some.of(node, zones), some.vague


def known_places(known: Mapping[int, Places] | None, zones: Sequence[int]) -> tuple[dict[int, Mask], list[int]]:
    """Where something can be by what is ``known`` without codes, and the zones of which that says nothing."""
    found, unclear = dict[int, Mask](), list[int]()
    for zone in zones:
        places = None if known is None else known.get(zone, frozenset())
        if places is None:
            unclear.append(zone)
        elif places:
            found[zone] = mask_of_places(places)
    return found, unclear


class Columns:
    """Codes of an organization's columns in some zones, each column's read once."""

    def __init__(self, connection: AsyncConnection, organization: str) -> None:
        self._connection = connection
        self._organization = organization
        self._coded: dict[tuple[str, int], Coded | None] = {}

    async def read(self, name: str, zones: Sequence[int]) -> dict[int, Coded | None]:
        """What is noted of a column; ``None`` of zones in which its codes are not."""
        new = [zone for zone in zones if (name, zone) not in self._coded]
        if new:
            read = await coded_zones(self._connection, self._organization, name, new)
            self._coded |= {(name, zone): read.get(zone) for zone in new}
        return {zone: self._coded[name, zone] for zone in zones}


class _Zones:
    """A filter held against codes of some zones."""

    def __init__(self, columns: Columns, coarse: Coarse) -> None:
        self._columns = columns
        self._coarse = coarse
        self.vague = set[int]()

    async def of(self, node: Node, zones: Sequence[int]) -> Masks:
        if isinstance(node, Condition):
            either = of_either_model(node)
            if either is not None:
                return await self.of(either, zones)
            return await self._of_condition(node, zones)
        found: Masks = {} if node.operator == "or" else dict.fromkeys(zones)
        for part in node.parts:
            if node.operator == "or":
                for zone, mask in (await self.of(part, zones)).items():
                    before = found.get(zone, 0)
                    found[zone] = None if before is None or mask is None else before | mask
                continue
            # Where it cannot be, nothing more needs to be read.
            there, both = await self.of(part, [*found]), Masks()
            for zone, mask in there.items():
                before = found[zone]
                left = before if mask is None else mask if before is None else before & mask
                if left != 0:
                    both[zone] = left
            found = both
        return found

    async def _of_condition(self, condition: Condition, zones: Sequence[int]) -> Masks:
        there, unclear = known_places(await self._coarse(condition), zones)
        found, said = Masks(there), asked(condition)
        if said is None:
            self.vague |= {*unclear}
            return found | dict.fromkeys(unclear)
        coded = await self._columns.read(said.name, unclear)
        for zone in unclear:
            noted = coded[zone]
            mask, exact = (None, False) if noted is None else _mask(said, noted)
            if not exact:
                self.vague.add(zone)
            if mask != 0:
                found[zone] = mask
        return found


def _mask(said: Asked, noted: Coded) -> tuple[Mask, bool]:
    """Where it can be, by the codes of a zone, and whether it is there, but for a few."""
    codes = noted.codes
    wanted = {*said.codes(codes)}
    if said.unknown:
        wanted.add(UNKNOWN)
    if OTHER not in codes.places:
        return mask_of_codes(codes, wanted), not _is_between(codes, wanted)
    if noted.texts is not None:
        rare = rare_places(noted.texts, noted.places, said.text)
        return mask_of_codes(codes, wanted) | mask_of_places(rare), True
    if said.whole is None or not said.whole.issubset(codes.texts):
        return mask_of_codes(codes, {*wanted, OTHER}), False
    return mask_of_codes(codes, wanted), True


def _is_between(codes: Codes, wanted: set[int]) -> bool:
    """Whether numbers are looked for that only some of those have that have their codes: of more codes in a row, all
    but the first and the last mean nothing else."""
    if not codes.spans or len(wanted) > 3:
        return False
    return any(least != greatest for least, greatest in map(codes.span, wanted & {*codes.known}))


def of_either_model(condition: Condition) -> Node | None:
    """A condition about the model that answered, else the one asked for, as one about both; ``None`` for others."""
    if condition.field.column != ANSWERED_MODEL or condition.field.source != "request":
        return None
    answered, wanted = (replace(condition.field, column=name) for name in ("model", "request_model"))
    of_answered = Both("and", (replace(condition, field=answered), Condition(answered, "not-equals", None)))
    of_wanted = Both("and", (Condition(answered, "equals", None), replace(condition, field=wanted)))
    return Both("or", (of_answered, of_wanted))
