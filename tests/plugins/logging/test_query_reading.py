"""Reading: no question occupies the database for longer than it may."""

from __future__ import annotations

import pytest
from sqlalchemy import Column, select, text
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError

from helicone_gw.database import Database
from helicone_gw_logging.query.reading import TooLong, reading
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.tables import REQUEST

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


async def test_what_does_not_end_is_ended(any_database: Database) -> None:
    with pytest.raises(TooLong):
        async with reading(any_database, 0.05) as connection:
            await connection.execute(text(ENDLESS))
    async with reading(any_database) as connection:
        assert await connection.scalar(text("SELECT 1")) == 1


async def test_what_is_wrong_in_time_is_wrong(any_database: Database) -> None:
    with pytest.raises(DBAPIError):
        async with reading(any_database) as connection:
            await connection.execute(text("SELECT * FROM nowhere"))


@pytest.mark.parametrize("column", [REQUEST.c.id, REQUEST.c.request_id])
async def test_few_rows_are_found_by_their_ids_and_not_among_all_of_their_organization(
    database: Database, column: Column[str]
) -> None:
    query = select(REQUEST.c.seq).where(Scope().of_few(REQUEST), column == "one")
    compiled = query.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
    async with database.connect() as connection:
        plan = (await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}")).mappings().all()
    assert any(f"({column.name}=?)" in step["detail"] for step in plan), plan
