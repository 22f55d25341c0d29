"""``helicone-gw alerts``: what there is, when it fired, and dead letters, by the database."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from helicone_gw import Clock, CommandDatabase, Database, audit_command
from helicone_gw_alerts.keeping import Keeper
from helicone_gw_alerts.outbox import Outbox

if TYPE_CHECKING:
    from pathlib import Path

    from helicone_gw_alerts.config import AlertsConfig

Organization = Annotated[str, typer.Option(help="Whose.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON instead.")]


class _Now:
    """The machine's clock, for commands that wait for nothing."""

    def now(self) -> float:
        return datetime.now(UTC).timestamp()

    def monotonic(self) -> float:
        return self.now()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def commands(config: AlertsConfig, versions: Path) -> typer.Typer:
    """The commands; they read the database's URL at ``typer.Context.obj.config.database.url``."""
    app = typer.Typer(help="Alerts: list, history; dead letters: list and replay.", no_args_is_help=True)
    clock: Clock = _Now()

    there = CommandDatabase({"alerts": versions}, "there is nothing in it.", required=True)

    def keeper_of(database: Database) -> Keeper:
        return Keeper(database, clock, config)

    def outbox_of(database: Database) -> Outbox:
        return Outbox(database, clock, max_pending=config.max_pending, max_dead=config.max_dead)

    @app.command("list")
    def every(context: typer.Context, organization: Organization = "default", as_json: AsJson = False) -> None:
        """Show the alerts that there are."""
        found = there.read(context, lambda database: keeper_of(database).alerts(organization), [])
        rows = [
            {
                "id": each.id,
                "name": each.rule.name,
                "metric": f"{each.rule.aggregated or ''} {each.rule.metric}".strip(),
                "threshold": each.rule.threshold,
                "window": each.rule.window // 1000,
                "tells": ", ".join(each.rule.receivers()),
            }
            for each in found
        ]
        _show(rows, as_json, "There are no alerts.")

    @app.command()
    def history(context: typer.Context, organization: Organization = "default", as_json: AsJson = False) -> None:
        """Show when alerts fired, the newest first."""
        found = there.read(context, lambda database: keeper_of(database).history(organization, limit=100), [])
        rows = [
            {
                "alert": each.alert_name,
                "of": each.group_value,
                "value": each.value,
                "since": _moment(each.started_at),
                "until": "" if each.ended_at is None else _moment(each.ended_at),
            }
            for each in found
        ]
        _show(rows, as_json, "No alert ever fired.")

    @app.command("dead-letters")
    def dead_letters(
        context: typer.Context,
        target: Annotated[str | None, typer.Option(help="Of this receiver only.")] = None,
        limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 100,
        as_json: AsJson = False,
    ) -> None:
        """Show what could not be delivered, to whom, and why."""
        found = there.read(
            context, lambda database: outbox_of(database).dead_letters(None, target=target, limit=limit), []
        )
        rows = [
            {
                "id": each.id,
                "kind": each.kind,
                "target": each.target_id,
                "attempts": each.attempts,
                "error": each.error,
                "died": _moment(each.next_at),
            }
            for each in found
        ]
        _show(rows, as_json, "There are no dead letters.")

    @app.command()
    def replay(
        context: typer.Context,
        ids: Annotated[list[str] | None, typer.Argument(help="Which dead letters.")] = None,
        everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
        target: Annotated[str | None, typer.Option(help="All of this receiver.")] = None,
    ) -> None:
        """Have dead letters delivered again, by the gateway that runs."""
        if not ids and not everything and target is None:
            _fail("Say which: their ids, --target, or --all.")

        async def work(database: Database) -> int:
            count = await outbox_of(database).replay(None, ids=ids or None, target=target)
            after = {"ids": (ids or [])[:100], "target": target, "count": count}
            told = await audit_command(context.obj.config, database, "dead_letter.replay", "dead_letter:*", after=after)
            if told is not None:
                typer.echo(told, err=True)
            return count

        count = there.make(context, work)
        typer.echo(f"{count} will be delivered again")

    return app


def _show(rows: list[dict[str, Any]], as_json: bool, nothing: str) -> None:
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    elif not rows:
        typer.echo(nothing)
    else:
        table = Table(*rows[0])
        for row in rows:
            table.add_row(*(str(value) for value in row.values()))
        console = Console()
        Console(width=None if console.is_terminal else 200).print(table)


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def _fail(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(1)
