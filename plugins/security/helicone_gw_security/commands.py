"""``helicone-gw keys``: make, list and revoke the keys in the database."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import make_url

from helicone_gw import Database, Permits
from helicone_gw_security.config import check_paths, parse_expiry
from helicone_gw_security.keys import StoredKey
from helicone_gw_security.store import KeyTable, NameTaken, state
from helicone_gw_security.tables import GatewayKeyRow

T = TypeVar("T")


def commands(static: Sequence[StoredKey], versions: Path) -> typer.Typer:
    """The commands. ``static`` are the configuration's keys (listed, never changed), ``versions`` the migrations.

    They read the database's URL at ``typer.Context.obj.config.database.url``.
    """
    app = typer.Typer(help="Make, list and revoke gateway keys.", no_args_is_help=True)

    def with_table(context: typer.Context, work: Callable[[KeyTable], Awaitable[T]]) -> T:
        url = context.obj.config.database.url
        if make_url(url).database in (None, "", ":memory:"):
            _fail("The database is in memory (database.url): a key made there would be gone at once.")

        async def run() -> T:
            database = Database(url)
            try:
                await database.migrate("security", versions)
                return await work(KeyTable(database))
            finally:
                await database.close()

        return asyncio.run(run())

    @app.command()
    def create(
        context: typer.Context,
        name: Annotated[str, typer.Argument(help="What to call the key.")],
        owner: Annotated[str | None, typer.Option(help="Whose key it is; the name if left out.")] = None,
        organization: Annotated[str, typer.Option(help="The organisation that it belongs to.")] = "default",
        model: Annotated[list[str] | None, typer.Option(help="A model that it may use (pattern); repeatable.")] = None,
        provider: Annotated[list[str] | None, typer.Option(help="A provider (pattern); repeatable.")] = None,
        path: Annotated[list[str] | None, typer.Option(help="A path (pattern); repeatable.")] = None,
        expires: Annotated[str | None, typer.Option(help="ISO date or date-time, UTC unless it says so.")] = None,
    ) -> None:
        """Make a key and print it, this once."""
        now = time.time()
        _refuse_blank({"NAME": name, "--owner": owner, "--organization": organization})
        permits = Permits(
            models=tuple(model) if model else None,
            providers=tuple(provider) if provider else None,
            paths=_paths(path) if path else None,
        )
        expires_at = None if expires is None else _expiry(expires, now)

        async def work(table: KeyTable) -> tuple[str, GatewayKeyRow]:
            return await table.create(
                name, now=now, owner=owner, organization=organization, permits=permits, expires_at=expires_at
            )

        try:
            secret, row = with_table(context, work)
        except NameTaken:
            _fail(f"A key named {name!r} exists in {organization!r}: revoke it first, or choose another name.")
        # The key alone goes to standard output, so that a script can take it.
        typer.echo(secret)
        typer.echo(f"Key {name!r} made (id {row.id}). It is not shown again.", err=True)

    @app.command("list")
    def list_(
        context: typer.Context,
        as_json: Annotated[bool, typer.Option("--json", help="A JSON array instead of a table.")] = False,
    ) -> None:
        """List the keys of the configuration and of the database, never their secrets."""
        now = time.time()
        described = [_describe_static(stored, now) for stored in static]
        described += [_describe(row, now) for row in with_table(context, lambda table: table.all())]
        if as_json:
            typer.echo(json.dumps(described, indent=2))
        else:
            Console(width=None if Console().is_terminal else 200).print(_table(described))

    @app.command()
    def revoke(
        context: typer.Context,
        key: Annotated[str, typer.Argument(metavar="NAME|ID", help="The key's name or id.")],
    ) -> None:
        """Revoke a key; a running gateway refuses it within seconds."""
        rows = with_table(context, lambda table: table.revoke(key, now=time.time()))
        if len(rows) > 1:
            _fail(f"{key!r} names several keys; give the id: " + ", ".join(row.id for row in rows))
        if rows:
            typer.echo(f"Key {rows[0].name!r} ({rows[0].id}) is revoked.")
        elif any(key in (stored.key.name, stored.key.id) for stored in static):
            _fail(f"The key {key!r} is in the configuration: take it out there and restart.")
        else:
            _fail(f"No key {key!r} that is not revoked; `helicone-gw keys list` shows all.")

    return app


def _fail(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(1)


def _refuse_blank(values: dict[str, str | None]) -> None:
    for option, value in values.items():
        if value is not None and not value.strip():
            raise typer.BadParameter("must not be empty", param_hint=option)


def _paths(paths: Sequence[str]) -> tuple[str, ...]:
    try:
        return check_paths(tuple(paths))
    except ValueError as problem:
        raise typer.BadParameter(str(problem), param_hint="--path") from None


def _expiry(text: str, now: float) -> float:
    try:
        expires_at = parse_expiry(text).timestamp()
    except ValueError as problem:
        raise typer.BadParameter(str(problem), param_hint="--expires") from None
    if expires_at <= now:
        raise typer.BadParameter("lies in the past", param_hint="--expires")
    return expires_at


def _describe(row: GatewayKeyRow, now: float) -> dict[str, Any]:
    return {
        "name": row.name,
        "id": row.id,
        "prefix": row.prefix,
        "owner": row.owner,
        "organization": row.organization_id,
        "models": row.models,
        "providers": row.providers,
        "paths": row.paths,
        "created": _moment(row.created_at),
        "expires": _moment(row.expires_at),
        "revoked": _moment(row.revoked_at),
        "state": state(row, now),
    }


def _describe_static(stored: StoredKey, now: float) -> dict[str, Any]:
    permits = stored.key.permits
    return {
        "name": stored.key.name,
        "id": stored.key.id,
        "prefix": None,
        "owner": stored.key.owner,
        "organization": stored.key.organization,
        "models": permits.models,
        "providers": permits.providers,
        "paths": permits.paths,
        "created": None,
        "expires": _moment(stored.expires_at),
        "revoked": None,
        "state": "active" if stored.valid(now) else "expired",
    }


def _moment(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def _table(described: Sequence[dict[str, Any]]) -> Table:
    table = Table("name", "id", "key", "owner", "organization", "permits", "expires", "state")
    for key in described:
        permits = "; ".join(f"{kind}: {', '.join(key[kind])}" for kind in ("models", "providers", "paths") if key[kind])
        table.add_row(
            key["name"],
            key["id"],
            f"{key['prefix']}..." if key["prefix"] else "in the configuration",
            key["owner"],
            key["organization"],
            permits or "everything",
            key["expires"] or "never",
            key["state"],
        )
    return table
