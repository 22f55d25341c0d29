"""The hooks of ``moderation``."""

from __future__ import annotations

from helicone_gw import Plugin
from helicone_gw_moderation.config import ModerationConfig


class ModerationPlugin(Plugin):
    """What may be said: secrets, personal data, injections, unsafe content; blocked, redacted or flagged."""

    Config = ModerationConfig
