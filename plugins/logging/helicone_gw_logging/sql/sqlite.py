"""SQL on SQLite: a connection of its own that cannot write, and an authorizer that lets it read the views alone.

The views that read the log's tables have names that nobody can guess, so that SQLite's word for who reads a table (the
innermost view) cannot be brought about by a statement's own names.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from helicone_gw_logging.sql.guard import FUNCTIONS, SqlError
from helicone_gw_logging.sql.result import Limits, Result

_EVERY = 2000  # virtual machine instructions between two looks at the clock and at the caller
_MODULES = frozenset({"json_each", "json_tree"})
_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: 16 << 20,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 1 << 20,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 200,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 50,
    sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER: 0,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}


class Query:
    """One statement to be run, in a thread; `cancel` may be called from another one."""

    def __init__(self, database: str, views: Mapping[str, str], limits: Limits) -> None:
        self._database = database
        self._views = views
        self._limits = limits
        self._cancelled = False

    def cancel(self) -> None:
        """Have it end soon."""
        self._cancelled = True

    def run(self, sql: str) -> Result:
        """The answer. Raises `SqlError`, and ``sqlite3.Error`` when the file cannot be opened."""
        connection = sqlite3.connect(self._database, uri=True, isolation_level=None, timeout=1.0)
        try:
            inner = self._prepare(connection)
            real = _real(connection)
            ends = time.monotonic() + self._limits.seconds
            connection.set_progress_handler(lambda: self._cancelled or time.monotonic() > ends, _EVERY)
            connection.set_authorizer(_authorizer(frozenset(inner), frozenset(self._views), real))
            return self._answer(connection, sql)
        finally:
            connection.close()

    def _prepare(self, connection: sqlite3.Connection) -> list[str]:
        connection.execute("PRAGMA cache_size=-16384")
        connection.execute("PRAGMA temp_store=FILE")
        connection.execute("PRAGMA trusted_schema=OFF")
        if "mode=memory" in self._database:
            connection.execute(
                "PRAGMA read_uncommitted=ON"
            )  # tables of a shared cache are locked while rows are written
        inner = []
        for name, select in self._views.items():
            hidden = f"v_{secrets.token_hex(16)}"
            connection.execute(f'CREATE TEMP VIEW "{hidden}" AS {select}')
            connection.execute(f'CREATE TEMP VIEW "{name}" AS SELECT * FROM "{hidden}"')  # noqa: S608
            inner.append(hidden)
        connection.execute("PRAGMA query_only=ON")
        for limit, value in _LIMITS.items():
            connection.setlimit(limit, value)
        return inner

    def _answer(self, connection: sqlite3.Connection, sql: str) -> Result:
        try:
            cursor = connection.execute(sql)
            result = Result([column[0] for column in cursor.description or ()])
            result.take(cursor, self._limits)
        except sqlite3.DataError as problem:
            raise SqlError("RESULT_TOO_LARGE", f"A value is too large: {problem}") from None
        except (sqlite3.Error, sqlite3.Warning) as problem:
            raise self._problem(problem) from None
        return result

    def _problem(self, problem: sqlite3.Error | sqlite3.Warning) -> SqlError:
        text = str(problem)
        if text == "interrupted":
            return SqlError("TIMEOUT", f"The statement took more than {self._limits.seconds:g} seconds.", 503)
        if "prohibited" in text or "not authorized" in text:
            # Its words may name what nobody needs to know.
            return SqlError("FORBIDDEN", "The statement reads or calls what it may not.")
        if "locked" in text:
            return SqlError("BUSY", "The database is busy.", 503)
        return SqlError("SYNTAX_ERROR", text)


def address(database: str, query: Mapping[str, Any]) -> str:
    """SQLite's URI for reading the database that SQLAlchemy knows by this name and query."""
    if query.get("mode") == "memory" or "mode=memory" in database:
        return f"{database}?mode=memory&cache=shared" if "?" not in database else database
    if database.startswith("file:"):
        return f"{database}{'&' if '?' in database else '?'}mode=ro"
    return f"file:{quote(database)}?mode=ro"


def _real(connection: sqlite3.Connection) -> frozenset[str]:
    """Names, in lower case, of all that is more than a name in a statement: tables, and modules that make some."""
    found = [
        *connection.execute("SELECT name FROM main.sqlite_master"),
        *connection.execute("SELECT name FROM pragma_module_list"),
    ]
    return frozenset(str(name).lower() for (name,) in found)


def _authorizer(inner: frozenset[str], outer: frozenset[str], real: frozenset[str]) -> Any:
    def authorize(action: int, first: str | None, second: str | None, where: str | None, by: str | None) -> int:
        if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE):
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_FUNCTION:
            return sqlite3.SQLITE_OK if (second or "").lower() in FUNCTIONS["sqlite"] else sqlite3.SQLITE_DENY
        if action == sqlite3.SQLITE_READ:
            if where == "temp":
                return sqlite3.SQLITE_OK if first in outer or first in inner else sqlite3.SQLITE_DENY
            name = (first or "").lower()
            if by in inner or name in _MODULES:
                return sqlite3.SQLITE_OK
            # A common table that reads itself counts as one of the database's.
            if name not in real and not name.startswith(("sqlite_", "pragma_")):
                return sqlite3.SQLITE_OK
        return sqlite3.SQLITE_DENY

    return authorize
