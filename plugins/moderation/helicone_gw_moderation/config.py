"""The configuration of ``moderation``."""

from __future__ import annotations

from helicone_gw import PluginConfig


class ModerationConfig(PluginConfig):
    """Nothing to set yet."""
