"""``helicone-gw logs``: list, follow and show what was logged."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated, NoReturn

import msgspec
import typer
from rich.console import Console
from sqlalchemy import ColumnElement

from helicone_gw import Database
from helicone_gw_logging import rendering
from helicone_gw_logging.command_line import LOG
from helicone_gw_logging.config import LoggingConfig
from helicone_gw_logging.objects import StorageFailed, opened
from helicone_gw_logging.query import MAX_LIMIT, AmbiguousId, Filter, follow, get_request, list_requests
from helicone_gw_logging.query.filters import read_filter
from helicone_gw_logging.query.nodes import FilterError
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.where import where
from helicone_gw_logging.times import parse_since

# Without a terminal there is no width to respect; a file or a pipe gets whole lines.
_WIDE = 240


def commands(config: LoggingConfig) -> typer.Typer:
    """The command group, for a log that is kept as ``config`` says.

    It finds the database's URL at ``typer.Context.obj.config.database.url``.
    """
    app = typer.Typer(help="List, follow and show logged requests.", invoke_without_command=True)

    @app.callback()
    def logs(
        context: typer.Context,
        follow_: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new requests as they come.")] = False,
        as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
        status: Annotated[str | None, typer.Option(help="A status (429) or a class of them (5xx).")] = None,
        outcome: Annotated[str | None, typer.Option(help="How it ended: ok, refused, timeout, ...")] = None,
        model: Annotated[str | None, typer.Option(help="The model asked for, or the one that answered.")] = None,
        provider: Annotated[str | None, typer.Option(help="The provider that answered.")] = None,
        user: Annotated[str | None, typer.Option(help="The user's id.")] = None,
        session: Annotated[str | None, typer.Option(help="The session's id.")] = None,
        properties: Annotated[
            list[str] | None, typer.Option("--property", metavar="KEY=VALUE", help="A property; repeatable.")
        ] = None,
        since: Annotated[str | None, typer.Option(help="10m, 2h, 1d ago, or an ISO date or time.")] = None,
        filter_: Annotated[
            str | None, typer.Option("--filter", metavar="JSON", help="A filter, as the REST API has them.")
        ] = None,
        limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=MAX_LIMIT, help="At most so many.")] = 20,
        organization: Annotated[str, typer.Option(help="Whose requests.")] = "default",
    ) -> None:
        """List logged requests, newest first; with --follow, oldest first and on and on."""
        if context.invoked_subcommand is not None:
            return
        wanted = Filter(
            organization=organization,
            status=None if status is None else _status(status),
            outcome=outcome,
            provider=provider,
            model=model,
            user_id=user,
            session_id=session,
            properties=_properties(properties or ()),
            since=None if since is None else _since(since),
            where=None if filter_ is None else _where(filter_, organization),
        )
        try:
            if follow_:
                LOG.read(context, lambda database: _follow(database, wanted, limit, as_json), None, waits=True)
            else:
                LOG.read(context, lambda database: _list(database, wanted, limit, as_json), None)
        except KeyboardInterrupt:
            raise typer.Exit from None

    @app.command()
    def show(
        context: typer.Context,
        id: Annotated[str, typer.Argument(help="The id, or its beginning, or what Helicone-Id said.")],
        as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
        organization: Annotated[str, typer.Option(help="Whose requests.")] = "default",
    ) -> None:
        """Show one request with its attempts and bodies."""
        if not LOG.read(context, lambda database: _show(database, id, organization, config, as_json), False):
            raise typer.Exit(1)

    return app


async def _list(database: Database, wanted: Filter, limit: int, as_json: bool) -> None:
    requests = await list_requests(database, wanted, limit)
    if as_json:
        for request in requests:
            typer.echo(rendering.as_json(request))
    elif requests:
        _console().print(rendering.table(requests))
    else:
        typer.echo("No request matches.", err=True)


async def _follow(database: Database, wanted: Filter, limit: int, as_json: bool) -> None:
    console = _console()
    if not as_json:
        console.print(rendering.header(), soft_wrap=True)
    async for request in follow(database, wanted, backlog=limit):
        if as_json:
            typer.echo(rendering.as_json(request))
        else:
            console.print(rendering.line(request), soft_wrap=True)


async def _show(database: Database, id: str, organization: str, config: LoggingConfig, as_json: bool) -> bool:
    try:
        detail = await get_request(database, id, organization, opened(config))
    except AmbiguousId:
        _fail(f"Several requests begin with {id!r}; give more of it.")
    except StorageFailed as problem:
        _fail(f"The bodies of that request cannot be had: {problem}.")
    if detail is None:
        _fail(f"No request {id!r}.")
    if as_json:
        typer.echo(rendering.detail_as_json(detail))
        return True
    console = _console()
    for line in rendering.facts(detail):
        console.print(line, soft_wrap=True)
    return True


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_WIDE)


def _fail(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(1)


def _status(text: str) -> range:
    if len(text) == 3 and text[0].isdigit() and text[1:].lower() == "xx":
        return range(int(text[0]) * 100, int(text[0]) * 100 + 100)
    if len(text) == 3 and text.isdecimal() and text.isascii():
        return range(int(text), int(text) + 1)
    raise typer.BadParameter(f"{text!r} is neither a status (429) nor a class of them (5xx)", param_hint="--status")


def _properties(texts: Sequence[str]) -> dict[str, str]:
    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise typer.BadParameter(f"{text!r} is not KEY=VALUE", param_hint="--property")
        found[key] = value
    return found


def _where(text: str, organization: str) -> ColumnElement[bool]:
    try:
        return where(read_filter(msgspec.json.decode(text)), Scope(organization))
    except (msgspec.DecodeError, RecursionError):
        raise typer.BadParameter("it is not JSON", param_hint="--filter") from None
    except FilterError as problem:
        raise typer.BadParameter(str(problem), param_hint="--filter") from None


def _since(text: str) -> int:
    try:
        return parse_since(text, time.time())
    except ValueError as problem:
        raise typer.BadParameter(str(problem), param_hint="--since") from None
