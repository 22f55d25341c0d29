"""Searching: a list by time, looked for piece by piece and for no longer than is wanted: what is found until then.

A text that few requests hold, or none, is looked for in every row. Who waits for a page is better served with what was
found in a tenth of a second, and with the place from which to go on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace
from sqlalchemy import ColumnElement, and_, or_, select

from helicone_gw_logging.query.among import first_among
from helicone_gw_logging.query.few import are_few
from helicone_gw_logging.query.log import Cursor
from helicone_gw_logging.query.nodes import FilterError
from helicone_gw_logging.query.plan import Question
from helicone_gw_logging.query.requests import Found, find, founds
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.sorts import Order, beyond
from helicone_gw_logging.query.spans import Span
from helicone_gw_logging.query.wanted import EVER, Wanted
from helicone_gw_logging.tables import REQUEST

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

FIRST: Final = 2000
"""Requests that are looked through before the time is looked at for the first time; twice as many each time after."""
MOST: Final = 32_000
"""Requests that are looked through at once at most."""


async def search(
    connection: AsyncConnection,
    scope: Scope,
    wanted: Wanted,
    order: Order,
    *,
    limit: int,
    seconds: float,
    monotonic: Callable[[], float],
    after: Cursor | None = None,
) -> tuple[list[Found], Cursor | None]:
    """At most ``limit`` requests in order behind the place ``after``, and the place to which was looked.

    No further piece is begun after ``seconds`` of ``monotonic``. ``None`` for a place: everything was looked through.
    Raises `FilterError` for what cannot be asked, a list that is not sorted by created_at among it.
    """
    if order.name != "created_at":
        raise FilterError("within: only a list sorted by created_at is looked for piece by piece")
    until = monotonic() + seconds
    if wanted.among is not None:
        numbers, reached = await first_among(
            connection, scope, wanted, order, limit=limit, after=after, over=lambda: monotonic() >= until
        )
        found = await founds(connection, numbers)
        return found, found[-1].cursor if len(found) == limit else reached
    found = []
    question = Question(scope, EVER, wanted.filter).narrowed()
    # What an index leads to is found at once.
    at_once = wanted.table is not REQUEST or await are_few(connection, scope, wanted)
    if not at_once:
        # Times are told once, those of a piece: of two bounds SQLite may take the wider one to find rows by.
        wanted = replace(wanted, filter=question.filter)
    size = FIRST
    while True:
        end, piece = None, None
        if not at_once:
            end = await _behind(connection, scope, question.span, order, after, size)
            piece = _up_to(question.span, order, after, end)
        found += await find(connection, scope, wanted, order, limit=limit - len(found), after=after, within=piece)
        if len(found) == limit:
            return found, found[-1].cursor
        if end is None or monotonic() >= until:
            return found, end
        after, size = end, min(2 * size, MOST)


async def _behind(
    connection: AsyncConnection, scope: Scope, span: Span, order: Order, after: Cursor | None, size: int
) -> Cursor | None:
    """The place of the request that is ``size`` behind ``after`` in ``span``; ``None`` where there are not as many."""
    columns = REQUEST.c
    query = select(columns.received_at, columns.seq).where(scope.of(REQUEST), _up_to(span, order, after, None))
    if after is not None:
        query = query.where(beyond(after, order))
    if order.direction == "asc":
        query = query.order_by(columns.received_at, columns.seq)
    else:
        query = query.order_by(columns.received_at.desc(), columns.seq.desc())
    row = (await connection.execute(query.limit(1).offset(size - 1))).first()
    return None if row is None else Cursor(*row)


def _up_to(span: Span, order: Order, after: Cursor | None, end: Cursor | None) -> ColumnElement[bool]:
    """The requests of ``span`` up to the place ``end`` if there is one, but for what ``after`` says of them already."""
    at, seq = REQUEST.c.received_at, REQUEST.c.seq
    conditions: list[ColumnElement[bool]] = []
    if order.direction == "asc":
        if after is None or after.received_at < span.start:
            conditions.append(at >= span.start)
        if end is None:
            conditions.append(at < span.end)
        else:
            conditions += [at <= end.received_at, or_(at < end.received_at, seq <= end.seq)]
    else:
        if after is None or after.received_at >= span.end:
            conditions.append(at < span.end)
        if end is None:
            conditions.append(at >= span.start)
        else:
            conditions += [at >= end.received_at, or_(at > end.received_at, seq >= end.seq)]
    return and_(*conditions)
