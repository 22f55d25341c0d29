"""Rebuild: all sums made anew from the rows, for a log that is older than its sums."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select

from helicone_gw_logging.corrections import read
from helicone_gw_logging.insert import take_numbers
from helicone_gw_logging.leaving import BOUND, NUMBER
from helicone_gw_logging.noted import SESSION_CHANGE, SESSION_HOUR, SESSION_SPREAD
from helicone_gw_logging.rollups import gather
from helicone_gw_logging.tables import REQUEST
from helicone_gw_logging.totals import (
    DIMENSION,
    DIMENSION_DAY,
    HISTOGRAM,
    HISTOGRAM_DAY,
    HISTOGRAM_PACKED,
    NAME_DAY,
    PROPERTY_KEY,
    ROLLUP,
    ROLLUP_DAY,
    SEQUENCE,
    SESSION,
    USER,
    USER_PRESENCE,
)
from helicone_gw_logging.vocabulary import Vocabulary

if TYPE_CHECKING:
    from helicone_gw import Database

AT_ONCE = 2000
"""Requests that are read at once."""

_SUMS = (
    *(ROLLUP, ROLLUP_DAY, DIMENSION, DIMENSION_DAY),
    *(HISTOGRAM, HISTOGRAM_DAY, HISTOGRAM_PACKED, SESSION, NAME_DAY, USER, USER_PRESENCE, PROPERTY_KEY),
    *(SESSION_SPREAD, SESSION_HOUR, SESSION_CHANGE),
)


async def sums_are_missing(database: Database) -> bool:
    """Whether there are requests and no sums at all: the log was made by a version that had none."""
    async with database.connect() as connection:
        for table, there in ((REQUEST, True), (ROLLUP, False), (SESSION, False), (USER, False)):
            if (await connection.scalar(select(table.c.organization_id).limit(1)) is not None) != there:
                return False
    return True


async def rebuild(database: Database, vocabulary: Vocabulary) -> AsyncIterator[tuple[int, int]]:
    """Delete all sums and add up every request again, in one transaction; yields how many of how many are counted.

    ``vocabulary`` is a new one, with the bound that the sums shall have.
    Sums of requests that retention has deleted are lost. Whoever wants to write to the log waits meanwhile.
    """
    async with database.begin() as connection:
        await connection.run_sync(take_numbers, 0)
        for table in _SUMS:
            await connection.execute(delete(table))
        await connection.execute(delete(SEQUENCE).where(SEQUENCE.c.name.in_((BOUND, NUMBER))))
        of = (await connection.scalar(select(func.count()).select_from(REQUEST))) or 0
        done, last = 0, 0
        while True:
            found = await read(
                connection, select(REQUEST).where(REQUEST.c.seq > last).order_by(REQUEST.c.seq).limit(AT_ONCE)
            )
            if not found:
                return
            totals = await connection.run_sync(
                gather, vocabulary, [(each.request, each.properties, 1) for each in found]
            )
            await connection.run_sync(totals.write)
            done, last = done + len(found), found[-1].seq
            yield done, of
