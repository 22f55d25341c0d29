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
    async with database.connect() as connection:
        interrupt: Any = None
        if database.sqlite:
            interrupt = (await connection.get_raw_connection()).driver_connection._conn.interrupt  # type: ignore[union-attr]

        def expire() -> None:
            nonlocal expired
            expired = True
            if interrupt is not None:
                interrupt()

        handle = asyncio.get_running_loop().call_later(seconds, expire)
        try:
            if interrupt is not None:
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
