"""The hooks of ``alerts``."""

from __future__ import annotations

from helicone_gw import Plugin
from helicone_gw_alerts.config import AlertsConfig


class AlertsPlugin(Plugin):
    """Alerts, webhooks and online evaluators over what the gateway logs."""

    Config = AlertsConfig
