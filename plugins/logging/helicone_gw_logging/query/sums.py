"""Sums: what the requests that a question is about come to, by bucket of time and by what they are told apart by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import add, sub
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BigInteger, ColumnElement, Select, case, func, literal_column, null, select

from helicone_gw_logging.query.cuts import Range, step
from helicone_gw_logging.query.division import BESIDE, FEW, Division, within
from helicone_gw_logging.query.plan import Plan, Question, planned
from helicone_gw_logging.query.sorts import is_cached
from helicone_gw_logging.tables import REQUEST
from helicone_gw_logging.totals import SUMS

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

Sums = dict[str, int]
"""A number for every name of `totals.SUMS`."""
Place = tuple[int, Any]
"""The number of a bucket, and a value of what requests are told apart by (``None`` where they are not)."""


_COLUMNS: Final = {"latency_sum": REQUEST.c.latency, "first_token_sum": REQUEST.c.time_to_first_token}
_COUNTED: Final = {"latency_count": REQUEST.c.latency, "first_token_count": REQUEST.c.time_to_first_token}
_UNKNOWN: Final = {"unknown_tokens": REQUEST.c.total_tokens, "unknown_costs": REQUEST.c.cost_nano_usd}
_SUCH: Final[dict[str, ColumnElement[bool]]] = {
    "errors": REQUEST.c.outcome != "ok",
    "estimated_tokens": REQUEST.c.usage_estimated.is_(True),
    "cache_hits": is_cached(),
    "threats": REQUEST.c.threat.is_(True),
    "ratelimited": (REQUEST.c.status == 429) & (REQUEST.c.outcome == "refused"),
}
"""What one request adds to a sum, as `helicone_gw_logging.rollups` has it; the other sums are of columns."""


def of_rows(name: str) -> ColumnElement[int]:
    """The sum of that name over rows. What is unknown is left out by the sum itself, once and not in every row."""
    if name == "requests":
        return func.count()
    if name in _UNKNOWN:
        return func.count() - func.count(_UNKNOWN[name])
    if name in _COUNTED:
        return func.count(_COUNTED[name])
    if name in _SUCH:
        return func.count(case((_SUCH[name], 1)))
    return func.coalesce(func.sum(_COLUMNS.get(name, REQUEST.c.get(name))), 0)


async def summed(connection: AsyncConnection, question: Question, names: Sequence[str] = SUMS) -> dict[Place, Sums]:
    """The sums of ``names``, by bucket and value; where there were no requests, nothing.

    Raises `nodes.FilterError` for what cannot be asked.
    """
    question = question.narrowed()
    return await answered(connection, question, await planned(connection, question), names)


async def answered(
    connection: AsyncConnection,
    question: Question,
    plan: Plan,
    names: Sequence[str] = SUMS,
    among: Sequence[Any] | None = None,
) -> dict[Place, Sums]:
    """The same, where it is known how the question is answered; only of the values ``among`` which they shall be."""
    found: dict[Place, list[int]] = {}
    division = plan.divided(question)
    for length, statement in statements(question, plan, division, names, among):
        places = division.places(length)
        for at, value, *sums in await connection.execute(statement):
            numbers = [int(number or 0) for number in sums]
            for bucket, sign in places(at):
                before = found.get((bucket, value))
                if before is None:
                    found[bucket, value] = numbers if sign > 0 else [-number for number in numbers]
                elif sign > 0:
                    found[bucket, value] = [*map(add, before, numbers)]
                else:
                    found[bucket, value] = [*map(sub, before, numbers)]
    return {place: dict(zip(names, sums, strict=True)) for place, sums in found.items() if any(sums)}


def statements(
    question: Question, plan: Plan, division: Division, names: Sequence[str], among: Sequence[Any] | None = None
) -> Iterator[tuple[int, Select[Any]]]:
    """What is asked of each table, with the length of its units (0: of the rows): instants, values, and the sums.

    What is to be taken away, sums below zero, has `BESIDE` for a length.
    """
    longest, in_buckets = step(question.cuts), len(question.cuts) > 1
    for level, condition, value, ranges, less in zip(
        plan.levels, plan.conditions, plan.values, division.ranges, division.less, strict=False
    ):
        columns = level.table.c
        at = instants(columns[level.column], longest, level.length) if in_buckets else None
        sums = _selected([func.sum(columns[name]).label(name) for name in names]).where(condition)
        for some in within(sums, columns[level.column], ranges, singly=among is not None):
            yield level.length, _grouped(some, at, value, among)
        sums = _selected([(-func.sum(columns[name])).label(name) for name in names]).where(condition)
        for some in within(sums, columns[level.column], less, singly=among is not None):
            yield BESIDE, _grouped(some, at, value, among)
    rows = _selected([of_rows(name).label(name) for name in names]).select_from(plan.rows).where(plan.matching)
    # Without a time at all, nothing is asked, in a form that can still be joined to others.
    nowhere = [] if any(division.ranges) else [(0, 0)]
    for pieces in together(division.rest or nowhere):
        when = instants_in(pieces, longest) if in_buckets else None
        for some in within(rows, REQUEST.c.received_at, pieces):
            yield 0, _grouped(some, when, plan.values[-1], among)
    negative = _selected([(-of_rows(name)).label(name) for name in names])
    negative = negative.select_from(plan.rows).where(plan.matching)
    for pieces in together(division.less[-1]):
        when = instants_in(pieces, longest) if in_buckets else None
        for some in within(negative, REQUEST.c.received_at, pieces):
            yield BESIDE, _grouped(some, when, plan.values[-1], among)


def _selected(columns: Sequence[Any]) -> Select[Any]:
    return select(*columns)


def instants(column: ColumnElement[int], longest: int, length: int) -> ColumnElement[int]:
    """The beginning of the piece of ``longest`` milliseconds in which ``column`` is, one being ``length`` of them.

    Numbers are written out, not bound: grouping by what is bound twice is refused by Postgres.
    """
    units = max(1, longest // length)
    one = _number(units * length)
    return column * one if units == 1 else column // _number(units) * one


def together(ranges: Sequence[Range]) -> Iterator[Sequence[Range]]:
    """Ranges of epoch milliseconds that one statement is asked for: each of few, else all."""
    if len(ranges) > FEW:
        yield ranges
    else:
        yield from ([each] for each in ranges)


def instants_in(ranges: Sequence[Range], longest: int) -> ColumnElement[int] | int:
    """`instants` of requests in ``ranges``: a number, where it is the same for all, so that nothing has to be put into
    groups, which takes half as long as adding up."""
    first, last = ranges[0][0] // longest, (ranges[-1][1] - 1) // longest
    return first * longest if first == last else instants(REQUEST.c.received_at, longest, 1)


def _number(number: int) -> ColumnElement[int]:
    return literal_column(str(number), BigInteger)


def _grouped(
    sums: Select[Any],
    at: ColumnElement[int] | int | None,
    value: ColumnElement[Any] | None,
    among: Sequence[Any] | None = None,
) -> Select[Any]:
    instant = _number(at or 0) if at is None or isinstance(at, int) else at
    told = null() if value is None else value
    if value is not None and among is not None:
        sums = sums.where(value.in_(among))
    query = sums.with_only_columns(instant.label("at"), told.label("value"), *sums.selected_columns)
    return query.group_by(*(each for each in (at, value) if each is not None and not isinstance(each, int)))
