"""Position: how far a journal is in the database, noted there in the transaction that brings it so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select, update

from helicone_gw_logging.totals import JOURNAL

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from helicone_gw import Database


def note(connection: Connection, *, journal: str, sequence: int, now: float) -> None:
    """Note that everything up to ``sequence`` is in the database. ``now`` is in epoch seconds."""
    values = {"sequence": sequence, "updated_at": round(now * 1000)}
    mine = update(JOURNAL).where(JOURNAL.c.journal == journal).values(values)
    if not connection.execute(mine).rowcount:
        connection.execute(insert(JOURNAL).values(journal=journal, organization_id="default", **values))


async def position(database: Database, journal: str) -> int:
    """The sequence up to which everything is in the database; 0 where nothing was noted."""
    async with database.connect() as connection:
        found = await connection.scalar(select(JOURNAL.c.sequence).where(JOURNAL.c.journal == journal))
    return found or 0


async def forget(database: Database, journal: str) -> None:
    """The journal is gone."""
    async with database.begin() as connection:
        await connection.execute(delete(JOURNAL).where(JOURNAL.c.journal == journal))
