"""Plugins: installed entry points to validated classes to configured instances, registered with pluggy."""

from __future__ import annotations

import configparser
import getpass
import inspect
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, cast
from weakref import WeakSet

import entrypoints
import pluggy
from pydantic import BaseModel

from helicone_gw import hookspecs
from helicone_gw.audit import AuditEntry
from helicone_gw.chain import MAY_ANSWER_AT_ONCE, MAY_BE_PLAIN
from helicone_gw.config import RESERVED_KEYS, GatewayConfig
from helicone_gw.database import Database
from helicone_gw.errors import ConfigError
from helicone_gw.plugin import Plugin, PluginConfig

GROUP = "helicone_gw.plugins"
"""The entry-point group in which distributions offer plugins."""

PluginClass = Callable[[str], type[Plugin]]
"""The class of a plugin by its name; raises `ConfigError` when there is none."""

_PROJECT = "helicone_gw"
_MARK = f"{_PROJECT}_impl"  # where pluggy's markers leave their options
_SPECIFIED = f"{_PROJECT}_spec"
_sound: WeakSet[type[Plugin]] = WeakSet()
"""Classes that passed `check`: they are asked for several times before the gateway runs, and at every reload."""

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class InstalledPlugin:
    """A plugin that some installed distribution offers; nothing of it has been imported.

    ``object`` is where its class is, ``module:attribute``.
    """

    name: str
    distribution: str
    version: str | None
    object: str


def installed() -> dict[str, InstalledPlugin]:
    """Every installed plugin by name, sorted. Raises `ConfigError` when an entry-point file cannot be read."""
    return {name: _described(points[0]) for name, points in sorted(_entry_points().items())}


def load(name: str) -> type[Plugin]:
    """Import the plugin ``name``, and only that one.

    Raises `ConfigError`, naming the plugin, when it is not installed, is offered twice, cannot be imported or is not
    what a plugin has to be.
    """
    points = _entry_points().get(name)
    if points is None:
        raise ConfigError([_unknown(name)])
    if len(points) > 1:
        offers = ", ".join(sorted(_described(point).distribution for point in points))
        raise ConfigError([f"plugin {name!r} is offered by several distributions ({offers}): uninstall all but one"])
    found = _described(points[0])
    origin = f"plugin {name!r} ({found.distribution} {found.version or 'of unknown version'}, {found.object})"
    try:
        cls = points[0].load()
    except Exception as fault:
        raise ConfigError([f"{origin} cannot be imported: {type(fault).__name__}: {fault}"]) from fault
    return check(cls, origin)


def check(cls: Any, origin: str) -> type[Plugin]:
    """``cls``, if it is what a plugin has to be; else raises `ConfigError` with all that is wrong, about ``origin``."""
    if isinstance(cls, type) and cls in _sound:
        return cast(type[Plugin], cls)
    problems = list(_problems(cls))
    if problems:
        raise ConfigError([f"{origin}: {problem}" for problem in problems])
    assert isinstance(cls, type)
    _sound.add(cls)
    return cls


def build(config: GatewayConfig, plugin_class: PluginClass = load) -> tuple[list[Plugin], pluggy.PluginManager]:
    """Instances of the configured plugins, outermost first, and a manager in which they are registered.

    ``plugin_class`` is where classes come from, by name. Raises `ConfigError`, naming the plugins, when one cannot be
    loaded or refuses to be created.
    """
    manager = new_manager()
    plugins: list[Plugin] = []
    problems: list[str] = []
    for spec in config.plugins:
        try:
            plugin = plugin_class(spec.plugin)(spec.config, spec.name)
        except ConfigError as error:
            problems.extend(error.problems)
            continue
        except Exception as fault:
            problems.append(f"plugin {spec.name!r} cannot be created: {type(fault).__name__}: {fault}")
            continue
        # Both are defaults of the class; what the YAML says holds for this instance alone.
        if spec.on_failure is not None:
            plugin.on_failure = spec.on_failure
        if spec.timeout is not None:
            plugin.timeout = spec.timeout
        manager.register(plugin, name=spec.name)
        plugins.append(plugin)
    if problems:
        raise ConfigError(problems)
    manager.check_pending()
    return plugins, manager


def new_manager() -> pluggy.PluginManager:
    """A pluggy manager that knows the hooks and no plugin yet."""
    manager = _Manager(_PROJECT)
    manager.add_hookspecs(hookspecs)
    return manager


class _Manager(pluggy.PluginManager):
    """Looks at public names alone: most of a plugin's are not, and each is looked at whenever it is registered."""

    def parse_hookimpl_opts(self, plugin: object, name: str) -> pluggy.HookimplOpts | None:
        """As pluggy's; `check` tells of a hook that begins with an underscore."""
        return None if name.startswith("_") else super().parse_hookimpl_opts(plugin, name)


def _entry_points() -> dict[str, list[entrypoints.EntryPoint]]:
    return _scan(tuple((folder, _modified(folder)) for folder in sys.path))


def _modified(folder: str) -> int | None:
    try:
        return os.stat(folder or ".").st_mtime_ns
    except (OSError, ValueError):
        return None


@lru_cache(maxsize=4)
def _scan(path: tuple[tuple[str, int | None], ...]) -> dict[str, list[entrypoints.EntryPoint]]:
    # Reading every distribution's entry points takes milliseconds; an installation changes its folder's time.
    try:
        found = entrypoints.get_group_all(GROUP, path=[folder for folder, _ in path])
    except (configparser.Error, UnicodeDecodeError) as problem:
        raise ConfigError([f"the entry points of an installed distribution cannot be read: {problem}"]) from None
    points: dict[str, list[entrypoints.EntryPoint]] = {}
    for point in found:
        points.setdefault(point.name, []).append(point)
    return points


def _described(point: entrypoints.EntryPoint) -> InstalledPlugin:
    assert point.distro is not None
    return InstalledPlugin(
        name=point.name,
        distribution=re.sub(r"[-_.]+", "-", point.distro.name).lower(),
        version=point.distro.version,
        object=f"{point.module_name}:{point.object_name}" if point.object_name else point.module_name,
    )


def _unknown(name: str) -> str:
    known = sorted(_entry_points())
    close = get_close_matches(name, known, n=1)
    guess = f"; did you mean {close[0]!r}?" if close else ""
    shown = name if name.isprintable() and len(name) <= 80 else ascii(name[:80])
    message = f"no plugin {shown!r} is installed{guess} (installed: {', '.join(known) or 'none'})"
    if not _NAME.fullmatch(name):
        return message
    distribution = re.sub(r"[-_.]+", "-", name).lower()
    return f"{message}; to install it: pip install helicone-gw-{distribution}"


def _problems(cls: Any) -> Iterator[str]:
    """What keeps ``cls`` from being a plugin."""
    if not (inspect.isclass(cls) and issubclass(cls, Plugin) and cls is not Plugin):
        yield "is not a subclass of helicone_gw.Plugin"
        return
    yield from _config_problems(cls.Config)
    if cls.on_failure not in ("open", "closed"):
        yield f"on_failure is {cls.on_failure!r}, and should be 'open' or 'closed'"
    for name in ("timeout", "tick"):
        seconds = getattr(cls, name)
        if seconds is not None and not (isinstance(seconds, int | float) and seconds > 0):
            yield f"{name} is {seconds!r}, and should be a number of seconds above zero, or None"
    for name, function, options in _hooks(cls):
        yield from _hook_problems(name, function, options)
    manager = new_manager()
    try:
        manager.register(cls, name=cls.__qualname__)
    except pluggy.PluginValidationError as problem:
        yield " ".join(str(problem).split())


def _config_problems(config: Any) -> Iterator[str]:
    if not (inspect.isclass(config) and issubclass(config, PluginConfig)):
        yield "Config is not a subclass of helicone_gw.PluginConfig"
        return
    if not config.model_config.get("frozen") or config.model_config.get("extra") != "forbid":
        yield "Config must stay frozen and forbid extra keys, as helicone_gw.PluginConfig does"
    taken = sorted(_keys(config) & set(RESERVED_KEYS))
    if taken:
        yield f"Config has keys that the gateway reads itself: {', '.join(taken)}"


def _keys(config: type[BaseModel]) -> set[str]:
    return {key for name, field in config.model_fields.items() for key in (name, field.alias or name)}


def _hooks(cls: type[Plugin]) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    for name in dir(cls):
        attribute = inspect.getattr_static(cls, name)
        function = attribute.__func__ if isinstance(attribute, staticmethod | classmethod) else attribute
        # The marker stands on whatever it was given: the function, or the static method around it.
        options = getattr(function, _MARK, None) or getattr(attribute, _MARK, None)
        if isinstance(options, dict):
            yield name, function, options


def _hook_problems(name: str, function: Any, options: dict[str, Any]) -> Iterator[str]:
    specification = inspect.getattr_static(hookspecs, name, None)
    if not hasattr(specification, _SPECIFIED):
        known = [hook for hook, value in vars(hookspecs).items() if hasattr(value, _SPECIFIED)]
        close = get_close_matches(name, known, n=1)
        yield f"unknown hook {name!r}{f'; did you mean {close[0]!r}?' if close else ''}"
        return
    given = sorted(option for option, value in options.items() if value)
    if given:
        yield f"{name} sets {', '.join(given)}: @hookimpl takes no options, order is told in the YAML alone"
    if inspect.iscoroutinefunction(specification):
        if inspect.iscoroutinefunction(function):
            return
        if name not in MAY_BE_PLAIN and name not in MAY_ANSWER_AT_ONCE:
            yield f"{name} must be an 'async def' that returns its value"
        elif inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
            yield f"{name} must be a 'def' or 'async def' that returns its value"
    elif (
        inspect.iscoroutinefunction(function)
        or inspect.isasyncgenfunction(function)
        or inspect.isgeneratorfunction(function)
    ):
        yield f"{name} must be a plain 'def' that returns its value"


async def audit_command(
    config: Any,
    database: Database,
    action: str,
    subject: str,
    *,
    organization: str = "default",
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> str | None:
    """Tell that a command did ``action`` to ``subject``, in the name of whoever runs it; what kept it from being kept.

    ``config`` is the one at ``typer.Context.obj.config``: its plugins keep the record (`Plugin.audit_sink`). ``before``
    and ``after`` must be JSON-able and hold no secret. Raises nothing: what was done is done.
    """
    try:
        who = f"{getpass.getuser()} (command line)"
    except (KeyError, OSError):
        who = "command line"
    entry = AuditEntry(time.time(), organization, "command", who, action, subject, before, after)
    for name in dict.fromkeys(spec.plugin for spec in getattr(config, "plugins", ())):
        try:
            sink = load(name).audit_sink(database)
            if sink is not None:
                await sink.record(entry)
        except Exception as problem:
            return f"The audit log could not be written: {type(problem).__name__}."
    return None
