"""Percentiles: of durations and tokens, from histograms where they tell apart what is asked, else from the rows.

Rows are put into the same buckets, so that the numbers are the same either way: within one per cent of exact.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

from sqlalchemy import ColumnElement, Select, and_, func, literal_column, null, select

from helicone_gw_logging.histograms import bucket
from helicone_gw_logging.query.columns import ANSWERED_MODEL
from helicone_gw_logging.query.cuts import DAY_MS, between, merged, step, whole
from helicone_gw_logging.query.nodes import ALL, conditions
from helicone_gw_logging.query.plan import Level, Question, inside, planned
from helicone_gw_logging.query.sums import Place, instants
from helicone_gw_logging.query.where import compare, joined
from helicone_gw_logging.record import HOUR_MS
from helicone_gw_logging.tables import REQUEST
from helicone_gw_logging.totals import ALL as EVERY
from helicone_gw_logging.totals import HISTOGRAM, HISTOGRAM_DAY

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
_TOLD: Final = frozenset({"provider", ANSWERED_MODEL})


async def counted(connection: AsyncConnection, question: Question, metric: Metric) -> dict[Place, Counts]:
    """The histogram of ``metric``, by bucket of time and value. Raises `nodes.FilterError` for what cannot be asked."""
    question = question.narrowed()
    plan = await planned(connection, question)
    found: dict[Place, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    levels = _LEVELS if plan.levels and _told(question) else ()
    pieces, cuts = between(question.span, question.cuts), question.cuts
    longest = step(cuts)

    def place(at: int, value: Any) -> dict[int, int]:
        return found[max(0, bisect_right(cuts, int(at)) - 1) if cuts else 0, value]

    for level in levels:
        ranges, pieces = whole(pieces, level.length)
        if ranges:
            units = max(1, longest // level.length)
            at = instants(level.table.c[level.column], units, level.length) if len(cuts) > 1 else None
            for when, value, index, number in await connection.execute(_of_sums(question, metric, level, ranges, at)):
                place(when, value)[index] += int(number)
    rest = merged(pieces)
    if rest:
        column = REQUEST.c[metric]
        at = instants(REQUEST.c.received_at, longest, 1) if len(cuts) > 1 else None
        query = select(func.count()).select_from(plan.rows)
        query = query.where(plan.matching, inside(REQUEST.c.received_at, rest), column.is_not(None))
        for when, value, number, times in await connection.execute(_grouped(query, at, plan.values[-1], column)):
            place(when, value)[bucket(number)] += int(times)
    return {where: {index: n for index, n in counts.items() if n > 0} for where, counts in found.items()}


def _told(question: Question) -> bool:
    """Whether histograms tell apart what is asked: they know providers and models."""
    group = question.group
    known = all(condition.field.column in _TOLD for condition in conditions(question.filter))
    return known and (group is None or group.by in ("provider", "model"))


def _of_sums(
    question: Question, metric: Metric, level: Level, ranges: list[tuple[int, int]], at: ColumnElement[int] | None
) -> Select[Any]:
    columns = level.table.c
    names = {"provider": columns.provider, ANSWERED_MODEL: columns.model}
    value = None if question.group is None else columns[question.group.by]
    if value is None and question.filter == ALL:
        matching: ColumnElement[bool] = and_(columns.provider == EVERY, columns.model == EVERY)
    else:
        matching = and_(
            columns.provider != EVERY,
            joined(question.filter, lambda one: compare(func.nullif(names[one.field.column], ""), one)),
        )
    own = and_(columns.organization_id == question.scope.organization, columns.metric == _METRICS[metric])
    query = select(func.sum(columns["count"])).where(own, matching, level.within(ranges))
    return _grouped(query, at, value, columns.bucket)


def _grouped(
    count: Select[Any], at: ColumnElement[int] | None, value: ColumnElement[Any] | None, number: ColumnElement[int]
) -> Select[Any]:
    instant = literal_column("0") if at is None else at
    told = null() if value is None else value
    query = count.with_only_columns(
        instant.label("at"), told.label("value"), number.label("number"), *count.selected_columns
    )
    return query.group_by(*(each for each in (at, value, number) if each is not None))
