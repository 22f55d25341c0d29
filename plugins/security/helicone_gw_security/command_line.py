"""What commands on keys and people share: the database, the audit log in the operator's name, tables on the screen."""

from __future__ import annotations

import asyncio
import getpass
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import delete, make_url
from sqlalchemy.exc import SQLAlchemyError

from helicone_gw import AuditEntry, Database
from helicone_gw_security.audit_log import AuditLog
from helicone_gw_security.identity_tables import BRANCH, IDENTITY_VERSIONS, SESSION
from helicone_gw_security.organizations import OrganizationTable, checked_id
from helicone_gw_security.users import LastAdmin, User, UserTable

if TYPE_CHECKING:
    from pathlib import Path

AsJson = Annotated[bool, typer.Option("--json", help="A JSON array instead of a table.")]


@dataclass(frozen=True, slots=True)
class Told:
    """What a command did, for the audit log."""

    organization: str
    action: str
    subject: str
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


async def tell(database: Database, told: Told | None) -> None:
    """Put what was done into the audit log, in the name of whoever runs the command; a problem is told, no more: what
    was done is done, and a new key is still to be printed."""
    if told is None:
        return
    entry = AuditEntry(
        time.time(),
        told.organization,
        "command",
        operator(),
        told.action,
        told.subject,
        told.before,
        told.after,
    )
    try:
        await AuditLog(database).record(entry)
    except (SQLAlchemyError, OSError) as problem:
        typer.echo(f"The audit log could not be written: {type(problem).__name__}.", err=True)


@dataclass(frozen=True, slots=True)
class Office:
    """What a command works with."""

    database: Database
    users: UserTable
    organizations: OrganizationTable

    async def tell(
        self,
        organization: str,
        action: str,
        subject: str,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        """Put what was done into the audit log."""
        await tell(self.database, Told(organization, action, subject, before, after))

    async def end_sessions(self, user: User) -> None:
        """End every session of ``user``; a running gateway notices within seconds."""
        async with self.database.begin() as connection:
            await connection.execute(delete(SESSION).where(SESSION.c.holder == f"user:{user.id}"))


def office(
    versions: Path, static: Sequence[User] = ()
) -> Callable[[typer.Context, Callable[[Office], Awaitable[Any]]], Any]:
    """What runs a command's work with the database at ``typer.Context.obj.config.database.url``, migrated first.

    ``versions`` are the migrations of the tables of keys; those of people are known here. ``static`` are the
    configuration's users.
    """

    def run(context: typer.Context, work: Callable[[Office], Awaitable[Any]]) -> Any:
        url = context.obj.config.database.url
        if make_url(url).database in (None, "", ":memory:"):
            fail("The database is in memory (database.url): what is made there would be gone at once.")

        async def working() -> Any:
            database = Database(url, by_command=True)
            try:
                await database.migrate("security", versions)
                await database.migrate(BRANCH, IDENTITY_VERSIONS)
                return await work(Office(database, UserTable(database, static), OrganizationTable(database)))
            except LastAdmin as problem:
                return fail(str(problem))
            finally:
                await database.close()

        return asyncio.run(working())

    return run


def organization_id(text: str) -> str:
    """``text`` as an organisation's id; anything else ends the command."""
    try:
        return checked_id(text)
    except ValueError as problem:
        raise typer.BadParameter(str(problem)) from None


def operator() -> str:
    """Who runs the command, as far as the operating system knows."""
    try:
        return f"{getpass.getuser()} (command line)"
    except (KeyError, OSError):
        return "command line"


def fail(message: str) -> NoReturn:
    """End the command."""
    typer.echo(message, err=True)
    raise typer.Exit(1)


def moment(at: float | None) -> str | None:
    """Epoch seconds as ISO 8601."""
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def show(described: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    """Print rows as a table, or as JSON."""
    if as_json:
        typer.echo(json.dumps(described, indent=2))
        return
    table = Table(*(described[0] if described else ("nobody",)))
    for row in described:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    Console(width=None if Console().is_terminal else 200).print(table)
