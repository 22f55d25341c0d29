"""Export: all requests that a filter matches, a piece at a time, oldest first, as plain values by column."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from msgspec import Struct
from sqlalchemy import BigInteger, Boolean, Integer, func, select

from helicone_gw_logging.query.columns import NANO, field
from helicone_gw_logging.query.nodes import Condition, FilterError, both, shown
from helicone_gw_logging.query.reading import SECONDS, TooLong, reading
from helicone_gw_logging.query.requests import Found, count, find
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.sorts import Order
from helicone_gw_logging.query.wanted import Wanted
from helicone_gw_logging.tables import REQUEST
from helicone_gw_logging.times import iso

if TYPE_CHECKING:
    from helicone_gw import Database

Kind = Literal["integer", "number", "text", "boolean", "time", "object"]
Record = dict[str, Any]

PIECE: Final = 1000
"""Requests that are read at once: for so long, and no longer, is the database occupied."""
_LEFT_OUT: Final = frozenset({"seq", "organization_id", "hour", "annotations"})
_RMT: Final = "request_response_rmt"


def _kinds() -> dict[str, Kind]:
    found: dict[str, Kind] = {}
    for column in REQUEST.columns:
        if column.name in _LEFT_OUT:
            continue
        kind: Kind = "text"
        if isinstance(column.type, Boolean):
            kind = "boolean"
        elif column.name.endswith("_at"):
            kind = "time"
        elif isinstance(column.type, (Integer, BigInteger)):
            kind = "integer"
        found[column.name] = kind
    return found | {"cost": "number", "feedback": "boolean", "properties": "object", "scores": "object"}


COLUMNS: Final = _kinds()
"""Every column that can be exported, and what is in it. Times are ISO 8601 in UTC, ``cost`` is dollars."""


class Exported(Struct, frozen=True):
    """An export that was begun: its columns, and how many requests there are (``None``: it took too long to count)."""

    columns: tuple[str, ...]
    total: int | None
    newest: int


async def begun(database: Database, scope: Scope, wanted: Wanted, columns: Sequence[str] | None) -> Exported:
    """What there is to be exported now; what is written later is not part of it.

    Raises `FilterError` for a column that does not exist.
    """
    for name in columns or ():
        if name not in COLUMNS:
            raise FilterError(f"columns: there is no column {shown(name)}; there are {', '.join(COLUMNS)}")
    async with reading(database) as connection:
        newest = int(await connection.scalar(select(func.max(REQUEST.c.seq))) or 0)
    total: int | None
    try:
        async with reading(database, SECONDS / 2) as connection:
            total = await count(connection, scope, _until(wanted, newest))
    except TooLong:
        total = None
    return Exported(tuple(dict.fromkeys(columns or COLUMNS)), total, newest)


async def pieces(
    database: Database, scope: Scope, wanted: Wanted, export: Exported, limit: int | None = None
) -> AsyncIterator[list[Record]]:
    """The requests, at most ``limit``, in pieces. Raises `TooLong` when one takes too long to find."""
    matching, order, after, left = _until(wanted, export.newest), Order("created_at", "asc"), None, limit
    while left is None or left > 0:
        size = PIECE if left is None else min(PIECE, left)
        async with reading(database) as connection:
            found = await find(connection, scope, matching, order, limit=size, after=after)
        if found:
            yield [_record(one, export.columns) for one in found]
            after = found[-1].cursor
        if len(found) < size:
            return
        left = None if left is None else left - len(found)


def _until(wanted: Wanted, newest: int) -> Wanted:
    written = Condition(field(_RMT, "seq"), "lte", newest)
    return Wanted(both("and", (wanted.filter, written)), wanted.cached, wanted.scored)


def _record(found: Found, columns: Sequence[str]) -> Record:
    row = found.row
    cost = row["cost_nano_usd"]
    beside: Record = {
        "cost": None if cost is None else cost / NANO,
        "feedback": None if found.rating is None else found.rating["rating"],
        "properties": found.properties,
        "scores": found.scores,
    }
    record: Record = {}
    for name in columns:
        if name in beside:
            record[name] = beside[name]
        else:
            record[name] = iso(row[name]) if COLUMNS[name] == "time" else row[name]
    return record
