"""The items of ``plugins:``, each a name or ``{name: {its own configuration}}``, to `PluginSpec`."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import Field

from helicone_gw.config.document import Node
from helicone_gw.config.models import PluginSpec
from helicone_gw.config.problems import Path, Position, Problems, printable
from helicone_gw.config.references import redact
from helicone_gw.config.section import Section
from helicone_gw.config.validation import validate
from helicone_gw.config.values import InstanceName, PositiveSeconds
from helicone_gw.errors import ConfigError
from helicone_gw.plugin import FailureMode, Plugin


class InstanceOptions(Section):
    """What the gateway itself reads of a plugin's block; no plugin's own configuration has keys of these names."""

    name: InstanceName | None = Field(
        default=None, description="Name of this instance, for logs; needed when a plugin is listed twice."
    )
    on_failure: FailureMode | None = Field(
        default=None,
        description="What an unexpected exception in a hook means: open logs it and goes on, closed answers 500.",
    )
    timeout: PositiveSeconds | None = Field(
        default=None, description="Longest time for each asynchronous request hook, in seconds."
    )


RESERVED_KEYS: tuple[str, ...] = tuple(InstanceOptions.model_fields)
"""Keys of a plugin's block that never reach the plugin: ``name``, ``on_failure``, ``timeout``."""


def read_plugins(
    node: Node | None, plugin_class: Callable[[str], type[Plugin]], problems: Problems
) -> tuple[PluginSpec, ...]:
    """The configured plugins, in order; what is wrong goes to ``problems`` and is left out."""
    if node is None or node.broken:
        return ()
    if not isinstance(node.value, list):
        problems.add(node.start, ("plugins",), "should be a list, outermost plugin first")
        return ()
    specs: list[PluginSpec] = []
    names: dict[str, Position] = {}
    for index, item in enumerate(node.value):
        _item(item, ("plugins", index), plugin_class, problems, specs, names)
    return tuple(specs)


def _item(
    item: Node,
    path: Path,
    plugin_class: Callable[[str], type[Plugin]],
    problems: Problems,
    specs: list[PluginSpec],
    names: dict[str, Position],
) -> None:
    if item.broken:
        return
    if isinstance(item.value, str) and item.value:
        plugin, block = item.value, Node({}, item.position, item.position)
    elif isinstance(item.value, dict) and len(item.value) == 1:
        [(plugin, block)] = item.value.items()
    elif isinstance(item.value, dict) and item.value:
        keys = ", ".join(printable(key) for key in item.value)
        problems.add(item.position, path, f"has several keys ({keys}): indent a plugin's own configuration below it")
        return
    else:
        problems.add(item.position, path, "should be a plugin's name, or {name: {its own configuration}}")
        return
    path = (*path, plugin) if isinstance(item.value, dict) else path
    try:
        cls = plugin_class(plugin)
    except ConfigError as error:
        for problem in error.problems:
            problems.add(block.key, path, redact(problem, item.values))
        return
    if block.value is None and not block.broken:
        block.value = {}
    if not isinstance(block.value, dict):
        if not block.broken:
            problems.add(block.position, path, "should be a mapping: the plugin's own configuration")
        return
    plain = block.plain
    own = {key: value for key, value in plain.items() if key not in RESERVED_KEYS}
    reserved = {key: value for key, value in plain.items() if key in RESERVED_KEYS}
    options = validate(InstanceOptions, block, path, problems, data=reserved)
    config = validate(cls.Config, block, path, problems, data=own, also_known=RESERVED_KEYS)
    if options is None:
        return
    name = options.name or plugin
    named = block.child("name")
    position = named.start if named is not None else block.key
    if name in names:
        message = f"a plugin instance {name!r} exists already (line {names[name].line}): give this one another name"
        problems.add(position, path, redact(message, named.values if named is not None else item.values))
    names.setdefault(name, position)
    if config is not None:
        specs.append(
            PluginSpec(plugin=plugin, name=name, config=config, on_failure=options.on_failure, timeout=options.timeout)
        )
