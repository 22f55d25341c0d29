"""The plugin's configuration: `RatelimitConfig`."""

from __future__ import annotations

from helicone_gw import PluginConfig


class RatelimitConfig(PluginConfig):
    """Configuration of ``ratelimit``."""
