"""Where: nodes as conditions of SQL over the requests, every value a bound parameter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    String,
    Table,
    and_,
    case,
    false,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
)

from helicone_gw_logging.query.columns import ANSWERED_MODEL, STATUS
from helicone_gw_logging.query.nodes import Both, Condition, FilterError, Node
from helicone_gw_logging.query.numbers import floats, integers, of_floats, of_integers, scaled
from helicone_gw_logging.query.patterns import contains, ilike, like
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.tables import FEEDBACK, MOST, PROPERTY, REQUEST, SCORE
from helicone_gw_logging.texts import KEY_BYTES, NAME_BYTES, TEXT_BYTES, VALUE_START_BYTES, text
from helicone_gw_logging.totals import SESSION, SESSION_TAG, USER

Leaf = Callable[[Condition], ColumnElement[bool]]

_NEGATIVE: Final = {"not-equals": "equals", "not-contains": "contains"}

LOGGED_STATUS: Final[ColumnElement[int]] = func.coalesce(
    REQUEST.c.status,
    case(
        (REQUEST.c.outcome == "timeout", -2),
        (REQUEST.c.outcome == "client_disconnected", -3),
        (REQUEST.c.threat.is_(True), -4),
        else_=-100,
    ),
)
"""The status, or Helicone's number for why there is none: -2 a timeout, -3 the client left, -4 a threat, else -100."""

MODEL: Final[ColumnElement[str]] = func.coalesce(REQUEST.c.model, REQUEST.c.request_model)
"""The model that answered, else the one asked for."""


def where(node: Node, scope: Scope, *, few: bool = False) -> ColumnElement[bool]:
    """The requests of ``scope`` for which ``node`` holds. ``few``: of these few are asked.

    Raises `FilterError` for what SQL cannot be asked.
    """
    return and_(scope.of(REQUEST), joined(node, lambda condition: leaf(condition, scope, few=few)))


def joined(node: Node, leaf: Leaf) -> ColumnElement[bool]:
    """``node`` with each of its conditions made by ``leaf``."""
    if isinstance(node, Both):
        parts = [joined(part, leaf) for part in node.parts]
        return and_(true(), *parts) if node.operator == "and" else or_(false(), *parts)
    return leaf(node)


def leaf(condition: Condition, scope: Scope, *, few: bool = False) -> ColumnElement[bool]:
    """One condition over the requests, of which ``few`` are asked."""
    field = condition.field
    if field.kind == "body":
        raise FilterError(
            f"filter: {field.table}.{field.name}: bodies are stored compressed and cannot be searched; filter by a "
            "property"
        )
    match field.source:
        case "request":
            return _of_request(condition)
        case "nothing":
            unknown = (
                condition.operator not in _NEGATIVE if condition.value is None else condition.operator in _NEGATIVE
            )
            return true() if unknown else false()
        case "property" | "property-key" | "score" | "score-name" | "feedback":
            return _beside(condition, scope, few)
        case "session" | "tag":
            return _of_session(condition, scope, few)
        case "user":
            found = select(USER.c.user_id).where(
                scope.of(USER), USER.c.user_id == REQUEST.c.user_id, compare(USER.c[field.column], condition)
            )
            return exists(found, few=few)


def exists(found: Select[Any], *, few: bool) -> ColumnElement[bool]:
    """Whether anything is ``found`` beside a request, of which ``few`` are asked."""
    # Of few each is asked by itself. Postgres, which does not know that they are few, would read what is beside all
    # requests, unless it cannot pull that apart.
    return (found.offset(literal_column("0")) if few else found).exists()


def compare(expression: ColumnElement[Any], condition: Condition) -> ColumnElement[bool]:
    """``expression`` against the condition's value. What is unknown differs from everything that is known."""
    value, operator = condition.value, condition.operator
    if value is None:
        return expression.is_not(None) if operator == "not-equals" else expression.is_(None)
    if operator == "is":
        operator = "equals"
    if operator == "in":
        return expression.in_(_members(condition))
    if condition.field.kind == "text":
        return _texts(expression, operator, value)
    if condition.field.kind == "boolean":
        return expression.is_(value) if operator == "equals" else expression.is_not(value)
    if condition.field.source == "score":
        return of_floats(expression, operator, value)
    return of_integers(expression, operator, scaled(value, condition.field.scale))


def _members(condition: Condition) -> list[Any]:
    field = condition.field
    if field.kind == "text":
        return [text(one, NAME_BYTES if field.source == "request" else TEXT_BYTES) or "" for one in condition.value]
    if field.source == "score":
        return floats(condition.value)
    return [literal(one, BigInteger) for one in integers(scaled(one, field.scale) for one in condition.value)]


def _texts(expression: ColumnElement[Any], operator: str, value: str) -> ColumnElement[bool]:
    # Stored texts are without NUL, and cut: so must be what they are compared with.
    said = text(value, TEXT_BYTES) or ""
    if operator == "equals":
        return expression == said
    if operator == "not-equals":
        return expression.is_distinct_from(literal(said, String))
    if operator == "like":
        return like(expression, said)
    if operator == "ilike":
        return ilike(expression, said)
    found = contains(expression, said)
    return found if operator == "contains" else or_(expression.is_(None), ~found)


def _of_request(condition: Condition) -> ColumnElement[bool]:
    columns, column, value = REQUEST.c, condition.field.column, condition.value
    if column == STATUS:
        # A real status is found by its index; only the numbers below stand for one that was never sent.
        real = condition.operator in ("equals", "gt", "gte") and value is not None and value >= 0
        return compare(columns.status if real else LOGGED_STATUS, condition)
    if column == ANSWERED_MODEL:
        if condition.operator == "equals" and value is not None:
            answered, asked = compare(columns.model, condition), compare(columns.request_model, condition)
            return or_(answered, and_(columns.model.is_(None), asked))
        return compare(MODEL, condition)
    if condition.field.kind == "text" and isinstance(value, str) and condition.operator in ("equals", "not-equals"):
        limit = TEXT_BYTES if column in ("path", "error_message", "target_url") else NAME_BYTES
        condition = Condition(condition.field, condition.operator, text(value, limit) or "")
    held = compare(columns[column], condition)
    # Says nothing new, and leads to the index of those that have most.
    return and_(held, has_most(column)) if _needs_most(condition) else held


def _beside(condition: Condition, scope: Scope, few: bool) -> ColumnElement[bool]:
    """What is in a table beside the request, where there may be nothing: that is unknown."""
    operator = condition.operator
    positive = Condition(condition.field, _NEGATIVE.get(operator, operator), condition.value, condition.key)  # type: ignore[arg-type]
    negative = operator in _NEGATIVE
    table, key, value = _place(positive)
    held = and_(table.c.organization_id == scope.organization, table.c.seq == REQUEST.c.seq, key)
    if condition.value is None:
        # Known to be null is what is not there at all.
        known = exists(select(table.c.seq).where(held, value.is_not(None)).correlate(REQUEST), few=few)
        return known if negative else ~known
    found = exists(select(table.c.seq).where(held, _of_value(table, value, positive)).correlate(REQUEST), few=few)
    return ~found if negative else found


def _place(condition: Condition) -> tuple[Table, ColumnElement[bool], ColumnElement[Any]]:
    key = condition.key or ""
    match condition.field.source:
        case "property":
            return PROPERTY, PROPERTY.c.key_lower == property_key(key), PROPERTY.c.value
        case "property-key":
            return PROPERTY, true(), PROPERTY.c.key_lower
        case "score":
            return SCORE, SCORE.c.name == (text(key) or ""), SCORE.c.value
        case "score-name":
            return SCORE, true(), SCORE.c.name
        case _:
            return FEEDBACK, FEEDBACK.c.rating.is_not(None), FEEDBACK.c[condition.field.column]


def _of_value(table: Table, value: ColumnElement[Any], condition: Condition) -> ColumnElement[bool]:
    if condition.field.source == "property" and condition.operator in ("equals", "is"):
        return and_(
            table.c.value_start == text(condition.value, VALUE_START_BYTES),
            table.c.value == text(condition.value, TEXT_BYTES),
        )
    if condition.field.source == "property-key" and isinstance(condition.value, str):
        condition = Condition(condition.field, condition.operator, property_key(condition.value))
    return compare(value, condition)


def has_most(column: str) -> ColumnElement[bool]:
    """The requests in the index of those that have most of it, in the very words that it was made with."""
    return REQUEST.c[column] >= literal_column(str(MOST[column]), BigInteger)


def rare(node: Node, scope: Scope) -> ColumnElement[bool] | None:
    """A condition of which an index says at once how many requests it leaves; ``None`` where there is none."""
    for part in node.parts if isinstance(node, Both) and node.operator == "and" else (node,):
        if isinstance(part, Condition) and (_needs_most(part) or _names_users(part)):
            return and_(scope.of(REQUEST), _of_request(part))
    return None


def _names_users(condition: Condition) -> bool:
    return (condition.field.source, condition.field.column, condition.operator) == ("request", "user_id", "in")


def _needs_most(condition: Condition) -> bool:
    field, value = condition.field, condition.value
    if field.source != "request" or field.column not in MOST or condition.operator not in ("gt", "gte", "equals"):
        return False
    return value is not None and scaled(value, field.scale) >= MOST[field.column]


def led(node: Node) -> tuple[Condition, Node] | None:
    """A condition by which few requests are found at once (a property must have a value, or a request a score), and
    what else must hold."""
    parts = node.parts if isinstance(node, Both) and node.operator == "and" else (node,)
    for source in ("property", "score"):
        for number, part in enumerate(parts):
            if not isinstance(part, Condition) or part.field.source != source or part.value is None:
                continue
            if part.operator in ("equals", "is") or (source == "score" and part.operator not in _NEGATIVE):
                return part, Both("and", (*parts[:number], *parts[number + 1 :]))
    return None


def leading(condition: Condition) -> tuple[Table, ColumnElement[bool]]:
    """The table whose rows the condition of `led` asks for, and which of them; a request has at most one."""
    table, key, value = _place(condition)
    return table, and_(key, _of_value(table, value, condition))


def property_key(key: str) -> str:
    """A property's key as it is stored for comparing."""
    return text(key.lower(), KEY_BYTES) or ""


def _of_session(condition: Condition, scope: Scope, few: bool) -> ColumnElement[bool]:
    """The sums, or the tag, of the session that the request is part of."""
    negative = condition.operator in _NEGATIVE and condition.field.source == "tag"
    if condition.field.source == "tag":
        positive = Condition(condition.field, "equals" if negative else condition.operator, condition.value)
        held = and_(scope.of(SESSION_TAG), SESSION_TAG.c.session_id == REQUEST.c.session_id)
        if condition.value is None:
            known = exists(select(SESSION_TAG.c.session_id).where(held), few=few)
            return known if negative else ~known
        found = exists(select(SESSION_TAG.c.session_id).where(held, compare(SESSION_TAG.c.tag, positive)), few=few)
        return ~found if negative else found
    held = and_(
        scope.of(SESSION),
        SESSION.c.session_id == REQUEST.c.session_id,
        SESSION.c.session_name == func.coalesce(REQUEST.c.session_name, ""),
    )
    return exists(
        select(SESSION.c.session_id).where(held, compare(SESSION.c[condition.field.column], condition)), few=few
    )
