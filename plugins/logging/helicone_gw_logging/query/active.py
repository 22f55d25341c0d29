"""Active: how many different users there were, in all and by bucket of time.

Days that are over have their users noted (`helicone_gw_logging.presence`); what lies beside them, and what is asked
with a filter, is counted by sums and rows.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct, field
from msgspec.structs import replace
from sqlalchemy import BigInteger, ColumnElement, Select, and_, func, literal_column, select, union_all

from helicone_gw_logging.measures import DAY_MS, HOUR_MS
from helicone_gw_logging.presence import HOURS, bits_of, noted
from helicone_gw_logging.query.cuts import Range, between
from helicone_gw_logging.query.division import FEW, Part, table
from helicone_gw_logging.query.nodes import ALL, FilterError
from helicone_gw_logging.query.plan import Group, Plan, Question, planned
from helicone_gw_logging.query.spans import Span
from helicone_gw_logging.tables import REQUEST
from helicone_gw_logging.totals import DIMENSION_DAY, EVERY, OTHER, USER_NUMBER

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
    if question.filter == ALL and question.scope.whole:
        days = await _days(connection, question)
        if days.whole or days.hours:
            return await _with_noted(connection, question, days)
    plan = await planned(connection, question)
    if not plan.complete:
        plan = _of_rows(plan)
    division = plan.divided(question)
    levels = [division.parts(number, level.length) for number, level in enumerate(plan.levels)]
    # A day that lies in two buckets is counted in one of them, and what is the other's is taken away there.
    there = _users(plan, [*levels, division.parts(None)]).subquery()
    query = select(there.c.number, func.count()).group_by(there.c.number)
    return {int(number): int(count) for number, count in await connection.execute(query)}


class _Days(Struct, frozen=True):
    """The days on which there were requests, in their order, and what is noted of those that are over: the bits of some
    as a whole, of others by the hour."""

    there: Sequence[int]
    whole: Mapping[int, list[int]]
    hours: Mapping[int, list[int]]

    def of(self, first: int, last: int) -> Sequence[int]:
        """Those of which an hour from ``first`` (inclusive) to ``last`` (exclusive) is part."""
        return self.there[bisect_left(self.there, first // HOURS) : bisect_left(self.there, -(-last // HOURS))]


class _Rest(Struct):
    """What is not known so, in days, hours and milliseconds."""

    days: list[Part] = field(default_factory=list)
    hours: list[Part] = field(default_factory=list)
    rows: list[Part] = field(default_factory=list)

    def only_rows(self) -> _Rest:
        """All of it, to be read from rows."""
        rows = list(self.rows)
        for length, parts in ((DAY_MS, self.days), (HOUR_MS, self.hours)):
            rows += [(number, sign, (first * length, last * length)) for number, sign, (first, last) in parts]
        return _Rest(rows=rows)

    def span(self) -> Span:
        """From its beginning to its end."""
        ranges = [each for _, _, each in self.only_rows().rows]
        return Span(min(start for start, _ in ranges), max(end for _, end in ranges))


async def _days(connection: AsyncConnection, question: Question) -> _Days:
    """The noted days that are part of the time that is asked about."""
    span, organization, wanted = question.span, question.scope.organization, (set[int](), set[int]())
    columns = DIMENSION_DAY.c
    own = and_(columns.organization_id == organization, columns.dimension == EVERY)
    inside = and_(columns.day >= span.start // DAY_MS, columns.day <= span.end // DAY_MS)
    there = [*await connection.scalars(select(columns.day).where(own, inside).order_by(columns.day))]
    days = _Days(there, {}, {})
    for piece in between(span, question.cuts[1:]):
        first, last = -(-piece.start // HOUR_MS), piece.end // HOUR_MS
        for day in days.of(first, last) if first < last else ():
            wanted[first > day * HOURS or last < (day + 1) * HOURS].add(day)
    whole, hours = [
        await noted(connection, organization, some, by_hour=number > 0) if some else {}
        for number, some in enumerate(wanted)
    ]
    return _Days(there, whole, hours)


async def _with_noted(connection: AsyncConnection, question: Question, days: _Days) -> dict[int, int]:
    bits: dict[int, int] = defaultdict(int)
    rest, cuts = _Rest(), question.cuts
    for piece in between(question.span, cuts[1:]):
        bucket = max(0, bisect_right(cuts, piece.start) - 1)
        bits[bucket] |= _noted(bucket, piece.start, piece.end, days, rest)
    # Who has no number is new: no noted day has them.
    new: dict[int, int] = defaultdict(int)
    numbers: dict[int, list[int]] = defaultdict(list)
    async for bucket, number in _beside(connection, question, rest):
        if number is None:
            new[bucket] += 1
        else:
            numbers[bucket].append(number)
    for bucket, some in numbers.items():
        bits[bucket] |= bits_of(some)
    return {bucket: each.bit_count() + new[bucket] for bucket, each in bits.items() if each or new[bucket]}


def _noted(bucket: int, start: int, end: int, days: _Days, rest: _Rest) -> int:
    """The bits of all that is noted between two instants (of one bucket); what is not is added to ``rest``."""
    first, last = -(-start // HOUR_MS), end // HOUR_MS
    if first >= last:
        rest.rows.append((bucket, 1, (start, end)))
        return 0
    _edge(bucket, (start, first * HOUR_MS), first - 1, rest)
    _edge(bucket, (last * HOUR_MS, end), last, rest)
    bits = 0
    for day in days.of(first, last):
        begin, until = max(first, day * HOURS), min(last, (day + 1) * HOURS)
        whole = until - begin == HOURS
        if whole and day in days.whole:
            bits |= days.whole[day][0]
        elif whole:
            rest.days.append((bucket, 1, (day, day + 1)))
        elif day in days.hours:
            for each in days.hours[day][begin - day * HOURS : until - day * HOURS]:
                bits |= each
        else:
            rest.hours.append((bucket, 1, (begin, until)))
    return bits


def _edge(bucket: int, part: Range, hour: int, rest: _Rest) -> None:
    """A part of an hour, by its rows, or by all of the hour and the rows beside: whichever are fewer."""
    start, end = hour * HOUR_MS, (hour + 1) * HOUR_MS
    if part[0] >= part[1]:
        return
    if 2 * (part[1] - part[0]) <= HOUR_MS:
        rest.rows.append((bucket, 1, part))
        return
    rest.hours.append((bucket, 1, (hour, hour + 1)))
    beside = (start, part[0]) if part[0] > start else (part[1], end)
    rest.rows.append((bucket, -1, beside))


async def _beside(
    connection: AsyncConnection, question: Question, rest: _Rest
) -> AsyncIterator[tuple[int, int | None]]:
    """The users of ``rest``, each once a bucket, by their numbers (``None``: they have none)."""
    if not (rest.days or rest.hours or rest.rows):
        return
    plan = await planned(connection, replace(question, span=rest.span()))
    if not plan.levels or await _folded(connection, question, rest):
        rest, plan = rest.only_rows(), _of_rows(plan)
    parts = [rest.days, rest.hours, rest.rows] if plan.levels else [rest.rows]
    there = _users(plan, parts).subquery()
    own = and_(USER_NUMBER.c.organization_id == question.scope.organization, USER_NUMBER.c.user_id == there.c.value)
    query = select(there.c.number, USER_NUMBER.c.number).select_from(there.outerjoin(USER_NUMBER, own))
    for bucket, number in await connection.execute(query):
        yield int(bucket), None if number is None else int(number)


async def _folded(connection: AsyncConnection, question: Question, rest: _Rest) -> bool:
    """Whether sums do not tell all users of the rest apart."""
    days = {day for _, _, (first, last) in rest.days for day in range(first, last)}
    days |= {first // HOURS for _, _, (first, _) in rest.hours}
    columns = DIMENSION_DAY.c
    own = and_(columns.organization_id == question.scope.organization, columns.dimension == "user")
    query = select(columns.day).where(own, columns.day.in_(days), columns.value == OTHER)
    return bool(days) and await connection.scalar(query.limit(1)) is not None


def _of_rows(plan: Plan) -> Plan:
    return replace(plan, levels=(), conditions=(), values=plan.values[-1:])


def _users(plan: Plan, parts: Sequence[Sequence[Part]]) -> Select[Any]:
    """Buckets with the users that are in them (``number``, ``value``): of the parts of each level, and of rows."""
    every = union_all(*_seen(plan, parts)).subquery()
    there = select(every.c.number, every.c.value).group_by(every.c.number, every.c.value)
    return there.having(func.sum(every.c.requests) > 0)


def _seen(plan: Plan, parts: Sequence[Sequence[Part]]) -> list[Select[Any]]:
    """Of each table: buckets, the users that are in them, and with how many requests."""
    found: list[Select[Any]] = []
    for some, level, condition, value in zip(parts, plan.levels, plan.conditions, plan.values, strict=False):
        columns = level.table.c
        if some:
            found += [each.where(condition) for each in _of(some, columns[level.column], value, columns.requests)]
    if parts[-1] or not found:
        one: ColumnElement[Any] = literal_column("1", BigInteger)
        rows = _of(parts[-1] or [(0, 1, (0, 0))], REQUEST.c.received_at, plan.values[-1], one)
        found += [each.where(plan.matching) for each in rows]
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
