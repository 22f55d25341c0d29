"""Beside: what tables beside the requests, or an index of ids, know of few requests is asked there, and not of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, Select, Table, and_, func, select

from helicone_gw_logging.query.nodes import Condition
from helicone_gw_logging.query.pieces import InOrder
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.where import compare, leading, leaf
from helicone_gw_logging.tables import REQUEST
from helicone_gw_logging.totals import SESSION, SESSION_TAG, USER

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

MOST: Final = 2000
"""Requests that are named one by one: of what more have, a page is found as soon in the order that is asked for."""
QUICK: Final = 2_000_000
"""Requests up to which all ids are looked through although somebody waits: a tenth of a second a million."""
OLD: Final = 50_000
"""Requests from before the sessions that are known, up to which these are read beside them: thirty milliseconds."""

_PARTS: Final = frozenset({"contains", "like", "ilike"})
_WHOLE: Final = frozenset({"equals", "is", "in"})
_IDS: Final = frozenset({"id", "request_id", "session_id", "user_id"})
"""Ids that have an index."""
_SUMMARIES: Final = {"session_id": SESSION, "user_id": USER}
"""Tables that have each of these ids once."""


def is_part_of_id(condition: Condition) -> bool:
    """Whether all ids would have to be read."""
    return _is_of_id(condition, _PARTS)


def is_part_of_own_id(condition: Condition) -> bool:
    """Whether these are ids of requests, of which an index cannot tell at once which begin so."""
    if condition.field.column not in ("id", "request_id") or not is_part_of_id(condition):
        return False
    return condition.operator != "like" or str(condition.value)[0] in "%_"


def is_id(condition: Condition) -> bool:
    """Whether an index of ids is asked, which tells at once."""
    return _is_of_id(condition, _WHOLE)


def _is_of_id(condition: Condition, operators: frozenset[str]) -> bool:
    asked = condition.field
    return (
        asked.source == "request" and asked.column in _IDS and condition.operator in operators and bool(condition.value)
    )


def is_beside(condition: Condition) -> bool:
    """Whether another table knows for which requests ``condition`` holds."""
    source, operator = condition.field.source, condition.operator
    if source in ("session", "user"):
        return True
    if condition.value is None:
        return operator == "not-equals" and source in ("feedback", "score", "score-name")
    if operator in ("not-equals", "not-contains"):
        return False
    return source in ("feedback", "score", "tag") or (source in ("property", "property-key") and operator in _WHOLE)


async def named(connection: AsyncConnection, scope: Scope, condition: Condition) -> list[int] | None:
    """The numbers of all requests for which ``condition`` can hold; ``None`` where these are more than `MOST`.

    Only for what `is_id`, `is_part_of_id` or `is_beside`.
    """
    if is_id(condition):
        queries = [_of_ids(scope, condition)]
    elif is_part_of_id(condition):
        if await _are_many(connection, scope, condition):
            return None
        queries = await _of_known(connection, scope, condition) or [_of_ids(scope, condition)]
    else:
        queries = [_of_table(scope, condition)]
    numbers: list[int] = []
    for query in queries:
        numbers += await connection.scalars(query.limit(MOST + 1))
        if len(numbers) > MOST:
            return None
    return numbers


async def _are_many(connection: AsyncConnection, scope: Scope, condition: Condition) -> bool:
    """Whether the sessions, or users, with such an id have more than `MOST` requests: so many are not to be named."""
    table = _SUMMARIES.get(condition.field.column)
    if table is None:
        return False
    requests = select(func.sum(table.c.requests)).where(table.c.organization_id == scope.organization)
    such = compare(table.c[condition.field.column], condition)
    return int(await connection.scalar(requests.where(such)) or 0) > MOST


async def _of_known(connection: AsyncConnection, scope: Scope, condition: Condition) -> list[Select[Any]] | None:
    """Those of the sessions, or users, with such an id, and those whose session or user retention may have forgotten,
    which are as old as the oldest that is left; ``None`` where these are many, or another id is asked for."""
    name = condition.field.column
    table = _SUMMARIES.get(name)
    if table is None:
        return None
    columns, own = REQUEST.c, REQUEST.c.organization_id == scope.organization
    first = select(func.min(table.c.last_at)).where(table.c.organization_id == scope.organization)
    oldest = await connection.scalar(first)
    old = and_(own, columns.received_at <= oldest)
    if oldest is None or await connection.scalar(select(columns.seq).where(old).limit(1).offset(OLD)) is not None:
        return None
    such = compare(table.c[name], condition)
    return [_of_summaries(scope, table, such), select(columns.seq).where(old, compare(columns[name], condition))]


def _of_ids(scope: Scope, condition: Condition) -> Select[Any]:
    column = REQUEST.c[condition.field.column]
    query = select(REQUEST.c.seq).where(leaf(condition, scope))
    if condition.field.column in _SUMMARIES:
        # The index begins with the organization, and has those alone that are known.
        return query.where(REQUEST.c.organization_id == scope.organization, column.is_not(None))
    return query


def _of_table(scope: Scope, condition: Condition) -> Select[Any]:
    source = condition.field.source
    if source not in ("session", "tag", "user"):
        table, told = leading(condition)
        return select(table.c.seq).where(table.c.organization_id == scope.organization, told)
    table = {"session": SESSION, "tag": SESSION_TAG, "user": USER}[source]
    return _of_summaries(scope, table, compare(table.c[condition.field.column], condition))


def _of_summaries(scope: Scope, table: Table, such: ColumnElement[bool]) -> Select[Any]:
    """The requests of ``such`` sessions or users."""
    own, column = REQUEST.c, "user_id" if table is USER else "session_id"
    same = and_(own.organization_id == scope.organization, own[column] == table.c[column])
    if table is SESSION:
        same = and_(same, SESSION.c.session_name == func.coalesce(own.session_name, ""))
    query = select(own.seq).select_from(InOrder(table, REQUEST, same))
    return query.where(table.c.organization_id == scope.organization, own[column].is_not(None), such)
