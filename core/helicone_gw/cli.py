"""The command line: ``helicone-gw [run]``, check, plugins, schema, demo, bench, plugin new, and what plugins add."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated

import typer

from helicone_gw import registry
from helicone_gw.chain import lifecycle_hooks
from helicone_gw.commands import bench, check, demo, plugins, run, schema
from helicone_gw.commands.database import database_commands
from helicone_gw.commands.loading import Loaded, build_plugins, load, locate
from helicone_gw.commands.scaffold import plugin_app
from helicone_gw.errors import ConfigError
from helicone_gw.migrations import MigrationError

WITHOUT_CONFIG = frozenset({"bench", "schema", "plugin"})
"""The commands that work although the configuration does not load."""

ASKING = frozenset({"-h", "--help", "--version"})
"""Options that only ask for a text, whatever else was said."""

STARTING = ((), ("run",))
"""Command lines that start the gateway, for which nobody need import what plugins' commands are made of."""

USAGE_ERROR = 2


def main() -> None:
    """Entry point of the ``helicone-gw`` script."""
    sys.exit(program(sys.argv[1:]))


def program(arguments: Sequence[str]) -> int:
    """Run one command line; the exit code: 0 well, 1 failed, 2 wrong usage or configuration."""
    explicit, rest = split_config(arguments)
    try:
        loaded = load(locate(explicit))
        cli = build_cli(loaded, plugins_too=tuple(rest) not in STARTING)
    except ConfigError as error:
        if not (WITHOUT_CONFIG.intersection(rest[:1]) or ASKING.intersection(rest)):
            typer.echo(f"The configuration cannot be used:\n{error}", err=True)
            return USAGE_ERROR
        cli = build_cli(None)
    try:
        result = cli(list(rest), prog_name="helicone-gw", standalone_mode=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except MigrationError as problem:  # any plugin's command may find the database away, or of another version
        typer.echo(str(problem), err=True)
        return 1
    return int(result or 0)


def split_config(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """``--config FILE`` wherever it stands, and the other arguments: plugins add commands, so it is read first."""
    explicit: str | None = None
    rest: list[str] = []
    pending = list(arguments)
    while pending:
        argument = pending.pop(0)
        if argument == "--":
            rest += [argument, *pending]
            break
        if argument == "--config" and pending:
            explicit = pending.pop(0)
        elif argument.startswith("--config="):
            explicit = argument.partition("=")[2]
        else:
            rest.append(argument)
    return explicit, rest


def build_cli(loaded: Loaded | None, *, plugins_too: bool = True) -> typer.Typer:
    """The command line for a configuration, with its plugins' commands or without; for none only what needs none."""
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
        if plugins_too:
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
