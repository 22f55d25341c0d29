"""The command line: run, check, plugins, schema, demo, bench, db, plugin new, and what plugins add."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from helicone_gw import registry
from helicone_gw.chain import lifecycle_hooks
from helicone_gw.commands import bench, check, demo, plugins, run, schema
from helicone_gw.commands.database import database_commands
from helicone_gw.commands.loading import Loaded, build_plugins
from helicone_gw.commands.scaffold import plugin_app
from helicone_gw.errors import ConfigError


def build_cli(loaded: Loaded | None) -> typer.Typer:
    """The command line for a configuration, with its plugins' commands; without one, only what needs none."""
    cli = typer.Typer(
        name="helicone-gw",
        help="A self-hosted LLM gateway: swap your SDK's base URL and get caching, limits, fallbacks, costs and logs.",
        no_args_is_help=False,
        invoke_without_command=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @cli.callback()
    def root(
        context: typer.Context,
        config: Annotated[
            str | None,
            typer.Option(help="Default: $HELICONE_GW_CONFIG, ./gateway.yaml, ./config/gateway.yaml, the built-in one."),
        ] = None,
        show_version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    ) -> None:
        """Start the gateway, unless a subcommand says otherwise."""
        if show_version:
            typer.echo(f"helicone-gw {version('helicone-gw-core')}")
            raise typer.Exit
        context.obj = loaded
        if context.invoked_subcommand is None:
            run.run(context)

    cli.command("run")(run.run)
    cli.command("check")(check.check)
    cli.command("plugins")(plugins.plugins)
    cli.command("schema")(schema.schema)
    cli.command("demo")(demo.demo)
    cli.command("bench")(bench.bench)
    cli.add_typer(plugin_app, name="plugin")
    if loaded is not None:
        cli.add_typer(database_commands(), name="db")
        _add_plugin_commands(cli, loaded)
    return cli


def _add_plugin_commands(cli: typer.Typer, loaded: Loaded) -> None:
    instances = build_plugins(loaded.config)
    manager = registry.new_manager()
    for plugin in instances:
        manager.register(plugin, name=plugin.name)
    seen: set[type] = set()
    for plugin, register_commands in lifecycle_hooks(instances, manager, "register_commands"):
        if type(plugin) in seen:
            continue  # a second instance would add the same commands again
        seen.add(type(plugin))
        try:
            register_commands(cli)
        except Exception as problem:
            raise ConfigError([f"plugin {plugin.name!r} cannot add its commands: {problem}"]) from problem
