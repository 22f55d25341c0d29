"""Ranking: who can come first in a list sorted by a number, told by the codes of that number and of what the filter
asks, so that the others are not read."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import ColumnElement, and_, or_

from helicone_gw_logging.measures import DAY_MS
from helicone_gw_logging.query.among import MOST as MOST_AMONG
from helicone_gw_logging.query.beside import is_id
from helicone_gw_logging.query.coding import AT_ONCE, masks_of
from helicone_gw_logging.query.coding import MOST as MOST_CONDITIONS
from helicone_gw_logging.query.columns import STATUS
from helicone_gw_logging.query.nodes import conditions
from helicone_gw_logging.query.noting import Noted
from helicone_gw_logging.query.pieces import Piece
from helicone_gw_logging.query.plan import Question
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.sorts import SORTED, Order
from helicone_gw_logging.query.wanted import EVER, Wanted
from helicone_gw_logging.query.where import LOGGED_STATUS
from helicone_gw_logging.query.zoning import MOST as MOST_WHOLE
from helicone_gw_logging.query.zoning import all_of, noted_part, piece_of, rest_of
from helicone_gw_logging.tables import REQUEST
from helicone_gw_logging.zone_codes import UNKNOWN, Codes, Mask, mask_of_codes, places_of_mask
from helicone_gw_logging.zones import SIZE, coded_zones

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

MANY: Final = 2000
"""Requests up to the end of a page: of more, all are as soon sorted."""
ZONES: Final = 2500
"""Zones whose codes are kept for one list, sixteen kilobytes each."""

_COLUMNS: Final = {
    **SORTED,
    **{
        name: name
        for name in (
            "completion_tokens",
            "prompt_tokens",
            "prompt_cache_read_tokens",
            "prompt_cache_write_tokens",
            "time_to_first_token",
        )
    },
    "status": STATUS,
}
"""Sorts by a number of which codes are noted, and its column."""


class _Ranked(Struct, frozen=True):
    """A zone: the codes of the number, and where the filter can hold."""

    zone: int
    codes: Codes
    mask: Mask


class There(Struct, frozen=True):
    """Where those can be that are ``wanted``: in these ``zones``, of which something is ``noted``, or the ``rest``."""

    noted: Noted
    zones: list[int]
    rest: Piece


async def there(connection: AsyncConnection, scope: Scope, wanted: Wanted, many: int) -> There | None:
    """Where the first ``many`` can be; ``None``: all are as soon sorted, or too much is not noted."""
    node = all_of(wanted)
    if sum(1 for _ in conditions(node)) > MOST_CONDITIONS:
        return None
    span = Question(scope, EVER, wanted.filter).narrowed().span
    if many > MANY or wanted.among is not None or span.end - span.start <= DAY_MS:
        return None
    until, rest = await noted_part(connection)
    noted = Noted(connection, scope, (0, until), ids=False)
    zones, coarse = await noted.zones(), await noted.of(node)
    if coarse is not None and None not in coarse.values() and any(map(is_id, conditions(node))):
        return None  # an index leads to few
    some = [zone for zone in zones if coarse is None or zone in coarse]
    if not some or len(some) > ZONES or rest > MOST_WHOLE * SIZE:
        return None
    return There(noted, some, rest_of(until, rest))


async def first_ranked(
    connection: AsyncConnection, scope: Scope, wanted: Wanted, order: Order, many: int
) -> tuple[Wanted, ColumnElement[bool]] | None:
    """The requests that come first: pieces of the log that have them, and which they are; ``None``: that is not known.

    They are ``many`` or more if what is known of the filter is exact. If fewer are found, others follow.
    """
    column = _COLUMNS.get(order.name)
    where = None if column is None else await there(connection, scope, wanted, many)
    if column is None or where is None:
        return None
    node, noted, zones = all_of(wanted), where.noted, await where.noted.zones()
    pieces, ranked = [where.rest], list[_Ranked]()
    for start in range(0, len(where.zones), AT_ONCE):
        some = where.zones[start : start + AT_ONCE]
        masks, _ = await masks_of(connection, scope, node, some, noted.of_condition)
        coded = await coded_zones(connection, scope.organization, column, [*masks])
        for zone, mask in masks.items():
            if zone in coded:
                codes = coded[zone].codes
                everyone = mask_of_codes(codes, (UNKNOWN, *codes.known))
                ranked.append(_Ranked(zone, codes, everyone if mask is None else everyone & mask))
            else:
                pieces.append(piece_of(zone, None, zones[zone]))
    descending = order.direction == "desc"
    last = _last(ranked, 2 * many, descending=descending)
    if last is None:
        return None
    for each in ranked:
        wanted_codes = _up_to(each, *last, descending=descending)
        mask = mask_of_codes(each.codes, wanted_codes) & each.mask if wanted_codes else 0
        if mask:
            pieces.append(piece_of(each.zone, places_of_mask(mask), zones[each.zone]))
    if sum(piece.weight for piece in pieces) > MOST_AMONG:
        return None
    return replace(wanted, among=tuple(pieces)), _before(column, *last, descending=descending)


def _last(ranked: list[_Ranked], many: int, *, descending: bool) -> tuple[int | None, int] | None:
    """The number, and among those with this number the zone, up to which there are so ``many``; ``None``: nowhere are.

    Of those that are alike the ones written later come first, or last; behind all come those whose number is unknown.
    """
    steps = [(bound, each.zone, count) for each in ranked for bound, count in _steps(each, many, descending)]
    for bound, zone, count in sorted(steps, reverse=descending):
        many -= count
        if many <= 0:
            return bound, zone
    for each in sorted(ranked, key=lambda each: each.zone, reverse=descending):
        many -= (mask_of_codes(each.codes, (UNKNOWN,)) & each.mask).bit_count()
        if many <= 0:
            return None, each.zone
    return None


def _steps(each: _Ranked, many: int, descending: bool) -> Iterator[tuple[int, int]]:
    """Numbers of a zone in order, and how many come up to each behind the one before, until there are so ``many``."""
    codes, size = each.codes.known, 1
    while codes and many > 0:
        some, codes = (codes[-size:], codes[:-size]) if descending else (codes[:size], codes[size:])
        count = (mask_of_codes(each.codes, some) & each.mask).bit_count()
        if count:
            least, _ = each.codes.span(some[0])
            _, greatest = each.codes.span(some[-1])
            yield least if descending else greatest, count
        many -= count
        size *= 2


def _up_to(each: _Ranked, bound: int | None, zone: int, *, descending: bool) -> Collection[int]:
    """The codes of a zone that can mean a number that comes before the last one, or is it."""
    before = each.zone >= zone if descending else each.zone <= zone
    if bound is None:
        return (UNKNOWN, *each.codes.known) if before else each.codes.known
    if descending:
        return each.codes.of_numbers(bound if before else bound + 1, None)
    return each.codes.of_numbers(None, bound if before else bound - 1)


def _before(column: str, bound: int | None, zone: int, *, descending: bool) -> ColumnElement[bool]:
    """The requests up to that one."""
    number, seq = LOGGED_STATUS if column == STATUS else REQUEST.c[column], REQUEST.c.seq
    first = seq >= zone * SIZE if descending else seq < (zone + 1) * SIZE
    if bound is None:
        return or_(number.is_not(None), first)
    return or_(number > bound if descending else number < bound, and_(number == bound, first))
