"""SQLite: how its connections are used, in whichever thread: real transactions, a write-ahead log, foreign keys."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from sqlalchemy import URL, Connection, Dialect, Engine, event
from sqlalchemy.util import await_only, greenlet_spawn

_PATIENCE = 2.0
"""Seconds after which a file that somebody else has for himself is not asked for again."""


def file_of_uri(url: URL) -> Path | None:
    """The file of a URL in SQLite's own form (``sqlite:///file:path?uri=true``, https://sqlite.org/uri.html); ``None``
    where that is in memory, and for a URL in any other form."""
    given, mode = url.database or "", url.query.get("mode")
    if not given.startswith("file:") or "uri" not in url.query or mode == "memory":
        return None
    path = given.removeprefix("file:").partition("?")[0].partition("#")[0]
    if path.startswith("//"):
        path = "/" + path[2:].partition("/")[2]
    path = unquote(path)
    return Path(path) if path not in ("", ":memory:") else None


def prepare_sqlite(connection: Any, pause: Callable[[float], object]) -> None:
    """Make a new connection what all are. ``pause`` waits so many seconds. Raises `sqlite3.Error`."""
    cursor = connection.cursor()
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError as problem:
            # The first change to WAL wants the file alone and does not always wait for it on its own.
            if not is_locked(problem) or time.monotonic() >= until:
                raise
            pause(0.02)
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def prepare_engine(engine: Engine, *, reading: bool) -> None:
    """Make the connections of an asynchronous engine's ``sync_engine`` what all are.

    ``reading``: they refuse every change; which journal the file has is for those to say who write.
    """

    def connected(connection: Any, record: object) -> None:
        if reading:
            cursor = connection.cursor()
            cursor.execute("PRAGMA query_only=ON")
            cursor.close()
        else:
            prepare_sqlite(connection, lambda seconds: await_only(asyncio.sleep(seconds)))

    event.listen(engine, "do_connect", _open_whole)
    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", begin_sqlite)


def _open_whole(dialect: Dialect, record: object, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
    return await_only(_opened(dialect, arguments, options))


async def _opened(dialect: Dialect, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """A new connection. Who is cancelled meanwhile waits until it is there and closed: aiosqlite would lose it open."""
    opening = asyncio.create_task(greenlet_spawn(dialect.connect, *arguments, **options))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        closing = asyncio.create_task(_close_opened(dialect, opening))
        await asyncio.wait([closing])
        raise


async def _close_opened(dialect: Dialect, opening: asyncio.Task[Any]) -> None:
    with suppress(sqlite3.Error):  # it could not be opened: nobody is left whom that concerns
        await greenlet_spawn(dialect.do_close, await opening)


def without_foreign_keys(connection: Connection) -> None:
    """Check no foreign keys on this connection, which is in no transaction."""
    # Past SQLAlchemy, which would begin a transaction first: inside one this pragma does nothing.
    cursor = connection.connection.cursor()
    cursor.execute("PRAGMA foreign_keys=OFF")
    cursor.close()


def begin_sqlite(connection: Connection) -> None:
    """Begin a transaction, as the execution option ``sqlite_begin`` has it (BEGIN, if nobody says otherwise)."""
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))


def is_locked(problem: BaseException) -> bool:
    """Whether this is SQLite saying that another connection holds the lock, so that trying again may help."""
    original = getattr(problem, "orig", problem)
    return isinstance(original, sqlite3.OperationalError) and "locked" in str(original)
