"""Users: lists of them with what they used, of all times or of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import BigInteger, ColumnElement, Select, and_, case, func, literal_column, null, select, true

from helicone_gw_logging.measures import DAY_MS
from helicone_gw_logging.query.active import active
from helicone_gw_logging.query.columns import NANO
from helicone_gw_logging.query.cuts import Range, whole
from helicone_gw_logging.query.largest import largest
from helicone_gw_logging.query.nodes import ALL, Both, Condition, Node
from helicone_gw_logging.query.plan import Group, Question, planned
from helicone_gw_logging.query.requests import reached
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.spans import Span
from helicone_gw_logging.query.spread import MOST_SPREAD, Percentile, Spread, numbers_of, spread
from helicone_gw_logging.query.sums import answered, of_rows
from helicone_gw_logging.query.where import compare, where
from helicone_gw_logging.tables import REQUEST
from helicone_gw_logging.texts import text
from helicone_gw_logging.totals import DIMENSION_DAY, OTHER, USER

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

SUMS: Final = (
    "requests",
    "errors",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "cost_nano_usd",
    "unknown_costs",
    "unknown_tokens",
)


class User(Struct, frozen=True, kw_only=True):
    """What a user's requests come to.

    Times are epoch milliseconds, ``None`` when the requests themselves are gone. ``days``: on how many (of UTC) there
    were any.
    """

    user_id: str
    first_at: int | None
    last_at: int | None
    days: int
    requests: int
    errors: int
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cost_nano_usd: int
    unknown_costs: int
    unknown_tokens: int


class Users(Struct, frozen=True):
    """Which users: all with requests for which ``filter`` holds, and with one of ``ids`` where there are any.

    What is said of them is of all their requests.
    """

    scope: Scope
    filter: Node = ALL
    ids: tuple[str, ...] | None = None

    def where(self) -> ColumnElement[bool]:
        """As a condition over `totals.USER`."""
        clauses: list[ColumnElement[bool]] = [self.scope.of(USER), USER.c.requests > 0]
        if self.ids is not None:
            clauses.append(USER.c.user_id.in_([text(one) or "" for one in self.ids]))
        parts = self.filter.parts if isinstance(self.filter, Both) and self.filter.operator == "and" else (self.filter,)
        beside: list[Node] = []
        for part in parts:
            field = part.field if isinstance(part, Condition) else None
            if field is not None and field.source == "user":
                clauses.append(compare(USER.c[field.column], part))  # type: ignore[arg-type]
            elif field is not None and (field.source, field.column) == ("request", "user_id"):
                clauses.append(compare(USER.c.user_id, part))  # type: ignore[arg-type]
            else:
                beside.append(part)
        if beside:
            asked = where(Both("and", tuple(beside)), self.scope)
            clauses.append(
                select(REQUEST.c.seq).where(REQUEST.c.user_id == USER.c.user_id, asked).correlate(USER).exists()
            )
        return and_(true(), *clauses)


async def find(connection: AsyncConnection, wanted: Users, order: Sequence[Any], limit: int, offset: int) -> list[User]:
    """Users with all that they ever used, in ``order`` (columns of `totals.USER`)."""
    columns = [USER.c[name] for name in ("user_id", "first_at", "last_at", *SUMS)]
    page = select(*columns).where(wanted.where()).order_by(*order).limit(limit).offset(offset)
    rows = [row._asdict() for row in await connection.execute(page)]
    days = await _days(connection, wanted.scope, [row["user_id"] for row in rows])
    return [User(**row, days=days.get(row["user_id"], 0)) for row in rows]


async def count(connection: AsyncConnection, wanted: Users) -> int:
    """How many there are."""
    return int(await connection.scalar(select(func.count()).select_from(USER).where(wanted.where())) or 0)


async def during(
    connection: AsyncConnection,
    question: Question,
    sums: tuple[str, str | None],
    limit: int,
    offset: int,
    among: Sequence[str] | None = None,
) -> list[User]:
    """Users with what they used in the time that is asked about, those first of whom the sum is largest."""
    question = Question(question.scope, question.span, question.filter, Group("user")).narrowed()
    plan = await planned(connection, question)
    if among is None:
        values = [value for value in await largest(connection, question, plan, sums, limit, offset) if value != OTHER]
    else:
        values = list(dict.fromkeys(text(one) or "" for one in among))
    found = await answered(connection, question, plan, SUMS, values)
    times = await _times(connection, question, values)
    days = await _days_during(connection, question, values)
    users = []
    for value in values:
        sums_of = found.get((0, value))
        if sums_of is not None:
            first, last = times.get(value, (None, None))
            users.append(User(user_id=value, first_at=first, last_at=last, days=days.get(value, 0), **sums_of))
    return users


async def listed(
    connection: AsyncConnection,
    question: Question,
    sums: tuple[str, str | None],
    limit: int,
    offset: int,
    newest: int | None = None,
) -> tuple[list[User], int, int | None]:
    """What `during` and `count_during` say; of the ``newest`` requests only, where rows have to be read for it.

    Then the third is since when (epoch milliseconds), else ``None``.
    """
    asked = Question(question.scope, question.span, question.filter, Group("user")).narrowed()
    plan = await planned(connection, asked)
    if plan.levels:
        found = await during(connection, question, sums, limit, offset)
        return found, await count_during(connection, question), None
    since = None if newest is None else await reached(connection, asked, newest)
    if since is not None:
        asked = replace(asked, span=Span(since, asked.span.end))
    user, at = REQUEST.c.user_id, REQUEST.c.received_at
    day = at // literal_column(str(DAY_MS), BigInteger)
    columns = [of_rows(name).label(name) for name in SUMS]
    times = func.min(at).label("first_at"), func.max(at).label("last_at")
    number = func.count(func.distinct(day)).label("days")
    rows = select(user, *times, number, *columns).where(plan.matching, asked.span.whole()).group_by(user).subquery()
    amount: ColumnElement[Any] = rows.c[sums[0]]
    if sums[1] is not None:
        amount = amount * literal_column("1.0") / func.nullif(rows.c[sums[1]], 0)
    every = func.count().over().label("every")
    query = select(rows, every).order_by(amount.desc().nulls_last(), rows.c.user_id).limit(limit).offset(offset)
    told = [row._asdict() for row in await connection.execute(query)]
    if not told and offset:
        return [], await count_during(connection, Question(asked.scope, asked.span, asked.filter)), since
    total = int(told[0]["every"]) if told else 0
    names = User.__struct_fields__
    return [User(**{name: _plain(row[name]) for name in names}) for row in told], total, since


def _plain(value: Any) -> Any:
    """Sums of large numbers are decimals on Postgres."""
    return value if isinstance(value, str) else int(value)


async def count_during(connection: AsyncConnection, question: Question) -> int:
    """How many users there were in the time that is asked about."""
    return (await active(connection, Question(question.scope, question.span, question.filter))).get(0, 0)


async def spreads(
    connection: AsyncConnection, wanted: Users, percentile: Percentile, *, interquartile: bool
) -> tuple[Spread, Spread]:
    """How many requests users have, and what they cost in dollars (where that is known); of more than `MOST_SPREAD`
    users, those that were last heard of."""
    columns = USER.c
    cost = case((columns.unknown_costs < columns.requests, columns.cost_nano_usd), else_=null())
    asked = select(columns.requests, cost.label("cost")).where(wanted.where())
    requests, costs = await numbers_of(connection, asked.order_by(columns.last_at.desc()).limit(MOST_SPREAD))
    dollars: dict[float, int] = {cost / NANO: times for cost, times in costs.items()}
    return (
        spread(requests, percentile, interquartile=interquartile),
        spread(dollars, percentile, interquartile=interquartile),
    )


async def _times(
    connection: AsyncConnection, question: Question, users: Sequence[str]
) -> dict[str, tuple[int | None, int | None]]:
    """When the first and the last request of each came, in the time that is asked about."""
    at = REQUEST.c.received_at
    first = _ones(question, question.span).with_only_columns(at).order_by(at).limit(1).scalar_subquery()
    last = _ones(question, question.span).with_only_columns(at).order_by(at.desc()).limit(1).scalar_subquery()
    query = select(USER.c.user_id, first, last).where(question.scope.of(USER), USER.c.user_id.in_(users))
    return {user: (begun, ended) for user, begun, ended in await connection.execute(query)}


async def _days_during(connection: AsyncConnection, question: Question, users: Sequence[str]) -> dict[str, int]:
    """On how many days (of UTC) of the time that is asked about each had requests."""
    span, days = question.span, dict.fromkeys(users, 0)
    ranges, pieces = whole([span], DAY_MS)
    if question.filter == ALL and ranges:
        days |= await _days(connection, question.scope, users, ranges[0])
        for piece in pieces:
            there = _ones(question, piece).exists()
            query = select(USER.c.user_id).where(question.scope.of(USER), USER.c.user_id.in_(users), there)
            for user in await connection.scalars(query):
                days[user] = days.get(user, 0) + 1
        return days
    day = REQUEST.c.received_at // literal_column(str(DAY_MS), BigInteger)
    asked = where(question.filter, question.scope)
    rows = select(REQUEST.c.user_id, func.count(func.distinct(day))).where(asked, span.whole())
    rows = rows.where(REQUEST.c.user_id.in_(users)).group_by(REQUEST.c.user_id)
    return {user: int(number) for user, number in await connection.execute(rows)}


def _ones(question: Question, span: Span) -> Select[Any]:
    """The requests of a user, of whom the enclosing query is."""
    own = where(question.filter, question.scope)
    return select(REQUEST.c.seq).where(own, span.whole(), REQUEST.c.user_id == USER.c.user_id).correlate(USER)


async def _days(
    connection: AsyncConnection, scope: Scope, users: Sequence[str], days: Range | None = None
) -> dict[str, int]:
    columns = DIMENSION_DAY.c
    own = and_(columns.organization_id == scope.organization, columns.dimension == "user", columns.requests > 0)
    query = select(columns.value, func.count()).where(own, columns.value.in_(users)).group_by(columns.value)
    if days is not None:
        query = query.where(columns.day >= days[0], columns.day < days[1])
    return {user: int(number) for user, number in await connection.execute(query)}
