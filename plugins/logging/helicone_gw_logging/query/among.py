"""Among: the first of those requests of which it is known in which pieces of the log they can be.

Numbers are given in the order of writing, which is nearly that of time: the pieces that have the first in time are read
first, and no further ones once enough was found that comes before all that these can have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from helicone_gw_logging.query.log import Cursor
from helicone_gw_logging.query.pieces import Piece
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.sorts import Order, beyond, ordering
from helicone_gw_logging.query.wanted import Wanted
from helicone_gw_logging.tables import REQUEST

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

FIRST: Final = 10_000
"""Requests that are read at first, at least a piece; twice as many each time after."""
MOST: Final = 131_072
"""Requests that are read at once at most, unless a piece has more."""


async def first_among(
    connection: AsyncConnection,
    scope: Scope,
    wanted: Wanted,
    order: Order,
    *,
    limit: int,
    after: Cursor | None = None,
    over: Callable[[], bool] = lambda: False,
) -> tuple[list[int], Cursor | None]:
    """The numbers of the first ``limit`` requests by time, and the place to which was looked when it was ``over``;
    ``None``: all was looked through that was needed. ``wanted.among`` is known."""
    descending = order.direction != "asc"
    left = _in_turn(wanted.among or (), descending, after)
    found: list[tuple[int, int]] = []
    size = FIRST
    while left:
        some, left = _split(left, size)
        columns = REQUEST.c
        query = replace(wanted, among=tuple(some)).numbers(scope).with_only_columns(columns.received_at, columns.seq)
        if after is not None:
            query = query.where(beyond(after, order))
        rows = await connection.execute(query.order_by(*ordering(order, scope)).limit(limit))
        found = sorted([*found, *((at, seq) for at, seq in rows)], reverse=descending)[:limit]
        if not left:
            break
        following = left[0].last_at if descending else left[0].first_at
        if len(found) == limit and _is_before(found[-1][0], following, descending):
            break
        # Whoever goes on from there must not come to the same place again.
        if over() and (after is None or _is_before(after.received_at, following, descending)):
            certain = [seq for at, seq in found if _is_before(at, following, descending)]
            return certain, Cursor(following, 2**63 - 1 if descending else 0)
        size = min(2 * size, MOST)
    return [seq for _, seq in found], None


def _is_before(one: int, other: int, descending: bool) -> bool:
    return one > other if descending else one < other


def _in_turn(pieces: Sequence[Piece], descending: bool, after: Cursor | None) -> list[Piece]:
    """Those that can have requests behind ``after``, in the order in which they are read."""
    if descending:
        there = [piece for piece in pieces if after is None or piece.first_at <= after.received_at]
        return sorted(there, key=lambda piece: -piece.last_at)
    there = [piece for piece in pieces if after is None or piece.last_at >= after.received_at]
    return sorted(there, key=lambda piece: piece.first_at)


def _split(pieces: Sequence[Piece], size: int) -> tuple[list[Piece], list[Piece]]:
    """The first of ``pieces`` that come to ``size`` at most, one at least, and the others."""
    weight = count = 0
    for piece in pieces:
        weight += piece.weight
        if count and weight > size:
            break
        count += 1
    return [*pieces[:count]], [*pieces[count:]]
