"""``helicone-gw budgets``: how budgets stand by the database, and beginning anew."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any, Final, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from helicone_gw import CommandDatabase, Database, audit_command
from helicone_gw_ratelimit.backup import LOOK_FOR_RESETS
from helicone_gw_ratelimit.budget_config import BudgetConfig
from helicone_gw_ratelimit.budget_report import described, written
from helicone_gw_ratelimit.budget_table import BRANCH, VERSIONS, SpendTable
from helicone_gw_ratelimit.budgets import Budget, named
from helicone_gw_ratelimit.config import RatelimitConfig

MOST = 10_000
"""Rows that are read at most: those with the largest spending."""

SPENT: Final = CommandDatabase({BRANCH: VERSIONS}, "only the running gateway knows, at GET /v1/budgets.", required=True)
"""What was spent, as the gateway writes it down."""


def commands() -> typer.Typer:
    """The commands. They read the configuration at ``typer.Context.obj.config``."""
    app = typer.Typer(help="Show what was spent of budgets, and begin them anew.", invoke_without_command=True)

    def show(context: typer.Context, budget: str | None, as_json: bool) -> None:
        budgets = _budgets(context, budget)
        now = time.time()
        rows = SPENT.read(context, lambda database: SpendTable(database).current(now, MOST, budget), [])
        standings = sorted(written(budgets, rows, now), key=lambda each: (each.place.budget, -each.spent))
        reports = [described(budgets[each.place.budget], each, live=False) for each in standings]
        if as_json:
            typer.echo(json.dumps(reports, indent=2))
        elif reports:
            console = Console()
            Console(width=None if console.is_terminal else 200).print(_table(reports))
        else:
            typer.echo("Nothing was spent of any budget, or there is none.", err=True)

    @app.callback()
    def root(
        context: typer.Context,
        as_json: Annotated[bool, typer.Option("--json", help="A JSON array instead of a table.")] = False,
    ) -> None:
        """List budgets with what was spent, as the gateway wrote it down a second ago."""
        if context.invoked_subcommand is None:
            show(context, None, as_json)

    @app.command("list")
    def list_(
        context: typer.Context,
        budget: Annotated[str | None, typer.Argument(help="Only this one.")] = None,
        as_json: Annotated[bool, typer.Option("--json", help="A JSON array instead of a table.")] = False,
    ) -> None:
        """List budgets with what was spent, limit, and when they begin anew."""
        show(context, budget, as_json)

    @app.command()
    def reset(
        context: typer.Context,
        budget: Annotated[str, typer.Argument(help="The budget's name.")],
        segment: Annotated[
            str | None, typer.Option(help="Only this segment, as `list` shows it, such as user:alice.")
        ] = None,
    ) -> None:
        """Begin a budget anew, as if nothing had been spent; a running gateway does so within seconds."""
        _budgets(context, budget)

        async def work(database: Database) -> int:
            count = await SpendTable(database).reset(budget, segment, time.time())
            if count:
                after = {"segment": segment, "accounts": count}
                config = context.obj.config
                problem = await audit_command(config, database, "budget.reset", f"budget:{budget}", after=after)
                if problem is not None:
                    typer.echo(problem, err=True)
            return count

        count = SPENT.make(context, work)
        if not count:
            _fail(f"Nothing was spent of {budget!r}" + ("" if segment is None else f" at {segment!r}") + ".")
        typer.echo(
            f"Budget {budget!r} begins anew ({count} account{'' if count == 1 else 's'}); "
            f"a running gateway follows within {LOOK_FOR_RESETS + 1:g} seconds."
        )

    return app


def _budgets(context: typer.Context, name: str | None) -> dict[str, Budget]:
    """The budgets of every instance, or the one of that name."""
    configured: dict[str, BudgetConfig] = {}
    for spec in context.obj.config.plugins:
        if isinstance(spec.config, RatelimitConfig):
            configured |= named(spec.name, spec.config.budgets)
    if name is not None and name not in configured:
        _fail(f"There is no budget {name!r} in the configuration.")
    return {
        each: Budget(each, config, lambda model, exchange: (), 0.0)
        for each, config in configured.items()
        if name in (None, each)
    }


def _fail(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(1)


def _table(reports: list[dict[str, Any]]) -> Table:
    table = Table("budget", "organization", "segment", "spent", "limit", "%", "left", "period", "begins anew")
    for report in reports:
        table.add_row(
            f"{report['budget']} ({report['mode']})",
            report["organization"],
            report["segment"],
            f"${report['spent']}",
            f"${report['limit']}",
            str(report["percent"]),
            f"${report['left']}",
            report["period"],
            report["resetsAt"] or "-",
        )
    return table
