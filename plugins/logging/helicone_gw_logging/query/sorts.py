"""Sorts: in which order requests come, and places in the list from which it can be gone on with."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from msgspec import Struct
from sqlalchemy import ColumnElement, FromClause, and_, case, func, or_, select

from helicone_gw_logging.query.log import Cursor
from helicone_gw_logging.query.nodes import FilterError, shown
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.where import LOGGED_STATUS, MODEL, property_key
from helicone_gw_logging.tables import PROPERTY, REQUEST, SCORE
from helicone_gw_logging.texts import text
from helicone_gw_logging.totals import USER

Direction = Literal["asc", "desc"]
HITS: Final = ("hit", "joined")
"""What ``cache_status`` says when the answer came out of a cache."""


class RequestSort(Struct, frozen=True, forbid_unknown_fields=True):
    """What requests are sorted by: the first of these that is given; else the newest come first.

    What is unknown of a request puts it behind those of which it is known, in either direction.
    """

    random: bool | None = None
    created_at: Direction | None = None
    cache_created_at: Direction | None = None
    latency: Direction | None = None
    last_active: Direction | None = None
    total_tokens: Direction | None = None
    completion_tokens: Direction | None = None
    prompt_tokens: Direction | None = None
    prompt_cache_read_tokens: Direction | None = None
    prompt_cache_write_tokens: Direction | None = None
    user_id: Direction | None = None
    body_model: Direction | None = None
    is_cached: Direction | None = None
    request_prompt: Direction | None = None
    response_text: Direction | None = None
    properties: dict[str, Direction] | None = None
    values: dict[str, Direction] | None = None
    cost: Direction | None = None
    cost_usd: Direction | None = None
    time_to_first_token: Direction | None = None
    status: Direction | None = None
    provider: Direction | None = None
    scores: dict[str, Direction] | None = None


class Order(Struct, frozen=True):
    """A sort that was chosen. ``name`` is its field's, ``key`` the property's or score's."""

    name: str = "created_at"
    direction: Direction = "desc"
    key: str | None = None


def chosen(sort: RequestSort) -> Order:
    """The one sort that counts. Raises `FilterError` for one that cannot be had."""
    for name in RequestSort.__struct_fields__:
        wanted = getattr(sort, name)
        if not wanted:
            continue
        if name in ("request_prompt", "response_text"):
            raise FilterError(f"sort: {name}: bodies are stored compressed and cannot be sorted by")
        if isinstance(wanted, dict):
            key, direction = next(iter(wanted.items()))
            return Order(name, direction, key)
        return Order(name, "asc" if wanted is True else wanted)
    return Order()


def ordering(order: Order, scope: Scope, table: FromClause = REQUEST) -> list[ColumnElement[Any]]:
    """For ``ORDER BY``; of two that are alike the one that was written later comes first (last, when ascending).

    ``table`` is the one whose index leads to the requests.
    """
    seq = table.c.seq
    if order.name == "random":
        return [func.random()]
    if order.name == "created_at":
        at = table.c.received_at
        return [at.asc(), seq.asc()] if order.direction == "asc" else [at.desc(), seq.desc()]
    if order.name == "values":  # prompt inputs: no request has any, so that all are alike
        return [seq.asc() if order.direction == "asc" else seq.desc()]
    expression = sorted_by(order, scope)
    if order.direction == "asc":
        return [expression.asc().nulls_last(), seq.asc()]
    return [expression.desc().nulls_last(), seq.desc()]


def sorted_by(order: Order, scope: Scope) -> ColumnElement[Any]:
    """What sorts: NULL where it is unknown. Not for times and what is alike of all."""
    return _keyed(order, scope) if order.key is not None else _EXPRESSIONS[order.name](scope)


def beyond(cursor: Cursor, order: Order, table: FromClause = REQUEST) -> ColumnElement[bool]:
    """The requests behind ``cursor``. Raises `FilterError` for an order that has no such places."""
    if order.name != "created_at":
        raise FilterError("cursor: only a list sorted by created_at can be gone on with; use offset")
    at, seq = table.c.received_at, table.c.seq
    # The first part of each is for the index.
    if order.direction == "asc":
        return and_(at >= cursor.received_at, or_(at > cursor.received_at, seq > cursor.seq))
    return and_(at <= cursor.received_at, or_(at < cursor.received_at, seq < cursor.seq))


def write_cursor(cursor: Cursor) -> str:
    """The text that stands for a place."""
    return base64.urlsafe_b64encode(f"{cursor.received_at}.{cursor.seq}".encode()).decode().rstrip("=")


def read_cursor(written: str) -> Cursor:
    """The place that a text stands for. Raises `FilterError`."""
    try:
        at, _, seq = (
            base64.urlsafe_b64decode(written.encode("ascii") + b"=" * (-len(written) % 4)).decode().partition(".")
        )
        cursor = Cursor(int(at), int(seq))
    except (ValueError, binascii.Error):
        cursor = None
    if cursor is None or not (0 <= cursor.received_at < 2**63 and 0 <= cursor.seq < 2**63):
        raise FilterError(f"cursor: {shown(written)} is none that was given out")
    return cursor


def is_cached() -> ColumnElement[bool]:
    """Whether a request was answered out of a cache."""
    return func.coalesce(REQUEST.c.cache_status, "").in_(HITS)


def _keyed(order: Order, scope: Scope) -> ColumnElement[Any]:
    key = order.key or ""
    table, named = (
        (SCORE, SCORE.c.name == text(key))
        if order.name == "scores"
        else (
            PROPERTY,
            PROPERTY.c.key_lower == property_key(key),
        )
    )
    return (
        select(table.c.value)
        .where(table.c.organization_id == scope.organization, table.c.seq == REQUEST.c.seq, named)
        .correlate(REQUEST)
        .scalar_subquery()
    )


def _last_active(scope: Scope) -> ColumnElement[Any]:
    return select(USER.c.last_at).where(scope.of(USER), USER.c.user_id == REQUEST.c.user_id).scalar_subquery()


def _column(expression: ColumnElement[Any]) -> Callable[[Scope], ColumnElement[Any]]:
    return lambda scope: expression


SORTED: Final[Mapping[str, str]] = {
    "latency": "latency",
    "total_tokens": "total_tokens",
    "cost": "cost_nano_usd",
    "cost_usd": "cost_nano_usd",
}
"""Sorts that have an index of those that come first."""

_EXPRESSIONS: Final[Mapping[str, Callable[[Scope], ColumnElement[Any]]]] = {
    "cache_created_at": _column(case((is_cached(), REQUEST.c.received_at))),
    "latency": _column(REQUEST.c.latency),
    "last_active": _last_active,
    "total_tokens": _column(REQUEST.c.total_tokens),
    "completion_tokens": _column(REQUEST.c.completion_tokens),
    "prompt_tokens": _column(REQUEST.c.prompt_tokens),
    "prompt_cache_read_tokens": _column(REQUEST.c.prompt_cache_read_tokens),
    "prompt_cache_write_tokens": _column(REQUEST.c.prompt_cache_write_tokens),
    "user_id": _column(REQUEST.c.user_id),
    "body_model": _column(MODEL),
    "is_cached": _column(case((is_cached(), 1), else_=0)),
    "cost": _column(REQUEST.c.cost_nano_usd),
    "cost_usd": _column(REQUEST.c.cost_nano_usd),
    "time_to_first_token": _column(REQUEST.c.time_to_first_token),
    "status": _column(LOGGED_STATUS),
    "provider": _column(REQUEST.c.provider),
}
