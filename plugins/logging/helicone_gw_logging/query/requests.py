"""Requests: those that a filter matches, with what is beside them; one by its id; how many; bodies."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import (
    ColumnElement,
    FromClause,
    Result,
    RowMapping,
    Select,
    func,
    or_,
    select,
)

from helicone_gw_logging.bodies import unpack
from helicone_gw_logging.measures import HOUR_MS
from helicone_gw_logging.objects import Objects, frames_of
from helicone_gw_logging.query.among import MOST as MOST_AMONG
from helicone_gw_logging.query.among import first_among
from helicone_gw_logging.query.counting import counted
from helicone_gw_logging.query.few import are_few
from helicone_gw_logging.query.lettering import first_lettered
from helicone_gw_logging.query.log import Cursor, LoggedBody
from helicone_gw_logging.query.plan import Question, planned
from helicone_gw_logging.query.ranking import first_ranked
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.sorts import SORTED, Order, beyond, ordering
from helicone_gw_logging.query.spans import Span
from helicone_gw_logging.query.sums import answered
from helicone_gw_logging.query.wanted import Wanted
from helicone_gw_logging.query.where import has_most
from helicone_gw_logging.tables import BODY, FEEDBACK, MOST, PROPERTY, REQUEST, SCORE
from helicone_gw_logging.texts import text
from helicone_gw_logging.totals import ROLLUP

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

Row = dict[str, Any]
"""Values by column."""

_CHUNK: Final = 500
NO_LIMIT: Final = 2**31 - 1
"""More than there are: a limit keeps a database from taking a query apart."""
_BY_TIME: Final = Order()


class Found(Struct, frozen=True):
    """A request's row by column, its properties (keys as sent), scores, its rating, and whether it has bodies."""

    row: Row
    properties: dict[str, str]
    scores: dict[str, float]
    rating: Row | None
    has_bodies: bool

    @property
    def cursor(self) -> Cursor:
        """Its place in a list sorted by time."""
        return Cursor(self.row["received_at"], self.row["seq"])


async def find(
    connection: AsyncConnection,
    scope: Scope,
    wanted: Wanted,
    order: Order,
    *,
    limit: int,
    offset: int = 0,
    after: Cursor | None = None,
    within: ColumnElement[bool] | None = None,
) -> list[Found]:
    """At most ``limit`` requests in order, behind ``offset`` others or behind the place ``after``.

    ``within`` is a further condition over `tables.REQUEST`: the piece of the log that is looked through.

    Raises `nodes.FilterError` for what cannot be asked.
    """
    by_time = order.name == _BY_TIME.name
    if wanted.among is not None and by_time and within is None:
        numbers, _ = await first_among(connection, scope, wanted, order, limit=limit + offset, after=after)
        return await founds(connection, numbers[offset:])
    wanted = _unless_many(wanted)
    # Numbers first: an index has them, and what is sorted is small.
    table: FromClause = wanted.table if by_time else REQUEST
    query = wanted.numbers(scope, order)
    if after is not None:
        query = query.where(beyond(after, order, table))
    if within is not None:
        query = query.where(within)
    if table is REQUEST and by_time and await are_few(connection, scope, wanted):
        # Those first, and then their order: a database would go through all requests in the order that is wanted.
        few = query.with_only_columns(REQUEST.c.seq, REQUEST.c.received_at).limit(NO_LIMIT).subquery()
        query, table = select(few.c.seq), few
    query = query.order_by(*ordering(order, scope, table)).limit(limit)
    if offset:
        query = query.offset(offset)
    found = await _of_most(connection, query, order) if after is None else None
    if (found is None or len(found) < limit) and not by_time and within is None:
        found = await _of_first(connection, scope, wanted, order, (limit, offset))
    if found is None or len(found) < limit:
        found = [*await connection.scalars(query)]
    return await founds(connection, found)


async def _of_first(
    connection: AsyncConnection, scope: Scope, wanted: Wanted, order: Order, page: tuple[int, int]
) -> list[int] | None:
    """The numbers of a page (limit and offset), or of some of it, by what is noted of what sorts; ``None`` where that
    tells nothing."""
    limit, offset = page
    first = await first_ranked(connection, scope, wanted, order, limit + offset)
    first = first or await first_lettered(connection, scope, wanted, order, limit + offset)
    if first is None:
        return None
    query = first[0].numbers(scope, order).where(first[1]).order_by(*ordering(order, scope))
    return [*await connection.scalars(query.limit(limit).offset(offset))]


async def founds(connection: AsyncConnection, numbers: Sequence[int]) -> list[Found]:
    """The requests with these numbers, in their order, with all that is beside them."""
    rows = {row["seq"]: row for row in await _rows(connection, numbers)}
    return await _with_the_rest(connection, [rows[seq] for seq in numbers])


def _unless_many(wanted: Wanted) -> Wanted:
    """Without pieces that are many: who needs all of them reads what is wanted as well by another index."""
    if wanted.among is None or sum(piece.weight for piece in wanted.among) <= MOST_AMONG:
        return wanted
    return replace(wanted, among=None)


async def _of_most(connection: AsyncConnection, query: Select[tuple[int]], order: Order) -> list[int] | None:
    """The same numbers by the index of those that have most, as far as it goes; ``None`` where there is no such index.

    Which rows come first does not depend on those that have less.
    """
    column = SORTED.get(order.name)
    if column not in MOST or order.direction != "desc":
        return None
    columns = REQUEST.c
    some = query.where(has_most(column))
    # Nothing is unknown there, and databases use an index that is in the plain order.
    return [*await connection.scalars(some.order_by(None).order_by(columns[column].desc(), columns.seq.desc()))]


async def count(connection: AsyncConnection, scope: Scope, wanted: Wanted) -> int:
    """How many requests there are; by the sums, where these tell apart what is asked, else by codes."""
    if wanted.cached is None and wanted.scored is None and wanted.table is REQUEST:
        kept = await _kept(connection, scope)
        if kept is not None:
            question = Question(scope, kept, wanted.filter).narrowed()
            plan = await planned(connection, question)
            if plan.levels:
                # Where the first is that is left, retention deletes.
                plan = replace(plan, exact=False)
                sums = await answered(connection, question, plan, ("requests",))
                return sum(each["requests"] for each in sums.values())
    told = await counted(connection, scope, wanted)
    if told is not None:
        return told
    query = _unless_many(wanted).numbers(scope)
    found = await connection.scalar(select(func.count()).select_from(query.subquery()))
    return int(found or 0)


async def reached(connection: AsyncConnection, question: Question, newest: int) -> int | None:
    """When the first of the ``newest`` requests that are asked about came; ``None`` where there are no more."""
    wanted = Wanted(question.filter)
    at = wanted.table.c.received_at
    query = wanted.numbers(question.scope).with_only_columns(at).where(question.span.whole(wanted.table))
    found: int | None = await connection.scalar(query.order_by(at.desc()).limit(1).offset(newest))
    return None if found is None else found + 1


async def _kept(connection: AsyncConnection, scope: Scope) -> Span | None:
    """From the first request that is still there to the last; ``None`` where sums do not reach back as far."""
    at, hour = REQUEST.c.received_at, ROLLUP.c.hour
    first = await connection.scalar(select(at).where(scope.of(REQUEST)).order_by(at).limit(1))
    last = await connection.scalar(select(at).where(scope.of(REQUEST)).order_by(at.desc()).limit(1))
    own = ROLLUP.c.organization_id == scope.organization
    since = await connection.scalar(select(hour).where(own).order_by(hour).limit(1))
    if first is None or last is None or since is None or since > first // HOUR_MS:
        return None
    return Span(first, last + 1)


async def by_ids(connection: AsyncConnection, scope: Scope, ids: Sequence[str]) -> list[Found]:
    """The requests with these ids (the exchange's, or what its client was told), newest first; of several with one
    request id the newest."""
    wanted = list(dict.fromkeys(text(one) or "" for one in ids))
    own = scope.of_few(REQUEST)
    numbers: dict[str, int] = {}
    for start in range(0, len(wanted), _CHUNK):
        some = wanted[start : start + _CHUNK]
        # How often a client may repeat an id is not bounded, so that not all of its rows are read.
        for column in (REQUEST.c.id, REQUEST.c.request_id):
            newest = select(column, func.max(REQUEST.c.seq)).where(own, column.in_(some)).group_by(column)
            for name, number in await connection.execute(newest):
                numbers[name] = max(number, numbers.get(name, 0))
    rows = await _rows(connection, [*set(numbers.values())])
    return await _with_the_rest(connection, sorted(rows, key=lambda row: -row["seq"]))


async def by_id(connection: AsyncConnection, scope: Scope, id: str) -> Found | None:
    """The request with this id, or with this request id, the newest of several."""
    found = await by_ids(connection, scope, [id])
    return found[0] if found else None


async def exists(connection: AsyncConnection, scope: Scope, id: str) -> bool:
    """Whether there is a request with this id or request id."""
    named = or_(REQUEST.c.id == text(id), REQUEST.c.request_id == text(id))
    return await connection.scalar(select(REQUEST.c.seq).where(scope.of_few(REQUEST), named).limit(1)) is not None


async def bodies(
    connection: AsyncConnection, scope: Scope, seq: int, objects: Objects | None = None
) -> tuple[LoggedBody | None, LoggedBody | None]:
    """Request and response body of a request, decompressed; ``None`` when bodies are not stored.

    ``objects`` is the storage that has those which the database has not. Raises `StorageFailed` when that fails.
    """
    row = (await connection.execute(select(BODY).where(scope.of(BODY), BODY.c.seq == seq))).mappings().first()
    if row is None:
        return None, None
    frames = await frames_of(row, objects)
    # They may be large, and unpacking them must not hold up everybody else.
    return await asyncio.to_thread(_unpacked, row, *frames)


def _unpacked(row: RowMapping, request: bytes | None, response: bytes | None) -> tuple[LoggedBody, LoggedBody]:
    asked = LoggedBody(unpack(request), row["request_state"], row["request_type"])
    return asked, LoggedBody(unpack(response), row["response_state"], row["response_type"])


async def _rows(connection: AsyncConnection, numbers: Sequence[int]) -> list[Row]:
    rows: list[Row] = []
    for start in range(0, len(numbers), _CHUNK):
        some = select(REQUEST).where(REQUEST.c.seq.in_(numbers[start : start + _CHUNK]))
        rows += _plain(await connection.execute(some))
    return rows


def _plain(found: Result[Any]) -> list[Row]:
    # SQLAlchemy's own rows know every column by further names, "request_id" for "request"."id" among them.
    return [row._asdict() for row in found]


async def _with_the_rest(connection: AsyncConnection, rows: Sequence[Row]) -> list[Found]:
    properties: dict[int, dict[str, str]] = {row["seq"]: {} for row in rows}
    scores: dict[int, dict[str, float]] = {row["seq"]: {} for row in rows}
    ratings: dict[int, Row] = {}
    kept: set[int] = set()
    numbers = list(properties)
    for start in range(0, len(numbers), _CHUNK):
        some = numbers[start : start + _CHUNK]
        for row in await connection.execute(select(PROPERTY).where(PROPERTY.c.seq.in_(some))):
            properties[row.seq][row.key] = row.value
        for row in await connection.execute(select(SCORE).where(SCORE.c.seq.in_(some))):
            scores[row.seq][row.name] = row.value
        rated = select(FEEDBACK).where(FEEDBACK.c.seq.in_(some), FEEDBACK.c.rating.is_not(None))
        for row in await connection.execute(rated.order_by(FEEDBACK.c.created_at)):
            ratings[row.seq] = row._asdict()
        kept.update(await connection.scalars(select(BODY.c.seq).where(BODY.c.seq.in_(some))))
    return [
        Found(row, properties[row["seq"]], scores[row["seq"]], ratings.get(row["seq"]), row["seq"] in kept)
        for row in rows
    ]
