"""Reading: a connection that is asked for no longer than a stated time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from helicone_gw import Database

SECONDS = 30.0
"""How long one answer may occupy the database."""


class TooLong(Exception):
    """The database was given up: what was asked takes longer than it may."""


@asynccontextmanager
async def reading(database: Database, seconds: float = SECONDS) -> AsyncIterator[AsyncConnection]:
    """A connection for reading (one consistent view), for at most ``seconds``. Raises `TooLong` after that.

    SQLite runs a statement in a thread that no cancellation reaches, so there it is interrupted from outside.
    """
    expired = False
    interrupting: list[asyncio.Task[None]] = []
    async with database.connect() as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection if database.sqlite else None
        loop = asyncio.get_running_loop()

        def expire() -> None:
            nonlocal expired
            expired = True
            if driver is not None:
                interrupting.append(loop.create_task(driver.interrupt()))

        handle = loop.call_later(seconds, expire)
        try:
            if driver is not None:
                yield connection
            else:
                async with asyncio.timeout(seconds):
                    yield connection
        except (DBAPIError, TimeoutError) as problem:
            if expired or isinstance(problem, TimeoutError):
                raise TooLong from None
            raise
        finally:
            handle.cancel()
