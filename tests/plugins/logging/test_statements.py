"""Statements: any number of rows, put or added, in whatever groups."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from helicone_gw.database import Database
from helicone_gw_logging.statements import _of_rows, add, put
from helicone_gw_logging.totals import HIDDEN_PROPERTY, PROPERTY_KEY, SAVED_QUERY


@pytest.fixture
def database(any_database: Database) -> Database:
    return any_database


@pytest.mark.parametrize("number", [0, 1, 7, 8, 63, 300, 1100])
async def test_rows_are_all_put(database: Database, number: int) -> None:
    async with database.begin() as connection:
        await connection.run_sync(put, HIDDEN_PROPERTY, [("default", f"key-{n:05}", n) for n in range(number)])
    async with database.connect() as connection:
        found = await connection.scalars(select(HIDDEN_PROPERTY.c.created_at).order_by(HIDDEN_PROPERTY.c.key_lower))
        assert list(found) == list(range(number))


async def test_a_row_that_is_there_is_not_put_again(database: Database) -> None:
    async with database.begin() as connection:
        await connection.run_sync(put, HIDDEN_PROPERTY, [("default", "key", 1)])
    with pytest.raises(IntegrityError):
        async with database.begin() as connection:
            await connection.run_sync(put, HIDDEN_PROPERTY, [("default", "other", 1), ("default", "key", 2)])
    async with database.connect() as connection:
        assert list(await connection.scalars(select(HIDDEN_PROPERTY.c.created_at))) == [1]


async def test_rows_are_added_to_those_that_are_there(database: Database) -> None:
    first = [("default", f"k{n}", f"K{n}", 100, 100, 1) for n in range(20)]
    second = [("default", f"k{n}", f"other{n}", 50 + n, 150 - n, 2) for n in range(10, 30)]
    async with database.begin() as connection:
        await connection.run_sync(add, PROPERTY_KEY, first)
        await connection.run_sync(add, PROPERTY_KEY, second)
    async with database.connect() as connection:
        rows = {row.key_lower: tuple(row[2:]) for row in await connection.execute(select(PROPERTY_KEY))}
    assert rows["k5"] == ("K5", 100, 100, 1)
    assert rows["k12"] == ("K12", 62, 138, 3)
    assert rows["k25"] == ("other25", 75, 125, 2)
    assert len(rows) == 30


@given(st.integers(1, 90), st.integers(1, 512))
def test_a_statement_for_many_rows_has_a_place_for_every_value(columns: int, size: int) -> None:
    row = f"({', '.join('?' * columns)})"
    statement = _of_rows(f"INSERT INTO t (x) VALUES {row} ON CONFLICT DO NOTHING", columns, size)
    assert statement.count("?") == columns * size
    assert statement.endswith(f"{row} ON CONFLICT DO NOTHING")


@pytest.mark.parametrize("keys", [(None, None, None), ("a", None, "c"), (None, "b", None), ("a", "b", "c")])
async def test_what_is_unknown_of_some_or_of_all_is_unknown(database: Database, keys: tuple[str | None, ...]) -> None:
    rows = [("default", f"query-{n}", key, "name", "SELECT 1", n, n) for n, key in enumerate(keys)]
    async with database.begin() as connection:
        await connection.run_sync(put, SAVED_QUERY, rows)
        assert [tuple(row) for row in await connection.execute(select(SAVED_QUERY).order_by(SAVED_QUERY.c.id))] == rows
