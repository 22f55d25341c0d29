"""Every installed plugin holds what every plugin must hold."""

from __future__ import annotations

from helicone_gw import registry
from helicone_gw.testing import PluginConformance

for _name in registry.installed():
    _class = f"Test_{_name.replace('-', '_')}"
    globals()[_class] = type(
        _class, (PluginConformance,), {"plugin": registry.load(_name), "name": _name, "__module__": __name__}
    )


def test_the_official_plugins_are_installed() -> None:
    assert {"cost", "logging", "security"} <= set(registry.installed())
