"""``helicone-gw run``: start the gateway."""

from __future__ import annotations

import typer

from helicone_gw.commands.starting import start


def run(context: typer.Context) -> None:
    """Start the gateway and serve until it is asked to stop (Ctrl-C, SIGTERM). SIGHUP reads the configuration anew."""
    raise typer.Exit(start(context.obj))
