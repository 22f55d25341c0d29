"""The configuration of ``prompts``."""

from __future__ import annotations

from helicone_gw import PluginConfig


class PromptsConfig(PluginConfig):
    """Nothing to set yet."""
