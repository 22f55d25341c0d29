"""``helicone-gw sessions``: lists of sessions, and one of them as a tree."""

from __future__ import annotations

import time
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from helicone_gw import Database
from helicone_gw_logging.api.trees import session_row
from helicone_gw_logging.command_line import LOG
from helicone_gw_logging.measures import known_sum
from helicone_gw_logging.query import sessions as query
from helicone_gw_logging.query.requests import Row
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.sessions import Sessions
from helicone_gw_logging.query.spans import Span
from helicone_gw_logging.query.tree import Node, tree
from helicone_gw_logging.rendering import dollars, printable
from helicone_gw_logging.times import local, parse_since
from helicone_gw_logging.totals import TOKENS

_WIDE = 240
_EVER = 1 << 62
MAX_REQUESTS = 10_000
"""Requests of a session that are shown."""


def commands() -> typer.Typer:
    """The command group. It finds the database's URL at ``typer.Context.obj.config.database.url``."""
    app = typer.Typer(help="List sessions, and show what one is made of.", invoke_without_command=True)

    @app.callback()
    def sessions(
        context: typer.Context,
        search: Annotated[str, typer.Option(help="Part of an id or of a name.")] = "",
        name: Annotated[str | None, typer.Option(help="A whole name.")] = None,
        since: Annotated[str | None, typer.Option(help="10m, 2h, 1d ago, or an ISO date or time.")] = None,
        limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="At most so many.")] = 20,
        as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
        organization: Annotated[str, typer.Option(help="Whose sessions.")] = "default",
    ) -> None:
        """List sessions, the one that was last heard of first."""
        if context.invoked_subcommand is not None:
            return
        try:
            span = None if since is None else Span(parse_since(since, time.time()), _EVER)
        except ValueError as problem:
            raise typer.BadParameter(str(problem), param_hint="--since") from None
        wanted = Sessions(Scope(organization), span, search=search, name=name)

        async def work(database: Database) -> list[Row]:
            async with database.connect() as connection:
                return await query.find(connection, wanted, lambda columns: [columns.last_at.desc()], limit, 0)

        found = LOG.read(context, work, None)
        if found is None:
            return
        if not found:
            typer.echo("No session matches.", err=True)
        elif as_json:
            for row in found:
                typer.echo(msgspec.json.encode(session_row(row)))
        else:
            _console().print(_table(found))

    @app.command()
    def show(
        context: typer.Context,
        id: Annotated[str, typer.Argument(help="The session's id.")],
        name: Annotated[str | None, typer.Option(help="Its name, where there are several.")] = None,
        as_json: Annotated[bool, typer.Option("--json", help="One JSON object per path.")] = False,
        organization: Annotated[str, typer.Option(help="Whose session.")] = "default",
    ) -> None:
        """Show the paths of one session, with what each and all below it come to."""

        async def work(database: Database) -> list[Row]:
            async with database.connect() as connection:
                return await query.requests_of(connection, Scope(organization), id, name, MAX_REQUESTS)

        rows = LOG.read(context, work, None)
        if rows is None:
            raise typer.Exit(1)
        if not rows:
            typer.echo(f"No session {id!r}.", err=True)
            raise typer.Exit(1)
        nodes = tree(rows)
        if as_json:
            for node in nodes:
                typer.echo(msgspec.json.encode(_object(node, rows)))
            return
        _console().print(_tree(nodes, rows))

    return app


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_WIDE)


def _table(found: list[Row]) -> Table:
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("last request", "session", "name", "tag"):
        shown.add_column(title, no_wrap=True, overflow="ellipsis")
    for title in ("requests", "errors", "tokens", "cost", "seconds"):
        shown.add_column(title, justify="right", no_wrap=True)
    for row in found:
        shown.add_row(
            Text(local(row["last_at"])),
            printable(row["session_id"], style="cyan"),
            printable(row["session_name"]),
            printable(row["tag"] or ""),
            f"{row['requests']:,}",
            f"{row['errors']:,}",
            _tokens(row["total_tokens"], row["unknown_tokens"], row["requests"]),
            _cost(row["cost_nano_usd"], row["unknown_costs"], row["requests"]),
            f"{(row['last_at'] - row['first_at']) / 1000:,.1f}",
        )
    return shown


def _tree(nodes: list[Node], rows: list[Row]) -> Table:
    shown = Table(box=None, pad_edge=False, header_style="bold")
    shown.add_column("path", no_wrap=True, overflow="ellipsis")
    for title in ("after", "seconds", "requests", "errors", "tokens", "cost"):
        shown.add_column(title, justify="right", no_wrap=True)
    begun = nodes[0].started_at
    for node in nodes:
        models = sorted({rows[place]["model"] or rows[place]["request_model"] or "-" for place in node.own})
        name = printable("  " * node.depth + (node.label or "/"))
        shown.add_row(
            name.append(f"  {printable(', '.join(models)).plain}" if models else "", style="dim"),
            f"{(node.started_at - begun) / 1000:,.1f}",
            f"{(node.ended_at - node.started_at) / 1000:,.1f}",
            f"{node.requests:,}",
            f"{node.errors:,}",
            _tokens(node.total_tokens, node.unknown_tokens, node.requests),
            _cost(node.cost_nano_usd, node.unknown_costs, node.requests),
        )
    return shown


def _object(node: Node, rows: list[Row]) -> dict[str, Any]:
    """A node for ``--json``: what is unknown is null."""
    known = {name: known_sum(getattr(node, name), node.unknown_tokens, node.requests) for name in TOKENS[:3]}
    cost = known_sum(node.cost_nano_usd, node.unknown_costs, node.requests)
    own = [rows[place]["id"] for place in node.own]
    return msgspec.structs.asdict(node) | known | {"cost_nano_usd": cost, "own": own}


def _cost(nano_usd: int, unknown: int, requests: int) -> str:
    """What is known of a cost; with a question mark behind it where that is not all."""
    known = known_sum(nano_usd, unknown, requests)
    return "?" if known is None else dollars(known) + (" + ?" if unknown else "")


def _tokens(total: int, unknown: int, requests: int) -> str:
    known = known_sum(total, unknown, requests)
    return "?" if known is None else f"{known:,}"
