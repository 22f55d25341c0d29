"""Properties: their keys, their values, and what the requests with each value cost.

Sums answer where they tell every value apart; the hours at the edges of a time, and keys whose values are too many,
are read from the rows. Either way it is the same number.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct
from sqlalchemy import BigInteger, ColumnElement, Select, delete, func, literal_column, select

from helicone_gw_logging.measures import HOUR_MS, known_sum
from helicone_gw_logging.query.buckets import Increment, bucket_start, grain
from helicone_gw_logging.query.nodes import ALL, Node
from helicone_gw_logging.query.patterns import contains
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.spans import Span
from helicone_gw_logging.query.sums import of_rows
from helicone_gw_logging.query.where import property_key, where
from helicone_gw_logging.rollups import UNTOLD
from helicone_gw_logging.statements import put
from helicone_gw_logging.tables import PROPERTY, REQUEST
from helicone_gw_logging.totals import DIMENSION, HIDDEN_PROPERTY, OTHER, PROPERTY_KEY

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection
    from sqlalchemy.sql.base import ReadOnlyColumnCollection

    from helicone_gw import Database

MAX_KEYS: Final = 1000
MAX_HIDDEN: Final = 1000
"""Most keys that an organization may hide."""
_SPENT: Final = ("requests", "cost_nano_usd", "unknown_costs")
"""The sums that `Spent` is made of."""


async def keys(connection: AsyncConnection, scope: Scope, *, hidden: bool = False) -> list[str]:
    """The keys of properties, as first sent, by name; without those that are hidden, or only those."""
    own = HIDDEN_PROPERTY.c.organization_id == scope.organization
    left_out = select(HIDDEN_PROPERTY.c.key_lower).where(own)
    if hidden:
        # A key may be hidden before any request has it.
        joined = HIDDEN_PROPERTY.outerjoin(
            PROPERTY_KEY,
            (PROPERTY_KEY.c.organization_id == HIDDEN_PROPERTY.c.organization_id)
            & (PROPERTY_KEY.c.key_lower == HIDDEN_PROPERTY.c.key_lower),
        )
        name = func.coalesce(PROPERTY_KEY.c.key, HIDDEN_PROPERTY.c.key_lower)
        query = select(name).select_from(joined).where(own).order_by(HIDDEN_PROPERTY.c.key_lower)
        return [*await connection.scalars(query.limit(MAX_HIDDEN))]
    if scope.whole:
        columns = PROPERTY_KEY.c
        query = select(columns.key).where(scope.of(PROPERTY_KEY), columns.requests > 0)
    else:
        columns = PROPERTY.c
        query = select(func.min(columns.key)).where(scope.of(PROPERTY)).group_by(columns.key_lower)
    query = query.where(columns.key_lower.not_in(left_out)).order_by(columns.key_lower)
    return [*await connection.scalars(query.limit(MAX_KEYS))]


async def hide(database: Database, scope: Scope, key: str, now: int) -> bool:
    """Leave a key out of lists; ``now`` is epoch milliseconds. False when too many are hidden already."""
    lower, own = property_key(key), HIDDEN_PROPERTY.c.organization_id == scope.organization
    async with database.begin() as connection:
        there = await connection.scalar(select(func.count()).select_from(HIDDEN_PROPERTY).where(own))
        await connection.execute(delete(HIDDEN_PROPERTY).where(own, HIDDEN_PROPERTY.c.key_lower == lower))
        if (there or 0) >= MAX_HIDDEN:
            return False
        await connection.run_sync(put, HIDDEN_PROPERTY, [(scope.organization, lower, now)])
    return True


async def restore(database: Database, scope: Scope, key: str) -> None:
    """Show a key in lists again."""
    columns = HIDDEN_PROPERTY.c
    async with database.begin() as connection:
        own = columns.organization_id == scope.organization
        await connection.execute(delete(HIDDEN_PROPERTY).where(own, columns.key_lower == property_key(key)))


async def search(connection: AsyncConnection, scope: Scope, key: str, term: str, limit: int) -> list[str]:
    """Values of a property that contain ``term``, in any case, by name."""
    lower = property_key(key)
    if await _told(connection, scope, lower):
        value = DIMENSION.c.value
        own = DIMENSION.c.dimension == f"property:{lower}"
        query = select(value).distinct().where(scope.of(DIMENSION), own, contains(value, term))
    else:
        value = PROPERTY.c.value_start
        query = select(value).distinct().where(scope.of(PROPERTY), PROPERTY.c.key_lower == lower, contains(value, term))
    return [*await connection.scalars(query.order_by(value).limit(limit))]


class Spent(Struct):
    """What some requests were: how many, what they cost (known costs, nano-dollars), of how many that is unknown."""

    requests: int = 0
    cost: int = 0
    unknown_costs: int = 0

    @property
    def known(self) -> int | None:
        """The cost; ``None`` where there are requests and nothing is known of it."""
        return known_sum(self.cost, self.unknown_costs, self.requests)

    def add(self, requests: int | None, cost: int | None, unknown_costs: int | None) -> None:
        """Count others in."""
        self.requests += int(requests or 0)
        self.cost += int(cost or 0)
        self.unknown_costs += int(unknown_costs or 0)


async def spent(connection: AsyncConnection, scope: Scope, key: str, span: Span) -> dict[str, Spent]:
    """What requests with each value of a property were."""
    lower = property_key(key)
    sums: dict[str, Spent] = defaultdict(Spent)
    queries: list[Select[Any]] = []
    if await _told(connection, scope, lower, span):
        columns = DIMENSION.c
        queries.append(
            select(columns.value, *_summed(columns))
            .where(scope.of(DIMENSION), columns.dimension == f"property:{lower}", span.of_sums(DIMENSION))
            .group_by(columns.value)
        )
        if span.edges:
            queries.append(_of_rows(scope, lower).where(span.of_edges(PROPERTY)))
    else:
        queries.append(_of_rows(scope, lower).where(span.whole(PROPERTY)))
    for query in queries:
        for value, *numbers in await connection.execute(query):
            sums[value].add(*numbers)
    return {value: found for value, found in sums.items() if found.requests}


async def over_time(
    connection: AsyncConnection, scope: Scope, key: str, span: Span, filter: Node, increment: Increment, ahead: int
) -> dict[tuple[int, str], Spent]:
    """What requests were by bucket (its beginning) and value.

    ``ahead``: minutes that the reader's clocks are ahead of UTC.
    """
    lower, piece = property_key(key), grain(increment, ahead)
    sums: dict[tuple[int, str], Spent] = defaultdict(Spent)
    rows = _of_rows(scope, lower).where(where(filter, scope))
    number = _piece(piece)
    rows = rows.add_columns(number).group_by(number)
    queries: list[Select[Any]] = []
    if filter == ALL and piece == HOUR_MS and await _told(connection, scope, lower, span):
        columns = DIMENSION.c
        queries.append(
            select(columns.value, *_summed(columns), columns.hour)
            .where(scope.of(DIMENSION), columns.dimension == f"property:{lower}", span.of_sums(DIMENSION))
            .group_by(columns.value, columns.hour)
        )
        if span.edges:
            queries.append(rows.where(span.of_edges(PROPERTY)))
    else:
        queries.append(rows.where(span.whole(PROPERTY)))
    for query in queries:
        for value, *numbers, at in await connection.execute(query):
            sums[bucket_start(int(at) * piece, increment, ahead), value].add(*numbers)
    return {place: found for place, found in sums.items() if found.requests}


def _piece(length: int) -> ColumnElement[int]:
    """The number of the piece of time in which a request was received. The length is written out, not bound: grouping
    by what is bound twice is refused by Postgres."""
    return PROPERTY.c.received_at // literal_column(str(length), BigInteger)


def _summed(columns: ReadOnlyColumnCollection[str, Any]) -> list[ColumnElement[int]]:
    return [func.sum(columns[name]) for name in _SPENT]


def _of_rows(scope: Scope, lower: str) -> Select[Any]:
    return (
        select(PROPERTY.c.value_start, *map(of_rows, _SPENT))
        .select_from(PROPERTY.join(REQUEST, PROPERTY.c.seq == REQUEST.c.seq))
        .where(scope.of(REQUEST), PROPERTY.c.organization_id == scope.organization, PROPERTY.c.key_lower == lower)
        .group_by(PROPERTY.c.value_start)
    )


async def _told(connection: AsyncConnection, scope: Scope, lower: str, span: Span | None = None) -> bool:
    """Whether the sums tell every value of this property (in that time) apart."""
    if not scope.whole or lower in UNTOLD:
        return False
    columns = PROPERTY_KEY.c
    known = select(columns.key_lower).where(scope.of(PROPERTY_KEY), columns.key_lower == lower)
    if await connection.scalar(known) is None:
        return False
    folded = select(DIMENSION.c.hour).where(
        scope.of(DIMENSION), DIMENSION.c.dimension == f"property:{lower}", DIMENSION.c.value == OTHER
    )
    if span is not None:
        folded = folded.where(span.of_sums(DIMENSION))
    return await connection.scalar(folded.limit(1)) is None
