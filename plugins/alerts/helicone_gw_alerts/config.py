"""The configuration of ``alerts``."""

from __future__ import annotations

from helicone_gw import PluginConfig


class AlertsConfig(PluginConfig):
    """Nothing to set yet."""
