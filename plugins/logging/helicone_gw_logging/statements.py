"""Statements: rows put into a table, and sums added to what is there, many with one statement where that is cheaper."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, ColumnElement, Table, case, insert

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.engine import Dialect

Values = tuple[Any, ...]
"""The values of one row, in the order of its table's columns."""

_GROUPS = (512, 256, 192, 128, 64, *range(56, 0, -8), *range(7, 0, -1))
"""Rows of one statement: five hundred take four or fewer, and those of all tables are few enough (SQLite's driver
keeps 128) to stay prepared."""

_MAX_VARIABLES = 32_766 if sqlite3.sqlite_version_info >= (3, 32) else 999


def put(connection: Connection, table: Table, rows: Sequence[Values]) -> None:
    """Insert ``rows``. Raises what SQLAlchemy raises when one is there already."""
    _execute(connection, _insertion, table, rows)


def add(connection: Connection, table: Table, rows: Sequence[Values]) -> None:
    """Add ``rows`` to those that have the same primary key: every other column is a sum.

    Only ``first_at`` and ``last_at`` are the least and the greatest there was, and ``key`` stays what it is. No two of
    ``rows`` have the same key.
    """
    _execute(connection, _addition, table, rows)


def _execute(connection: Connection, statement: Callable[..., str], table: Table, rows: Sequence[Values]) -> None:
    if not rows:
        return
    # Past SQLAlchemy's own handling of parameters, which costs several times what the database does.
    one = statement(table, type(connection.dialect))
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql(one, list(rows))
        return
    # Every step of SQLite gives the interpreter lock away and has to wait to get it back: few steps are taken.
    at, columns = 0, len(rows[0])
    for size in _GROUPS:
        while len(rows) - at >= size and size * columns <= _MAX_VARIABLES:
            group = chain.from_iterable(rows[at : at + size])
            connection.exec_driver_sql(_of_rows(one, columns, size), tuple(group))
            at += size


@lru_cache(maxsize=64)
def _insertion(table: Table, dialect: type[Dialect]) -> str:
    names = table.columns.keys()
    compiled = insert(table).compile(dialect=dialect(), column_keys=names)
    assert compiled.positiontup == names
    return str(compiled)


@lru_cache(maxsize=64)
def _addition(table: Table, dialect: type[Dialect]) -> str:
    make: Any
    if dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert as make
    else:
        from sqlalchemy.dialects.postgresql import insert as make  # slow to import
    statement = make(table)
    key = table.primary_key.columns.keys()
    sums = {
        name: _sum(column, statement.excluded[name])
        for name, column in table.columns.items()
        if name not in (*key, "key")
    }
    names = table.columns.keys()
    statement = statement.on_conflict_do_update(index_elements=key, set_=sums)
    compiled = statement.compile(dialect=dialect(), column_keys=names)
    assert compiled.positiontup == names
    return str(compiled)


def _sum(there: Column[Any], new: ColumnElement[Any]) -> ColumnElement[Any]:
    if there.name == "first_at":
        return case((new < there, new), else_=there)
    if there.name == "last_at":
        return case((new > there, new), else_=there)
    return there + new


@lru_cache(maxsize=512)
def _of_rows(statement: str, columns: int, size: int) -> str:
    """The statement for one row as one for ``size`` rows."""
    row = f"({', '.join('?' * columns)})"
    before, values, after = statement.partition(f"VALUES {row}")
    assert values
    return f"{before}{values}{f', {row}' * (size - 1)}{after}"
