"""Active: how many different users there were, in all and by bucket of time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace
from sqlalchemy import BigInteger, ColumnElement, Select, func, literal_column, select, union_all

from helicone_gw_logging.query.division import FEW, Division, Part, table
from helicone_gw_logging.query.nodes import FilterError
from helicone_gw_logging.query.plan import Group, Plan, Question, planned
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
    division = plan.divided(question)
    every = union_all(*_seen(plan, division)).subquery()
    # A day that lies in two buckets is counted in one of them, and what is the other's is taken away there.
    there = select(every.c.number, every.c.value).group_by(every.c.number, every.c.value)
    users = there.having(func.sum(every.c.requests) > 0).subquery()
    query = select(users.c.number, func.count()).group_by(users.c.number)
    return {int(number): int(count) for number, count in await connection.execute(query)}


def _seen(plan: Plan, division: Division) -> list[Select[Any]]:
    """Of each table: buckets, the users that are in them, and with how many requests."""
    found: list[Select[Any]] = []
    for number, (level, condition, value) in enumerate(zip(plan.levels, plan.conditions, plan.values, strict=False)):
        columns = level.table.c
        parts = division.parts(number, level.length)
        if parts:
            found += [each.where(condition) for each in _of(parts, columns[level.column], value, columns.requests)]
    parts = division.parts(None)
    if parts or not found:
        one: ColumnElement[Any] = literal_column("1", BigInteger)
        some = _of(parts or [(0, 1, (0, 0))], REQUEST.c.received_at, plan.values[-1], one)
        found += [each.where(plan.matching) for each in some]
    return found


def _of(
    parts: Sequence[Part], column: ColumnElement[int], value: Any, requests: ColumnElement[Any]
) -> Iterator[Select[Any]]:
    if len(parts) <= FEW:
        for number, sign, (first, last) in parts:
            times = literal_column(str(sign), BigInteger) * requests
            bucket = literal_column(str(number), BigInteger)
            query = select(bucket.label("number"), value.label("value"), times.label("requests"))
            yield query.where(column >= first, column < last)
        return
    pieces, inside = table(parts, column)
    query = select(pieces.c.number, value.label("value"), (pieces.c.sign * requests).label("requests"))
    yield query.where(inside)
