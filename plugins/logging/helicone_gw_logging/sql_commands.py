"""``helicone-gw sql``: one SELECT over the log, read-only, with the tables that the REST API offers."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table as Shown

from helicone_gw import Database
from helicone_gw_logging.command_line import LOG
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.sql.execute import execute, tables
from helicone_gw_logging.sql.guard import SqlError
from helicone_gw_logging.sql.result import Limits, Result


def sql(
    context: typer.Context,
    statement: Annotated[
        str, typer.Argument(help="A SELECT; without one, the tables and their columns are shown.")
    ] = "",
    organization: Annotated[str, typer.Option(help="Whose rows.")] = "default",
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="Most rows that are shown.")] = 1000,
    seconds: Annotated[float, typer.Option(min=0.001, max=3600, help="Longest time.")] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per row.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV.")] = False,
) -> None:
    """Ask the log in SQL, read-only. The database is the configuration's, whether the gateway runs or not."""
    scope = Scope(organization)

    async def work(database: Database) -> Result | dict[str, list[tuple[str, str]]]:
        if not statement:
            return tables(database, scope)
        return await execute(database, scope, statement, Limits(seconds, limit, 1 << 30))

    try:
        result = LOG.read(context, work, None)
    except SqlError as problem:
        typer.echo(str(problem), err=True)
        raise typer.Exit(1) from None
    if result is None:
        raise typer.Exit(1)
    if isinstance(result, Result):
        _show(result, as_json, as_csv)
    else:
        _show_tables(result, as_json)


def _show(result: Result, as_json: bool, as_csv: bool) -> None:
    if as_json:
        for row in result.as_objects():
            typer.echo(msgspec.json.encode(row))
    elif as_csv:
        typer.echo(result.as_csv(), nl=False)
    else:
        table = Shown()
        for name in result.columns:
            table.add_column(name)
        for values in result.rows:
            table.add_row(*("" if value is None else _printable(str(value)) for value in values))
        Console(markup=False, highlight=False, emoji=False).print(table)
    if result.truncated:
        typer.echo(f"There are more than these {len(result.rows):,} rows (--limit).", err=True)


def _printable(text: str) -> str:
    # What clients sent must not move the cursor of a terminal.
    return "".join(character if character.isprintable() else " " for character in text)


def _show_tables(found: dict[str, list[tuple[str, str]]], as_json: bool) -> None:
    if as_json:
        typer.echo(msgspec.json.encode({name: dict(columns) for name, columns in found.items()}))
        return
    for name, columns in found.items():
        typer.echo(f"{name}: {', '.join(f'{column} ({kind})' for column, kind in columns)}\n")
