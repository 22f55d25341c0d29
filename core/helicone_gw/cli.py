"""The command line: ``helicone-gw [run]``, check, plugins, schema, demo, bench, plugin new, and what plugins add."""

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Sequence

from helicone_gw.commands.loading import Loaded, load, locate
from helicone_gw.commands.starting import USAGE_ERROR, say, start
from helicone_gw.errors import ConfigError
from helicone_gw.migrations import MigrationError

WITHOUT_CONFIG = frozenset({"bench", "schema", "plugin"})
"""The commands that work although the configuration does not load."""

ASKING = frozenset({"-h", "--help", "--version"})
"""Options that only ask for a text, whatever else was said."""

STARTING = ((), ("run",))
"""Command lines that start the gateway, for which nobody need import what commands are made of."""


INTERRUPTED = 128 + signal.SIGINT


def main() -> None:
    """Entry point of the ``helicone-gw`` script."""
    sys.exit(program(sys.argv[1:]))


def program(arguments: Sequence[str]) -> int:
    """Run one command line; the exit code: 0 well, 1 failed, 2 wrong usage or configuration."""
    explicit, rest = split_config(arguments)
    loaded = None
    try:
        loaded = load(locate(explicit))
    except ConfigError as error:
        if not (WITHOUT_CONFIG.intersection(rest[:1]) or ASKING.intersection(rest)):
            return _unusable(error)
    try:
        if loaded is not None and tuple(rest) in STARTING:
            return start(loaded)
        return _command(loaded, rest)
    except MigrationError as problem:  # any plugin's command may find the database away, or of another version
        say(str(problem), sys.stderr)
        return 1
    except KeyboardInterrupt:  # before the gateway takes the signal itself
        return INTERRUPTED


def _command(loaded: Loaded | None, arguments: Sequence[str]) -> int:
    from helicone_gw.commands.line import build_cli

    try:
        cli = build_cli(loaded)
    except ConfigError as error:
        if not (WITHOUT_CONFIG.intersection(arguments[:1]) or ASKING.intersection(arguments)):
            return _unusable(error)
        cli = build_cli(None)
    gc.enable()  # the script has paused it, for what is imported
    try:
        result = cli(list(arguments), prog_name="helicone-gw", standalone_mode=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return int(result or 0)


def _unusable(error: ConfigError) -> int:
    say(f"The configuration cannot be used:\n{error}", sys.stderr)
    return USAGE_ERROR


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
