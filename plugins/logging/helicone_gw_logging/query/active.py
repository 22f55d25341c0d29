"""Active: how many different users there were, in all and by bucket of time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace
from sqlalchemy import ColumnElement, Select, and_, func, literal_column, select, union_all

from helicone_gw_logging.query.cuts import Range, between, merged, whole
from helicone_gw_logging.query.division import divided, table
from helicone_gw_logging.query.nodes import FilterError
from helicone_gw_logging.query.plan import Group, Plan, Question, planned
from helicone_gw_logging.query.spans import Span
from helicone_gw_logging.query.sums import answered
from helicone_gw_logging.tables import REQUEST

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

MAX_BUCKETS: Final = 240
"""Buckets of time of which each is told its number of users."""


async def active(connection: AsyncConnection, question: Question) -> dict[int, int]:
    """How many users each bucket has, by its number; 0 where there are no buckets and it is one number for all.

    Raises `FilterError` for what cannot be asked, and for more than `MAX_BUCKETS`.
    """
    if len(question.cuts) > MAX_BUCKETS:
        raise FilterError(f"users: they are counted in at most {MAX_BUCKETS} buckets; take a longer dbIncrement")
    question = replace(question.narrowed(), group=Group("user"))
    if question.span.start >= question.span.end:
        return {}
    plan = await planned(connection, question)
    if not plan.complete:
        plan = replace(plan, levels=(), conditions=(), values=plan.values[-1:])
    division = divided(question.span, question.cuts, [level.length for level in plan.levels])
    if division.homes:
        # Days that lie in two buckets: users are told apart by how many requests they have there.
        found = Counter(bucket for bucket, _ in await answered(connection, question, plan, ["requests"]))
        return dict(found)
    pieces = between(question.span, question.cuts)
    several = [*_seen(plan, pieces)]
    every = union_all(*several).subquery()
    query = select(every.c.number, func.count(func.distinct(every.c.value))).group_by(every.c.number)
    # The first piece may begin in a bucket behind the first one, where the filter names a time.
    skipped = sum(cut <= question.span.start for cut in question.cuts[1:])
    return {int(number) + skipped: int(users) for number, users in await connection.execute(query)}


def _seen(plan: Plan, pieces: Sequence[Span]) -> list[Select[Any]]:
    """Of each table: numbers of pieces, and the users that are in them."""
    rest = [*enumerate(pieces)]
    found: list[Select[Any]] = []
    for level, condition, value in zip(plan.levels, plan.conditions, plan.values, strict=False):
        there: list[tuple[int, Range]] = []
        left: list[tuple[int, Span]] = []
        for number, piece in rest:
            ranges, beside = whole([piece], level.length)
            there += [(number, one) for one in ranges]
            left += [(number, one) for one in beside]
        rest = left
        if there:
            columns = level.table.c
            found.append(_of(there, columns[level.column], value).where(condition, columns.requests > 0))
    pairs = [(number, one) for number, piece in rest for one in merged([piece])]
    if pairs or not found:
        query = _of(pairs or [(0, (0, 0))], REQUEST.c.received_at, plan.values[-1])
        found.append(query.where(plan.matching))
    return found


def _of(pairs: Sequence[tuple[int, Range]], column: ColumnElement[int], value: Any) -> Select[Any]:
    if len(pairs) == 1:
        ((number, (first, last)),) = pairs
        return select(literal_column(str(number)).label("number"), value.label("value")).where(
            column >= first, column < last
        )
    pieces = table(pairs)
    return select(pieces.c.number, value.label("value")).where(and_(column >= pieces.c.first, column < pieces.c.last))
