"""Retention: what is older than the configuration keeps is deleted, a few rows at a time, beside everything else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct
from sqlalchemy import ColumnElement, Table, and_, delete, func, select, text, tuple_

from helicone_gw_logging.measures import HOUR_MS
from helicone_gw_logging.noted import SESSION_CHANGE, SESSION_HOUR, SESSION_SPREAD
from helicone_gw_logging.partitions import beginning, make_ahead, months, partition
from helicone_gw_logging.tables import ATTEMPT, BODY, FEEDBACK, PARTITIONED, PROPERTY, REQUEST, SCORE
from helicone_gw_logging.totals import (
    DIMENSION,
    DIMENSION_DAY,
    HISTOGRAM,
    HISTOGRAM_DAY,
    HISTOGRAM_PACKED,
    NAME_DAY,
    ROLLUP,
    ROLLUP_DAY,
    SESSION,
    USER,
    USER_NUMBER,
    USER_PRESENCE,
)

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from helicone_gw import Database
    from helicone_gw_logging.config import Retention
    from helicone_gw_logging.objects import Objects

AT_ONCE = 1000
"""Rows that one transaction deletes: whoever wants to write waits for no more than these."""
PAUSE = 0.05
"""Seconds between two of them."""

_BESIDE = (ATTEMPT, PROPERTY, BODY, SCORE, FEEDBACK)


class Pruned(Struct):
    """How far the deletion of one kind is: ``rows`` of ``of`` so far; ``before`` is epoch milliseconds."""

    kind: str
    before: int
    rows: int
    of: int


async def prune(
    database: Database,
    retention: Retention,
    now: float,
    *,
    dry_run: bool = False,
    objects: Objects | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncIterator[Pruned]:
    """Delete what is older than ``retention`` says at ``now`` (epoch seconds); yields the progress of each kind.

    Every step is a transaction of its own, so that it may be broken off and begun again at any time, by several
    processes at once. ``dry_run`` deletes nothing and yields what would be. On Postgres months are dropped as a whole
    where all of a month is too old. What is in ``objects`` goes after the rows that name it, as kind "objects"; raises
    `StorageFailed` when that cannot be.
    """
    if not database.sqlite and not dry_run:
        async with database.begin() as connection:
            await connection.run_sync(make_ahead, round(now * 1000))
    for kind, days in retention.days():
        before = round((now - days * 86_400) * 1000)
        tables, old = _what(kind, before)
        pruned = Pruned(kind, before, 0, await _count(database, tables, old))
        yield pruned
        if dry_run or not pruned.of:
            continue
        if kind in ("bodies", "requests") and not database.sqlite:
            pruned.rows += await _drop_months(database, kind, before)
            if pruned.rows:
                yield pruned
        async for rows in _delete(database, kind, tables, old):
            pruned.rows += rows
            yield pruned
            await sleep(PAUSE)
    kept = [days for kind, days in retention.days() if kind in ("bodies", "requests")]
    if objects is not None and kept:
        before = round((now - min(kept) * 86_400) * 1000)
        found = await objects.delete(before, dry_run=dry_run)
        yield Pruned("objects", before, 0 if dry_run else found, found)


def _what(kind: str, before: int) -> tuple[Sequence[Table], Callable[[Table], ColumnElement[bool]]]:
    """The tables of a kind, and what in each is too old."""
    if kind == "bodies":
        return (BODY,), lambda table: table.c.received_at < before
    if kind == "requests":
        return (REQUEST,), lambda table: table.c.received_at < before
    hours = before // HOUR_MS
    if kind == "summaries":
        noted = SESSION_SPREAD, SESSION_HOUR, SESSION_CHANGE
        return (SESSION, USER_NUMBER, USER, NAME_DAY, *noted), lambda table: _summed_up(table, hours // 24)

    def old(table: Table) -> ColumnElement[bool]:
        return table.c.hour < hours if "hour" in table.c else table.c.day < hours // 24

    hourly = ROLLUP, DIMENSION, HISTOGRAM
    return (*hourly, ROLLUP_DAY, DIMENSION_DAY, HISTOGRAM_DAY, HISTOGRAM_PACKED, USER_PRESENCE), old


def _summed_up(table: Table, day: int) -> ColumnElement[bool]:
    """What was last heard of before ``day`` (since the epoch): whole days, which is how session names are summed up."""
    before = day * 24 * HOUR_MS
    if table is USER_NUMBER:
        # Before the users themselves, so that nobody takes those who are left for all. Bits of days that are left count
        # them still; whoever comes back is somebody new.
        same = and_(USER.c.organization_id == table.c.organization_id, USER.c.user_id == table.c.user_id)
        return ~select(USER.c.user_id).where(same, USER.c.last_at >= before).exists()
    if "hour" in table.c:
        return table.c.hour < day * 24
    return table.c.day < day if "day" in table.c else table.c.last_at < before


async def _count(database: Database, tables: Sequence[Table], old: Callable[[Table], ColumnElement[bool]]) -> int:
    total = 0
    async with database.connect() as connection:
        for table in tables:
            for mine in await _parts(connection, table):
                query = select(func.count()).select_from(table).where(old(table), *mine)
                total += (await connection.scalar(query)) or 0
    return total


async def _delete(
    database: Database, kind: str, tables: Sequence[Table], old: Callable[[Table], ColumnElement[bool]]
) -> AsyncIterator[int]:
    for table in tables:
        async with database.connect() as connection:
            parts = await _parts(connection, table)
        for mine in parts:
            while True:
                async with database.begin() as connection:
                    rows = await _delete_some(connection, kind, table, [old(table), *mine])
                if rows:
                    yield rows
                if rows < AT_ONCE:
                    break


async def _delete_some(
    connection: AsyncConnection, kind: str, table: Table, where: Sequence[ColumnElement[bool]]
) -> int:
    """Delete up to `AT_ONCE` rows of ``table``, and what is beside them; returns how many of ``table``."""
    if kind in ("bodies", "requests"):
        columns = table.c
        some = select(columns.seq).where(*where).order_by(columns.received_at).limit(AT_ONCE)
        numbers = list(await connection.scalars(some))
        for each in (*_BESIDE, table) if kind == "requests" else (table,):
            await connection.execute(delete(each).where(each.c.seq.in_(numbers)))
        return len(numbers)
    key = tuple_(*table.primary_key.columns)
    some = select(*table.primary_key.columns).where(*where).limit(AT_ONCE)
    return (await connection.execute(delete(table).where(key.in_(some)))).rowcount


async def _parts(connection: AsyncConnection, table: Table) -> list[list[ColumnElement[bool]]]:
    """Conditions that take ``table`` apart by organization, which its index begins with, where it has one."""
    if table in (BODY, DIMENSION, DIMENSION_DAY, HISTOGRAM, HISTOGRAM_DAY, HISTOGRAM_PACKED):
        return [[]]
    column, found = table.c.organization_id, list[str]()
    while True:
        last = [column > found[-1]] if found else []
        following = await connection.scalar(select(func.min(column)).where(*last))
        if following is None:
            return [[column == organization] for organization in found]
        found.append(following)


async def _drop_months(database: Database, kind: str, before: int) -> int:
    """Drop the partitions of which everything is too old; returns how many requests, or bodies, that were."""
    counted = BODY if kind == "bodies" else REQUEST
    dropped = 0
    async with database.connect() as connection:
        whole = [each for each in await connection.run_sync(months, counted.name) if beginning(each + 1) <= before]
    for each in whole:
        async with database.begin() as connection:
            # Whoever reads the log now is waited for, but not for ever: the next time comes.
            await connection.exec_driver_sql("SET LOCAL lock_timeout = '5s'")
            name = partition(counted.name, each)
            dropped += (await connection.scalar(select(func.count()).select_from(text(name)))) or 0
            for table in (BODY,) if kind == "bodies" else PARTITIONED:
                await connection.exec_driver_sql(f"DROP TABLE IF EXISTS {partition(table.name, each)}")
    return dropped
