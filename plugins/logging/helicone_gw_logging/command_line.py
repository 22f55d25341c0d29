"""What the plugin's commands share: work on the configured database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import typer

from helicone_gw import Database

T = TypeVar("T")


def on_database(context: typer.Context, work: Callable[[Database], Awaitable[T]]) -> T:
    """Do ``work`` on the database at ``typer.Context.obj.config.database.url``, and close it.

    Raises whatever ``work`` does; `KeyboardInterrupt` when somebody breaks it off.
    """

    async def run() -> T:
        database = Database(context.obj.config.database.url)
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run())
