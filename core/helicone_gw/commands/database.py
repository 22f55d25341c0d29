"""``helicone-gw db``: the tables of every configured plugin, and how far they are. Plugins add further commands."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import func, inspect, select, table

from helicone_gw.commands.command_database import CommandDatabase
from helicone_gw.commands.loading import Loaded, build_plugins
from helicone_gw.database import Database
from helicone_gw.migrations import Standing
from helicone_gw.plugin import Plugin
from helicone_gw.registry import audit_command

Standings = tuple[list[Standing], dict[str, int]]
"""How far the tables of every branch are, and the numbers of rows by table."""

_PART = re.compile(r"_y[0-9]{4}m[0-9]{2}$|_default$|^alembic_version")
"""Tables that are a part of another one on Postgres, or Alembic's own."""


def database_commands() -> typer.Typer:
    """The command group ``db``. It reads the configuration at ``typer.Context.obj``."""
    app = typer.Typer(help="The tables in the database.", no_args_is_help=True)

    @app.command()
    def upgrade(context: typer.Context) -> None:
        """Bring the tables of every configured plugin up to date; a failure leaves them as they were.

        On SQLite a starting gateway does that by itself. On any other database it refuses to start until this was done.
        """

        branches = _branches(_plugins(context))

        async def work(database: Database) -> list[str]:
            lines, moved = await _upgraded(database, branches)
            if moved:
                told = await audit_command(context.obj.config, database, "database.upgrade", "database:*", after=moved)
                if told is not None:
                    typer.echo(told, err=True)
            return lines

        for line in CommandDatabase().make(context, work):
            typer.echo(line)

    @app.command()
    def status(
        context: typer.Context,
        as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    ) -> None:
        """Show the revision of every plugin's tables and how many rows they have.

        Exit code 1 when there are none yet, or some are not up to date. Tables that the configuration does without are
        left out where they were never made, and may be older. A SQLite file that does not exist is not made.
        """
        plugins = _plugins(context)
        branches, needed = _branches(plugins), _needed(plugins)
        nothing: Standings = ([], {})
        found = CommandDatabase().read(context, lambda database: _standing(database, branches, needed), nothing)
        standings, rows = found
        if as_json:
            told = {
                each.branch: {"revision": each.reached, "newest": each.newest, "current": each.current}
                for each in standings
            }
            typer.echo(json.dumps({"plugins": told, "rows": rows}))
        elif rows:
            _print(standings, rows)
        elif found is not nothing:
            typer.echo("There are no tables yet.", err=True)
        if not rows or not all(each.current for each in standings if each.branch in needed):
            raise typer.Exit(1)

    return app


def _print(standings: list[Standing], rows: dict[str, int]) -> None:
    shown = Table("tables of", "revision", "", box=None, header_style="bold")
    for each in standings:
        left = "up to date" if each.current else f"older than {each.newest}: helicone-gw db upgrade"
        shown.add_row(each.branch, each.reached or "-", left)
    counted = Table("table", box=None, header_style="bold")
    counted.add_column("rows", justify="right")
    for name, count in rows.items():
        counted.add_row(name, f"{count:,}")
    console = Console()
    console.print(shown)
    console.print(counted)


def _plugins(context: typer.Context) -> list[Plugin]:
    loaded: Loaded = context.obj
    return build_plugins(loaded.config)


def _branches(plugins: Iterable[Plugin]) -> dict[str, Path]:
    """The directories of revisions by branch."""
    return {branch: directory for plugin in plugins for branch, directory in plugin.migrations.items()}


def _needed(plugins: Iterable[Plugin]) -> set[str]:
    """The branches without whose tables one of the plugins, as it is configured, cannot do."""
    return {branch for plugin in plugins for branch in plugin.migrations if branch not in plugin.unused_tables}


async def _upgraded(database: Database, branches: dict[str, Path]) -> tuple[list[str], dict[str, str | None]]:
    """What to say of each branch, and the revisions that those have now which had another."""
    lines: list[str] = []
    moved: dict[str, str | None] = {}
    for branch, directory in branches.items():
        before = None if database.missing else await database.standing(branch, directory)
        await database.migrate(branch, directory)
        after = await database.standing(branch, directory)
        was = None if before is None else before.reached
        if was != after.reached:
            moved[branch] = after.reached
        lines.append(f"{branch}: {after.reached}" + ("" if was == after.reached else f" (was {was or 'not there'})"))
    return lines or ["No configured plugin has tables."], moved


async def _standing(database: Database, branches: dict[str, Path], needed: set[str]) -> Standings:
    every = [await database.standing(branch, directory) for branch, directory in branches.items()]
    standings = [each for each in every if each.branch in needed or each.reached is not None]
    async with database.connect() as connection:
        names = await connection.run_sync(lambda it: inspect(it).get_table_names())
        rows = {}
        for name in sorted(names):
            if not _PART.search(name):
                rows[name] = (await connection.scalar(select(func.count()).select_from(table(name)))) or 0
    return standings, rows
