"""The configuration of ``dashboard``."""

from __future__ import annotations

from helicone_gw import PluginConfig


class DashboardConfig(PluginConfig):
    """Nothing to set yet."""
