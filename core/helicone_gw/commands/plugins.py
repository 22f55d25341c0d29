"""``helicone-gw plugins``: what is installed, what is active."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from helicone_gw import registry
from helicone_gw.chain import REQUEST_HOOKS
from helicone_gw.commands.loading import Loaded, build_plugins

OTHER_HOOKS = ("startup", "shutdown", "register_routes", "register_commands")


def plugins(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array, for scripts.")] = False,
) -> None:
    """List plugins: installed ones with their version, which are active, and the hooks that they implement.

    Installed is not active: only plugins that the configuration names are imported.
    """
    loaded: Loaded = context.obj
    instances = build_plugins(loaded.config)
    manager = registry.new_manager()
    for plugin in instances:
        manager.register(plugin, name=plugin.name)
    hooks: dict[str, list[str]] = {plugin.name: [] for plugin in instances}
    for name in (*REQUEST_HOOKS, *OTHER_HOOKS):
        for impl in getattr(manager.hook, name).get_hookimpls():
            hooks[impl.plugin.name].append(name)
    rows: list[dict[str, Any]] = []
    for name, found in sorted(registry.installed().items()):
        active = [spec.name for spec in loaded.config.plugins if spec.plugin == name]
        used = sorted({hook for instance in active for hook in hooks[instance]})
        rows.append(
            {
                "plugin": name,
                "distribution": found.distribution,
                "version": found.version,
                "active": active,
                "hooks": used,
            }
        )
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    table = Table("plugin", "distribution", "version", "active as", "hooks", box=None, header_style="bold")
    for row in rows:
        hooks_text = ", ".join(row["hooks"]) if row["active"] else "(not imported)"
        table.add_row(
            row["plugin"], row["distribution"], row["version"] or "?", ", ".join(row["active"]) or "-", hooks_text
        )
    Console().print(table)
