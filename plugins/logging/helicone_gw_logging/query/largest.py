"""Largest: the values with the largest sums; users of a long time without summing up everybody.

What a user came to in a time is no more than what they ever came to, which is known of all of them. Those who are ahead
there are looked at; once the last of the wanted ones has more than the first of the others ever had, these are right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace
from sqlalchemy import ColumnElement, func, literal_column, select, union_all

from helicone_gw_logging.measures import DAY_MS
from helicone_gw_logging.presence import all_users_are_kept
from helicone_gw_logging.query.nodes import ALL
from helicone_gw_logging.query.plan import Plan, Question
from helicone_gw_logging.query.sums import Place, Sums, answered, statements
from helicone_gw_logging.totals import SUMMARY_SUMS, USER

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

SHORT: Final = 3 * DAY_MS
"""Milliseconds of a time up to which summing up everybody costs less."""
MOST: Final = 100
"""Users that are wanted at most."""


_FEW_VALUES: Final = frozenset({"model", "provider", "status", "source", "owner", "cached"})
"""What has few values as a rule: all of them are summed up at once, and those that are shown chosen afterwards."""


async def ranked(
    connection: AsyncConnection,
    question: Question,
    plan: Plan,
    sums: tuple[str, str | None],
    names: Sequence[str],
    limit: int,
    offset: int = 0,
) -> tuple[list[Any], Mapping[Place, Sums]]:
    """What `largest` says, and the sums of ``names`` of each of them (place 0)."""
    question = replace(question, cuts=())
    if question.group is None or question.group.by not in _FEW_VALUES:
        values = await largest(connection, question, plan, sums, limit, offset)
        return values, await answered(connection, question, plan, names, values)
    wanted = [*dict.fromkeys([*names, "requests", *(name for name in sums if name is not None)])]
    found = await answered(connection, question, plan, wanted)

    def order(value: Any) -> tuple[Any, ...]:
        amount, divisor = found[0, value][sums[0]], 1 if sums[1] is None else found[0, value][sums[1]]
        return (not divisor, -amount / divisor if sums[1] is not None and divisor else -amount, value)

    there = sorted((value for _, value in found if found[0, value]["requests"] > 0), key=order)
    return there[offset : offset + limit], found


async def largest(
    connection: AsyncConnection,
    question: Question,
    plan: Plan,
    sums: tuple[str, str | None],
    limit: int,
    offset: int = 0,
) -> list[Any]:
    """The values whose sum (of two: whose quotient) is largest, in order; those alike by value."""
    if sums[1] is None:
        leaders = await _leaders(connection, question, plan, sums[0], limit, offset)
        if leaders is not None:
            return leaders
    names = [name for name in sums if name is not None]
    question = replace(question, cuts=())
    division = plan.divided(question)
    wanted = ["requests", *(name for name in names if name != "requests")]
    several = union_all(*(statement for _, statement in statements(question, plan, division, wanted)))
    every = several.subquery()
    amount: ColumnElement[Any] = func.sum(every.c[names[0]])
    if len(names) == 2:
        divisor = func.sum(every.c[names[1]])
        amount = amount * literal_column("1.0") / func.nullif(divisor, 0)
    query = select(every.c.value).group_by(every.c.value).having(func.sum(every.c.requests) > 0)
    query = query.order_by(amount.desc().nulls_last(), every.c.value).limit(limit).offset(offset)
    return [*await connection.scalars(query)]


async def _leaders(
    connection: AsyncConnection, question: Question, plan: Plan, name: str, limit: int, offset: int = 0
) -> list[str] | None:
    """Users by their sum ``name`` in the time that is asked about, those alike by id; ``None`` where that is not told
    by those who are ahead."""
    wanted, span = offset + limit, question.span
    if question.group is None or question.group.by != "user" or question.filter != ALL or wanted > MOST:
        return None
    if not (plan.levels and plan.complete) or name not in SUMMARY_SUMS or span.end - span.start <= SHORT:
        return None
    if not await all_users_are_kept(connection, question.scope.organization):
        return None
    ever = USER.c[name]
    there = select(USER.c.user_id, ever).where(question.scope.of(USER), USER.c.last_at >= span.start)
    ahead = [
        *await connection.execute(
            there.where(USER.c.first_at < span.end).order_by(ever.desc(), USER.c.user_id).limit(2 * wanted + 1)
        )
    ]
    looked_at, others = ahead[: 2 * wanted], ahead[2 * wanted :]
    names = [name] if name == "requests" else [name, "requests"]
    found = await answered(connection, replace(question, cuts=()), plan, names, [user for user, _ in looked_at])
    sums = [(user, found[0, user]) for user, _ in looked_at if found.get((0, user), {}).get("requests")]
    sums.sort(key=lambda each: (-each[1][name], each[0]))
    # Of those who are alike, others may come first.
    if others and (len(sums) < wanted or sums[wanted - 1][1][name] <= others[0][1]):
        return None
    return [user for user, _ in sums[offset:wanted]]
