"""``helicone-gw cost report``: what requests cost, by model, provider, user, key, property, or by the day."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated, Any, get_args

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from helicone_gw import Database
from helicone_gw_logging.command_line import LOG
from helicone_gw_logging.measures import known_sum
from helicone_gw_logging.query.cuts import cuts, zone
from helicone_gw_logging.query.largest import largest
from helicone_gw_logging.query.plan import By, Group, Question, planned
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.spans import Span
from helicone_gw_logging.query.sums import Sums, answered
from helicone_gw_logging.rendering import dollars, printable
from helicone_gw_logging.times import parse_since

_TOKENS = ("prompt_tokens", "completion_tokens")
SHOWN = ("requests", "errors", *_TOKENS, "unknown_tokens", "cost_nano_usd", "unknown_costs", "saved_nano_usd")


def report(
    context: typer.Context,
    since: Annotated[str, typer.Option(help="10m, 2h, 30d ago, or an ISO date or time.")] = "30d",
    until: Annotated[str | None, typer.Option(help="The same; left out: now.")] = None,
    by: Annotated[str, typer.Option(help=f"day, {', '.join(get_args(By))}.")] = "model",
    key: Annotated[str, typer.Option("--property", help="The key of the property, for --by property.")] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="At most so many.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
    organization: Annotated[str, typer.Option(help="Whose requests.")] = "default",
) -> None:
    """Show what requests cost; days are those of UTC. What is not known is said beside what is."""
    now = time.time()
    try:
        start = parse_since(since, now)
        end = round(now * 1000) if until is None else parse_since(until, now)
    except ValueError as problem:
        raise typer.BadParameter(str(problem)) from None
    if by == "property" and not key:
        raise typer.BadParameter("name its key", param_hint="--property")
    if by != "day" and by not in get_args(By):
        raise typer.BadParameter(f"{by!r} is none of day, {', '.join(get_args(By))}", param_hint="--by")
    question = Question(Scope(organization), Span(start, max(start, end)))

    async def work(database: Database) -> tuple[list[tuple[str, Sums]], Sums | None]:
        async with database.connect() as connection:
            whole = await answered(connection, question, await planned(connection, question), SHOWN)
            if by == "day":
                begins = cuts(question.span, "day", zone("UTC"))
                apart = msgspec.structs.replace(question, cuts=tuple(begins))
                found = await answered(connection, apart, await planned(connection, apart), SHOWN)
                days = sorted(found.items(), key=lambda one: one[0][0])
                return [(_day(begins[at]), sums) for (at, _), sums in days], whole.get((0, None))
            apart = msgspec.structs.replace(question, group=Group(by, key))  # type: ignore[arg-type]
            plan = await planned(connection, apart)
            values = await largest(connection, apart, plan, ("cost_nano_usd", None), limit)
            told = await answered(connection, apart, plan, SHOWN, values)
            return [(_name(value), told[0, value]) for value in values if (0, value) in told], whole.get((0, None))

    result = LOG.read(context, work, None)
    if result is None:
        return
    if not result[0]:
        typer.echo("No requests in that time.", err=True)
        return
    rows, total = result
    if as_json:
        for value, sums in rows:
            typer.echo(msgspec.json.encode({by: value, **sums, **_known(sums)}))
        return
    _show(by, rows, total)


def _day(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d")


def _name(value: Any) -> str:
    return "(unknown)" if value in ("", None) else str(value)


def _show(by: str, rows: list[tuple[str, Sums]], total: Sums | None) -> None:
    console = Console(highlight=False)
    shown = Table(box=None, pad_edge=False, header_style="bold", show_footer=total is not None, footer_style="bold")
    sums = total or dict.fromkeys(SHOWN, 0)
    footers = ["all", *_cells(sums)]
    titles = (by, "requests", "errors", "input tokens", "output tokens", "cost", "of unknown cost", "saved by caches")
    for title, footer in zip(titles, footers, strict=True):
        shown.add_column(title, footer=footer, justify="left" if title == by else "right", no_wrap=True)
    for value, each in rows:
        shown.add_row(printable(value), *_cells(each))
    (console if console.is_terminal else Console(highlight=False, width=240)).print(shown)


def _cells(sums: Sums) -> list[str]:
    known = _known(sums)
    counts = [f"{sums[name]:,}" for name in ("requests", "errors")]
    tokens = ["?" if known[name] is None else f"{known[name]:,}" for name in _TOKENS]
    cost = dollars(known["cost_nano_usd"])
    return [*counts, *tokens, cost, f"{sums['unknown_costs']:,}", dollars(sums["saved_nano_usd"])]


def _known(sums: Sums) -> dict[str, int | None]:
    """Tokens and cost as far as they are known; ``None`` where nothing of one is."""
    requests, unknown = sums["requests"], sums["unknown_tokens"]
    cost = known_sum(sums["cost_nano_usd"], sums["unknown_costs"], requests)
    return {"cost_nano_usd": cost, **{name: known_sum(sums[name], unknown, requests) for name in _TOKENS}}
