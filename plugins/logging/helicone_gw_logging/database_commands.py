"""``helicone-gw db``: what the log adds to it: look for what is wrong, sum up anew, delete what is old."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Annotated, TypeVar

import msgspec
import typer
from rich.console import Console

from helicone_gw import Database
from helicone_gw_logging.command_line import LOG, tell
from helicone_gw_logging.config import LoggingConfig
from helicone_gw_logging.journal.service import root_of
from helicone_gw_logging.journal.verify import Report, verify
from helicone_gw_logging.objects import opened
from helicone_gw_logging.rebuild import rebuild
from helicone_gw_logging.retention import prune
from helicone_gw_logging.times import iso
from helicone_gw_logging.vocabulary import Vocabulary

T = TypeVar("T")


def database_commands(config: LoggingConfig, cli: typer.Typer) -> None:
    """Add the commands to the group ``db`` of ``cli``. They find the database at ``typer.Context.obj``."""
    app = next((group.typer_instance for group in cli.registered_groups if group.name == "db"), None)
    if app is None:
        app = typer.Typer(help="The tables in the database.", no_args_is_help=True)
        cli.add_typer(app, name="db")

    @app.command("rebuild")
    def rebuild_(context: typer.Context) -> None:
        """Make all sums anew from the requests that are there; those of requests deleted since are lost."""
        done = unless_broken_off(lambda: LOG.change(context, lambda database: _rebuild(context, database, config), 0))
        typer.echo(f"{done:,} requests summed up.")

    @app.command("verify")
    def verify_(
        context: typer.Context,
        as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    ) -> None:
        """Look for requests that are missing, there twice, or torn, in the journals and in the database.

        A gateway may run meanwhile. Exit code 0 when all is well, 1 when something is wrong.
        """
        report = unless_broken_off(lambda: LOG.read(context, lambda database: _verify(database, config), None))
        if report is None:
            raise typer.Exit(1)
        problems = report.problems()
        if as_json:
            typer.echo(msgspec.json.encode({"problems": problems, "report": report}))
        else:
            for line in _told(report):
                typer.echo(line)
            for line in problems:
                typer.echo(line, err=True)
        if problems:
            raise typer.Exit(1)

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
        look = LOG.read if dry_run else LOG.change
        if not unless_broken_off(
            lambda: look(context, lambda database: _prune(context, database, config, dry_run), False)
        ):
            raise typer.Exit(1)


def unless_broken_off(work: Callable[[], T]) -> T:
    """What ``work`` returns; broken off, the command says so and exits with 130."""
    try:
        return work()
    except KeyboardInterrupt:
        typer.echo("Broken off; what was done is done.", err=True)
        raise typer.Exit(130) from None


async def _verify(database: Database, config: LoggingConfig) -> Report:
    days = config.retention.requests
    kept_from = 0 if days is None else round((time.time() - days * 86_400) * 1000)
    return await verify(database, root_of(config, database), kept_from=kept_from)


def _told(report: Report) -> Iterator[str]:
    yield f"{report.rows:,} requests in the database"
    for one in report.journals:
        whose = "of a running gateway" if one.alive else "of a process that died; whoever starts next takes it over"
        yield f"journal {one.journal[:8]} ({whose}): {one.records:,} records, {one.waiting:,} wait, {one.begun:,} begun"


async def _rebuild(context: typer.Context, database: Database, config: LoggingConfig) -> int:
    done = 0
    with Console(stderr=True).status("Adding up ...") as shown:
        async for done, of in rebuild(database, Vocabulary(config.rollup_values)):
            shown.update(f"{done:,} of {of:,} requests")
    await tell(context, database, "log.rebuild", "log:*", {"requests": done})
    return done


async def _prune(context: typer.Context, database: Database, config: LoggingConfig, dry_run: bool) -> bool:
    console, verb = Console(stderr=True), "would be deleted" if dry_run else "deleted"
    last: dict[str, str] = {}
    deleted: dict[str, int] = {}
    objects = opened(config)
    with console.status("Looking for what is too old ...") as shown:
        async for pruned in prune(database, config.retention, time.time(), dry_run=dry_run, objects=objects):
            rows = pruned.of if dry_run else pruned.rows
            deleted[pruned.kind] = rows
            unit = "of bodies" if pruned.kind == "objects" else "rows"
            last[pruned.kind] = f"{pruned.kind}: {rows:,} {unit} from before {iso(pruned.before)} {verb}"
            shown.update(f"{last[pruned.kind]} of {pruned.of:,}")
    for line in last.values():
        typer.echo(line)
    if not dry_run:
        await tell(context, database, "log.prune", "log:*", deleted)
    return True
