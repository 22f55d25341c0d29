"""Sessions over HTTP: lists, names, metrics, what one is made of, tags and feedback (contract 12, 13.2)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace
from sqlalchemy import ColumnElement, func

from helicone_gw_logging.api.feedback import Rating
from helicone_gw_logging.api.histograms import AverageRow, HistogramRow, average, histogram
from helicone_gw_logging.api.routes import Call, Refused, Routes
from helicone_gw_logging.api.rows import dollars
from helicone_gw_logging.api.schemas import FilterBody
from helicone_gw_logging.api.trees import SessionRow, session_row
from helicone_gw_logging.corrections import set_property
from helicone_gw_logging.measures import known_sum
from helicone_gw_logging.query import sessions as query
from helicone_gw_logging.query.filters import read_filter
from helicone_gw_logging.query.reading import reading
from helicone_gw_logging.query.sessions import Sessions
from helicone_gw_logging.query.spans import Span
from helicone_gw_logging.query.spread import Percentile
from helicone_gw_logging.query.spreads import spreads
from helicone_gw_logging.times import iso

ROUTES = Routes("sessions")

FEEDBACK: Final = "Helicone-Session-Feedback"
"""The property that holds what somebody said of a session, on the request that came first."""
LONG: Final = 150 * 86_400_000
"""Milliseconds that lists of names look back where no time is given."""
MAX_NAMES: Final = 50


class Between(Struct, frozen=True, forbid_unknown_fields=True):
    """Between two instants, in epoch milliseconds; neither is part of it."""

    startTimeUnixMs: Annotated[float, Meta(ge=-(2**53), le=2**53)]  # noqa: N815 - the contract's names
    endTimeUnixMs: Annotated[float, Meta(ge=-(2**53), le=2**53)]  # noqa: N815

    def span(self) -> Span:
        """As a span. Raises `Refused` for an end before its start."""
        start, end = int(self.startTimeUnixMs) + 1, math.ceil(self.endTimeUnixMs)
        if self.endTimeUnixMs < self.startTimeUnixMs:
            raise Refused(400, "timeFilter: the end is before the start.")
        return Span(start, max(start, end))


SortBy = Literal[
    "created_at",
    "latest_request_created_at",
    "total_requests",
    "errors",
    "total_cost",
    "total_tokens",
    "avg_latency",
    "duration",
]
_COLUMNS: Final[dict[SortBy, Callable[[Any], ColumnElement[Any]]]] = {
    "created_at": attrgetter("first_at"),
    "latest_request_created_at": attrgetter("last_at"),
    "total_requests": attrgetter("requests"),
    "errors": attrgetter("errors"),
    "total_cost": attrgetter("cost_nano_usd"),
    "total_tokens": attrgetter("total_tokens"),
    "avg_latency": lambda columns: columns.latency_sum * 1.0 / func.nullif(columns.latency_count, 0),
    "duration": lambda columns: columns.last_at - columns.first_at,
}


class SessionQuery(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which sessions: those that had requests in a time, and one at least for which a filter holds.

    ``search`` is part of an id or a name. Without ``sort`` those come first that were last heard of. A session is shown
    whole, whatever the time and the filter.
    """

    timeFilter: Between  # noqa: N815 - the contract's names
    search: Annotated[str, Meta(max_length=512)] = ""
    nameEquals: Annotated[str, Meta(max_length=1024)] | None = None  # noqa: N815
    timezoneDifference: float = 0  # noqa: N815 - sent by Helicone's clients; instants need none
    filter: FilterBody = "all"
    sort: SortBy = "latest_request_created_at"
    direction: Literal["asc", "desc"] = "desc"
    limit: Annotated[int, Meta(ge=1, le=1000)] = 50
    offset: Annotated[int, Meta(ge=0, le=10_000_000)] = 0

    def wanted(self, call: Call) -> Sessions:
        """As the log is asked."""
        node = read_filter(self.filter)
        return Sessions(call.scope, self.timeFilter.span(), node, self.search, self.nameEquals)

    def order(self, columns: Any) -> Sequence[ColumnElement[Any]]:
        """What the list is sorted by, of columns of sessions."""
        column = _COLUMNS[self.sort](columns)
        ordered = [column.asc().nulls_last() if self.direction == "asc" else column.desc().nulls_last()]
        if self.sort != "latest_request_created_at":
            ordered.append(columns.last_at.desc())
        return [*ordered, columns.session_id]


@ROUTES.post("/v1/session/query", body=SessionQuery, data=list[SessionRow])
async def listed(call: Call, body: SessionQuery) -> list[SessionRow]:
    """Sessions, with what their requests come to."""
    async with reading(call.database) as connection:
        found = await query.find(connection, body.wanted(call), body.order, body.limit, body.offset)
    return [session_row(one) for one in found]


@ROUTES.post("/v1/session/count/query", body=SessionQuery, data=int)
async def counted(call: Call, body: SessionQuery) -> int:
    """How many sessions there are."""
    async with reading(call.database) as connection:
        return await query.count(connection, body.wanted(call))


class NamesQuery(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which sessions' names: those that contain ``nameContains``, of sessions of a time and with a filter.

    Without a time: of the last 150 days.
    """

    nameContains: Annotated[str, Meta(max_length=512)] = ""  # noqa: N815 - the contract's names
    timezoneDifference: float = 0  # noqa: N815
    pSize: Percentile = "p75"  # noqa: N815
    useInterquartile: bool = False  # noqa: N815
    timeFilter: Between | None = None  # noqa: N815
    filter: FilterBody = "all"

    def wanted(self, call: Call) -> Sessions:
        """As the log is asked."""
        span = Span(call.now - LONG, call.now + LONG) if self.timeFilter is None else self.timeFilter.span()
        return Sessions(call.scope, span, read_filter(self.filter))


class SessionName(Struct, frozen=True, kw_only=True):
    """The sessions with one name.

    ``total_cost`` is dollars as far as it is known, null where it is known of none of the requests.
    """

    name: str
    created_at: str
    first_used: str
    last_used: str
    session_count: int
    total_requests: int
    total_cost: float | None
    unknown_costs: int
    avg_latency: float | None


@ROUTES.post("/v1/session/name/query", body=NamesQuery, data=list[SessionName])
async def named(call: Call, body: NamesQuery) -> list[SessionName]:
    """Names of sessions, fifty at most, the one used last first."""
    async with reading(call.database) as connection:
        found = await query.names(connection, body.wanted(call), body.nameContains, MAX_NAMES)
    return [
        SessionName(
            name=row["name"],
            created_at=iso(row["first_used"]) or "",
            first_used=iso(row["first_used"]) or "",
            last_used=iso(row["last_used"]) or "",
            session_count=row["session_count"],
            total_requests=int(row["requests"]),
            total_cost=dollars(known_sum(*(int(row[name]) for name in ("cost_nano_usd", "unknown_costs", "requests")))),
            unknown_costs=int(row["unknown_costs"]),
            avg_latency=None if row["avg_latency"] is None else float(row["avg_latency"]),
        )
        for row in found
    ]


class SessionAverages(Struct, frozen=True, kw_only=True):
    """The averages of a session: one of each, none where there are no sessions."""

    session_count: list[AverageRow]
    session_duration: list[AverageRow]
    session_cost: list[AverageRow]


class SessionMetrics(Struct, frozen=True, kw_only=True):
    """How sessions are distributed: by their requests, their seconds and their dollars, each in ten equal steps."""

    session_count: list[HistogramRow]
    session_duration: list[HistogramRow]
    session_cost: list[HistogramRow]
    average: SessionAverages


@ROUTES.post("/v1/session/metrics/query", body=NamesQuery, data=SessionMetrics)
async def metrics(call: Call, body: NamesQuery) -> SessionMetrics:
    """How many requests sessions have, how long they take, and what they cost.

    Left out are those above the percentile ``pSize``; with ``useInterquartile`` those further from the middle half than
    one and a half times its width. ``nameContains`` is the whole name. Numbers are exact for 5,000 sessions, and within
    one per cent for more.
    """
    wanted = body.wanted(call)
    if body.nameContains:
        wanted = replace(wanted, name=body.nameContains)
    async with reading(call.database) as connection:
        found = await spreads(connection, wanted, body.pSize, interquartile=body.useInterquartile)
    return SessionMetrics(
        session_count=histogram(found.requests),
        session_duration=histogram(found.seconds),
        session_cost=histogram(found.dollars),
        average=SessionAverages(
            session_count=average(found.requests),
            session_duration=average(found.seconds),
            session_cost=average(found.dollars),
        ),
    )


@ROUTES.get("/v1/session/has-session", data=bool)
async def any_at_all(call: Call) -> bool:
    """Whether there is any session."""
    async with reading(call.database) as connection:
        return await query.exist(connection, call.scope)


class Tag(Struct, frozen=True, forbid_unknown_fields=True):
    """A tag of a session."""

    tag: Annotated[str, Meta(max_length=256)]


@ROUTES.get("/v1/session/{id}/tag", data=str | None)
async def tag(call: Call) -> str | None:
    """The tag that a session was given last; null where it has none."""
    async with reading(call.database) as connection:
        return await query.tag_of(connection, call.scope, call.path["id"])


@ROUTES.post("/v1/session/{id}/tag", body=Tag, errors=(404,), role="member")
async def tagging(call: Call, body: Tag) -> None:
    """Give a session a tag, in place of the one that it had."""
    if not await query.set_tag(call.database, call.scope, call.path["id"], body.tag, call.now):
        raise Refused(404, "Session not found")


@ROUTES.post("/v1/session/{id}/feedback", body=Rating, errors=(404,), role="member")
async def rate(call: Call, body: Rating) -> None:
    """Rate a session; its first request has that as the property ``Helicone-Session-Feedback`` ("1" or "0")."""
    async with reading(call.database) as connection:
        first = await query.first_request(connection, call.scope, call.path["id"])
    value = "1" if body.rating else "0"
    if first is None or not await set_property(call.database, call.scope.organization, first, FEEDBACK, value):
        raise Refused(404, "Session not found")
