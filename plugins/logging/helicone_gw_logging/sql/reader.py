"""Reader: one statement on SQLite; run as a program, in a process that may take so much time and memory and no more.

SQLite can be interrupted between two steps of a statement: not in the middle of a function, and not while it makes its
plan. What takes too long or too much there ends with the process, and takes nothing along. One is started for each
statement, so that nothing but the standard library is imported here, and nothing of this package.

The views that read the log's tables have names that nobody can guess, so that SQLite's word for who reads a table (the
innermost view) cannot be brought about by a statement's own names.
"""

from __future__ import annotations

import json
import math
import resource
import secrets
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypedDict

_EVERY = 2000  # virtual machine instructions between two looks at the clock and at the caller
_MODULES = ("json_each", "json_tree")
_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: 16 << 20,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 1 << 20,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 200,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 50,
    sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER: 0,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
_SORTED = 1 << 30  # bytes of one file that SQLite sorts in
_TOO_MUCH = "The statement takes more memory, or room to sort in, than it may."


class Asked(TypedDict):
    """A statement, what it may read and what it may take.

    ``database`` is SQLite's URI, ``views`` a SELECT for each name that the statement may use, ``functions`` those that
    it may call. ``seconds``, ``rows`` and ``bytes`` are as in ``helicone_gw_logging.sql.result.Limits``; ``memory`` is
    how many bytes the process may take.
    """

    database: str
    views: dict[str, str]
    functions: list[str]
    seconds: float
    rows: int
    bytes: int
    memory: int
    sql: str


class Answer(TypedDict, total=False):
    """What a statement answers, as the fields of ``helicone_gw_logging.sql.result.Result``.

    Or its ``problem``: code, message and status of the ``SqlError`` that it stands for.
    """

    columns: list[str]
    rows: list[list[str | int | float | None]]
    size: int
    truncated: bool
    problem: tuple[str, str, int]


def answer(asked: Asked, cancelled: Callable[[], bool]) -> Answer:
    """The answer to ``asked``, or its problem; ``cancelled`` says whether anybody still waits for it."""
    try:
        with _opened(asked) as (connection, inner):
            ends = time.monotonic() + asked["seconds"]
            connection.set_progress_handler(lambda: cancelled() or time.monotonic() > ends, _EVERY)
            real = _real(connection)
            allowed = _authorizer(frozenset(inner), frozenset(asked["views"]), real, frozenset(asked["functions"]))
            connection.set_authorizer(allowed)
            try:
                return _taken(connection.execute(asked["sql"]), asked)
            except sqlite3.DataError as problem:
                return {"problem": ("RESULT_TOO_LARGE", f"A value is too large: {problem}", 400)}
            except (sqlite3.Error, sqlite3.Warning) as problem:
                return {"problem": _problem(str(problem), asked["seconds"])}
    except MemoryError:
        return {"problem": ("RESULT_TOO_LARGE", _TOO_MUCH, 400)}
    except sqlite3.Error:
        return {"problem": ("FAILED", "The database cannot be opened.", 503)}


@contextmanager
def _opened(asked: Asked) -> Iterator[tuple[sqlite3.Connection, list[str]]]:
    """A connection that has the views, and names of those that nobody can guess."""
    connection = sqlite3.connect(asked["database"], uri=True, isolation_level=None, timeout=1.0)
    try:
        connection.execute("PRAGMA cache_size=-16384")
        connection.execute("PRAGMA temp_store=FILE")
        connection.execute("PRAGMA trusted_schema=OFF")
        if "mode=memory" in asked["database"]:
            connection.execute(
                "PRAGMA read_uncommitted=ON"
            )  # tables of a shared cache are locked while rows are written
        for module in _MODULES:
            # Its first use declares it, which looks like a change to the authorizer.
            connection.execute(f"SELECT 1 FROM {module}('[]')")  # noqa: S608
        inner = []
        for name, select in asked["views"].items():
            hidden = f"v_{secrets.token_hex(16)}"
            connection.execute(f'CREATE TEMP VIEW "{hidden}" AS {select}')
            connection.execute(f'CREATE TEMP VIEW "{name}" AS SELECT * FROM "{hidden}"')  # noqa: S608
            inner.append(hidden)
        connection.execute("PRAGMA query_only=ON")
        for limit, value in _LIMITS.items():
            connection.setlimit(limit, value)
        yield connection, inner
    finally:
        connection.close()


def _taken(cursor: sqlite3.Cursor, asked: Asked) -> Answer:
    """Rows until there are enough."""
    found: Answer = {"columns": [column[0] for column in cursor.description or ()], "truncated": False}
    rows: list[list[str | int | float | None]] = []
    size = 0
    for row in cursor:
        if len(rows) >= asked["rows"]:
            found["truncated"] = True
            break
        values = [_plain(value) for value in row]
        size += sum(len(value) + 8 if isinstance(value, str) else 8 for value in values)
        if size > asked["bytes"]:
            message = f"The result is larger than {asked['bytes'] >> 20} MiB."
            return {"problem": ("RESULT_TOO_LARGE", message, 400)}
        rows.append(values)
    return {**found, "rows": rows, "size": size}


def _plain(value: Any) -> str | int | float | None:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value  # type: ignore[no-any-return]  # SQLite has nothing else


def _problem(text: str, seconds: float) -> tuple[str, str, int]:
    if text == "interrupted":
        return "TIMEOUT", f"The statement took more than {seconds:g} seconds.", 503
    if "prohibited" in text or "not authorized" in text:
        # Its words may name what nobody needs to know.
        return "FORBIDDEN", "The statement reads or calls what it may not.", 400
    if "locked" in text:
        return "BUSY", "The database is busy.", 503
    if "disk" in text:
        return "RESULT_TOO_LARGE", _TOO_MUCH, 400
    return "SYNTAX_ERROR", text, 400


def _real(connection: sqlite3.Connection) -> frozenset[str]:
    """Names, in lower case, of all that is more than a name in a statement: tables, and modules that make some."""
    found = [
        *connection.execute("SELECT name FROM main.sqlite_master"),
        *connection.execute("SELECT name FROM pragma_module_list"),
    ]
    return frozenset(str(name).lower() for (name,) in found)


def _authorizer(inner: frozenset[str], outer: frozenset[str], real: frozenset[str], functions: frozenset[str]) -> Any:
    def authorize(action: int, first: str | None, second: str | None, where: str | None, by: str | None) -> int:
        if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE):
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_FUNCTION:
            return sqlite3.SQLITE_OK if (second or "").lower() in functions else sqlite3.SQLITE_DENY
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


def _bound(asked: Asked) -> None:
    """Let this process take no more than it may."""
    seconds = math.ceil(asked["seconds"]) + 1
    for what, soft, hard in (
        (resource.RLIMIT_CPU, seconds, seconds + 1),
        (resource.RLIMIT_AS, asked["memory"], asked["memory"]),
        (resource.RLIMIT_FSIZE, _SORTED, _SORTED),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        with suppress(ValueError, OSError):  # a system that has no such limit, or a lower one already
            resource.setrlimit(what, (soft, hard))


def main() -> None:
    """Answer what is asked on standard input, as JSON, on standard output."""
    asked: Asked = json.load(sys.stdin.buffer)
    _bound(asked)
    json.dump(answer(asked, lambda: False), sys.stdout)


if __name__ == "__main__":
    main()
