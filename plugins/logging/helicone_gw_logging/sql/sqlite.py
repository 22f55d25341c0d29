"""SQL on SQLite: a process of its own for each statement, which cannot write and reads the caller's rows alone.

A database in memory is there for no other process. It is asked in this one, where a statement that SQLite does not
interrupt cannot be ended.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from signal import SIGXCPU
from typing import Any
from urllib.parse import quote

import msgspec

from helicone_gw_logging.sql import reader
from helicone_gw_logging.sql.guard import FUNCTIONS, SqlError
from helicone_gw_logging.sql.result import Limits, Result

_GRACE = 2.0  # seconds beside those of the statement, for a process to begin and to say what it found
_MEMORY = 512 << 20  # bytes beside those of the result, which is there some four times over


class Query:
    """One statement to be run, in a thread; `cancel` may be called from another one."""

    def __init__(self, database: str, views: Mapping[str, str], limits: Limits) -> None:
        self._database = database
        self._views = views
        self._limits = limits
        self._cancelled = False
        self._process: subprocess.Popen[bytes] | None = None

    def cancel(self) -> None:
        """Have it end soon."""
        self._cancelled = True
        if self._process is not None:
            self._process.kill()

    def run(self, sql: str) -> Result:
        """The answer. Raises `SqlError`, and ``OSError`` when no process can be started."""
        limits = self._limits
        asked: reader.Asked = {
            "database": self._database,
            "views": dict(self._views),
            "functions": sorted(FUNCTIONS["sqlite"]),
            "seconds": limits.seconds,
            "rows": limits.rows,
            "bytes": limits.bytes,
            "memory": _MEMORY + 4 * limits.bytes,
            "sql": sql,
        }
        in_memory = "mode=memory" in self._database
        answer = reader.answer(asked, lambda: self._cancelled) if in_memory else self._apart(asked)
        if "problem" in answer:
            raise SqlError(*answer["problem"])
        rows = [tuple(row) for row in answer["rows"]]
        return Result(answer["columns"], rows, answer["size"], answer["truncated"])

    def _apart(self, asked: reader.Asked) -> reader.Answer:
        command = [sys.executable, "-I", "-S", reader.__file__]
        pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=nowhere) as process:  # noqa: S603 - our own
            self._process = process
            try:
                if self._cancelled:  # before there was anything to be killed
                    process.kill()
                seconds = self._limits.seconds + _GRACE
                said, _ = process.communicate(msgspec.json.encode(asked), timeout=seconds)
            except subprocess.TimeoutExpired:
                raise self._too_long() from None
            finally:
                process.kill()
        if process.returncode == -SIGXCPU:
            raise self._too_long()
        if process.returncode != 0:
            raise SqlError("FAILED", "The statement could not be run.", 503)
        return msgspec.json.decode(said, type=reader.Answer)

    def _too_long(self) -> SqlError:
        return SqlError("TIMEOUT", f"The statement took more than {self._limits.seconds:g} seconds.", 503)


def address(database: str, query: Mapping[str, Any]) -> str:
    """SQLite's URI for reading the database that SQLAlchemy knows by this name and query."""
    if query.get("mode") == "memory" or "mode=memory" in database:
        return f"{database}?mode=memory&cache=shared" if "?" not in database else database
    if database.startswith("file:"):
        return f"{database}{'&' if '?' in database else '?'}mode=ro"
    return f"file:{quote(database)}?mode=ro"
