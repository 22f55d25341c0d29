"""``helicone-gw cache``: what is in the cache, one entry of it, and clearing.

Disk and Redis are looked at directly, running or not. Memory is the running gateway's own: it is asked over HTTP, as
any is with ``--url``, and shows what belongs to the key.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import msgspec
import typer

from helicone_gw import ConfigError, Database, Gateway, audit_command
from helicone_gw_cache.backends import Backend, BackendConfig, Selection, Unreachable, open_backend
from helicone_gw_cache.backends.selection import Tally
from helicone_gw_cache.describing import entry_as_json, parse_age, stats_as_json
from helicone_gw_cache.remote import Refused, Remote
from helicone_gw_cache.rendering import print_entry, print_stats

T = TypeVar("T")

Organization = Annotated[str | None, typer.Option(help="Only what belongs to this organisation (not with --url).")]
Owner = Annotated[str | None, typer.Option(help="Only what belongs to this owner of keys (not with --url).")]
Provider = Annotated[str | None, typer.Option(help="Only answers of this provider.")]
Model = Annotated[str | None, typer.Option(help="Only answers of this model, as the provider calls it.")]
OlderThan = Annotated[str | None, typer.Option(help="Only what was stored longer ago, such as 15m, 12h or 7d.")]
Url = Annotated[str | None, typer.Option(help="Ask the gateway that runs there, such as http://127.0.0.1:8787.")]
Key = Annotated[
    str | None, typer.Option(help="The gateway key to ask with.", envvar="HELICONE_API_KEY", show_envvar=True)
]
Json = Annotated[bool, typer.Option("--json", help="JSON instead of a table.")]


def commands(name: str, config: BackendConfig) -> typer.Typer:
    """The commands of the plugin instance ``name``. They read the configuration at ``typer.Context.obj.config``."""
    app = typer.Typer(help="Look into the cache, and clear it.", no_args_is_help=True)

    @app.command()
    def stats(
        context: typer.Context,
        organization: Organization = None,
        owner: Owner = None,
        provider: Provider = None,
        model: Model = None,
        older_than: OlderThan = None,
        url: Url = None,
        key: Key = None,
        as_json: Json = False,
    ) -> None:
        """Say how many entries there are, how large, of which models; of a running gateway also what hits saved."""
        selection = _selection(organization, owner, provider, model, older_than)
        remote = _remote(context, config, url, key, selection)
        if remote is not None:
            described = _ask(lambda: remote.stats(_query(provider, model, older_than)))
        else:

            async def look(backend: Backend) -> dict[str, Any]:
                return stats_as_json(backend.kind, await backend.stats(selection))

            described = _locally(context, name, config, look) or stats_as_json("disk", Tally().stats())
        if as_json:
            _print_json(described)
        else:
            print_stats(described)

    @app.command()
    def clear(
        context: typer.Context,
        organization: Organization = None,
        owner: Owner = None,
        provider: Provider = None,
        model: Model = None,
        older_than: OlderThan = None,
        everything: Annotated[bool, typer.Option("--all", help="All that there is.")] = False,
        url: Url = None,
        key: Key = None,
        as_json: Json = False,
    ) -> None:
        """Drop entries: those that the options describe, or --all."""
        selection = _selection(organization, owner, provider, model, older_than)
        if everything != (selection == Selection()):
            _fail(
                "Say which entries (--model, --older-than and so on), or --all." if not everything else _CONTRADICTION
            )
        remote = _remote(context, config, url, key, selection)
        if remote is not None:
            cleared = _ask(lambda: remote.clear(_query(provider, model, older_than)))
        else:

            async def drop(backend: Backend) -> int:
                dropped = await backend.clear(selection)
                await _tell(context, name, selection, dropped)
                return dropped

            cleared = _locally(context, name, config, drop) or 0
        if as_json:
            _print_json({"cleared": cleared})
        else:
            typer.echo(f"{cleared} {'entry' if cleared == 1 else 'entries'} cleared.")

    @app.command()
    def get(
        context: typer.Context,
        entry: Annotated[str, typer.Argument(metavar="KEY", help="As Helicone-Cache-Key and the log say it.")],
        url: Url = None,
        key: Key = None,
        as_json: Json = False,
    ) -> None:
        """Show one entry with its answer."""
        remote = _remote(context, config, url, key, Selection())
        if remote is not None:
            described = _ask(lambda: remote.entry(entry))
        else:

            async def look(backend: Backend) -> dict[str, Any] | None:
                found = (await backend.get_many([entry]))[0]
                if found is None and backend.counters.unavailable:
                    raise Unreachable("the cache does not answer")
                return None if found is None else entry_as_json(found, time.time())

            described = _locally(context, name, config, look)
        if described is None:
            _fail("There is no such entry.")
        if as_json:
            _print_json(described)
        else:
            print_entry(described)

    return app


_CONTRADICTION = "--all leaves nothing to describe: give it alone."


def _remote(
    context: typer.Context, config: BackendConfig, url: str | None, key: str | None, selection: Selection
) -> Remote | None:
    """The running gateway, where that is whom to ask."""
    if url is None:
        if config.url != "memory://":
            return None
        server = context.obj.config.server
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(server.host, server.host)  # noqa: S104 - not bound to
        host = f"[{host}]" if ":" in host else host
        url = f"http://{host}:{server.port}"
    if selection.organization is not None or selection.owner is not None:
        _fail("A running gateway shows what belongs to the key: --organization and --owner are for disk and Redis.")
    return Remote(url, key)


def _ask(work: Callable[[], T]) -> T:
    try:
        return work()
    except Refused as problem:
        _fail(str(problem))


async def _tell(context: typer.Context, name: str, selection: Selection, cleared: int) -> None:
    """Have the audit log say what was cleared; a running gateway that was asked has said so itself."""
    loaded = context.obj.config
    database = Database(loaded.database.url)
    after = {each: value for each, value in msgspec.structs.asdict(selection).items() if value is not None} | {
        "cleared": cleared
    }
    try:
        told = await audit_command(
            loaded,
            database,
            "cache.clear",
            f"cache:{name}",
            organization=selection.organization or "default",
            after=after,
        )
    finally:
        await database.close()
    if told is not None:
        typer.echo(told, err=True)


def _locally(
    context: typer.Context, name: str, config: BackendConfig, work: Callable[[Backend], Awaitable[T]]
) -> T | None:
    """What ``work`` makes of the place where entries are; ``None`` when there never was one."""
    if config.path is not None and not Path(config.path).exists():
        typer.echo(f"Nothing has been cached in {config.path} yet.", err=True)
        return None

    async def run() -> T:
        gateway = Gateway(context.obj.config)
        try:
            backend = open_backend(config, gateway, name)
            try:
                await backend.start()
                return await work(backend)
            finally:
                await backend.close()
        finally:
            await gateway.stop()

    try:
        return asyncio.run(run())
    except (ConfigError, Unreachable) as problem:
        _fail(f"The cache cannot be reached: {problem}")


def _selection(
    organization: str | None, owner: str | None, provider: str | None, model: str | None, older_than: str | None
) -> Selection:
    try:
        stored_before = None if older_than is None else time.time() - parse_age(older_than)
    except ValueError as problem:
        raise typer.BadParameter(str(problem), param_hint="--older-than") from None
    return Selection(organization, owner, provider, model, stored_before)


def _query(provider: str | None, model: str | None, older_than: str | None) -> dict[str, str]:
    given = {"provider": provider, "model": model, "older_than": older_than}
    return {name: value for name, value in given.items() if value is not None}


def _print_json(value: Any) -> None:
    typer.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def _fail(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(1)
