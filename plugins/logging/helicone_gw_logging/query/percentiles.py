"""Percentiles: of durations and tokens, from histograms where they tell apart what is asked, else from the rows.

Rows are put into the same buckets, so that the numbers are the same either way: within one per cent of exact.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from sqlalchemy import ColumnElement, Select, and_, func, literal_column, null, select

from helicone_gw_logging.histograms import bucket
from helicone_gw_logging.query.columns import ANSWERED_MODEL
from helicone_gw_logging.query.cuts import DAY_MS, step
from helicone_gw_logging.query.division import FEW, Part, divided, table, within
from helicone_gw_logging.query.nodes import ALL, conditions
from helicone_gw_logging.query.plan import Level, Question, planned
from helicone_gw_logging.query.sums import Place, instants
from helicone_gw_logging.query.where import compare, joined
from helicone_gw_logging.record import HOUR_MS
from helicone_gw_logging.tables import REQUEST
from helicone_gw_logging.totals import ALL as EVERY
from helicone_gw_logging.totals import HISTOGRAM, HISTOGRAM_DAY, ROLLUP_DAY

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

Metric = Literal["latency", "time_to_first_token", "total_tokens"]
"""Milliseconds, milliseconds (streams only), and a number of tokens."""

Counts = Mapping[int, int]
"""How many requests are in each bucket of `helicone_gw_logging.histograms`."""

_METRICS: Final[dict[Metric, str]] = {
    "latency": "latency",
    "time_to_first_token": "first_token",
    "total_tokens": "total_tokens",
}
_LEVELS: Final = Level(HISTOGRAM_DAY, "day", DAY_MS), Level(HISTOGRAM, "hour", HOUR_MS)
MAX_PAIRS: Final = 2000
"""Providers times models up to which they are named one by one."""
_TOLD: Final = frozenset({"provider", ANSWERED_MODEL})


async def counted(
    connection: AsyncConnection, question: Question, metric: Metric, among: Sequence[Any] | None = None
) -> dict[Place, Counts]:
    """The histogram of ``metric``, by bucket of time and value; only of the values ``among`` which they shall be.

    Raises `nodes.FilterError` for what cannot be asked.
    """
    question = question.narrowed()
    plan = await planned(connection, question)
    found: dict[Place, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    levels = _LEVELS if plan.levels and _told(question) else ()
    division = divided(question.span, question.cuts, [level.length for level in levels])
    longest, in_buckets = step(question.cuts), len(question.cuts) > 1
    pairs = await _pairs(connection, question) if levels else None
    for number, level in enumerate(levels):
        columns, parts = level.table.c, division.parts(number, level.length)
        told = None if question.group is None else columns[question.group.by]
        counts = _of_sums(question, metric, level, pairs)
        if told is not None and among is not None:
            counts = counts.where(told.in_(among))
        for query in _by_bucket(counts, columns[level.column], parts, told, columns.bucket, columns["count"]):
            async for some in _piecewise(connection, query):
                for place, value, index, times in some:
                    found[place, value][index] += int(times)
    column, places = REQUEST.c[metric], division.places()
    at = instants(REQUEST.c.received_at, longest, 1) if in_buckets else None
    rows = select(func.count()).select_from(plan.rows).where(plan.matching, column.is_not(None))
    if plan.values[-1] is not None and among is not None:
        rows = rows.where(plan.values[-1].in_(among))
    for query in within(rows, REQUEST.c.received_at, division.rest):
        grouped = _grouped(query, at, plan.values[-1], column)
        async for some in _piecewise(connection, grouped):
            for when, value, number, times in some:
                for place, sign in places(when):
                    found[place, value][bucket(number)] += sign * int(times)
    every = {where: {index: n for index, n in each.items() if n > 0} for where, each in found.items()}
    return {where: each for where, each in every.items() if each}


async def _piecewise(connection: AsyncConnection, query: Select[Any]) -> AsyncIterator[Sequence[Any]]:
    """Rows, which may be many: whoever else waits for this thread gets a turn between five thousand of them."""
    async with connection.stream(query) as result:
        async for some in result.partitions(5000):
            yield some


def _told(question: Question) -> bool:
    """Whether histograms tell apart what is asked: they know providers and models."""
    group = question.group
    known = all(condition.field.column in _TOLD for condition in conditions(question.filter))
    return known and (group is None or group.by in ("provider", "model"))


def _whole(question: Question) -> bool:
    """Whether it is about all requests, for which there are counts of their own."""
    return question.group is None and question.filter == ALL


async def _pairs(connection: AsyncConnection, question: Question) -> tuple[list[str], list[str]] | None:
    """The providers and the models that there were: what is named is found at once, behind an index."""
    if _whole(question):
        return None
    columns, span = ROLLUP_DAY.c, question.span
    own = columns.organization_id == question.scope.organization
    days = and_(columns.day >= span.start // DAY_MS, columns.day <= span.end // DAY_MS)
    there = [*await connection.execute(select(columns.provider, columns.model).where(own, days).distinct())]
    providers, models = {provider for provider, _ in there}, {model for _, model in there}
    return None if len(providers) * len(models) > MAX_PAIRS else (sorted(providers), sorted(models))


def _of_sums(
    question: Question, metric: Metric, level: Level, pairs: tuple[list[str], list[str]] | None
) -> Select[Any]:
    columns = level.table.c
    names = {"provider": columns.provider, ANSWERED_MODEL: columns.model}
    if _whole(question):
        matching: ColumnElement[bool] = and_(columns.provider == EVERY, columns.model == EVERY)
    else:
        matching = and_(
            columns.provider != EVERY,
            joined(question.filter, lambda one: compare(func.nullif(names[one.field.column], ""), one)),
        )
        if pairs is not None:
            matching = and_(matching, columns.provider.in_(pairs[0]), columns.model.in_(pairs[1]))
    own = and_(columns.organization_id == question.scope.organization, columns.metric == _METRICS[metric])
    return select(func.sum(columns["count"])).where(own, matching)


def _by_bucket(
    counts: Select[Any],
    column: ColumnElement[int],
    parts: Sequence[Part],
    value: ColumnElement[Any] | None,
    index: ColumnElement[int],
    count: ColumnElement[int],
) -> Iterator[Select[Any]]:
    """Buckets of time, values, indexes in the histogram, and how many requests there are."""
    told = null() if value is None else value
    if len(parts) <= FEW:
        for number, sign, (first, last) in parts:
            times = func.sum(count) * literal_column(str(sign))
            query = counts.with_only_columns(literal_column(str(number)), told.label("value"), index, times)
            query = query.where(column >= first, column < last)
            yield query.group_by(*(each for each in (value, index) if each is not None))
        return
    pieces, inside = table(parts, column)
    query = counts.with_only_columns(pieces.c.number, told.label("value"), index, func.sum(count * pieces.c.sign))
    yield query.where(inside).group_by(*(each for each in (pieces.c.number, value, index) if each is not None))


def _grouped(
    count: Select[Any], at: ColumnElement[int] | None, value: ColumnElement[Any] | None, number: ColumnElement[int]
) -> Select[Any]:
    instant = literal_column("0") if at is None else at
    told = null() if value is None else value
    query = count.with_only_columns(
        instant.label("at"), told.label("value"), number.label("number"), *count.selected_columns
    )
    return query.group_by(*(each for each in (at, value, number) if each is not None))
