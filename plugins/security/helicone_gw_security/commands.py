"""``helicone-gw keys``: make, list, rotate and revoke the keys in the database."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from helicone_gw import Database
from helicone_gw_security.command_line import Told, tables, tell
from helicone_gw_security.keys import StoredKey
from helicone_gw_security.spec import KeySpec, parse_expiry
from helicone_gw_security.store import LISTS, KeyTable, NameTaken, state
from helicone_gw_security.tables import GatewayKeyRow

T = TypeVar("T")

MAX_GRACE = 24.0 * 366
"""Hours for which two secrets of a key may be valid at once."""


def commands(static: Sequence[StoredKey], versions: Path) -> typer.Typer:
    """The commands. ``static`` are the configuration's keys (listed, never changed), ``versions`` the migrations.

    They read the database's URL at ``typer.Context.obj.config.database.url``.
    """
    app = typer.Typer(help="Make, list, rotate and revoke gateway keys.", no_args_is_help=True)
    keys = tables(versions, "a key made there would be gone at once.")

    def with_table(
        context: typer.Context,
        work: Callable[[KeyTable], Awaitable[T]],
        told: Callable[[T], Told | None] = lambda _: None,
    ) -> T:
        async def working(database: Database) -> T:
            result = await work(KeyTable(database))
            await tell(database, told(result))
            return result

        return keys.make(context, working)

    @app.command()
    def create(
        context: typer.Context,
        name: Annotated[str, typer.Argument(help="What to call the key.")],
        owner: Annotated[str | None, typer.Option(help="Whose key it is; the name if left out.")] = None,
        organization: Annotated[str, typer.Option(help="The organisation that it belongs to.")] = "default",
        model: Annotated[list[str] | None, typer.Option(help="A model that it may use (pattern); repeatable.")] = None,
        provider: Annotated[list[str] | None, typer.Option(help="A provider (pattern); repeatable.")] = None,
        path: Annotated[list[str] | None, typer.Option(help="A path (pattern); repeatable.")] = None,
        network: Annotated[list[str] | None, typer.Option(help="A network it may come from; repeatable.")] = None,
        origin: Annotated[list[str] | None, typer.Option(help="A web page's origin; repeatable.")] = None,
        role: Annotated[str, typer.Option(help="viewer, member or admin of the gateway's own pages.")] = "member",
        scope: Annotated[
            str, typer.Option(help="all, read (own pages) or write (calls, and telling of them).")
        ] = "all",
        limit: Annotated[list[str] | None, typer.Option(help="A limit: 100;w=60;u=request; repeatable.")] = None,
        budget: Annotated[list[str] | None, typer.Option(help="Dollars by period: 25/month; repeatable.")] = None,
        provider_key: Annotated[str | None, typer.Option(help="The stored provider key that it stands for.")] = None,
        expires: Annotated[str | None, typer.Option(help="ISO date or date-time, UTC unless it says so.")] = None,
    ) -> None:
        """Make a key and print it, this once."""
        now = time.time()
        expires_at = None if expires is None else _expiry(expires, now)
        try:
            spec = KeySpec(
                name=name,
                owner=owner,
                organization=organization,
                models=_given(model),
                providers=_given(provider),
                paths=_given(path),
                networks=_given(network),
                origins=_given(origin),
                role=role,  # type: ignore[arg-type]
                scope=scope,  # type: ignore[arg-type]
                limits=_given(limit) or (),
                budgets=_given(budget) or (),
                provider_key=provider_key,
                expires_at=expires_at,
            )
        except ValueError as problem:
            raise typer.BadParameter(str(problem)) from None

        async def work(table: KeyTable) -> tuple[str, GatewayKeyRow]:
            return await table.make(spec, now=now)

        try:
            secret, row = with_table(context, work, lambda made: _told("create", made[1]))
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
        described += [_describe(row, now) for row in keys.read(context, lambda database: KeyTable(database).all(), [])]
        if as_json:
            typer.echo(json.dumps(described, indent=2))
        else:
            Console(width=None if Console().is_terminal else 200).print(_table(described))

    @app.command()
    def rotate(
        context: typer.Context,
        key: Annotated[str, typer.Argument(metavar="NAME|ID", help="The key's name or id.")],
        grace: Annotated[
            float, typer.Option(min=0, max=MAX_GRACE, help="Hours for which the old secret is valid, too.")
        ] = 24.0,
    ) -> None:
        """Give a key a new secret and print it, this once; the old one works on for a while."""
        now = time.time()
        secret, rows = with_table(
            context,
            lambda table: table.rotate(key, now=now, until=now + grace * 3600),
            lambda done: _told("rotate", *done[1]),
        )
        row = _the_one(key, rows, static)
        typer.echo(secret)
        typer.echo(
            f"Key {row.name!r} ({row.id}) has a new secret; the old one ends {_moment(now + grace * 3600)}.", err=True
        )

    @app.command()
    def revoke(
        context: typer.Context,
        key: Annotated[str, typer.Argument(metavar="NAME|ID", help="The key's name or id.")],
    ) -> None:
        """Revoke a key; a running gateway refuses it within seconds."""
        rows = with_table(
            context, lambda table: table.revoke(key, now=time.time()), lambda rows: _told("revoke", *rows)
        )
        row = _the_one(key, rows, static)
        typer.echo(f"Key {row.name!r} ({row.id}) is revoked.")

    return app


def _told(verb: str, *rows: GatewayKeyRow) -> Told | None:
    """What the audit log says of the one key that was changed, if it is one."""
    if len(rows) != 1:
        return None
    row = rows[0]
    facts = {name: getattr(row, name) for name in ("name", "owner", *LISTS, "role", "scope", "expires_at")}
    return Told(row.organization_id, f"key.{verb}", f"key:{row.id}", None, facts)


def _the_one(key: str, rows: Sequence[GatewayKeyRow], static: Sequence[StoredKey]) -> GatewayKeyRow:
    """The key that was meant; none or several end the command."""
    if len(rows) == 1:
        return rows[0]
    if rows:
        _fail(f"{key!r} names several keys; give the id: " + ", ".join(row.id for row in rows))
    if any(key in (stored.key.name, stored.key.id) for stored in static):
        _fail(f"The key {key!r} is in the configuration: change it there and restart.")
    return _fail(f"No key {key!r} that is not revoked; `helicone-gw keys list` shows all.")


def _fail(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(1)


def _given(values: Sequence[str] | None) -> tuple[str, ...] | None:
    return tuple(values) if values else None


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
        **{name: getattr(row, name) for name in (*LISTS, "role", "scope", "provider_key")},
        "created": _moment(row.created_at),
        "expires": _moment(row.expires_at),
        "revoked": _moment(row.revoked_at),
        "rotated": _moment(row.rotated_at),
        "last_used": _moment(row.last_used_at),
        "state": state(row, now),
    }


def _describe_static(stored: StoredKey, now: float) -> dict[str, Any]:
    key = stored.key
    lists = {name: getattr(key.permits, name, None) or getattr(key, name, None) or None for name in LISTS}
    return {
        "name": key.name,
        "id": key.id,
        "prefix": None,
        "owner": key.owner,
        "organization": key.organization,
        **lists,
        "role": key.role,
        "scope": key.scope,
        "provider_key": key.provider_key,
        "created": None,
        "expires": _moment(stored.expires_at),
        "revoked": None,
        "rotated": None,
        "last_used": None,
        "state": "active" if stored.valid(now) else "expired",
    }


def _moment(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def _table(described: Sequence[dict[str, Any]]) -> Table:
    table = Table("name", "id", "key", "owner", "organization", "role", "permits", "expires", "last used", "state")
    for key in described:
        permits = "; ".join(f"{kind}: {', '.join(key[kind])}" for kind in LISTS if key[kind])
        table.add_row(
            key["name"],
            key["id"],
            f"{key['prefix']}..." if key["prefix"] else "in the configuration",
            key["owner"],
            key["organization"],
            key["role"] if key["scope"] == "all" else f"{key['role']} ({key['scope']})",
            permits or "everything",
            key["expires"] or "never",
            key["last_used"] or "",
            key["state"],
        )
    return table
