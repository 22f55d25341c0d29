"""Rows: the SQL of the cache's file. Synchronous: for threads."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from helicone_gw_cache.backends.selection import MAX_GROUPS, Group, Selection, Stats, Summary

SOME: Final = 500
"""Rows of one transaction of a sweep: others get at the file in between."""

_PAGES = 2000  # most freed pages that one sweep gives back to the file system
_MAX_KEYS = 100  # keys of one statement; SQLite takes 32,766 parameters, a request asks for 20 at most

_PUT = """
INSERT INTO entry (key, organization, owner, provider, model, stored_at, stale_until, used_at, size, value)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET
    organization = excluded.organization, owner = excluded.owner, provider = excluded.provider, model = excluded.model,
    stored_at = excluded.stored_at, stale_until = excluded.stale_until, used_at = excluded.used_at,
    size = excluded.size, value = excluded.value
"""


def values(connection: sqlite3.Connection, keys: Sequence[str], now: float) -> Iterator[tuple[str, bytes]]:
    """Key and value of those that are there and have not expired."""
    for start in range(0, len(keys), _MAX_KEYS):
        part = keys[start : start + _MAX_KEYS]
        marks = ",".join("?" * len(part))
        yield from connection.execute(
            f"SELECT key, value FROM entry WHERE key IN ({marks}) AND stale_until > ?",  # noqa: S608 - marks alone
            (*part, now),
        )


def put(
    connection: sqlite3.Connection,
    key: str,
    summary: Summary,
    value: bytes,
    now: float,
    touched: Mapping[str, float],
    max_bytes: int,
) -> tuple[int, int]:
    """Write one entry, after ``touched`` (when which key was used), and make room for it.

    Returns how many entries expired and how many had to go early.
    """
    expired = evicted = 0
    with _transaction(connection):
        _touch(connection, touched)
        connection.execute(
            _PUT,
            (
                key,
                summary.organization,
                summary.owner,
                summary.provider,
                summary.model,
                summary.stored_at,
                summary.stale_until,
                now,
                summary.size,
                value,
            ),
        )
        if _bytes(connection) > max_bytes:
            expired = _expire(connection, now)
        while (excess := _bytes(connection) - max_bytes) > 0 and (gone := _evict(connection, key, excess)):
            evicted += gone
    return expired, evicted


def delete(connection: sqlite3.Connection, key: str, now: float) -> bool:
    """Delete one entry. Whether it was there and had not expired."""
    found = connection.execute("DELETE FROM entry WHERE key = ? RETURNING stale_until", (key,)).fetchall()
    return bool(found) and found[0][0] > now


def touch(connection: sqlite3.Connection, touched: Mapping[str, float]) -> None:
    """Write when which key was used."""
    if touched:
        with _transaction(connection):
            _touch(connection, touched)


def expire_some(connection: sqlite3.Connection, now: float) -> int:
    """Delete some entries that have expired. How many; 0: there are no more."""
    with _transaction(connection):
        return _expire(connection, now)


def clear_some(connection: sqlite3.Connection, selection: Selection) -> int:
    """Delete some entries of ``selection``. How many; 0: there are no more."""
    where, arguments = _where(selection)
    with _transaction(connection):
        return connection.execute(
            f"DELETE FROM entry WHERE rowid IN (SELECT rowid FROM entry WHERE {where} LIMIT ?)",  # noqa: S608
            (*arguments, SOME),
        ).rowcount


def stats(connection: sqlite3.Connection, selection: Selection, now: float) -> Stats:
    """What there is of ``selection``."""
    where, arguments = _where(selection)
    arguments.append(now)
    total, size, oldest, newest = connection.execute(
        "SELECT count(*), coalesce(sum(size), 0), min(stored_at), max(stored_at) "  # noqa: S608
        f"FROM entry WHERE {where} AND stale_until > ?",
        arguments,
    ).fetchone()
    groups = connection.execute(
        "SELECT provider, model, count(*), sum(size) AS bytes "  # noqa: S608
        f"FROM entry WHERE {where} AND stale_until > ? GROUP BY provider, model "
        "ORDER BY bytes DESC, coalesce(provider, ''), coalesce(model, '') LIMIT ?",
        (*arguments, MAX_GROUPS),
    ).fetchall()
    return Stats(total, size, oldest, newest, tuple([Group(*group) for group in groups]))


def shrink(connection: sqlite3.Connection) -> None:
    """Give freed pages back to the file system."""
    # It gives back one page per step, and the module takes one step of a statement that has no columns.
    connection.executescript(f"PRAGMA incremental_vacuum({_PAGES})")


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    # Whoever called rolls back when it fails.
    connection.execute("BEGIN IMMEDIATE")
    yield
    connection.execute("COMMIT")


def _bytes(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT bytes FROM total").fetchone()[0])


def _touch(connection: sqlite3.Connection, touched: Mapping[str, float]) -> None:
    if touched:
        connection.executemany("UPDATE entry SET used_at = ? WHERE key = ?", [(at, key) for key, at in touched.items()])


def _expire(connection: sqlite3.Connection, now: float) -> int:
    return connection.execute(
        "DELETE FROM entry WHERE rowid IN (SELECT rowid FROM entry WHERE stale_until <= ? LIMIT ?)", (now, SOME)
    ).rowcount


def _evict(connection: sqlite3.Connection, kept: str, excess: int) -> int:
    """Delete those longest unused, ``kept`` aside, until ``excess`` bytes are free, or some. How many."""
    gone = []
    for key, size in connection.execute(
        "SELECT key, size FROM entry WHERE key != ? ORDER BY used_at, rowid LIMIT ?", (kept, SOME)
    ):
        gone.append((key,))
        excess -= size
        if excess <= 0:
            break
    connection.executemany("DELETE FROM entry WHERE key = ?", gone)
    return len(gone)


def _where(selection: Selection) -> tuple[str, list[Any]]:
    conditions, arguments = ["true"], list[Any]()
    for column in ("organization", "owner", "provider", "model"):
        value = getattr(selection, column)
        if value is not None:
            conditions.append(f"{column} = ?")
            arguments.append(value)
    if selection.stored_before is not None:
        conditions.append("stored_at < ?")
        arguments.append(selection.stored_before)
    return " AND ".join(conditions), arguments
