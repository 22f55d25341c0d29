"""What every subcommand works with: the configuration file, the configuration, and the configured plugins."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from helicone_gw import registry
from helicone_gw.config import GatewayConfig, find_config, load_config
from helicone_gw.gateway import Gateway
from helicone_gw.plugin import Plugin
from helicone_gw.upstream.builtin import built_ins


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that was read, and where from. This is ``typer.Context.obj`` in every subcommand."""

    path: Path
    config: GatewayConfig


def locate(explicit: str | None) -> Path:
    """The configuration file: ``--config``, ``$HELICONE_GW_CONFIG``, the working directory's, the built-in one."""
    return find_config(explicit, os.environ, Path.cwd())


def load(path: Path) -> Loaded:
    """Read ``path``. Raises `ConfigError` with every problem at its line and column."""
    known = {known for name, entry in built_ins().providers.items() for known in (name, *entry.aliases)}
    config = load_config(path, environ=os.environ, plugin_class=registry.load, known_providers=known)
    return Loaded(path, config)


def build_plugins(config: GatewayConfig) -> list[Plugin]:
    """The configured plugins, outermost first, not yet started. Raises `ConfigError`."""
    plugins, _ = registry.build(config)
    return plugins


def build_gateway(config: GatewayConfig) -> Gateway:
    """A gateway with its configured plugins, not yet started. Raises `ConfigError`."""
    return Gateway(config, build_plugins(config))
