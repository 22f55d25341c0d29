"""The hooks of ``dashboard``."""

from __future__ import annotations

from helicone_gw import Plugin
from helicone_gw_dashboard.config import DashboardConfig


class DashboardPlugin(Plugin):
    """The dashboard: what happens in the gateway, in a browser."""

    Config = DashboardConfig
