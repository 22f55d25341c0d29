"""What commands on keys and people share: the database, the audit log in the operator's name, tables on the screen."""

from __future__ import annotations

import getpass
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import delete
from sqlalchemy.exc import SQLAlchemyError

from helicone_gw import AuditEntry, CommandDatabase, Database
from helicone_gw_security.audit_log import AuditLog
from helicone_gw_security.identity_tables import BRANCH, IDENTITY_VERSIONS, SESSION
from helicone_gw_security.organizations import OrganizationTable, checked_id
from helicone_gw_security.users import LastAdmin, User, UserTable

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T")
E = TypeVar("E")

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


class Offices:
    """What does a command's work in an `Office`.

    ``versions`` are the migrations of the tables of keys; those of people are known here. ``static`` are the
    configuration's users.
    """

    def __init__(self, versions: Path, static: Sequence[User] = ()) -> None:
        self._tables = tables(versions, "what is made there would be gone at once.")
        self._static = static

    def make(self, context: typer.Context, work: Callable[[Office], Awaitable[T]]) -> T:
        """Do ``work``, in tables that are brought up to date first."""
        return self._tables.make(context, self._within(work))

    def read(self, context: typer.Context, work: Callable[[Office], Awaitable[T]], otherwise: E) -> T | E:
        """Do ``work``, which only reads; ``otherwise`` where nothing is yet."""
        return self._tables.read(context, self._within(work), otherwise)

    def _within(self, work: Callable[[Office], Awaitable[T]]) -> Callable[[Database], Awaitable[T]]:
        async def working(database: Database) -> T:
            try:
                return await work(Office(database, UserTable(database, self._static), OrganizationTable(database)))
            except LastAdmin as problem:
                fail(str(problem))

        return working


def tables(versions: Path, in_memory: str) -> CommandDatabase:
    """The tables of keys, whose migrations ``versions`` are, and those of people.

    ``in_memory`` is said of a database in memory.
    """
    return CommandDatabase({"security": versions, BRANCH: IDENTITY_VERSIONS}, in_memory, required=True)


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
