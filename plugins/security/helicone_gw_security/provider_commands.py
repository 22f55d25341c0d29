"""``helicone-gw provider-keys``: keep, list, replace, encrypt anew and remove providers' keys in the database."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from helicone_gw import Database
from helicone_gw_security.ciphers import Cipher, new_encryption_key
from helicone_gw_security.command_line import Told, tables, tell
from helicone_gw_security.provider_table import NameTaken, ProviderTable, TooMany
from helicone_gw_security.tables import ProviderKeyRow

T = TypeVar("T")

Organization = Annotated[str | None, typer.Option(help="The organisation that it belongs to; any if left out.")]
Name = Annotated[str, typer.Argument(metavar="NAME|ID", help="The key's name or id.")]


def provider_commands(cipher: Cipher | None, versions: Path) -> typer.Typer:
    """The commands. ``cipher`` is the configuration's (``None``: no encryption key), ``versions`` the migrations.

    They read the database's URL at ``typer.Context.obj.config.database.url``. Secrets are read from standard input, so
    that they are in no list of processes and in no shell's history.
    """
    app = typer.Typer(help="Keep providers' keys, encrypted, in the database.", no_args_is_help=True)
    kept = tables(versions, "a key kept there would be gone at once.")

    def known() -> Cipher:
        if cipher is None:
            _fail(
                "There is no encryption key: set security.encryption_keys (`helicone-gw provider-keys "
                "new-encryption-key` makes one)."
            )
        return cipher

    def with_table(
        context: typer.Context,
        work: Callable[[ProviderTable], Awaitable[T]],
        told: Callable[[T], Told | None] = lambda _: None,
    ) -> T:
        encryption = known()

        async def working(database: Database) -> T:
            result = await work(ProviderTable(database, encryption))
            await tell(database, told(result))
            return result

        return kept.make(context, working)

    @app.command("new-encryption-key")
    def new_key() -> None:
        """Print a new key for security.encryption_keys; whoever has it, and the database, has every provider key."""
        typer.echo(new_encryption_key())

    @app.command()
    def add(
        context: typer.Context,
        name: Annotated[str, typer.Argument(help="What to call the key.")],
        provider: Annotated[str, typer.Option(help="The provider whose key it is, such as openai.")],
        organization: Annotated[str, typer.Option(help="The organisation that it belongs to.")] = "default",
        shared: Annotated[
            bool, typer.Option(help="Serve all of its organisation's requests to that provider with it.")
        ] = False,
    ) -> None:
        """Keep the key that is on standard input."""
        for option, value in (("NAME", name), ("--provider", provider), ("--organization", organization)):
            if not value.strip() or not value.isprintable() or len(value) > 200:
                raise typer.BadParameter("must be printable and not empty", param_hint=option)
        secret = _read_secret()
        try:
            row = with_table(
                context,
                lambda table: table.add(
                    name, provider.strip().lower(), secret, now=time.time(), organization=organization, shared=shared
                ),
                lambda row: _told("create", row),
            )
        except NameTaken:
            _fail(f"A provider key named {name!r} exists in {organization!r}: replace or remove it.")
        except (TooMany, ValueError) as problem:
            _fail(str(problem))
        typer.echo(f"Key {name!r} for {row.provider} is kept (id {row.id}).")

    @app.command("list")
    def list_(
        context: typer.Context,
        as_json: Annotated[bool, typer.Option("--json", help="A JSON array instead of a table.")] = False,
        organization: Organization = None,
    ) -> None:
        """List the keys, never their secrets."""
        encryption = known()
        rows = kept.read(context, lambda database: ProviderTable(database, encryption).all(organization), [])
        described = [described_provider_key(row) for row in rows]
        if as_json:
            typer.echo(json.dumps(described, indent=2))
            return
        table = Table("name", "id", "provider", "key", "organization", "serves", "changed")
        for key in described:
            serves = "all requests" if key["shared"] else "keys that stand for it"
            table.add_row(
                key["name"], key["id"], key["provider"], key["hint"], key["organization"], serves, key["changed"]
            )
        Console(width=None if Console().is_terminal else 200).print(table)

    @app.command()
    def replace(context: typer.Context, key: Name, organization: Organization = None) -> None:
        """Put the secret on standard input in the place of a key's; a running gateway uses it within seconds."""
        secret = _read_secret()
        try:
            row = with_table(
                context,
                lambda table: table.replace(key, secret, now=time.time(), organization=organization),
                lambda row: _told("replace", row),
            )
        except ValueError as problem:
            _fail(str(problem))
        if row is None:
            _unknown(key)
        typer.echo(f"Key {row.name!r} ({row.id}) is replaced.")

    @app.command()
    def remove(context: typer.Context, key: Name, organization: Organization = None) -> None:
        """Forget a key; a running gateway does so within seconds."""
        row = with_table(
            context, lambda table: table.remove(key, organization=organization), lambda row: _told("remove", row)
        )
        if row is None:
            _unknown(key)
        typer.echo(f"Key {row.name!r} ({row.id}) is removed.")

    @app.command()
    def rotate(context: typer.Context) -> None:
        """Encrypt every key with the first of security.encryption_keys; then the others may go."""

        def progress(done: int, of: int, unreadable: int) -> None:
            typer.echo(f"{done} of {of}" + (f", {unreadable} cannot be read" if unreadable else ""), err=True)

        renewed, unreadable = with_table(
            context,
            lambda table: table.renew(progress),
            lambda done: Told("default", "provider_key.encrypt", "provider_key:*", None, {"renewed": done[0]}),
        )
        typer.echo(f"{renewed} encrypted anew.")
        if unreadable:
            _fail(f"{unreadable} cannot be read with any of the encryption keys, and stay as they are.")

    return app


def _told(verb: str, row: ProviderKeyRow | None) -> Told | None:
    if row is None:
        return None
    facts = {"name": row.name, "provider": row.provider, "hint": row.hint, "shared": row.shared}
    return Told(row.organization_id, f"provider_key.{verb}", f"provider_key:{row.id}", None, facts)


def described_provider_key(row: ProviderKeyRow) -> dict[str, Any]:
    """What people may see of a key, JSON-able."""
    return {
        "name": row.name,
        "id": row.id,
        "provider": row.provider,
        "hint": row.hint,
        "organization": row.organization_id,
        "shared": row.shared,
        "created": _moment(row.created_at),
        "changed": _moment(row.changed_at),
    }


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def _read_secret() -> str:
    if sys.stdin.isatty():
        text: str = typer.prompt("Key", hide_input=True, err=True)
        return text.strip()
    return sys.stdin.readline().strip()


def _unknown(key: str) -> NoReturn:
    _fail(f"No one provider key is called {key!r}; `helicone-gw provider-keys list` shows all.")


def _fail(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(1)
