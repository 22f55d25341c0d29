"""``helicone-gw check``: is the configuration good, and what will happen in which order."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import typer

from helicone_gw.chain import INWARDS, REQUEST_HOOKS, unsafe_orders
from helicone_gw.commands.loading import Loaded, build_gateway
from helicone_gw.commands.sharing import Part, sharing
from helicone_gw.errors import ConfigError
from helicone_gw.gateway import Gateway


def check(context: typer.Context) -> None:
    """Check the configuration; print the onion, hook by hook, and warn of orders that are not safe.

    With several workers it says what they share, and what each of them has for itself. A Redis is asked whether it
    answers; that it does not is a warning, because a gateway starts without it.
    Exit code 0 when it is good, 1 with warnings, 2 when it cannot be used.
    """
    loaded: Loaded = context.obj
    try:
        gateway = build_gateway(loaded.config)
    except ConfigError as error:
        typer.echo(f"The gateway cannot start:\n{error}", err=True)
        raise typer.Exit(2) from None
    plugins, chain = gateway.plugins, gateway.chain
    typer.echo(f"{loaded.path}: good, {len(plugins)} plugin{'s' if len(plugins) != 1 else ''}")
    typer.echo("\nThe onion, outermost first (requests go down, answers come up):\n")
    for depth, plugin in enumerate(plugins):
        typer.echo(f"  {'│ ' * depth}┌ {plugin.name}  (on failure: {plugin.on_failure})")
    typer.echo(f"  {'│ ' * len(plugins)}● upstream")
    typer.echo("\nHooks, in calling order:\n")
    for name in REQUEST_HOOKS:
        names = [hook.plugin for hook in getattr(chain, name)]
        direction = "down" if name in INWARDS else "up"
        typer.echo(f"  {name:<16} {direction:<5} {' > '.join(names) or '-'}")
    remarks = [(plugin.name, remark) for plugin in plugins for remark in plugin.remarks(loaded.config)]
    if remarks:
        typer.echo("\nWhat plugins say:\n")
        for name, remark in remarks:
            typer.echo(f"  {name}: {remark}")
    warnings = unsafe_orders(plugins, {spec.name: spec.plugin for spec in loaded.config.plugins})
    warnings += [f"{plugin.name}: {warning}" for plugin in plugins for warning in plugin.warnings(loaded.config)]
    workers = loaded.config.server.workers
    if workers > 1:
        parts = sharing(loaded.config, gateway.database)
        typer.echo(f"\nShared by the {workers} workers:\n")
        _print(parts.shared)
        typer.echo("\nEach worker's own:\n")
        _print(parts.own)
        warnings += parts.warnings
    if problem := asyncio.run(_problem(gateway)):
        warnings.append(
            f"store.url: the shared store cannot be reached: {problem}. The gateway starts without it and goes on "
            "trying: meanwhile plugins that fail open have no opinion, and those that fail closed answer 503"
        )
    if warnings:
        typer.echo("\nWarnings:\n")
        for warning in warnings:
            typer.echo(f"  {warning}")
        raise typer.Exit(1)


async def _problem(gateway: Gateway) -> str:
    try:
        return await gateway.store.problem()
    finally:
        await gateway.store.close()


def _print(parts: Iterable[Part]) -> None:
    for part in parts:
        typer.echo(f"  {part.name:<22} {part.how}")
