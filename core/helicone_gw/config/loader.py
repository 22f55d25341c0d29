"""A YAML file to a `GatewayConfig`, or to everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from helicone_gw.config.crosschecks import check_models, check_providers
from helicone_gw.config.document import Node, parse
from helicone_gw.config.models import GatewayConfig
from helicone_gw.config.plugin_items import read_plugins
from helicone_gw.config.problems import Position, Problems
from helicone_gw.config.references import Resolver
from helicone_gw.config.validation import validate
from helicone_gw.errors import ConfigError
from helicone_gw.plugin import Plugin

MAX_FILE = 4 << 20
"""The largest configuration file, in bytes; a larger one is an error."""


def load_config(
    path: Path,
    *,
    environ: Mapping[str, str],
    plugin_class: Callable[[str], type[Plugin]],
    known_providers: Collection[str],
) -> GatewayConfig:
    """Read the configuration file at ``path``.

    Args:
        environ: what ``${VAR}`` is looked up in.
        plugin_class: the class of a plugin by its entry point's name; raises `ConfigError` when there is none.
        known_providers: names of the built-in providers; any other one needs ``base_url`` and ``dialect``.

    Raises `ConfigError` with every problem at once, one line each: ``file:line:column: path: message``. No line repeats
    a value that came from ``${...}``.
    """
    problems = Problems(_shown(path))
    text = _read(path, problems)
    root = parse(text, problems, Resolver(environ, path.absolute().parent))
    if not isinstance(root.value, dict):
        if not root.broken:
            problems.add(root.position, (), "should be a mapping of sections such as server, providers and plugins")
        problems.fail()
    _drop_empty(root)
    plugins = read_plugins(root.value.get("plugins"), plugin_class, problems)
    core = {name: section.plain for name, section in root.value.items() if name != "plugins"}
    config = validate(GatewayConfig, root, (), problems, data=core)
    check_providers(root, known_providers, problems)
    check_models(root, known_providers, problems)
    if config is None or problems:
        problems.fail()
    return config.model_copy(update={"plugins": plugins})


def _drop_empty(root: Node) -> None:
    """Take out what has a key and nothing else: a section whose lines are all comments is as good as absent."""
    sections = root.value
    assert isinstance(sections, dict)
    for name in [name for name, section in sections.items() if section.value is None and not section.broken]:
        if name in GatewayConfig.model_fields:
            del sections[name]
    for name in ("providers", "models"):
        section = sections.get(name)
        for entry in section.value.values() if section is not None and isinstance(section.value, dict) else ():
            if entry.value is None and not entry.broken:
                entry.value = {}


def _read(path: Path, problems: Problems) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or type(problem).__name__
        raise ConfigError([f"{problems.file}: cannot be read: {reason}"]) from None
    if len(data) > MAX_FILE:
        problems.add(Position(1, 1), (), f"the file is larger than {MAX_FILE >> 20} MiB")
        problems.fail()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        before = data[: problem.start].decode("utf-8-sig", errors="replace")
        position = Position(before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)
        problems.add(position, (), "the file is not UTF-8 text")
        problems.fail()


def _shown(path: Path) -> str:
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)
