"""``helicone-gw export``: requests as a file of CSV, JSON lines or Parquet, with progress."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import msgspec
import typer
from rich.console import Console

from helicone_gw import Database
from helicone_gw_logging.command_line import LOG
from helicone_gw_logging.query.columns import field
from helicone_gw_logging.query.export import Record, begun, pieces
from helicone_gw_logging.query.filters import read_filter
from helicone_gw_logging.query.formats import Format, checked, written
from helicone_gw_logging.query.nodes import Condition, FilterError, Node, both
from helicone_gw_logging.query.reading import TooLong
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.wanted import Wanted
from helicone_gw_logging.times import parse_since

if TYPE_CHECKING:
    from rich.progress import Progress


def export(
    context: typer.Context,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file; without one, or for -, standard output.")
    ] = None,
    format: Annotated[
        str | None, typer.Option(help="csv, jsonl or parquet; without it, as the file is named, else jsonl.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="10m, 2h, 1d ago, or an ISO date or time.")] = None,
    until: Annotated[str | None, typer.Option(help="The same.")] = None,
    filter_: Annotated[
        str | None, typer.Option("--filter", metavar="JSON", help="A filter, as the REST API has them.")
    ] = None,
    columns: Annotated[str | None, typer.Option(help="Names of columns, with commas between them.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many.")] = None,
    organization: Annotated[str, typer.Option(help="Whose requests.")] = "default",
) -> None:
    """Write all requests that a filter matches into a file, oldest first."""
    if output is not None and str(output) == "-":
        output = None
    kind = _format(format, output)
    try:
        checked(kind)
        node = _node(filter_, since, until)
    except (FilterError, ValueError) as problem:
        typer.echo(str(problem), err=True)
        raise typer.Exit(2) from None
    if output is None and kind == "parquet" and sys.stdout.isatty():
        typer.echo("Parquet is not for terminals: name a file (--output).", err=True)
        raise typer.Exit(2)
    names = None if columns is None else [name.strip() for name in columns.split(",") if name.strip()]

    async def work(database: Database) -> int:
        if output is None:
            return await _write(database, sys.stdout.buffer)
        with _replacing(output) as file:
            return await _write(database, file)

    async def _write(database: Database, file: BinaryIO) -> int:
        scope, wanted, rows = Scope(organization), Wanted(node), 0
        found = await begun(database, scope, wanted, names)
        total = found.total if limit is None or found.total is None else min(limit, found.total)
        with _progress() as progress:
            task = progress.add_task("requests", total=total)

            async def counted() -> AsyncIterator[list[Record]]:
                nonlocal rows
                async for piece in pieces(database, scope, wanted, found, limit):
                    yield piece
                    rows += len(piece)
                    progress.update(task, completed=rows)

            async for part in written(counted(), found.columns, kind):
                file.write(part)
        return rows

    try:
        rows = LOG.read(context, work, None)
    except FilterError as problem:
        typer.echo(str(problem), err=True)
        raise typer.Exit(2) from None
    except TooLong:
        typer.echo("The database takes too long; a narrower filter or a shorter time is found sooner.", err=True)
        raise typer.Exit(1) from None
    except OSError as problem:
        typer.echo(f"The file cannot be written: {problem.strerror}.", err=True)
        raise typer.Exit(1) from None
    if rows is None:
        raise typer.Exit(1)
    typer.echo(f"{rows:,} requests exported.", err=True)


@contextmanager
def _replacing(output: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of ``output`` once it is whole; what is no file (a device, a pipe) is written to."""
    if output.exists() and not output.is_file():
        with output.open("wb") as file:
            yield file
        return
    whole = output.resolve()  # a link stays one
    part = whole.with_name(f"{whole.name}.part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(whole)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _format(format: str | None, output: Path | None) -> Format:
    said = format or ("jsonl" if output is None else output.suffix.lstrip(".").lower())
    match said:
        case "csv" | "jsonl" | "parquet":
            return said
        case "ndjson" | "json":
            return "jsonl"
    if format is None:
        return "jsonl"
    raise typer.BadParameter(f"{format!r} is none of csv, jsonl, parquet", param_hint="--format")


def _node(filter_: str | None, since: str | None, until: str | None) -> Node:
    at, now, parts = field("request_response_rmt", "received_at"), time.time(), list[Node]()
    if filter_ is not None:
        try:
            parts.append(read_filter(msgspec.json.decode(filter_)))
        except (msgspec.DecodeError, RecursionError):
            raise FilterError("filter: it is not JSON") from None
    if since is not None:
        parts.append(Condition(at, "gte", parse_since(since, now)))
    if until is not None:
        parts.append(Condition(at, "lt", parse_since(until, now)))
    return both("and", parts)


def _progress() -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
