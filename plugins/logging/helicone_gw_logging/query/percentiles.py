"""Percentiles: of durations and tokens, from histograms where they tell apart what is asked, else from the rows.

Rows are put into the same buckets, so that the numbers are the same either way: within one per cent of exact.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CompoundSelect,
    Integer,
    LargeBinary,
    Select,
    Table,
    and_,
    cast,
    func,
    literal_column,
    null,
    select,
    union_all,
)

from helicone_gw_logging.histograms import bucket
from helicone_gw_logging.measures import DAY_MS, HOUR_MS
from helicone_gw_logging.packing import unpacked
from helicone_gw_logging.query.columns import ANSWERED_MODEL
from helicone_gw_logging.query.cuts import step
from helicone_gw_logging.query.division import BESIDE, FEW, Part, counts_in, divided, table, within
from helicone_gw_logging.query.nodes import ALL, conditions
from helicone_gw_logging.query.patterns import Listed
from helicone_gw_logging.query.plan import Level, Question, planned
from helicone_gw_logging.query.sums import Place, instants_in, together
from helicone_gw_logging.query.where import compare, joined
from helicone_gw_logging.tables import REQUEST
from helicone_gw_logging.totals import ALL as EVERY
from helicone_gw_logging.totals import HISTOGRAM, HISTOGRAM_DAY, HISTOGRAM_PACKED, ROLLUP_DAY

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
AT_ONCE: Final = 1000
"""Rows that are looked at without anything between."""
MAX_PAIRS: Final = 2000
"""Providers times models up to which they are named one by one."""
_NO_INDEX: Final = cast(null(), Integer).label("index")
_NOT_PACKED: Final = cast(null(), LargeBinary).label("counts")
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
    division = divided(question.span, question.cuts, [level.length for level in levels], beyond=plan.complete)
    longest, in_buckets = step(question.cuts), len(question.cuts) > 1
    pairs = await _pairs(connection, question) if levels else None
    for number, level in enumerate(levels):
        for part in _pieces(division.parts(number, level.length)):
            counting = counts_in(part)
            queries = [
                _of_sums(question, metric, table, pairs, (part, counting), level.column, among)
                for table in ((level.table, HISTOGRAM_PACKED) if level.column == "day" else (level.table,))
            ]
            # One statement: what is packed meanwhile is in either of the two.
            async for some in _piecewise(connection, union_all(*queries)):
                for place, value, index, times, packed in some:
                    for into, sign in ((place, 1),) if counting is None else counting[place]:
                        there = found[into, value]
                        if packed is None:
                            there[index] += sign * int(times)
                            continue
                        for each, number_of in zip(*unpacked(packed), strict=True):
                            there[each] += sign * times * number_of
    column = REQUEST.c[metric]
    rows = select(func.count()).select_from(plan.rows).where(plan.matching, column.is_not(None))
    if plan.values[-1] is not None and among is not None:
        rows = rows.where(plan.values[-1].in_(among))
    own, beside = division.places(), division.places(BESIDE)
    for sign, several, places in ((1, division.rest, own), (-1, division.less[-1], beside)):
        for ranges in together(several):
            at = instants_in(ranges, longest) if in_buckets else 0
            for query in within(rows, REQUEST.c.received_at, ranges):
                asked = _listed if levels else _grouped
                async for when, value, counts in asked(connection, query, at, plan.values[-1], column):
                    for place, each in places(when):
                        for index, times in counts.items():
                            found[place, value][index] += sign * each * times
    every = {where: {index: n for index, n in each.items() if n > 0} for where, each in found.items()}
    return {where: each for where, each in every.items() if each}


async def _piecewise(
    connection: AsyncConnection, query: Select[Any] | CompoundSelect[Any]
) -> AsyncIterator[Sequence[Any]]:
    """Rows, which may be many: whoever else waits for this thread gets a turn between a thousand of them."""
    async with connection.stream(query) as result:
        async for some in result.partitions(AT_ONCE):
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


def _pieces(parts: Sequence[Part]) -> Iterator[Sequence[Part]]:
    """The parts that one statement is asked for."""
    if len(parts) > FEW:
        yield parts
    else:
        yield from ([part] for part in parts)


def _of_sums(
    question: Question,
    metric: Metric,
    counts: Table,
    pairs: tuple[list[str], list[str]] | None,
    asked: tuple[Sequence[Part], Mapping[int, Sequence[tuple[int, int]]] | None],
    unit: str,
    among: Sequence[Any] | None,
) -> Select[Any]:
    """Buckets of time (units, where it is known in which buckets these count), values, indexes in the histogram and how
    many requests there are; or, in place of indexes, whether it adds or takes away, and what is packed."""
    columns, (parts, units) = counts.c, asked
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
    own = and_(columns.organization_id == question.scope.organization, columns.metric == _METRICS[metric], matching)
    value = None if question.group is None else columns[question.group.by]
    if value is not None and among is not None:
        own = and_(own, value.in_(among))
    place: ColumnElement[Any]
    sign: ColumnElement[Any]
    if len(parts) == 1:
        number, adds, (first, last) = parts[0]
        place, sign = literal_column(str(number), BigInteger), literal_column(str(adds), BigInteger)
        own = and_(own, columns[unit] >= first, columns[unit] < last)
    elif units is not None:
        place, sign = columns[unit], literal_column("1", BigInteger)
        own = and_(own, place.in_(sorted(units)))
    else:
        pieces, inside = table(parts, columns[unit])
        place, sign, own = pieces.c.number, pieces.c.sign, and_(own, inside)
    told = (null() if value is None else value).label("value")
    if counts is HISTOGRAM_PACKED:
        return select(place.label("place"), told, _NO_INDEX, sign.label("times"), columns.counts).where(own)
    times = func.sum(columns["count"] * sign).label("times")
    query = select(place.label("place"), told, columns.bucket.label("index"), times, _NOT_PACKED).where(own)
    grouped = [each for each in (None if len(parts) == 1 else place, value, columns.bucket) if each is not None]
    return query.group_by(*grouped)


async def _listed(
    connection: AsyncConnection,
    count: Select[Any],
    at: ColumnElement[int] | int,
    value: ColumnElement[Any] | None,
    number: ColumnElement[int],
) -> AsyncIterator[tuple[int, Any, Counts]]:
    """Instants and values, with the histogram of each: of few requests, whose numbers come as one text and are put into
    buckets here. Rows of their own would take five times as long."""
    for when, told, listed in await connection.execute(_told_by(count, at, value, Listed(number), (at, value))):
        if listed is not None:
            yield when, told, Counter(map(bucket, map(int, listed.split(","))))


async def _grouped(
    connection: AsyncConnection,
    count: Select[Any],
    at: ColumnElement[int] | int,
    value: ColumnElement[Any] | None,
    number: ColumnElement[int],
) -> AsyncIterator[tuple[int, Any, Counts]]:
    """The same of many: each number with how often it is there."""
    query = _told_by(count, at, value, number, (at, value, number)).add_columns(*count.selected_columns)
    async for some in _piecewise(connection, query):
        for when, told, one, times in some:
            yield when, told, {bucket(one): int(times)}


def _told_by(
    count: Select[Any],
    at: ColumnElement[int] | int,
    value: ColumnElement[Any] | None,
    number: ColumnElement[Any],
    groups: Sequence[ColumnElement[Any] | int | None],
) -> Select[Any]:
    instant = literal_column(str(at), BigInteger) if isinstance(at, int) else at
    told = null() if value is None else value
    query = count.with_only_columns(instant.label("at"), told.label("value"), number.label("number"))
    return query.group_by(*(each for each in groups if each is not None and not isinstance(each, int)))
