"""Log: lists, details and following, for the command line and for other plugins."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, inspect, or_, select

from helicone_gw_logging.bodies import unpack
from helicone_gw_logging.objects import Objects, frames_of
from helicone_gw_logging.tables import ATTEMPT, BODY, PROPERTY, REQUEST, AttemptRow, RequestRow
from helicone_gw_logging.texts import KEY_BYTES, VALUE_START_BYTES, text

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from helicone_gw import Database

MAX_LIMIT = 10_000
MIN_PREFIX = 8
# Postgres commits rows of concurrent writers in any order, so a follower looks back over this many again.
_LOOK_BACK = 1000


@dataclass(frozen=True, slots=True)
class Filter:
    """Which requests; every field that is set must hold.

    ``status`` is a range of statuses that clients were sent (``range(500, 600)``). ``model`` is the one asked for or
    the one that answered, exactly. ``properties`` maps keys (compared without regard to case) to exact values.
    ``since`` (inclusive) and ``until`` (exclusive) bound the time of receipt, in epoch milliseconds. ``where`` is any
    further condition over the requests, as `helicone_gw_logging.query.where` makes them of filters.
    """

    organization: str = "default"
    status: range | None = None
    outcome: str | None = None
    provider: str | None = None
    model: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    key_id: str | None = None
    properties: Mapping[str, str] = field(default_factory=dict)
    since: int | None = None
    until: int | None = None
    where: ColumnElement[bool] | None = None


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the list of requests: `list_requests` goes on behind it."""

    received_at: int
    seq: int


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """A request row with its properties (keys as first sent)."""

    row: RequestRow
    properties: Mapping[str, str]

    @property
    def cursor(self) -> Cursor:
        """This request's place in the list."""
        return Cursor(self.row.received_at, self.row.seq or 0)


@dataclass(frozen=True, slots=True)
class LoggedBody:
    """A stored body, decompressed. ``data`` is ``None`` when nothing was kept; ``state`` as in `tables.BodyRow`."""

    data: bytes | None
    state: str
    content_type: str | None


@dataclass(frozen=True, slots=True)
class RequestDetail:
    """Everything about one request; a body is ``None`` when bodies are not stored."""

    request: LoggedRequest
    attempts: Sequence[AttemptRow]
    request_body: LoggedBody | None
    response_body: LoggedBody | None


class AmbiguousId(LookupError):
    """Several requests begin with that id."""


async def ready(database: Database) -> bool:
    """Whether there is a log at all; never creates one."""
    if database.missing:
        return False

    def has_table(connection: Connection) -> bool:
        return inspect(connection).has_table(REQUEST.name)

    async with database.connect() as connection:
        return await connection.run_sync(has_table)


async def list_requests(
    database: Database, filter: Filter | None = None, limit: int = 50, before: Cursor | None = None
) -> list[LoggedRequest]:
    """Requests by time of receipt, newest first: at most ``limit`` (up to 10,000), those behind ``before``."""
    at, seq = REQUEST.c.received_at, REQUEST.c.seq
    query = _matching(filter or Filter()).order_by(at.desc(), seq.desc()).limit(_limit(limit))
    if before is not None:
        query = query.where(or_(at < before.received_at, and_(at == before.received_at, seq < before.seq)))
    async with database.connect() as connection:
        return await _requests(connection, query)


async def get_request(
    database: Database, id: str, organization: str = "default", objects: Objects | None = None
) -> RequestDetail | None:
    """The request with this id, or request id (the newest of several), or beginning of an id (8 characters or more).

    ``objects`` is the storage that has the bodies which the database has not. Raises `AmbiguousId` when several ids
    begin so, `StorageFailed` when that storage fails.
    """
    own = select(REQUEST).where(REQUEST.c.organization_id == organization)
    async with database.connect() as connection:
        found = await _requests(connection, own.where(REQUEST.c.id == id))
        if not found:
            found = await _requests(
                connection, own.where(REQUEST.c.request_id == id).order_by(REQUEST.c.seq.desc()).limit(1)
            )
        if not found and len(id) >= MIN_PREFIX:
            found = await _requests(connection, own.where(REQUEST.c.id.startswith(id, autoescape=True)).limit(2))
            if len(found) > 1:
                raise AmbiguousId(id)
        if not found:
            return None
        request = found[0]
        attempts = await connection.execute(
            select(ATTEMPT).where(ATTEMPT.c.seq == request.row.seq).order_by(ATTEMPT.c.number)
        )
        body = (await connection.execute(select(BODY).where(BODY.c.seq == request.row.seq))).mappings().first()
    asked = answered = None
    if body is not None:
        of_request, of_response = await frames_of(body, objects)
        asked = LoggedBody(unpack(of_request), body["request_state"], body["request_type"])
        answered = LoggedBody(unpack(of_response), body["response_state"], body["response_type"])
    return RequestDetail(
        request=request,
        attempts=[AttemptRow(**row) for row in attempts.mappings()],
        request_body=asked,
        response_body=answered,
    )


async def follow(
    database: Database,
    filter: Filter | None = None,
    *,
    backlog: int = 0,
    interval: float = 0.5,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncGenerator[LoggedRequest, None]:
    """The last ``backlog`` requests and then every one that is written, in the order of writing.

    The database is asked every ``interval`` seconds; without a log yet, until there is one.
    """
    seq = REQUEST.c.seq
    matching = _matching(filter or Filter())
    while not await ready(database):
        await sleep(interval)
    async with database.connect() as connection:
        newest = (await connection.scalar(select(func.max(seq)))) or 0
        seen = OrderedDict.fromkeys(await connection.scalars(select(seq).where(_recent(newest), seq <= newest)))
        last = []
        if backlog:
            query = matching.where(seq <= newest).order_by(seq.desc()).limit(_limit(backlog))
            last = await _requests(connection, query)
    for request in reversed(last):
        yield request
    while True:
        query = matching.where(_recent(newest), seq.not_in(seen)).order_by(seq).limit(_LOOK_BACK)
        async with database.connect() as connection:
            fresh = await _requests(connection, query)
        for request in fresh:
            newest = max(newest, request.cursor.seq)
            seen[request.cursor.seq] = None
            yield request
        while seen and next(iter(seen)) <= newest - _LOOK_BACK:
            seen.popitem(last=False)
        if len(fresh) < _LOOK_BACK:
            await sleep(interval)


def _recent(newest: int) -> ColumnElement[bool]:
    return REQUEST.c.seq > newest - _LOOK_BACK


def _limit(limit: int) -> int:
    if not 1 <= limit <= MAX_LIMIT:
        raise ValueError(f"limit is from 1 to {MAX_LIMIT}")
    return limit


def _matching(wanted: Filter) -> Select[Any]:
    columns = REQUEST.c
    query = select(REQUEST).where(columns.organization_id == wanted.organization)
    for column, value in (
        (columns.outcome, wanted.outcome),
        (columns.provider, wanted.provider),
        (columns.user_id, wanted.user_id),
        (columns.session_id, wanted.session_id),
        (columns.key_id, wanted.key_id),
    ):
        if value is not None:
            query = query.where(column == text(value))
    if wanted.model is not None:
        query = query.where(or_(columns.model == text(wanted.model), columns.request_model == text(wanted.model)))
    if wanted.status is not None:
        query = query.where(columns.status >= wanted.status.start, columns.status < wanted.status.stop)
    if wanted.since is not None:
        query = query.where(columns.received_at >= wanted.since)
    if wanted.until is not None:
        query = query.where(columns.received_at < wanted.until)
    if wanted.where is not None:
        query = query.where(wanted.where)
    for key, value in wanted.properties.items():
        query = query.where(
            columns.seq.in_(
                select(PROPERTY.c.seq).where(
                    PROPERTY.c.organization_id == wanted.organization,
                    PROPERTY.c.key_lower == text(key.lower(), KEY_BYTES),
                    PROPERTY.c.value_start == text(value, VALUE_START_BYTES),
                    PROPERTY.c.value == value,
                )
            )
        )
    return query


async def _requests(connection: AsyncConnection, query: Select[Any]) -> list[LoggedRequest]:
    rows = [RequestRow(**row) for row in (await connection.execute(query)).mappings()]
    properties: dict[int | None, dict[str, str]] = {row.seq: {} for row in rows}
    numbers = list(properties)
    for start in range(0, len(numbers), 500):
        some = select(PROPERTY).where(PROPERTY.c.seq.in_(numbers[start : start + 500]))
        for row in await connection.execute(some):
            properties[row.seq][row.key] = row.value
    return [LoggedRequest(row, properties[row.seq]) for row in rows]
