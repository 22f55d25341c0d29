"""Users over HTTP: what they used, in all or in a time, and how that is distributed (contract 13.3)."""

from __future__ import annotations

from typing import Annotated, Any, Final

from msgspec import Meta, Struct, field
from sqlalchemy import ColumnElement, func

from helicone_gw_logging.api.histograms import HistogramRow, histogram
from helicone_gw_logging.api.routes import Call, Refused, Routes
from helicone_gw_logging.api.rows import dollars
from helicone_gw_logging.api.schemas import FilterBody
from helicone_gw_logging.measures import known_sum
from helicone_gw_logging.query import users as query
from helicone_gw_logging.query.filters import read_filter
from helicone_gw_logging.query.nodes import ALL
from helicone_gw_logging.query.plan import Question
from helicone_gw_logging.query.reading import reading
from helicone_gw_logging.query.sorts import Direction
from helicone_gw_logging.query.spans import Span
from helicone_gw_logging.query.spread import Percentile
from helicone_gw_logging.query.users import User, Users
from helicone_gw_logging.times import iso
from helicone_gw_logging.totals import USER

ROUTES = Routes("users")

MAX_USERS: Final = 100
"""Users that a plain list has."""
MAX_LIMIT: Final = 1000
_TIMES: Final = {
    "last_active": USER.c.last_at,
    "first_active": USER.c.first_at,
    "total_requests": USER.c.requests,
    "errors": USER.c.errors,
    "total_prompt_tokens": USER.c.prompt_tokens,
    "total_completion_tokens": USER.c.completion_tokens,
    "average_tokens_per_request": USER.c.total_tokens * 1.0 / func.nullif(USER.c.requests, 0),
    "cost": USER.c.cost_nano_usd,
    "user_id": USER.c.user_id,
}
_IN_A_TIME: Final[dict[str, tuple[str, str | None]]] = {
    "total_requests": ("requests", None),
    "errors": ("errors", None),
    "total_prompt_tokens": ("prompt_tokens", None),
    "total_completion_tokens": ("completion_tokens", None),
    "average_tokens_per_request": ("total_tokens", "requests"),
    "cost": ("cost_nano_usd", None),
}


class Seconds(Struct, frozen=True, forbid_unknown_fields=True):
    """From one instant (inclusive) to another (exclusive), in epoch seconds."""

    startTimeUnixSeconds: Annotated[float, Meta(ge=-(2**40), le=2**40)]  # noqa: N815 - the contract's names
    endTimeUnixSeconds: Annotated[float, Meta(ge=-(2**40), le=2**40)]  # noqa: N815

    def span(self) -> Span:
        """As a span. Raises `Refused` for an end before its start."""
        if self.endTimeUnixSeconds < self.startTimeUnixSeconds:
            raise Refused(400, "timeFilter: the end is before the start.")
        return Span(round(self.startTimeUnixSeconds * 1000), round(self.endTimeUnixSeconds * 1000))


class UserQuery(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which users, and in which time; without either: all of them, and ever."""

    userIds: Annotated[list[str], Meta(max_length=MAX_LIMIT)] | None = None  # noqa: N815 - the contract's names
    timeFilter: Seconds | None = None  # noqa: N815


class UserCount(Struct, frozen=True, kw_only=True):
    """What a user's requests come to as far as it is known, null where nothing is; ``cost`` is dollars."""

    user_id: str
    count: int
    prompt_tokens: int | None
    completion_tokens: int | None
    cost: float | None


@ROUTES.post("/v1/user/query", body=UserQuery, data=list[UserCount])
async def listed(call: Call, body: UserQuery) -> list[UserCount]:
    """Users by their cost, a hundred at most; or those with these ids."""
    async with reading(call.database) as connection:
        if body.timeFilter is not None:
            question = Question(call.scope, body.timeFilter.span())
            found = await query.during(connection, question, ("cost_nano_usd", None), MAX_USERS, 0, body.userIds)
        else:
            wanted = Users(call.scope) if body.userIds is None else Users(call.scope, ids=tuple(body.userIds))
            order = [USER.c.cost_nano_usd.desc(), USER.c.user_id]
            found = await query.find(connection, wanted, order, MAX_USERS if body.userIds is None else MAX_LIMIT, 0)
    return [
        UserCount(
            user_id=user.user_id,
            count=user.requests,
            prompt_tokens=_tokens(user, user.prompt_tokens),
            completion_tokens=_tokens(user, user.completion_tokens),
            cost=_cost(user),
        )
        for user in found
    ]


class UserSort(Struct, frozen=True, forbid_unknown_fields=True):
    """What users are sorted by: the first of these that is given; else those come first that were active last.

    In a time (``timeFilter``) they come in descending order, and by what they used only.
    """

    last_active: Direction | None = None
    first_active: Direction | None = None
    total_requests: Direction | None = None
    errors: Direction | None = None
    total_prompt_tokens: Direction | None = None
    total_completion_tokens: Direction | None = None
    average_tokens_per_request: Direction | None = None
    cost: Direction | None = None
    user_id: Direction | None = None

    def chosen(self) -> tuple[str, Direction] | None:
        """The one that counts."""
        for name in self.__struct_fields__:
            direction: Direction | None = getattr(self, name)
            if direction is not None:
                return name, direction
        return None


class UserMetricsQuery(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which users, in which order, and which part of the list.

    What they used is of all times, or of ``timeFilter`` and then of the requests for which the filter holds: of the
    ``newest`` of these only where no sums tell it, so that all of them would have to be read.
    """

    filter: FilterBody
    offset: Annotated[int, Meta(ge=0, le=10_000_000)] = 0
    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT)] = 100
    timeFilter: Seconds | None = None  # noqa: N815 - the contract's names
    timeZoneDifferenceMinutes: float = 0  # noqa: N815
    sort: UserSort = field(default_factory=UserSort)
    newest: Annotated[int, Meta(ge=1, le=10_000_000)] | None = None


class UserMetrics(Struct, frozen=True, kw_only=True):
    """A user. ``active_for`` is the number of days (of UTC) with requests, ``cost`` dollars.

    Cost and tokens are what is known of them, null where they are known of none of the requests.
    """

    id: str
    user_id: str
    active_for: int
    first_active: str | None
    last_active: str | None
    total_requests: int
    errors: int
    average_requests_per_day_active: float
    average_tokens_per_request: float | None
    total_completion_tokens: int | None
    total_prompt_tokens: int | None
    cost: float | None
    unknown_costs: int
    unknown_tokens: int


class UserList(Struct, frozen=True, kw_only=True):
    """A part of the list, how many there are in all, and whether the organization has any user.

    ``since`` is when the first of the ``newest`` requests came, null where all of that time are told of.
    """

    users: list[UserMetrics]
    count: int
    hasUsers: bool  # noqa: N815 - the contract's name
    since: str | None = None


@ROUTES.post("/v1/user/metrics/query", body=UserMetricsQuery, data=UserList)
async def metrics(call: Call, body: UserMetricsQuery) -> UserList:
    """Users with what they used."""
    node, chosen, since = read_filter(body.filter), body.sort.chosen(), None
    async with reading(call.database) as connection:
        if body.timeFilter is None:
            wanted = Users(call.scope, node)
            found = await query.find(connection, wanted, _order(chosen), body.limit, body.offset)
            total = await query.count(connection, wanted)
        else:
            name, direction = chosen or ("total_requests", "desc")
            if name not in _IN_A_TIME or direction != "desc":
                raise Refused(400, f"sort: in a time, users are sorted by {', '.join(_IN_A_TIME)}, descending.")
            question = Question(call.scope, body.timeFilter.span(), node)
            found, total, since = await query.listed(
                connection, question, _IN_A_TIME[name], body.limit, body.offset, body.newest
            )
        any_user = bool(found or total) or await query.count(connection, Users(call.scope, ALL)) > 0
    return UserList(users=[_shown(user) for user in found], count=total, hasUsers=any_user, since=iso(since))


def _order(chosen: tuple[str, Direction] | None) -> list[Any]:
    name, direction = chosen or ("last_active", "desc")
    column: ColumnElement[Any] = _TIMES[name]
    return [column.asc() if direction == "asc" else column.desc(), USER.c.user_id]


class OverviewQuery(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which users, and which of them are too far from the others to be shown."""

    filter: FilterBody = "all"
    pSize: Percentile = "p75"  # noqa: N815 - the contract's names
    useInterquartile: bool = False  # noqa: N815


class UserOverview(Struct, frozen=True, kw_only=True):
    """How users are distributed: by their requests and by their dollars, each in ten equal steps."""

    request_count: list[HistogramRow]
    user_cost: list[HistogramRow]


@ROUTES.post("/v1/user/metrics-overview/query", body=OverviewQuery, data=UserOverview)
async def overview(call: Call, body: OverviewQuery) -> UserOverview:
    """How many requests users have, and what they cost."""
    wanted = Users(call.scope, read_filter(body.filter))
    async with reading(call.database) as connection:
        requests, costs = await query.spreads(connection, wanted, body.pSize, interquartile=body.useInterquartile)
    return UserOverview(request_count=histogram(requests), user_cost=histogram(costs))


def _shown(user: User) -> UserMetrics:
    tokens = _tokens(user, user.total_tokens)
    return UserMetrics(
        id=user.user_id,
        user_id=user.user_id,
        active_for=user.days,
        first_active=iso(user.first_at),
        last_active=iso(user.last_at),
        total_requests=user.requests,
        errors=user.errors,
        average_requests_per_day_active=user.requests / max(1, user.days),
        average_tokens_per_request=None if tokens is None else tokens / max(1, user.requests),
        total_completion_tokens=_tokens(user, user.completion_tokens),
        total_prompt_tokens=_tokens(user, user.prompt_tokens),
        cost=_cost(user),
        unknown_costs=user.unknown_costs,
        unknown_tokens=user.unknown_tokens,
    )


def _cost(user: User) -> float | None:
    return dollars(known_sum(user.cost_nano_usd, user.unknown_costs, user.requests))


def _tokens(user: User, total: int) -> int | None:
    return known_sum(total, user.unknown_tokens, user.requests)
