"""``helicone-gw schema``: the JSON Schema of the configuration, for editors."""

from __future__ import annotations

import typer

from helicone_gw import registry
from helicone_gw.config import schema_text
from helicone_gw.errors import ConfigError


def schema() -> None:
    """Print the JSON Schema of the configuration: the core's part and every installed plugin's."""
    try:
        classes = {name: registry.load(name) for name in sorted(registry.installed())}
    except ConfigError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    typer.echo(schema_text(classes), nl=False)
