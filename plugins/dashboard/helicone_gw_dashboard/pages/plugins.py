"""Plugins: the onion of the running chain, and each layer's hooks, faults, figures, settings and README."""

from __future__ import annotations

import asyncio
from collections import Counter
from importlib import metadata
from typing import Any, Final

from quart import Response

from helicone_gw import Plugin
from helicone_gw_dashboard.configuration import settings
from helicone_gw_dashboard.markdown import rendered
from helicone_gw_dashboard.site import Pages
from helicone_gw_dashboard.view import Trouble, View

PAGES = Pages("plugins")

DEMO: Final = "demo"
"""The model that answers by itself, for measuring."""
MOST_FIGURES: Final = 100
"""Figures of a plugin that are shown."""


@PAGES.get("/plugins", "Plugins", role="admin")
async def plugins(view: View) -> Response:
    """The layers from the outermost to the innermost, as they were compiled."""
    operator(view)
    faults = _faults(view)
    hooks = _hooks(view)
    count, took = _took(view)
    layers = [
        {
            "name": plugin.name,
            "kind": _kind(plugin),
            "hooks": hooks.get(plugin.name, []),
            "on_failure": plugin.on_failure,
            "faults": sum(number for (name, _), number in faults.items() if name == plugin.name),
            "took": sum(ms for (name, _), (ms, _) in took.items() if name == plugin.name) if count else None,
        }
        for plugin in view.gateway.plugins
    ]
    timed = any(
        getattr(plugin.config, "server_timing", "never") in ("asked", "always") for plugin in view.instances("metrics")
    )
    return view.render(
        "plugins.html",
        layers=layers,
        count=count,
        timed=timed,
        demo=view.gateway.catalogue.is_configured(DEMO),
        calls=view.gateway.chain.hooks(),
    )


@PAGES.get("/plugins/<name>", "Plugin", role="admin")
async def plugin(view: View, name: str) -> Response:
    """One plugin instance."""
    operator(view)
    found = next((each for each in view.gateway.plugins if each.name == name), None)
    if found is None:
        raise Trouble(404, "No plugin of that name is in the chain.")
    view.title = name
    package = type(found).__module__.partition(".")[0].replace("_", "-")
    version, readme = await asyncio.to_thread(_described, package)
    try:
        figures = [each for _, each in zip(range(MOST_FIGURES), found.measurements(), strict=False)]
    except Exception:
        view.gateway.log.exception("a plugin's measurements cannot be had", plugin=name)
        figures = []
    return view.render(
        "plugin.html",
        plugin=found,
        kind=_kind(found),
        package=package,
        version=version,
        readme=None if readme is None else rendered(readme),
        hooks=_hooks(view).get(name, []),
        took=[(hook, *figures) for (plugin, hook), figures in sorted(_took(view)[1].items()) if plugin == name],
        faults=sorted((hook, count) for (plugin, hook), count in _faults(view).items() if plugin == name),
        figures=[(each, ", ".join(f"{key}={value}" for key, value in each.labels.items())) for each in figures],
        settings=settings(found.config),
        place=[each.name for each in view.gateway.plugins].index(name) + 1,
        depth=len(view.gateway.plugins),
    )


def operator(view: View) -> None:
    """Raises `Trouble` (403) for whoever is not of the operator's organization."""
    if not view.operates:
        raise Trouble(403, "This is about the gateway itself, which only its operator's organization sees.")


def _kind(plugin: Plugin) -> str:
    return type(plugin).__module__.partition(".")[0].removeprefix("helicone_gw_").replace("_", "-")


def _took(view: View) -> tuple[int, dict[tuple[str, str], tuple[float, float]]]:
    """How many requests of this worker were timed, and by plugin and hook the ms and the calls of one of them."""
    seconds: dict[tuple[str, str], float] = {}
    calls: dict[tuple[str, str], float] = {}
    count = 0
    for each in view.gateway.measurements():
        if each.name == "exchanges_timed":
            count = int(each.value)
        elif each.name in ("hook_seconds", "hook_calls"):
            kept = seconds if each.name == "hook_seconds" else calls
            kept[each.labels["plugin"], each.labels["hook"]] = each.value
    known = max(count, 1)
    return count, {which: (seconds[which] * 1000 / known, calls.get(which, 0) / known) for which in seconds}


def _hooks(view: View) -> dict[str, list[str]]:
    """The request hooks that each plugin implements, by its name."""
    found: dict[str, list[str]] = {}
    for name, hooks in view.gateway.chain.hooks().items():
        for hook in hooks:
            found.setdefault(hook.plugin, []).append(name)
    return found


def _faults(view: View) -> Counter[tuple[str, str]]:
    """Unexpected exceptions of this worker, by plugin and hook."""
    faults: Counter[tuple[str, str]] = Counter()
    for each in view.gateway.measurements():
        if each.name == "plugin_faults":
            faults[each.labels["plugin"], each.labels["hook"]] += int(each.value)
    return faults


def _described(package: str) -> tuple[str | None, str | None]:
    """The version and the README of an installed distribution, as far as it says them."""
    try:
        found: Any = metadata.metadata(package)
    except metadata.PackageNotFoundError:
        return None, None
    text = found.get("Description") or found.get_payload()
    return found.get("Version"), text if isinstance(text, str) and text.strip() else None
