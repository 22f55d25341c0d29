"""Reading: no question occupies the database for longer than it may."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from helicone_gw.database import Database
from helicone_gw_logging.query.reading import TooLong, reading

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
