"""What the plugin's commands share: work on the configured database, and what the audit log is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import typer

from helicone_gw import Database, audit_command

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


async def tell(
    context: typer.Context,
    database: Database,
    action: str,
    subject: str,
    after: Mapping[str, Any],
    organization: str = "default",
) -> None:
    """Have the audit log say that somebody did ``action`` here; what keeps it from being kept is told, no more."""
    problem = await audit_command(context.obj.config, database, action, subject, organization=organization, after=after)
    if problem is not None:
        typer.echo(problem, err=True)
