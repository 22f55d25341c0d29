"""``helicone-gw cost recompute``: price what is in the log anew; beside it, ``cost report``."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from helicone_gw import Cost, Database, Prices, Usage
from helicone_gw_logging.command_line import LOG, tell
from helicone_gw_logging.database_commands import unless_broken_off
from helicone_gw_logging.report_commands import report
from helicone_gw_logging.repricing import Progress, recompute
from helicone_gw_logging.times import parse_since

PRICES = "helicone_gw.prices"
"""Where the command line's context says how prices are opened: a file of prices that win over all others, or ``None``,
and the clock by which prices are chosen (epoch seconds). Whoever supplies prices puts it there."""

Open = Callable[[Path | None, Callable[[], float]], Prices]


def add_to(cli: typer.Typer) -> None:
    """Add the commands to the group ``cost``, which is another plugin's, or will be."""
    group = next((each.typer_instance for each in cli.registered_groups if each.name == "cost"), None)
    if group is None:
        group = typer.Typer(help="Costs of what is in the log.", no_args_is_help=True)
        cli.add_typer(group, name="cost")
    group.command("recompute")(_recompute)
    group.command("report")(report)


def _recompute(
    context: typer.Context,
    since: Annotated[str, typer.Option(help="10m, 2h, 1d ago, or an ISO date or time.")],
    price_file: Annotated[
        Path | None,
        typer.Option(help="YAML list of prices, as under `prices` of the plugin cost, that win over all others."),
    ] = None,
    organization: Annotated[str | None, typer.Option(help="Whose requests; left out: everybody's.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Price logged requests anew, from their stored usage, and correct all sums."""
    open_prices: Open | None = context.meta.get(PRICES)
    if open_prices is None:
        typer.echo("Nothing here knows prices: the plugin cost is not configured.", err=True)
        raise typer.Exit(2)
    try:
        start = parse_since(since, time.time())
    except ValueError as problem:
        typer.echo(str(problem), err=True)
        raise typer.Exit(2) from None
    priced = _Priced(open_prices, price_file)
    look = LOG.read if dry_run else LOG.change
    progress = unless_broken_off(
        lambda: look(context, lambda database: _run(context, database, priced, start, organization, dry_run), None)
    )
    if progress is None:
        raise typer.Exit(1)
    if as_json:
        typer.echo(msgspec.json.encode(progress))
        return
    typer.echo(
        f"{progress.seen:,} requests seen, {progress.changed:,} {'would change' if dry_run else 'changed'}: "
        f"{_dollars(progress.before)} -> {_dollars(progress.after)}, "
        f"of unknown cost {progress.unknown_before:,} -> {progress.unknown_after:,}"
    )


class _Priced:
    """Prices as they were when each request was received."""

    def __init__(self, open_prices: Open, price_file: Path | None) -> None:
        self._at = 0.0
        self._prices = open_prices(price_file, lambda: self._at)

    def __call__(self, provider: str, model: str | None, usage: Usage, asked: str | None, at: int) -> Cost | None:
        if at / 1000 < self._at:
            self._prices.refresh()  # the next organization begins where the last one began
        self._at = at / 1000
        return self._prices.cost(provider, model, usage, asked=asked)


async def _run(
    context: typer.Context,
    database: Database,
    price: _Priced,
    since: int,
    organization: str | None,
    dry_run: bool,
) -> Progress | None:
    last = None
    now = round(time.time() * 1000)
    with Console(stderr=True).status("Looking for requests ...") as shown:
        async for last in recompute(database, price, since=since, now=now, organization=organization, dry_run=dry_run):
            shown.update(f"{last.seen:,} of {last.of:,} requests, {last.changed:,} with another cost")
    if not dry_run and last is not None:
        after = {"since": since, "changed": last.changed, "before": last.before, "after": last.after}
        await tell(
            context, database, "cost.recompute", f"organization:{organization or '*'}", after, organization or "default"
        )
    return last


def _dollars(nano_usd: int) -> str:
    return f"{nano_usd / 10**9:.9f} USD"
