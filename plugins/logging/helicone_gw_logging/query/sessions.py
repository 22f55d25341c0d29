"""Sessions: lists of them, of their names, and what one session is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Select,
    and_,
    delete,
    func,
    literal_column,
    or_,
    select,
    true,
    union_all,
)

from helicone_gw_logging.measures import DAY_MS
from helicone_gw_logging.noted import SESSION_CHANGE, SESSION_HOUR
from helicone_gw_logging.query.heard import frame
from helicone_gw_logging.query.nodes import ALL, Both, Condition, Node
from helicone_gw_logging.query.patterns import contains
from helicone_gw_logging.query.requests import Row
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.spans import Span
from helicone_gw_logging.query.where import compare, where
from helicone_gw_logging.statements import put
from helicone_gw_logging.tables import REQUEST
from helicone_gw_logging.texts import text
from helicone_gw_logging.totals import NAME_DAY, NAME_SUMS, SESSION, SESSION_TAG

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from helicone_gw import Database

Order = Callable[[Any], Sequence[Any]]
"""What sessions are sorted by, of the columns of `totals.SESSION` or of a part of its rows."""

MANY: Final = 10_000
"""Sessions that were heard of since a time, among which those that began before its end are not looked for one by one:
as many cost two milliseconds."""
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

    @property
    def plain(self) -> bool:
        """Whether all sessions of a time are asked for, or all with one name."""
        return self.filter == ALL and not self.search

    def where(self, among: ColumnElement[bool] | None = None) -> ColumnElement[bool]:
        """As a condition over `totals.SESSION`; ``among`` says which sessions of the time, in place of all."""
        columns = SESSION.c
        clauses: list[ColumnElement[bool]] = [self.scope.of(SESSION)]
        if among is not None:
            clauses.append(among)
        elif self.span is not None:
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


async def find(connection: AsyncConnection, wanted: Sessions, order: Order, limit: int, offset: int) -> list[Row]:
    """Sessions by column, with their tags, in ``order``."""
    pieces = await _pieces(connection, wanted)
    every: FromClause = SESSION
    if len(pieces) > 1:
        first = [select(SESSION).where(piece).order_by(*order(SESSION.c)).limit(limit + offset) for piece in pieces]
        every = union_all(*(select(some.subquery()) for some in first)).subquery()
    of_it = SESSION_TAG.c.organization_id == every.c.organization_id, SESSION_TAG.c.session_id == every.c.session_id
    tag = select(SESSION_TAG.c.tag).where(*of_it).scalar_subquery()
    page = select(every, tag.label("tag")).order_by(*order(every.c)).limit(limit).offset(offset)
    if len(pieces) == 1:
        page = page.where(*pieces)
    return [row._asdict() for row in await connection.execute(page)]


async def count(connection: AsyncConnection, wanted: Sessions) -> int:
    """How many there are."""
    numbers = [
        select(func.count()).select_from(SESSION).where(piece).scalar_subquery()
        for piece in await _pieces(connection, wanted)
    ]
    return sum(map(int, (await connection.execute(select(*numbers))).one()))


async def _pieces(connection: AsyncConnection, wanted: Sessions) -> list[ColumnElement[bool]]:
    """The sessions that are wanted, as conditions of which no two hold for the same.

    Those of a time that is long past are not looked for among all that were heard of since, unless these have nearly as
    many names: an index tells when sessions began, and sums of names tell it of whole days.
    """
    span = wanted.span
    if span is not None:
        sessions = await _number(connection, wanted.scope.of(SESSION), SESSION.c.last_at >= span.end)
        days = wanted.scope.of(NAME_DAY), NAME_DAY.c.day >= span.end // DAY_MS
        if sessions == MANY and await _number(connection, *days) < MANY:
            inside = await frame(connection, wanted.scope, span)
            if inside is not None:
                return [wanted.where(piece) for piece in await inside.every(connection)]
    return [wanted.where()]


async def _number(connection: AsyncConnection, *where: ColumnElement[bool]) -> int:
    """How many rows there are for which this holds, `MANY` at most."""
    some = select(literal_column("1")).where(*where).limit(MANY).subquery()
    return await connection.scalar(select(func.count()).select_from(some)) or 0


async def names(connection: AsyncConnection, wanted: Sessions, part: str, limit: int) -> list[Row]:
    """Names of sessions that contain ``part``, the one used last first: since when, until when, how many, how slow."""
    pieces = await _summed_up(connection, wanted) or [_whole(wanted.where())]
    every = union_all(*pieces).subquery()
    columns = every.c
    latencies = func.nullif(func.sum(columns.latency_count), 0)
    query = (
        select(
            columns.session_name.label("name"),
            func.min(columns.first_at).label("first_used"),
            func.max(columns.last_at).label("last_used"),
            func.sum(columns.sessions).label("session_count"),
            func.sum(columns.requests).label("requests"),
            func.sum(columns.cost_nano_usd).label("cost_nano_usd"),
            func.sum(columns.unknown_costs).label("unknown_costs"),
            (func.sum(columns.latency_sum) * 1.0 / latencies).label("avg_latency"),
        )
        .group_by(columns.session_name)
        .having(func.sum(columns.sessions) > 0)
        .order_by(func.max(columns.last_at).desc(), columns.session_name)
    )
    if part:
        query = query.where(contains(columns.session_name, part))
    return [row._asdict() for row in await connection.execute(query.limit(limit))]


def _whole(where: ColumnElement[bool]) -> Select[Any]:
    """The sums of names over all sessions, which an index has in the order of names."""
    columns = SESSION.c
    sums = [func.sum(columns[name]).label(name) for name in NAME_SUMS[1:]]
    times = func.min(columns.first_at).label("first_at"), func.max(columns.last_at).label("last_at")
    query = select(columns.session_name, *times, func.count().label("sessions"), *sums)
    return query.where(where).group_by(columns.session_name)


async def _summed_up(connection: AsyncConnection, wanted: Sessions) -> list[Select[Any]]:
    """The same by whole days, by hours, and by the sessions beside those; none where that does not answer."""
    plain = wanted.name is None and wanted.plain
    inside = await frame(connection, wanted.scope, wanted.span) if plain and wanted.span is not None else None
    heard = None if inside is None else await inside.heard(connection, by_name=True)
    if inside is None or heard is None:
        return []
    names = ("session_name", "first_at", "last_at", *NAME_SUMS)
    first, behind = inside.days
    days, hours, changes = [[table.c[name] for name in names] for table in (NAME_DAY, SESSION_HOUR, SESSION_CHANGE)]
    found = [select(*days).where(wanted.scope.of(NAME_DAY), NAME_DAY.c.day >= first, NAME_DAY.c.day < behind)]
    if heard.hours:
        found.append(select(*hours).where(heard.noted(wanted.scope, SESSION_HOUR), SESSION_HOUR.c.named.is_(True)))
        found.append(select(*changes).where(heard.noted(wanted.scope, SESSION_CHANGE)))
    one = literal_column("1", BigInteger).label("sessions")
    told = [one if name == "sessions" else SESSION.c[name] for name in names]
    return [*found, *(select(*told).where(wanted.scope.of(SESSION), each) for each in heard.beside)]


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
