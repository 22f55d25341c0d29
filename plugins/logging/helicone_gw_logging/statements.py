"""Statements: rows put into a table, and sums added to what is there, many with one statement where that is cheaper."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain, compress
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, ColumnElement, Table, case, insert

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.engine import Dialect

Values = tuple[Any, ...]
"""The values of one row, in the order of its table's columns."""

_GROUPS = (256, 64, 16, 4, 1)
"""Rows of one statement: some hundred take half a dozen, and those of all tables are few enough (SQLite's driver keeps
128) to stay prepared."""

_MAX_VARIABLES = 32_766 if sqlite3.sqlite_version_info >= (3, 32) else 999


def put(connection: Connection, table: Table, rows: Sequence[Values]) -> None:
    """Insert ``rows``. Raises what SQLAlchemy raises when one is there already."""
    if not rows:
        return
    # A column that is unknown of all of them, as half of them are, is not named: every value takes its time.
    size, together = len(rows[0]), tuple(chain.from_iterable(rows))
    unknown = [
        place for place, value in enumerate(rows[0]) if value is None and together[place::size].count(None) == len(rows)
    ]
    names, named = _named(table, tuple(unknown))
    dialect: Any = type(connection.dialect)
    _execute(connection, _insertion(table, names, dialect), rows, named)


def add(connection: Connection, table: Table, rows: Sequence[Values]) -> None:
    """Add ``rows`` to those that have the same primary key: every other column is a sum.

    Only ``first_at`` and ``last_at`` are the least and the greatest there was, and ``key`` stays what it is. No two of
    ``rows`` have the same key.
    """
    if rows:
        dialect: Any = type(connection.dialect)
        _execute(connection, _addition(table, dialect), rows, (True,) * len(rows[0]))


def _execute(connection: Connection, statement: str, rows: Sequence[Values], named: tuple[bool, ...]) -> None:
    """Execute the statement for one row for all of them, with those of their values that it has a place for."""
    # Past SQLAlchemy's own handling of parameters, which costs several times what the database does.
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql(statement, [tuple(compress(row, named)) for row in rows])
        return
    # Every step of SQLite gives the interpreter lock away and has to wait to get it back: few steps are taken.
    at, columns = 0, sum(named)
    for size in _GROUPS:
        while len(rows) - at >= size and size * columns <= _MAX_VARIABLES:
            group = compress(chain.from_iterable(rows[at : at + size]), named * size)
            connection.exec_driver_sql(_of_rows(statement, columns, size), tuple(group))
            at += size


@lru_cache(maxsize=256)
def _named(table: Table, unknown: tuple[int, ...]) -> tuple[tuple[str, ...], tuple[bool, ...]]:
    """The columns to be named where these are unknown, and of each of a row's values whether its column is."""
    named = tuple(
        [
            place not in unknown
            or not column.nullable
            or column.default is not None
            or column.server_default is not None
            for place, column in enumerate(table.columns)
        ]
    )
    return tuple(compress(table.columns.keys(), named)), named


@lru_cache(maxsize=256)
def _insertion(table: Table, names: tuple[str, ...], dialect: type[Dialect]) -> str:
    compiled = insert(table).compile(dialect=dialect(), column_keys=names)
    assert compiled.positiontup == [*names]
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
