"""Partitions: on Postgres, a table for each month of requests and of what is beside them, so that months go as a whole.

A month's partition is made when the first row of that month comes, by whoever writes it, and ahead of time by
`make_ahead`. Rows of times that are far from now (a client may tell of any) stay in the default partition, so that
nobody makes tables by the thousand; they are moved out when their month gets a partition of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import text

from helicone_gw_logging.tables import PARTITIONED

if TYPE_CHECKING:
    from sqlalchemy import Connection

_DAY = 86_400_000
_LOCK = 0x48_47_57_02  # "HGW" and the number of the lock
PAST, FUTURE = 750 * _DAY, 45 * _DAY
"""Milliseconds from now within which a month gets a partition of its own."""


def month(milliseconds: int) -> int:
    """The month of a time in epoch milliseconds, counted from the year 0; what no calendar knows is 0."""
    try:
        at = datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return 0
    return at.year * 12 + at.month - 1


def beginning(month: int) -> int:
    """Epoch milliseconds at which a `month` begins."""
    return round(datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC).timestamp() * 1000)


class Partitions:
    """Which months have their partitions. Of no use on SQLite, where everything is in one table."""

    def __init__(self) -> None:
        self._there: set[int] = set()
        self._new: set[int] = set()

    def ensure(self, connection: Connection, times: Iterable[int], now: int) -> None:
        """Make the partitions that rows received at ``times`` want. ``now`` and ``times`` are epoch milliseconds.

        Belongs into the transaction that writes them, before anything in it looks at these tables.
        """
        if connection.dialect.name != "postgresql":
            return
        self._new = {month(at) for at in times if now - PAST <= at <= now + FUTURE} - self._there
        if self._new:
            _take_turns(connection)
        for each in sorted(self._new):
            _make(connection, each)

    def committed(self) -> None:
        """Remember what `ensure` made: its transaction was committed."""
        self._there |= self._new
        self._new = set()


def make_ahead(connection: Connection, now: int) -> None:
    """Make the partitions of this month and of the next."""
    if connection.dialect.name == "postgresql":
        _take_turns(connection)
        for each in (month(now), month(now) + 1):
            _make(connection, each)


def months(connection: Connection, table: str) -> list[int]:
    """The months that have a partition of ``table``, the oldest first."""
    if connection.dialect.name != "postgresql":
        return []
    names = connection.scalars(
        text(
            "SELECT child.relname FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid "
            "WHERE inhparent = to_regclass(:parent) AND child.relname ~ '_y[0-9]{4}m[0-9]{2}$'"
        ),
        {"parent": table},
    )
    return sorted(int(name[-7:-3]) * 12 + int(name[-2:]) - 1 for name in names)


def partition(table: str, month: int) -> str:
    """The name of a month's partition."""
    return f"{table}_y{month // 12:04}m{month % 12 + 1:02}"


def _take_turns(connection: Connection) -> None:
    """Wait until nobody else makes partitions, to the end of the transaction: two that attach them to the same tables
    would wait for each other."""
    connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))


def _make(connection: Connection, month: int) -> None:
    begin, end = beginning(month), beginning(month + 1)
    for table in PARTITIONED:
        name = partition(table.name, month)
        there = connection.scalar(text("SELECT to_regclass(:name)"), {"name": name})
        if there is not None:
            continue
        within = f"received_at >= {begin} AND received_at < {end}"
        # Made apart and filled first: with rows of its month in the default partition it could not be attached.
        for statement in (
            f"CREATE TABLE {name} (LIKE {table.name} INCLUDING DEFAULTS INCLUDING INDEXES)",
            f"INSERT INTO {name} SELECT * FROM {table.name}_default WHERE {within}",  # noqa: S608 - names of ours
            f"DELETE FROM {table.name}_default WHERE {within}",  # noqa: S608 - names of ours
            f"ALTER TABLE {table.name} ATTACH PARTITION {name} FOR VALUES FROM ({begin}) TO ({end})",
        ):
            connection.exec_driver_sql(statement)
