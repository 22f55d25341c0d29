"""Lettering: who can come first in a list sorted by a text, told by the texts of zones and their codes, so that the
others are not read; of users by their index."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import JSON, ColumnElement, String, and_, cast, func, literal, or_, select, type_coerce

from helicone_gw_logging.query.among import MOST as MOST_AMONG
from helicone_gw_logging.query.coding import AT_ONCE, masks_of
from helicone_gw_logging.query.nodes import ALL
from helicone_gw_logging.query.ranking import MANY, There, there
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.sorts import Order, sorted_by
from helicone_gw_logging.query.wanted import Wanted
from helicone_gw_logging.query.where import property_key
from helicone_gw_logging.query.zoning import all_of, piece_of
from helicone_gw_logging.tables import REQUEST
from helicone_gw_logging.zone_codes import OTHER, UNKNOWN, Mask, mask_of_codes, mask_of_places, places_of_mask
from helicone_gw_logging.zone_notes import ANY_PROPERTY, PROPERTY_NAME, known_texts, rare_places
from helicone_gw_logging.zone_rows import INDEXED
from helicone_gw_logging.zones import SIZE, Coded, coded_zones, zones_with_any

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

TEXTS: Final = 5000
"""Different texts of all zones, up to which these are put in order."""
WALKED: Final = 40_000
"""Requests of the first users that are looked through."""

_COLUMNS: Final = {"body_model": ("model", "request_model"), "provider": ("provider",), "user_id": ("user_id",)}
"""Sorts by a text that is noted, and its columns: what is unknown of one is that of the next."""


class _Lettered(Struct, frozen=True):
    """A column of a zone: its texts, in order, and for which requests these count."""

    zone: int
    coded: Coded
    texts: Sequence[str]
    mask: Mask

    def where(self, texts: Collection[str]) -> Mask:
        """The requests that have one of these."""
        codes = self.coded.codes
        found = mask_of_codes(codes, codes.of_texts(texts.__contains__))
        if self.coded.texts is not None:
            found |= mask_of_places(rare_places(self.coded.texts, self.coded.places, texts.__contains__))
        return found & self.mask

    def steps(self, many: int) -> Iterator[tuple[Sequence[str], Mask]]:
        """Texts in order, some at a time, and which requests have these, until there are so ``many`` requests."""
        at, size = 0, 1
        while at < len(self.texts) and many > 0:
            some = self.texts[at : at + size]
            mask = self.where({*some})
            if mask:
                yield some, mask
            many -= mask.bit_count()
            at, size = at + size, 2 * size


class _Columns(Struct):
    """What sorts the requests of all zones: their columns, where it is unknown, and those of which it is not told."""

    columns: list[_Lettered]
    unknown: dict[int, Mask]
    untold: dict[int, Mask]


async def first_lettered(
    connection: AsyncConnection, scope: Scope, wanted: Wanted, order: Order, many: int
) -> tuple[Wanted, ColumnElement[bool]] | None:
    """As `ranking.first_ranked`, of lists that a text sorts."""
    first = await _first_users(connection, scope, wanted, order, many) if order.name == "user_id" else None
    if first is not None:
        return first
    names = _COLUMNS.get(order.name, ())
    if order.name == "properties":
        names = (PROPERTY_NAME + property_key(order.key or ""),)
    where = await there(connection, scope, wanted, many) if names else None
    told = None if where is None else await _told(connection, scope, wanted, where, names)
    if where is None or told is None:
        return None
    descending, noted = order.direction == "desc", await where.noted.zones()
    ranks = await _ranks(connection, {text for each in told.columns for text in each.texts}, descending=descending)
    told.columns = [replace(each, texts=sorted(each.texts, key=ranks.__getitem__)) for each in told.columns]
    last = _last(told, ranks, 2 * many, descending=descending)
    if last is None:
        return None
    text, seq = last
    places, rank = told.untold, len(ranks) if text is None else ranks[text]
    for each in told.columns:
        mask = each.where({one for one in each.texts if ranks[one] < rank})
        if text is not None:
            mask |= _up_to(each.where({text}), each.zone, seq, descending=descending)
        places[each.zone] = places.get(each.zone, 0) | mask
    for zone, mask in told.unknown.items() if text is None else ():
        places[zone] = places.get(zone, 0) | _up_to(mask, zone, seq, descending=descending)
    pieces = [piece_of(zone, places_of_mask(mask), noted[zone]) for zone, mask in places.items() if mask]
    pieces.append(where.rest)
    if sum(piece.weight for piece in pieces) > MOST_AMONG:
        return None
    return replace(wanted, among=tuple(pieces)), _before(sorted_by(order, scope), text, seq, descending=descending)


async def _told(
    connection: AsyncConnection, scope: Scope, wanted: Wanted, where: There, names: Sequence[str]
) -> _Columns | None:
    """What is noted of the columns ``names``; ``None`` where it is not told of too many."""
    told = _Columns([], await _masks(connection, scope, wanted, where), {})
    for name in names:
        several = (name, ANY_PROPERTY) if name.startswith(PROPERTY_NAME) else (name,)
        known = await zones_with_any(connection, scope.organization, several, where.noted.span)
        some, left = [*told.unknown], dict[int, Mask]()
        for start in range(0, len(some), AT_ONCE):
            coded = await coded_zones(connection, scope.organization, name, some[start : start + AT_ONCE])
            for zone in some[start : start + AT_ONCE]:
                mask, each = told.unknown[zone], coded.get(zone)
                if each is not None:
                    # Of texts that are very many it is only known which requests have one of the others.
                    known_ones = each.codes.texts if each.texts is None else known_texts(each.texts)
                    told.columns.append(_Lettered(zone, each, known_ones, mask))
                    others = mask_of_codes(each.codes, (OTHER,)) & mask if each.texts is None else 0
                    mask &= mask_of_codes(each.codes, (UNKNOWN,))
                else:
                    others = mask if name in INDEXED or zone in known else 0
                    mask &= ~others
                if others:
                    told.untold[zone] = told.untold.get(zone, 0) | others
                if mask:
                    left[zone] = mask
            if sum(map(int.bit_count, told.untold.values())) > MOST_AMONG:
                return None
        told.unknown = left
    return told


async def _masks(connection: AsyncConnection, scope: Scope, wanted: Wanted, where: There) -> dict[int, Mask]:
    """Where the filter can hold, by zone."""
    found, node, everywhere = dict[int, Mask](), all_of(wanted), int.from_bytes(b"\1" * SIZE, "little")
    for start in range(0, len(where.zones), AT_ONCE):
        some = where.zones[start : start + AT_ONCE]
        masks, _ = await masks_of(connection, scope, node, some, where.noted.of_condition)
        found |= {zone: everywhere if mask is None else mask for zone, mask in masks.items()}
    return found


async def _ranks(connection: AsyncConnection, texts: Collection[str], *, descending: bool) -> dict[str, int]:
    """The places of ``texts`` in the order in which the database has them."""
    array = literal(msgspec.json.encode([*texts]).decode(), String)
    if connection.dialect.name == "sqlite":
        listed: Any = func.json_each(array).table_valued("value")
    else:
        listed = func.json_array_elements_text(cast(array, JSON)).table_valued("value").render_derived()
    column = listed.c.value
    query = select(type_coerce(column, String)).order_by(column.desc() if descending else column)
    return {text: rank for rank, text in enumerate(await connection.scalars(query))}


def _last(told: _Columns, ranks: Mapping[str, int], many: int, *, descending: bool) -> tuple[str | None, int] | None:
    """The text, and among those with this text the number, up to which there are so ``many``; ``None``: nowhere are.

    Of those that are alike the ones written later come first, or last; behind all come those whose text is unknown.
    """
    sign = -1 if descending else 1
    steps = [
        (ranks[some[-1]], sign * each.zone, some, mask, each.zone)
        for each in told.columns
        for some, mask in each.steps(many)
    ]
    for _, _, some, mask, zone in sorted(steps, key=lambda step: step[:2]):
        count = mask.bit_count()
        if count >= many:
            # Of several texts it is not known how many requests have the last one.
            alike = mask if len(some) == 1 else 0
            return some[-1], _nth(alike, zone, many, descending=descending)
        many -= count
    for zone, mask in sorted(told.unknown.items(), reverse=descending):
        count = mask.bit_count()
        if count >= many:
            return None, _nth(mask, zone, many, descending=descending)
        many -= count
    return None


def _nth(mask: Mask, zone: int, many: int, *, descending: bool) -> int:
    """The number of the request up to which there are so ``many`` of ``mask``; of none, the last of the zone."""
    places = sorted(places_of_mask(mask), reverse=descending)
    return zone * SIZE + (places[many - 1] if places else 0 if descending else SIZE - 1)


def _up_to(mask: Mask, zone: int, seq: int, *, descending: bool) -> Mask:
    """Those of ``mask`` that come before that number, or have it."""
    bits = 8 * min(max(seq - zone * SIZE + (not descending), 0), SIZE)
    return mask >> bits << bits if descending else mask & ((1 << bits) - 1)


def _before(sorts: ColumnElement[Any], text: str | None, seq: int, *, descending: bool) -> ColumnElement[bool]:
    """The requests up to that one."""
    first = REQUEST.c.seq >= seq if descending else REQUEST.c.seq <= seq
    if text is None:
        return or_(sorts.is_not(None), first)
    return or_(sorts > text if descending else sorts < text, and_(sorts == text, first))


async def _first_users(
    connection: AsyncConnection, scope: Scope, wanted: Wanted, order: Order, many: int
) -> tuple[Wanted, ColumnElement[bool]] | None:
    """The same of lists that users' ids sort, of which an index knows the order."""
    columns = REQUEST.c
    user, own = columns.user_id, and_(columns.organization_id == scope.organization, columns.user_id.is_not(None))
    descending = order.direction == "desc"
    known = select(user).where(own).order_by(user.desc() if descending else user).limit(1)

    async def up_to(count: int) -> ColumnElement[bool] | None:
        last = await connection.scalar(known.offset(count - 1))
        return None if last is None else user >= last if descending else user <= last

    if wanted == Wanted(ALL):
        condition = await up_to(many) if many <= MANY else None
        return None if condition is None else (wanted, and_(own, condition))
    where = await there(connection, scope, wanted, many)
    if where is None:
        return None
    masks = await _masks(connection, scope, wanted, where)
    count, noted = 4 * many, await where.noted.zones()
    while count <= WALKED:
        condition = await up_to(count)
        if condition is None:
            return None
        numbers = [*await connection.scalars(select(columns.seq).where(own, condition).limit(2 * WALKED + 1))]
        if len(numbers) > 2 * WALKED:
            return None
        places: dict[int, set[int]] = {}
        for seq in numbers:
            zone, place = divmod(seq, SIZE)
            if masks.get(zone, 0) >> 8 * place & 1:
                places.setdefault(zone, set()).add(place)
        if sum(map(len, places.values())) >= 2 * many:
            pieces = [piece_of(zone, frozenset(some), noted[zone]) for zone, some in places.items()]
            return replace(wanted, among=(*pieces, where.rest)), condition
        count *= 4
    return None
