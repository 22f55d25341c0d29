"""Database thread: write transactions of a SQLite file, one after the other, in a thread with a connection of its own.

On the event loop every statement is a message to the driver's thread and one back: a batch of some hundred rows takes
thirty of them. Here it is one, whatever the number of statements.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import create_engine, event
from sqlalchemy.pool import StaticPool

from helicone_gw.sqlite import begin_sqlite, prepare_sqlite

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine

T = TypeVar("T")


class DatabaseThread:
    """The thread, begun with the first transaction. ``busy_timeout``: seconds to wait for another writer."""

    def __init__(self, url: URL, busy_timeout: float) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="helicone-gw-database")
        self.engine: Engine = create_engine(
            url,
            poolclass=StaticPool,  # made, used and closed in one thread
            hide_parameters=True,
            connect_args={"isolation_level": None, "timeout": busy_timeout},
        )
        event.listen(self.engine, "connect", _prepare)
        event.listen(self.engine, "begin", begin_sqlite)

    async def transact(self, work: Callable[[Connection], T]) -> T:
        """The result of ``work``, committed; rolled back if it raises. Raises that, and what SQLAlchemy raises."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._transact, work)

    def _transact(self, work: Callable[[Connection], T]) -> T:
        with self.engine.connect() as connection:
            connection = connection.execution_options(sqlite_begin="BEGIN IMMEDIATE")
            with connection.begin():
                return work(connection)

    async def close(self) -> None:
        """Wait for what was begun, and close the connection."""
        await asyncio.get_running_loop().run_in_executor(self._executor, self.engine.dispose)
        self._executor.shutdown()


def _prepare(connection: Any, record: object) -> None:
    prepare_sqlite(connection, time.sleep)
