"""Execute: one statement over the caller's own rows, on whichever database the log is in."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.sql import postgres, sqlite
from helicone_gw_logging.sql.guard import SqlError, statement
from helicone_gw_logging.sql.result import Limits, Result
from helicone_gw_logging.sql.schema import schema

if TYPE_CHECKING:
    from helicone_gw import Database

AT_ONCE = 4
"""Statements that run at a time in one worker; a further one is refused."""

_threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="helicone-gw-sql")
_running: WeakKeyDictionary[asyncio.AbstractEventLoop, int] = WeakKeyDictionary()


def tables(database: Database, scope: Scope) -> dict[str, list[tuple[str, str]]]:
    """Every table that ``scope`` may ask, with names and types of its columns."""
    dialect = "sqlite" if database.sqlite else "postgresql"
    found = schema(dialect, scope, "main")
    return {name: [(column.name, column.type) for column in columns] for name, (columns, _) in found.items()}


async def execute(database: Database, scope: Scope, sql: str, limits: Limits | None = None) -> Result:
    """The answer to ``sql``, a single SELECT. Raises `SqlError`."""
    text, limits = statement(sql), limits or Limits()
    loop = asyncio.get_running_loop()
    if _running.get(loop, 0) >= AT_ONCE:
        raise SqlError("BUSY", "Too many statements are running; try again in a moment.", 503)
    _running[loop] = _running.get(loop, 0) + 1
    try:
        if database.sqlite:
            return await _on_sqlite(database, scope, text, limits)
        # PostgreSQL's own limit is each page's; this one is for all of them.
        async with asyncio.timeout(limits.seconds + 1), database.connect() as connection:
            qualifier = await postgres.qualifier_of(connection)
            offered = schema("postgresql", scope, qualifier)
            views = {name: select for name, (_, select) in offered.items()}
            columns = {column.name for listed, _ in offered.values() for column in listed}
            return await postgres.run(connection, text, views, columns, limits)
    except TimeoutError:
        raise SqlError("TIMEOUT", f"The statement took more than {limits.seconds:g} seconds.", 503) from None
    finally:
        _running[loop] -= 1


async def _on_sqlite(database: Database, scope: Scope, sql: str, limits: Limits) -> Result:
    url = database.engine.url
    where = sqlite.address(url.database or "", url.query)
    views = {name: select for name, (_, select) in schema("sqlite", scope, "main").items()}
    query = sqlite.Query(where, views, limits)
    # It waits in a thread of its own: a slow statement keeps nothing else waiting that needs one.
    running: asyncio.Future[Any] = asyncio.get_running_loop().run_in_executor(_threads, query.run, sql)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        query.cancel()  # a thread hears of no cancellation
        await asyncio.wait({running})
        if not running.cancelled():
            running.exception()  # nobody asks how it ended
        raise
    except OSError:
        raise SqlError("FAILED", "The statement could not be run.", 503) from None
