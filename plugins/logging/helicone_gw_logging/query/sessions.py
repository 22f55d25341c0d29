"""Sessions: lists of them, of their names, their spread, and what one session is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct
from sqlalchemy import ColumnElement, Select, and_, case, delete, func, null, or_, select, true

from helicone_gw_logging.query.nodes import ALL, Both, Condition, Node
from helicone_gw_logging.query.patterns import contains
from helicone_gw_logging.query.requests import Row
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.spans import Span
from helicone_gw_logging.query.spread import Percentile, Spread, spread
from helicone_gw_logging.query.where import compare, where
from helicone_gw_logging.statements import put
from helicone_gw_logging.tables import REQUEST
from helicone_gw_logging.texts import text
from helicone_gw_logging.totals import SESSION, SESSION_TAG

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from helicone_gw import Database

_OWN: Final = {"session_id": SESSION.c.session_id, "session_name": func.nullif(SESSION.c.session_name, "")}


class Sessions(Struct, frozen=True):
    """Which sessions: those that had requests in ``span`` (``None``: ever) and at least one for which ``filter`` holds.

    ``search`` is part of an id or a name, ``name`` a whole one ("": those without).
    """

    scope: Scope
    span: Span | None = None
    filter: Node = ALL
    search: str = ""
    name: str | None = None

    def where(self) -> ColumnElement[bool]:
        """As a condition over `totals.SESSION`."""
        columns = SESSION.c
        clauses: list[ColumnElement[bool]] = [self.scope.of(SESSION)]
        if self.span is not None:
            clauses += [columns.last_at >= self.span.start, columns.first_at < self.span.end]
        if self.search:
            clauses.append(or_(contains(columns.session_id, self.search), contains(columns.session_name, self.search)))
        if self.name is not None:
            clauses.append(columns.session_name == (text(self.name) or ""))
        parts = self.filter.parts if isinstance(self.filter, Both) and self.filter.operator == "and" else (self.filter,)
        beside: list[Node] = []
        for part in parts:
            if isinstance(part, Condition) and _is_own(part):
                clauses.append(_of_session(part))
            else:
                beside.append(part)
        if beside:
            clauses.append(self._has(Both("and", tuple(beside))))
        return and_(true(), *clauses)

    def _has(self, filter: Node) -> ColumnElement[bool]:
        same = and_(
            REQUEST.c.session_id == SESSION.c.session_id,
            func.coalesce(REQUEST.c.session_name, "") == SESSION.c.session_name,
        )
        asked = where(filter, self.scope)
        if self.span is not None:
            asked = and_(asked, self.span.whole())
        return select(REQUEST.c.seq).where(same, asked).correlate(SESSION).exists()


def _is_own(condition: Condition) -> bool:
    field = condition.field
    return field.source == "session" or (field.source == "request" and field.column in _OWN)


def _of_session(condition: Condition) -> ColumnElement[bool]:
    column = condition.field.column
    return compare(SESSION.c[column] if condition.field.source == "session" else _OWN[column], condition)


async def find(
    connection: AsyncConnection, wanted: Sessions, order: Sequence[Any], limit: int, offset: int
) -> list[Row]:
    """Sessions by column, with their tags, in ``order``."""
    tag = (
        select(SESSION_TAG.c.tag)
        .where(
            SESSION_TAG.c.organization_id == SESSION.c.organization_id,
            SESSION_TAG.c.session_id == SESSION.c.session_id,
        )
        .scalar_subquery()
    )
    page = select(SESSION, tag.label("tag")).where(wanted.where()).order_by(*order).limit(limit).offset(offset)
    return [row._asdict() for row in await connection.execute(page)]


async def count(connection: AsyncConnection, wanted: Sessions) -> int:
    """How many there are."""
    return int(await connection.scalar(select(func.count()).select_from(SESSION).where(wanted.where())) or 0)


async def names(connection: AsyncConnection, wanted: Sessions, part: str, limit: int) -> list[Row]:
    """Names of sessions that contain ``part``, the one used last first: since when, until when, how many, how slow."""
    columns = SESSION.c
    named = wanted.where()
    if part:
        named = and_(named, contains(columns.session_name, part))
    latencies = func.nullif(func.sum(columns.latency_count), 0)
    query = (
        select(
            columns.session_name.label("name"),
            func.min(columns.first_at).label("first_used"),
            func.max(columns.last_at).label("last_used"),
            func.count().label("session_count"),
            func.sum(columns.requests).label("requests"),
            func.sum(columns.cost_nano_usd).label("cost_nano_usd"),
            (func.sum(columns.latency_sum) * 1.0 / latencies).label("avg_latency"),
        )
        .where(named)
        .group_by(columns.session_name)
        .order_by(func.max(columns.last_at).desc(), columns.session_name)
    )
    return [row._asdict() for row in await connection.execute(query.limit(limit))]


class Spreads(Struct, frozen=True):
    """How sessions are distributed: by their requests, their seconds, their dollars."""

    requests: Spread
    seconds: Spread
    dollars: Spread


async def spreads(
    connection: AsyncConnection, wanted: Sessions, percentile: Percentile, *, interquartile: bool
) -> Spreads:
    """How many requests sessions have, how long they take, what they cost (where that is known)."""
    columns, chosen = SESSION.c, wanted.where()
    cost = case((columns.unknown_costs < columns.requests, columns.cost_nano_usd / 1e9), else_=null())
    asked: list[Select[Any]] = [
        select(columns.requests.label("number")).where(chosen),
        select(((columns.last_at - columns.first_at) / 1000.0).label("number")).where(chosen),
        select(cost.label("number")).where(chosen),
    ]
    return Spreads(*[await spread(connection, each, percentile, interquartile=interquartile) for each in asked])


async def exist(connection: AsyncConnection, scope: Scope) -> bool:
    """Whether there is any session."""
    return await connection.scalar(select(SESSION.c.session_id).where(scope.of(SESSION)).limit(1)) is not None


async def requests_of(
    connection: AsyncConnection, scope: Scope, session: str, name: str | None, limit: int
) -> list[Row]:
    """The requests of a session, those that came first at the beginning; of one ``name``, or of all."""
    own = and_(scope.of(REQUEST), REQUEST.c.session_id == text(session))
    if name is not None:
        own = and_(own, func.coalesce(REQUEST.c.session_name, "") == (text(name) or ""))
    query = select(REQUEST).where(own).order_by(REQUEST.c.received_at, REQUEST.c.seq).limit(limit)
    return [row._asdict() for row in await connection.execute(query)]


async def of_id(connection: AsyncConnection, scope: Scope, session: str, name: str | None) -> list[Row]:
    """What a session comes to, for each of its names."""
    own = and_(scope.of(SESSION), SESSION.c.session_id == text(session))
    if name is not None:
        own = and_(own, SESSION.c.session_name == (text(name) or ""))
    return [row._asdict() for row in await connection.execute(select(SESSION).where(own).order_by(SESSION.c.first_at))]


async def first_request(connection: AsyncConnection, scope: Scope, session: str) -> str | None:
    """The id of the request of a session that came first."""
    own = and_(scope.of(REQUEST), REQUEST.c.session_id == text(session))
    query = select(REQUEST.c.id).where(own).order_by(REQUEST.c.received_at, REQUEST.c.seq).limit(1)
    found: str | None = await connection.scalar(query)
    return found


async def tag_of(connection: AsyncConnection, scope: Scope, session: str) -> str | None:
    """The tag that a session was given last."""
    own = and_(scope.of(SESSION_TAG), SESSION_TAG.c.session_id == text(session))
    found: str | None = await connection.scalar(select(SESSION_TAG.c.tag).where(own))
    return found


async def set_tag(database: Database, scope: Scope, session: str, tag: str, now: int) -> bool:
    """Give a session a tag in place of its last one; ``now`` is epoch milliseconds. False: there is no such session."""
    async with database.begin() as connection:
        if not await of_id(connection, scope, session, None):
            return False
        own = and_(scope.of(SESSION_TAG), SESSION_TAG.c.session_id == text(session))
        await connection.execute(delete(SESSION_TAG).where(own))
        await connection.run_sync(put, SESSION_TAG, [(scope.organization, text(session), text(tag) or "", now)])
    return True
