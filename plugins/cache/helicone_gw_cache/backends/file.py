"""File: the SQLite file of a cache, how it is opened, and how a damaged one is replaced. Synchronous: for threads."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

T = TypeVar("T")

APPLICATION_ID: Final = 0x48474343
"""What the file says that it is ("HGCC"), so that no other database is taken for a cache."""

SCHEMA_VERSION: Final = 1
"""``user_version`` of the file; the tables of another version are dropped, entries and all."""

BUSY_TIMEOUT: Final = 1.0
"""Seconds that another process may hold the file."""

ASIDE: Final = ".damaged"
"""What is appended to the name of a damaged file; only the last one is kept."""

_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})

_SCHEMA = """
CREATE TABLE entry (
    key TEXT PRIMARY KEY,
    organization TEXT NOT NULL,
    owner TEXT NOT NULL,
    provider TEXT,
    model TEXT,
    stored_at REAL NOT NULL,
    stale_until REAL NOT NULL,
    used_at REAL NOT NULL,
    size INTEGER NOT NULL,
    value BLOB NOT NULL
);
CREATE INDEX entry_stale_until ON entry (stale_until);
CREATE INDEX entry_used_at ON entry (used_at);
CREATE INDEX entry_owner ON entry (organization, owner);
CREATE TABLE total (id INTEGER PRIMARY KEY CHECK (id = 1), bytes INTEGER NOT NULL);
INSERT INTO total VALUES (1, 0);
CREATE TRIGGER entry_added AFTER INSERT ON entry BEGIN
    UPDATE total SET bytes = bytes + new.size;
END;
CREATE TRIGGER entry_changed AFTER UPDATE OF size ON entry BEGIN
    UPDATE total SET bytes = bytes + new.size - old.size;
END;
CREATE TRIGGER entry_gone AFTER DELETE ON entry BEGIN
    UPDATE total SET bytes = bytes - old.size;
END
"""


class CacheFile:
    """A SQLite file that may be lost at any time. ``path`` is relative to the working directory.

    Its connections are `Access` objects, one per thread. Readers and one writer do not wait for each other (WAL), and
    several processes may share the file. Only its owner may read it: answers are private.
    """

    def __init__(self, path: Path, on_damage: Callable[[str], None]) -> None:
        self.path = path
        self.generation = 0
        """Grows when the file was replaced: connections to the one before are of no use any more."""
        self._identity: tuple[int, int] | None = None
        self._on_damage = on_damage
        self._lock = threading.Lock()

    def connect(self) -> sqlite3.Connection:
        """A connection to the file, which is made if it is missing.

        Raises `sqlite3.Error` and `OSError`, also when it is the database of something else.
        """
        with self._lock:
            # SQLite makes its other files with the permissions of this one. A file that is there must not be opened: to
            # close it again would end every lock that this process holds on it (POSIX fcntl).
            with contextlib.suppress(FileExistsError):
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            connection = sqlite3.connect(
                self.path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False, cached_statements=64
            )
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
            self._identity = self._now()
            return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        application = _pragma(connection, "application_id")
        if application != APPLICATION_ID:
            others = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if application or others:
                raise OSError("it is the database of something else")
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        _use_wal(connection)
        connection.execute("PRAGMA synchronous = NORMAL")
        if _pragma(connection, "user_version") == SCHEMA_VERSION:
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            if _pragma(connection, "user_version") != SCHEMA_VERSION:  # no other process was quicker
                for name in ("entry", "total"):
                    connection.execute(f"DROP TABLE IF EXISTS {name}")
                for statement in _statements(_SCHEMA):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def set_aside(self, generation: int) -> None:
        """Begin anew: the file of ``generation`` is damaged. What was in it stays beside it, for whoever wants to look.

        Another thread, or process, may have done that already.
        """
        with self._lock:
            if generation != self.generation:
                return
            self.generation += 1
            if self._identity is not None and self._identity != self._now():
                return  # another process did
            os.replace(self.path, f"{self.path}{ASIDE}")
            for suffix in ("-wal", "-shm"):
                Path(f"{self.path}{suffix}").unlink(missing_ok=True)
        self._on_damage(f"{self.path}{ASIDE}")

    def follow(self) -> None:
        """Notice that the file was replaced, or deleted, by somebody else."""
        with self._lock:
            if self._identity is not None and self._identity != self._now():
                self.generation += 1

    def _now(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self.path)
        except OSError:
            return None
        return found.st_dev, found.st_ino


class Access:
    """One thread's connection to a `CacheFile`."""

    def __init__(self, file: CacheFile) -> None:
        self._file = file
        self._connection: sqlite3.Connection | None = None
        self._generation = -1

    def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What ``work`` returns. On a damaged file it is begun again, once, on a new and empty one.

        Raises `sqlite3.Error` and `OSError`; an open transaction is then rolled back.
        """
        for last in (False, True):
            generation = self._file.generation
            try:
                if self._connection is None or self._generation != generation:
                    self.close()
                    self._connection = self._file.connect()
                    self._generation = generation
                return work(self._connection)
            except sqlite3.Error as problem:
                if _code(problem) not in _DAMAGE:
                    self._roll_back()
                    raise
                self.close()
                self._file.set_aside(generation)
                if last:
                    raise
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Close the connection. Twice is harmless."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.close()

    def _roll_back(self) -> None:
        if self._connection is not None and self._connection.in_transaction:
            try:
                self._connection.execute("ROLLBACK")
            except sqlite3.Error:
                self.close()


def _code(problem: sqlite3.Error) -> int:
    """SQLite's primary result code, 0 for an error of the module itself."""
    return (getattr(problem, "sqlite_errorcode", 0) or 0) & 0xFF


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _use_wal(connection: sqlite3.Connection) -> None:
    for attempt in range(50):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as problem:
            # The first change to WAL wants the file alone and does not always wait for it on its own.
            if _code(problem) not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) or attempt == 49:
                raise
            time.sleep(0.02)


def _statements(script: str) -> list[str]:
    """The statements of a script; ``executescript`` would commit the transaction that they belong to."""
    found, statement = [], ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            found.append(statement)
            statement = ""
    return [*found, statement + ";"] if statement.strip() else found
