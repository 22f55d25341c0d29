"""``helicone-gw db``: bring the log's tables up to date, say what is in them, sum them up anew, delete what is old."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.table import Table as Shown
from sqlalchemy import func, inspect, select, text

from helicone_gw import Database
from helicone_gw_logging.command_line import on_database
from helicone_gw_logging.config import LoggingConfig
from helicone_gw_logging.objects import opened
from helicone_gw_logging.rebuild import rebuild
from helicone_gw_logging.retention import prune
from helicone_gw_logging.tables import METADATA
from helicone_gw_logging.times import iso
from helicone_gw_logging.vocabulary import Vocabulary

T = TypeVar("T")


def database_commands(config: LoggingConfig, versions: Path) -> typer.Typer:
    """The command group. It finds the database's URL at ``typer.Context.obj.config.database.url``."""
    app = typer.Typer(help="The log's tables.", no_args_is_help=True)

    @app.command()
    def upgrade(context: typer.Context) -> None:
        """Bring the log's tables up to date, as a starting gateway does; a failure leaves them as they were."""
        run(context, lambda database: database.migrate("logging", versions))
        typer.echo("The log's tables are up to date.")

    @app.command("rebuild")
    def rebuild_(context: typer.Context) -> None:
        """Make all sums anew from the requests that are there; those of requests deleted since are lost."""
        done = run(context, lambda database: _rebuild(database, config))
        typer.echo(f"{done:,} requests summed up.")

    @app.command()
    def status(
        context: typer.Context,
        as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    ) -> None:
        """Show the revision of the log's tables and how many rows each has."""
        found = run(context, _status)
        if found is None:
            typer.echo("There is no log yet.", err=True)
            raise typer.Exit(1)
        revision, rows = found
        if as_json:
            typer.echo(msgspec.json.encode({"revision": revision, "rows": rows}))
            return
        table = Shown(title=f"revision {revision}", title_justify="left")
        table.add_column("table")
        table.add_column("rows", justify="right")
        for name, count in rows.items():
            table.add_row(name, f"{count:,}")
        Console().print(table)

    @app.command("prune")
    def prune_(
        context: typer.Context,
        dry_run: Annotated[
            bool, typer.Option("--dry-run", help="Say what would be deleted, and delete nothing.")
        ] = False,
    ) -> None:
        """Delete what is older than the configuration's `retention` keeps."""
        if not config.retention.days():
            typer.echo("Everything is kept for ever: `retention` of the plugin logging names nothing.", err=True)
            raise typer.Exit(1)
        if not run(context, lambda database: _prune(database, config, dry_run)):
            typer.echo("There is no log yet.", err=True)
            raise typer.Exit(1)

    return app


def run(context: typer.Context, work: Callable[[Database], Awaitable[T]]) -> T:
    """Do ``work`` on the configured database; broken off, it says so and exits with 130."""
    try:
        return on_database(context, work)
    except KeyboardInterrupt:
        typer.echo("Broken off; what was done is done.", err=True)
        raise typer.Exit(130) from None


async def _revision(database: Database) -> str | None:
    if database.missing:
        return None
    async with database.connect() as connection:
        if not await connection.run_sync(lambda it: inspect(it).has_table("alembic_version_logging")):
            return None
        revision: str | None = await connection.scalar(text("SELECT version_num FROM alembic_version_logging"))
        return revision


async def _status(database: Database) -> tuple[str, dict[str, int]] | None:
    revision = await _revision(database)
    if revision is None:
        return None
    rows = {}
    async with database.connect() as connection:
        there = set(await connection.run_sync(lambda it: inspect(it).get_table_names()))
        for table in METADATA.sorted_tables:
            if table.name in there:
                rows[table.name] = (await connection.scalar(select(func.count()).select_from(table))) or 0
    return revision, rows


async def _rebuild(database: Database, config: LoggingConfig) -> int:
    done = 0
    if await _revision(database) is not None:
        with Console(stderr=True).status("Adding up ...") as shown:
            async for done, of in rebuild(database, Vocabulary(config.rollup_values)):
                shown.update(f"{done:,} of {of:,} requests")
    return done


async def _prune(database: Database, config: LoggingConfig, dry_run: bool) -> bool:
    if await _revision(database) is None:
        return False
    console, verb = Console(stderr=True), "would be deleted" if dry_run else "deleted"
    last: dict[str, str] = {}
    objects = opened(config)
    with console.status("Looking for what is too old ...") as shown:
        async for pruned in prune(database, config.retention, time.time(), dry_run=dry_run, objects=objects):
            rows = pruned.of if dry_run else pruned.rows
            unit = "of bodies" if pruned.kind == "objects" else "rows"
            last[pruned.kind] = f"{pruned.kind}: {rows:,} {unit} from before {iso(pruned.before)} {verb}"
            shown.update(f"{last[pruned.kind]} of {pruned.of:,}")
    for line in last.values():
        typer.echo(line)
    return True
