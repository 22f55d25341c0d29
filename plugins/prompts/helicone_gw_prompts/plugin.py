"""The hooks of ``prompts``."""

from __future__ import annotations

from helicone_gw import Plugin
from helicone_gw_prompts.config import PromptsConfig


class PromptsPlugin(Plugin):
    """Prompts kept, versioned and filled in by the gateway: Helicone's templates and prompts, as files too."""

    Config = PromptsConfig
