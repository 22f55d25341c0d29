"""The one place where commands open the database: to make what they need, to change what is there, only to read.

Typer is imported by whoever runs a command: what is public is imported by every start, which does without it.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from helicone_gw.database import Database
from helicone_gw.errors import ConfigError
from helicone_gw.migrations import MigrationError, version_table
from helicone_gw.sqlite import file_of_uri, is_locked

if TYPE_CHECKING:
    import typer
    from sqlalchemy import Connection

T = TypeVar("T")
E = TypeVar("E")
Work = Callable[[Database], Awaitable[T]]

BUSY_TIMEOUT = 5.0
"""Seconds for which a command waits for a SQLite file that another process has locked."""


@dataclass(frozen=True, slots=True)
class CommandDatabase:
    """The database at ``typer.Context.obj.config.database.url``, as the commands of a plugin use it.

    ``tables`` are the directories of revisions by branch, as in `Plugin.migrations`: what `make` brings up to date, and
    without any of which there is nothing yet to `read` or `change`. ``in_memory`` is what to say, and refuse, when the
    database is in the memory of the running gateway; without it, that is one where nothing is yet. ``required``:
    on a database server the tables must be there and up to date (``helicone-gw db upgrade``) for any of this.

    Every method does ``work`` on the open database and closes it. What keeps it from being done (a lock, something that
    is no database, a server that is away, tables of another version) is one line on standard error and exit code 1;
    what else ``work`` raises is raised.
    """

    tables: Mapping[str, Path] = field(default_factory=dict)
    in_memory: str | None = None
    required: bool = False

    def make(self, context: typer.Context, work: Work[T]) -> T:
        """Do ``work`` in tables that are made first, or brought up to date; a SQLite file is made, too."""
        return self._run(context, self._making(work))

    def change(self, context: typer.Context, work: Work[T], otherwise: E) -> T | E:
        """Do ``work`` on what is there; ``otherwise`` where nothing is yet, which is told. No file is made."""
        return self._run(context, self._there(context, work, otherwise))

    def read(self, context: typer.Context, work: Work[T], otherwise: E, *, waits: bool = False) -> T | E:
        """Do ``work``, which only reads; ``otherwise`` where nothing is yet, which is told on standard error.

        No file is made and no table; SQLite refuses every change. ``waits``: it is told, and ``work`` is done all the
        same, for it waits for the database itself.
        """
        return self._run(context, self._there(context, work, otherwise, waits=waits), reading=True)

    def _making(self, work: Work[T]) -> Work[T]:
        async def making(database: Database) -> T:
            for branch, versions in self.tables.items():
                await database.migrate(branch, versions)
            return await work(database)

        return making

    def _there(self, context: typer.Context, work: Work[T], otherwise: E, *, waits: bool = False) -> Work[T | E]:
        async def there(database: Database) -> T | E:
            lacking = await self._lacking(context, database)
            if lacking is not None:
                _say(lacking)
                if not waits:
                    return otherwise
            return await work(database)

        return there

    async def _lacking(self, context: typer.Context, database: Database) -> str | None:
        """What is to be said of a database in which nothing is yet."""
        if database.missing:
            file = database.path or file_of_uri(database.engine.url)
            folder = "" if file is None or file.parent.is_dir() else ", in a folder that is to be made before that"
            start = start_command(context)
            return f"There is no database yet: {database.url} is made when the gateway starts ({start}){folder}."
        if self.required and not database.sqlite:
            for branch, versions in self.tables.items():
                await database.migrate(branch, versions)  # which refuses: that is done by `db upgrade` alone
        try:
            database.probe()
            async with database.connect() as connection:
                if not self.tables or await connection.run_sync(self._any):
                    return None
        except SQLAlchemyError:
            raise
        except Exception as problem:  # drivers have errors of their own when they connect
            _fail(f"The database cannot be used: {_reason(problem)}")
        names = " and ".join(repr(branch) for branch in self.tables)
        if database.in_memory:
            return f"There are no tables of {names} in {database.url}: only the running gateway has what is in memory."
        made = (
            f"when the gateway starts ({start_command(context)})" if database.sqlite else "by `helicone-gw db upgrade`"
        )
        return f"There are no tables of {names} in {database.url} yet: they are made {made}."

    def _any(self, connection: Connection) -> bool:
        return any(connection.dialect.has_table(connection, version_table(branch)) for branch in self.tables)

    def _run(self, context: typer.Context, work: Work[T], *, reading: bool = False) -> T:
        url = context.obj.config.database.url

        async def run() -> T:
            database = Database(url, busy_timeout=BUSY_TIMEOUT, by_command=self.required, reading=reading)
            try:
                if self.in_memory is not None and database.in_memory:
                    _fail(f"The database is in memory (database.url): {self.in_memory}")
                return await work(database)
            except (SQLAlchemyError, sqlite3.Error) as problem:
                _fail(await self._explained(database, problem))
            finally:
                await database.close()

        try:
            return asyncio.run(run())
        except MigrationError as problem:
            _fail(str(problem))

    async def _explained(self, database: Database, problem: Exception) -> str:
        """Why ``work`` failed: often because the tables are those of another version."""
        if is_locked(problem):
            return f"The database {database.url} is locked by another process: try again in a moment."
        try:
            database.probe()
            behind = [
                repr(branch)
                for branch, versions in self.tables.items()
                if not (await database.standing(branch, versions)).current
            ]
        except (SQLAlchemyError, sqlite3.Error, OSError):
            behind = []
        if behind:
            return (
                f"The tables of {' and '.join(behind)} in {database.url} are older than this version: "
                "start the gateway, or `helicone-gw db upgrade`."
            )
        return f"The database cannot be used: {_reason(problem)}"


def start_command(context: typer.Context) -> str:
    """What starts the gateway with the configuration that this command has read."""
    from shlex import quote

    from helicone_gw.commands.loading import locate

    path = getattr(context.obj, "path", None)
    try:
        found = locate(None)
    except ConfigError:  # of the environment, which --config has overruled
        found = None
    if path is None or path == found:
        return "helicone-gw"
    here = Path.cwd()
    return f"helicone-gw --config {quote(str(path.relative_to(here) if path.is_relative_to(here) else path))}"


def _reason(problem: Exception) -> str:
    lines = str(getattr(problem, "orig", problem)).splitlines()
    return lines[0] if lines else type(problem).__name__


def _say(line: str) -> None:
    import typer

    typer.echo(line, err=True)


def _fail(line: str) -> NoReturn:
    import typer

    typer.echo(line, err=True)
    raise typer.Exit(1)
