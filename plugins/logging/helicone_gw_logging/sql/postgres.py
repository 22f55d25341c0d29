"""SQL on PostgreSQL: a transaction that cannot write, in which nothing but our own names leads anywhere."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from helicone_gw_logging.sql.guard import SqlError, check_names
from helicone_gw_logging.sql.result import Limits, Result
from helicone_gw_logging.sql.unending import check_ends

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

_AT_ONCE = 500


async def qualifier_of(connection: AsyncConnection) -> str:
    """The schema in which the log's tables are, quoted."""
    name = str((await connection.exec_driver_sql("SELECT current_schema()")).scalar())
    quoted = name.replace('"', '""')
    return f'"{quoted}"'


async def run(
    connection: AsyncConnection, sql: str, views: Mapping[str, str], columns: Collection[str], limits: Limits
) -> Result:
    """The answer to ``sql``, over ``views`` with these ``columns``. Rolls its transaction back. Raises `SqlError`."""
    schemas, relations = await _names(connection)
    # Tables lead nowhere without their schema: that they may not be named is a second lock, and columns come first.
    check_names(sql, schemas | (relations - views.keys() - set(columns)))
    check_ends(sql)
    await connection.rollback()
    own = ", ".join(f'"{name}" AS NOT MATERIALIZED ({select})' for name, select in views.items())
    try:
        for setting in (
            "SET TRANSACTION READ ONLY",
            "SET LOCAL search_path = pg_temp",
            f"SET LOCAL statement_timeout = {int(limits.seconds * 1000)}",
            "SET LOCAL lock_timeout = 1000",
            "SET LOCAL work_mem = '16MB'",
            "SET LOCAL max_parallel_workers_per_gather = 0",
        ):
            await connection.exec_driver_sql(setting)
        # Inside its parentheses a statement sees our names, and can end nothing that is around it.
        # A name of its own: the driver remembers what a FETCH from that name brings.
        cursor = f"c_{secrets.token_hex(8)}"
        declared = f"DECLARE {cursor} NO SCROLL CURSOR FOR WITH {own} SELECT * FROM (\n{sql}\n) AS statement"  # noqa: S608
        await connection.exec_driver_sql(declared)
        result: Result | None = None
        while True:
            page = await connection.exec_driver_sql(f"FETCH {_AT_ONCE} FROM {cursor}")
            result = result or Result(list(page.keys()))
            rows = page.fetchall()
            if not result.take(rows, limits) or len(rows) < _AT_ONCE:
                return result
    except DBAPIError as problem:
        raise _problem(problem, limits) from None
    finally:
        await connection.rollback()


async def _names(connection: AsyncConnection) -> tuple[set[str], set[str]]:
    """Names of schemas, and of tables outside PostgreSQL's own."""
    schemas = await connection.exec_driver_sql("SELECT nspname FROM pg_namespace")
    relations = await connection.exec_driver_sql(
        "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE relkind IN ('r', 'v', 'm', 'p', 'f') AND nspname NOT IN ('pg_catalog', 'information_schema')"
    )
    return {str(name).lower() for (name,) in schemas}, {str(name).lower() for (name,) in relations}


def _problem(problem: DBAPIError, limits: Limits) -> SqlError:
    state = str(getattr(problem.orig, "sqlstate", "") or getattr(problem.orig, "pgcode", ""))
    text = str(problem.orig).split(">: ", 1)[-1].splitlines()[0]
    if state == "57014":
        return SqlError("TIMEOUT", f"The statement took more than {limits.seconds:g} seconds.", 503)
    if state.startswith("25"):
        return SqlError("FORBIDDEN", "The statement would change something.")
    if state.startswith(("42", "22")):
        return SqlError("SYNTAX_ERROR", text)
    return SqlError("FAILED", "The statement could not be run.", 503)
