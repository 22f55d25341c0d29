"""Database: the one SQL database of a gateway, SQLite or Postgres, behind SQLAlchemy's async engine."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from helicone_gw.baseline import Baseline, read_baseline
from helicone_gw.database_thread import DatabaseThread
from helicone_gw.errors import ConfigError
from helicone_gw.migrations import MigrationError, Standing, newest_revision, reached_revision
from helicone_gw.sqlite import file_of_uri, is_locked, prepare_engine, without_foreign_keys

if TYPE_CHECKING:
    from helicone_gw.revisions import Revisions

__all__ = ["Database", "MigrationError", "is_locked"]

T = TypeVar("T")

_MIGRATION_TIMEOUT = 600.0
_BRANCH = re.compile(r"[a-z][a-z0-9_]{0,39}")
_SECRET_OPTION = re.compile(r"pass|secret|token|key", re.IGNORECASE)
# Alembic's ``op`` is one per process, so that two migrations of one event loop must not run into each other.
_migrating: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()
_ADVISORY_LOCK = 0x48_47_57_01  # one for all branches: "HGW" and a version


class Database:
    """The database that every plugin shares; each has tables and a migration branch of its own.

    ``url`` is SQLAlchemy's: ``sqlite:///relative.db``, ``sqlite:////absolute.db``, ``sqlite://`` (in memory, gone with
    `close`), ``postgresql://user:password@host/name`` (needs asyncpg). Raises `ConfigError` for anything else.

    On SQLite every transaction is a real one, DDL included, in WAL mode with ``synchronous=NORMAL`` and foreign keys
    enforced. Several processes may use one file: a writer that finds it locked waits ``busy_timeout`` seconds and then
    gets SQLAlchemy's ``OperationalError`` (see `is_locked`). An in-memory database has one connection, which its users
    get in turn: do not ask for a second one while holding the first.

    ``by_command``: tables of anything but SQLite are brought up to date by ``helicone-gw db upgrade`` alone, as wants a
    database that several gateways share; `migrate` then refuses where something is left to do. ``reading``: SQLite
    refuses every change, and the file is left as it is.

    Statement parameters never appear in the exceptions and logs of the engine: they may hold prompts and keys.
    """

    def __init__(self, url: str, *, busy_timeout: float = 5.0, by_command: bool = False, reading: bool = False) -> None:
        self._busy_timeout = busy_timeout
        self._by_command = by_command
        self._reading = reading
        self._url = _parse(url)
        self._anchor: sqlite3.Connection | None = None
        self._sqlite = self._url.get_backend_name() == "sqlite"
        self.engine: AsyncEngine = self._sqlite_engine() if self._sqlite else self._postgres_engine()
        self._thread: DatabaseThread | None = None

    @property
    def url(self) -> str:
        """The URL, safe to print: passwords are ``***``."""
        query = {name: "***" if _SECRET_OPTION.search(name) else value for name, value in self._url.query.items()}
        return self._url.set(query=query).render_as_string(hide_password=True).replace("sqlite+aiosqlite:", "sqlite:")

    @property
    def sqlite(self) -> bool:
        """Whether this is SQLite."""
        return self._sqlite

    @property
    def in_memory(self) -> bool:
        """Whether this is a SQLite database in the memory of this process, which no other one sees."""
        return self._sqlite and _in_memory(self._url)

    @property
    def path(self) -> Path | None:
        """The SQLite file; ``None`` for any other database."""
        path = self._url.database or ""
        return Path(path) if self._sqlite and not self.in_memory and not path.startswith("file:") else None

    @property
    def missing(self) -> bool:
        """Whether this is a SQLite file that does not exist yet (connecting would create it)."""
        return (path := self.path or file_of_uri(self._url)) is not None and not path.exists()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """A write transaction: committed at the end of the block, rolled back if that raises."""
        async with self.engine.connect() as connection:
            await connection.execution_options(sqlite_begin="BEGIN IMMEDIATE")
            async with connection.begin():
                yield connection

    async def transact(self, work: Callable[[Connection], T]) -> T:
        """The result of ``work``, which is done in a write transaction: committed behind it, rolled back if it raises.

        For whoever has many statements: those of a SQLite file run in a thread of their own, one ``work`` after the
        other, where they cost a fraction of what they cost step by step from the event loop; elsewhere ``work`` gets
        the view of an `AsyncConnection` that SQLAlchemy's ``run_sync`` gives. It must not touch what belongs to the
        event loop. A caller that is cancelled does not wait for the end of what its thread has begun; `close` does.
        """
        if not self._sqlite or self.in_memory or self._reading:
            async with self.begin() as connection:
                return await connection.run_sync(work)
        return await self.thread.transact(work)

    @property
    def thread(self) -> DatabaseThread:
        """Where `transact` has its work done, if this is a SQLite file."""
        if self._thread is None:
            self._thread = DatabaseThread(self._url.set(drivername="sqlite"), self._busy_timeout)
        return self._thread

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AsyncConnection]:
        """A connection for reading: one consistent view of the data, nothing is committed."""
        async with self.engine.connect() as connection:
            yield connection

    async def migrate(self, branch: str, versions: Path) -> None:
        """Bring the tables of ``branch`` (a plugin's name: ``[a-z][a-z0-9_]*``) up to its newest revision.

        ``versions`` is the directory of Alembic revision files, the plugin's own. The revision reached is kept in the
        table ``alembic_version_<branch>``. All pending revisions run in one transaction, alone among every process that
        migrates this database; the others wait up to ten minutes and then find nothing left to do. On SQLite foreign
        keys are off while revisions run (so that tables may be rebuilt) and checked before the commit. A branch that is
        not there at all is made by its baseline, if it has one. Raises `MigrationError`
        naming branch and revision; the data is then as it was.
        """
        if not _BRANCH.fullmatch(branch):
            raise ValueError(f"not a migration branch name: {branch!r}")
        newest = newest_revision(versions)
        try:
            await asyncio.to_thread(self.probe)
            async with self.connect() as connection:
                reached = await connection.run_sync(reached_revision, branch)
                if newest is not None and reached == newest:
                    return
            baseline = read_baseline(branch, versions) if self._sqlite and reached is None else None
            if baseline is not None and await self._made(baseline):
                return
            async with self.connect() as connection:
                revisions = _revisions(branch, versions)
                if await connection.run_sync(revisions.current):
                    return
        except _unusable() as problem:
            reason = problem.orig if isinstance(problem, DBAPIError) else problem
            raise MigrationError(branch, None, f"cannot use {self.url}: {reason}") from problem
        if self._by_command and not self._sqlite:
            raise MigrationError(branch, None, "on this database that is done by `helicone-gw db upgrade`, beforehand")
        turn = _migrating.setdefault(asyncio.get_running_loop(), asyncio.Lock())
        async with turn, self.engine.connect() as connection:
            try:
                await self._lock_for_migration(connection, branch)
                await connection.run_sync(revisions.upgrade)
                await connection.commit()
            except BaseException:
                await connection.rollback()
                raise
            finally:
                # SQLite's foreign keys are off on this one: it must not go back to the pool.
                await connection.invalidate()

    async def standing(self, branch: str, versions: Path) -> Standing:
        """How far the tables of ``branch`` are. Raises `MigrationError`, and what SQLAlchemy raises."""
        async with self.connect() as connection:
            return await connection.run_sync(_revisions(branch, versions).standing)

    async def close(self) -> None:
        """Close every connection; an in-memory database is gone. May be called twice."""
        thread, self._thread = self._thread, None
        if thread is not None:
            await thread.close()
        await self.engine.dispose()
        if self._anchor is not None:
            self._anchor.close()
            self._anchor = None

    def probe(self) -> None:
        """Open a SQLite file once: aiosqlite, where it cannot, leaves a thread behind. Raises `sqlite3.Error`."""
        if self._sqlite and not _in_memory(self._url):
            database = self._url.database or ""
            sqlite3.connect(database, timeout=self._busy_timeout, uri=database.startswith("file:")).close()

    async def _made(self, baseline: Baseline) -> bool:
        """Whether ``baseline`` was run. Whatever hinders it, the revisions meet as well, and say so."""
        async with self.engine.connect() as connection:
            raw: Any = (await connection.get_raw_connection()).driver_connection
            try:
                await raw.executescript(baseline.script())
            except sqlite3.Error:
                return False
            finally:
                if raw.in_transaction:
                    await raw.rollback()
        return True

    async def _lock_for_migration(self, connection: AsyncConnection, branch: str) -> None:
        if not self._sqlite:
            await connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{int(_MIGRATION_TIMEOUT)}s'")
            await connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
            return
        await connection.run_sync(without_foreign_keys)
        await connection.execution_options(sqlite_begin="BEGIN IMMEDIATE")
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _MIGRATION_TIMEOUT
        while True:
            try:
                await connection.begin()
            except OperationalError as problem:
                if not is_locked(problem):
                    raise
                if loop.time() > deadline:
                    raise MigrationError(branch, None, "the database stayed locked by another process") from problem
                await asyncio.sleep(0.05)
            else:
                return

    def _sqlite_engine(self) -> AsyncEngine:
        url = self._url
        name = ""
        options: dict[str, Any] = {}
        if _in_memory(url):
            # A named shared-cache database lives as long as one connection to it. The anchor is that one: a pooled
            # connection is dropped when its user is cancelled, and must not take the data along.
            name = f"file:helicone-gw-{uuid.uuid4().hex}?mode=memory&cache=shared"
            url = make_url(f"sqlite+aiosqlite:///{name}&uri=true")
            options = {"pool_size": 1, "max_overflow": 0}
        engine = create_async_engine(
            url,
            poolclass=AsyncAdaptedQueuePool,
            hide_parameters=True,
            # isolation_level None stops the driver's own idea of when a transaction begins, which leaves DDL outside.
            connect_args={"isolation_level": None, "timeout": self._busy_timeout},
            **options,
        )
        if _in_memory(self._url):
            event.listen(engine.sync_engine, "connect", lambda *_: self._drop_anchor(name))
        prepare_engine(engine.sync_engine, reading=self._reading)
        return engine

    def _drop_anchor(self, name: str) -> None:
        if self._anchor is None:
            self._anchor = sqlite3.connect(name, uri=True, check_same_thread=False)

    def _postgres_engine(self) -> AsyncEngine:
        try:
            return create_async_engine(self._url, pool_pre_ping=True, hide_parameters=True)
        except ModuleNotFoundError as problem:
            raise ConfigError(
                [f"database.url: {problem.name} is not installed: pip install 'helicone-gw-core[postgres]'"]
            ) from None


def _revisions(branch: str, versions: Path) -> Revisions:
    from helicone_gw.revisions import Revisions  # Alembic, which a start does without where nothing is left to do

    return Revisions(branch, versions)


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError, ValueError):
        # The text may hold a password: it is not repeated.
        raise ConfigError(["database.url: not a database URL, such as sqlite:///helicone.db"]) from None
    drivers = {
        "sqlite": ("sqlite", "sqlite+aiosqlite"),
        "postgresql": ("postgresql", "postgresql+asyncpg"),
        "postgres": ("postgres", "postgresql+asyncpg"),
    }
    if backend not in drivers or parsed.drivername not in drivers[backend]:
        raise ConfigError([f"database.url: {parsed.drivername!r} is not supported; use sqlite or postgresql"])
    return parsed.set(drivername=drivers[backend][1])


def _unusable() -> tuple[type[Exception], ...]:
    """What says that a database cannot be used: what drivers raise when they connect, SQLAlchemy does not translate."""
    asyncpg: Any = sys.modules.get("asyncpg")
    own: tuple[type[Exception], ...] = () if asyncpg is None else (asyncpg.PostgresError,)
    return (DBAPIError, sqlite3.Error, OSError, *own)


def _in_memory(url: URL) -> bool:
    return url.database in (None, "", ":memory:")
