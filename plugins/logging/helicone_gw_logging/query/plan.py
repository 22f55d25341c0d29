"""Plan: which tables answer a question about many requests: sums, where they tell what is asked apart, else the rows.

Sums are by the hour, those of dimensions by the day as well. What lies beside whole hours is always read from the rows,
and so is what is asked by anything that sums do not know. Either way the numbers are the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import ColumnElement, FromClause, Table, and_, func, literal, select

from helicone_gw_logging.measures import DAY_MS, HOUR_MS
from helicone_gw_logging.query.columns import ANSWERED_MODEL, STATUS
from helicone_gw_logging.query.division import Division, divided
from helicone_gw_logging.query.nodes import ALL, Both, Condition, Node, conditions
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.spans import Span
from helicone_gw_logging.query.where import MODEL, compare, joined, property_key, where
from helicone_gw_logging.rollups import UNTOLD
from helicone_gw_logging.tables import PROPERTY, REQUEST
from helicone_gw_logging.texts import NAME_BYTES, VALUE_START_BYTES, text
from helicone_gw_logging.totals import ALL as SUMMED
from helicone_gw_logging.totals import DIMENSION, DIMENSION_DAY, EVERY, OTHER, PROPERTY_KEY, ROLLUP, ROLLUP_DAY

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

By = Literal[
    "model",
    "provider",
    "status",
    "source",
    "owner",
    "cached",
    "user",
    "session_name",
    "prompt",
    "country",
    "key",
    "property",
    "session",
    "outcome",
    "error",
    "path",
]
"""What requests can be told apart by: "owner" is whose key it was, "session" an id, "error" a failure's code, else how
it ended."""

ROWS_INSTEAD: Final = 200_000
"""Where an hour had more values than are told apart, up to so many requests are read instead of the sums."""

_IN_ROLLUPS: Final[dict[str, str]] = {
    "model": "model",
    "provider": "provider",
    "status": "status",
    "source": "source",
    "owner": "key_owner",
    "cached": "cache_hit",
}
_IN_DIMENSIONS: Final[dict[str, ColumnElement[Any]]] = {
    "user": REQUEST.c.user_id,
    "session_name": REQUEST.c.session_name,
    "prompt": REQUEST.c.prompt_id,
    "country": REQUEST.c.country_code,
    "key": REQUEST.c.key_id,
    "error": func.coalesce(func.nullif(REQUEST.c.error_code, ""), REQUEST.c.outcome),
}
_DIMENSIONS: Final = {"session_name": "session"}
_FOLDED: Final = frozenset({"model", "provider"})
_DAYS: Final = 500
_IN_ROWS: Final[dict[str, ColumnElement[Any]]] = {
    "model": func.coalesce(MODEL, ""),
    "provider": func.coalesce(REQUEST.c.provider, ""),
    "status": func.coalesce(REQUEST.c.status, 0),
    "source": REQUEST.c.source,
    "owner": func.coalesce(REQUEST.c.key_owner, ""),
    "cached": func.coalesce(REQUEST.c.cache_status, "").in_(("hit", "joined")),
    "session": REQUEST.c.session_id,
    "outcome": REQUEST.c.outcome,
    "path": REQUEST.c.path,
    **_IN_DIMENSIONS,
}
_BY_COLUMN: Final[dict[str, str]] = {
    "user_id": "user",
    "session_name": "session_name",
    "prompt_id": "prompt",
    "country_code": "country",
    "key_id": "key",
}
_ROLLUP_COLUMNS: Final[dict[str, str]] = {
    "provider": "provider",
    ANSWERED_MODEL: "model",
    STATUS: "status",
    "key_owner": "key_owner",
    "source": "source",
}


class Group(Struct, frozen=True):
    """What requests are told apart by; ``key`` is the property's."""

    by: By
    key: str = ""

    @property
    def dimension(self) -> str | None:
        """The name of its sums among `totals.DIMENSION`, if it has any there."""
        if self.by == "property":
            return f"property:{property_key(self.key)}"
        return _DIMENSIONS.get(self.by, self.by) if self.by in _IN_DIMENSIONS else None


class Question(Struct, frozen=True):
    """Which requests are asked about: those in ``span`` for which ``filter`` holds, told apart by ``group``.

    ``cuts`` is where the buckets begin (see `query.cuts`); empty: all of it is one.
    """

    scope: Scope
    span: Span
    filter: Node = ALL
    group: Group | None = None
    cuts: tuple[int, ...] = ()

    def narrowed(self) -> Question:
        """The same question, with the times that its filter names taken into the span."""
        start, end, rest = self.span.start, self.span.end, []
        parts = self.filter.parts if isinstance(self.filter, Both) and self.filter.operator == "and" else (self.filter,)
        for part in parts:
            at = _instant(part)
            if at is None:
                rest.append(part)
            elif at[0] == "from":
                start = max(start, at[1])
            else:
                end = min(end, at[1])
        if len(rest) == len(parts):
            return self
        node = rest[0] if len(rest) == 1 else Both("and", tuple(rest))
        return replace(self, span=Span(start, max(start, end)), filter=node)


def _instant(part: Node) -> tuple[Literal["from", "to"], int] | None:
    if not isinstance(part, Condition) or (part.field.source, part.field.column) != ("request", "received_at"):
        return None
    match part.operator:
        case "gte":
            return "from", part.value
        case "gt":
            return "from", part.value + 1
        case "lt":
            return "to", part.value
        case "lte":
            return "to", part.value + 1
    return None


class Level(Struct, frozen=True):
    """A table of sums: its column of time and how many milliseconds one unit of that is."""

    table: Table
    column: str
    length: int


class Plan(Struct, frozen=True):
    """How a question is answered: by the sums of ``levels``, longest units first, and by rows for what they leave over.

    ``conditions`` are of the levels in their order, ``values`` what tells requests apart, of the levels and then of the
    rows. ``complete``: False where some values were summed up as `totals.OTHER`. ``exact``: False where the rows beside
    the time that is asked about may be gone, so that they cannot be taken away from a longer sum.
    """

    levels: tuple[Level, ...]
    conditions: tuple[ColumnElement[bool], ...]
    values: tuple[ColumnElement[Any] | None, ...]
    rows: FromClause
    matching: ColumnElement[bool]
    complete: bool = True
    exact: bool = True

    def divided(self, question: Question) -> Division:
        """The time that is asked about, as the levels have it."""
        # Rows beside the span are taken away from sums only where sums have the same values.
        lengths = [level.length for level in self.levels]
        return divided(question.span, question.cuts, lengths, beyond=self.complete and self.exact)


async def planned(connection: AsyncConnection, question: Question) -> Plan:
    """How ``question``, which is narrowed, is answered. Raises `FilterError` for what cannot be asked."""
    rows = _of_rows(question)
    if not question.scope.whole:
        return rows
    if question.group is None and question.filter == ALL:
        return _of_dimension(question, rows, EVERY, SUMMED)
    group, asked = question.group, [*conditions(question.filter)]
    if (group is None or group.by in _IN_ROLLUPS) and all(map(_told_by_rollups, asked)):
        columns = {"model" if each.field.column == ANSWERED_MODEL else each.field.column for each in asked}
        for name in _FOLDED & columns:
            if await _folded(connection, question, name):
                return rows
        plan = _of_rollups(question, rows)
        if group is not None and group.by in _FOLDED and await _folded(connection, question, group.by):
            return await _instead(connection, question, plan, rows)
        return plan
    found = _dimension(question)
    if found is None:
        return rows
    dimension, value = found
    if dimension.startswith("property:") and not await _has_sums(connection, question.scope, dimension):
        return rows
    plan = _of_dimension(question, rows, dimension, value)
    if await _dimension_folded(connection, question, dimension):
        return rows if value is not None else await _instead(connection, question, plan, rows)
    return plan


def _of_rows(question: Question) -> Plan:
    group, source, value = question.group, REQUEST, None
    matching = where(question.filter, question.scope)
    if group is None:
        return Plan((), (), (None,), source, matching)
    if group.by == "property":
        same = and_(PROPERTY.c.seq == REQUEST.c.seq, PROPERTY.c.received_at == REQUEST.c.received_at)
        own = and_(
            PROPERTY.c.organization_id == question.scope.organization, PROPERTY.c.key_lower == property_key(group.key)
        )
        joined_rows = REQUEST.join(PROPERTY, same)
        return Plan((), (), (PROPERTY.c.value_start,), joined_rows, and_(matching, own))
    value = _IN_ROWS[group.by]
    if group.by in _IN_DIMENSIONS or group.by == "session":
        matching = and_(matching, value != "")
    if group.by == "error":
        matching = and_(matching, REQUEST.c.outcome != "ok")
    return Plan((), (), (value,), source, matching)


def _told_by_rollups(condition: Condition) -> bool:
    field, value, operator = condition.field, condition.value, condition.operator
    if field.source != "request" or field.column not in _ROLLUP_COLUMNS:
        return False
    if field.column == STATUS:
        # Those without one are told apart by their outcome, which sums do not know.
        values = value if operator == "in" else (value,)
        return all(isinstance(one, (int, float)) and one >= 1 for one in values)
    # What is unknown is "" there.
    return value != "" and operator not in ("like", "ilike") and not (operator == "in" and "" in value)


def _of_rollups(question: Question, rows: Plan) -> Plan:
    levels = Level(ROLLUP_DAY, "day", DAY_MS), Level(ROLLUP, "hour", HOUR_MS)
    matching, values = [], []
    for level in levels:
        columns = level.table.c

        def told(condition: Condition, columns: Any = columns) -> ColumnElement[bool]:
            column = columns[_ROLLUP_COLUMNS[condition.field.column]]
            # What is unknown is "" there, and 0 for a status.
            return compare(column if condition.field.column == STATUS else func.nullif(column, ""), condition)

        own = columns.organization_id == question.scope.organization
        matching.append(and_(own, joined(question.filter, told)))
        values.append(None if question.group is None else columns[_IN_ROLLUPS[question.group.by]])
    return Plan(levels, tuple(matching), (*values, *rows.values), rows.rows, rows.matching)


def _dimension(question: Question) -> tuple[str, str | None] | None:
    """The one dimension that answers, and the one value of it that is asked about (``None``: all)."""
    group, asked = question.group, question.filter
    if asked == ALL:
        dimension = None if group is None else group.dimension
        return None if dimension is None else (dimension, None)
    if not isinstance(asked, Condition) or asked.operator not in ("equals", "is") or not asked.value:
        return None
    if asked.field.source == "property":
        dimension = f"property:{property_key(asked.key or '')}"
        value, longest = text(asked.value), VALUE_START_BYTES
    elif asked.field.source == "request" and asked.field.column in _BY_COLUMN:
        dimension = Group(_BY_COLUMN[asked.field.column]).dimension or ""  # type: ignore[arg-type]
        value, longest = text(asked.value, NAME_BYTES), NAME_BYTES
    else:
        return None
    if not value or value == OTHER or len(value.encode()) >= longest:
        return None
    return (dimension, value) if group is None or group.dimension == dimension else None


def _of_dimension(question: Question, rows: Plan, dimension: str, value: str | None) -> Plan:
    levels = Level(DIMENSION_DAY, "day", DAY_MS), Level(DIMENSION, "hour", HOUR_MS)
    matching = []
    for level in levels:
        columns = level.table.c
        own = and_(columns.organization_id == question.scope.organization, columns.dimension == dimension)
        matching.append(own if value is None else and_(own, columns.value == value))
    values = (DIMENSION_DAY.c.value, DIMENSION.c.value) if question.group is not None else (None, None)
    return Plan(levels, tuple(matching), (*values, *rows.values), rows.rows, rows.matching)


async def _instead(connection: AsyncConnection, question: Question, plan: Plan, rows: Plan) -> Plan:
    """What answers where some values are summed up as one: the rows, unless they are very many."""
    columns = ROLLUP_DAY.c
    own = columns.organization_id == question.scope.organization
    there = await connection.scalar(select(func.sum(columns.requests)).where(own, _days(question, columns.day)))
    return rows if int(there or 0) <= ROWS_INSTEAD else replace(plan, complete=False)


async def _folded(connection: AsyncConnection, question: Question, name: str) -> bool:
    columns = ROLLUP_DAY.c
    own = and_(columns.organization_id == question.scope.organization, _days(question, columns.day))
    query = select(literal(1)).where(own, columns[name] == OTHER)
    return await connection.scalar(query.limit(1)) is not None


async def _dimension_folded(connection: AsyncConnection, question: Question, dimension: str) -> bool:
    columns = DIMENSION_DAY.c
    first, last = question.span.start // DAY_MS, question.span.end // DAY_MS
    # Named one by one, each is found at once: values of a day are in order.
    days = columns.day.in_(range(first, last + 1)) if last - first < _DAYS else _days(question, columns.day)
    own = and_(columns.organization_id == question.scope.organization, columns.dimension == dimension)
    return await connection.scalar(select(literal(1)).where(own, days, columns.value == OTHER).limit(1)) is not None


def _days(question: Question, day: ColumnElement[int]) -> ColumnElement[bool]:
    """The days that are part of the time that is asked about, wholly or not."""
    return and_(day >= question.span.start // DAY_MS, day <= question.span.end // DAY_MS)


async def _has_sums(connection: AsyncConnection, scope: Scope, dimension: str) -> bool:
    lower = dimension.removeprefix("property:")
    if lower in UNTOLD:
        return False
    columns = PROPERTY_KEY.c
    known = select(literal(1)).where(columns.organization_id == scope.organization, columns.key_lower == lower)
    return await connection.scalar(known) is not None
