"""The hooks of ``metrics``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helicone_gw import Plugin, hookimpl
from helicone_gw_metrics.config import MetricsConfig
from helicone_gw_metrics.exposition import families, page
from helicone_gw_metrics.tally import Tally

if TYPE_CHECKING:
    from quart import Blueprint

    from helicone_gw import Exchange, Gateway


class MetricsPlugin(Plugin):
    """Counts what becomes of exchanges, and shows it at ``/metrics``."""

    Config = MetricsConfig
    on_failure = "open"
    config: MetricsConfig

    def __init__(self, config: MetricsConfig, name: str) -> None:
        super().__init__(config, name)
        self.tally = Tally(
            config.latency_buckets,
            config.first_token_buckets,
            max_values=config.max_values,
            max_series=config.max_series,
        )

    @hookimpl
    def register_routes(self, gateway: Gateway) -> Blueprint | None:
        """Serve ``/metrics``: the outermost instance does, where there are several."""
        if next(plugin for plugin in gateway.plugins if isinstance(plugin, MetricsPlugin)) is not self:
            return None
        from helicone_gw_metrics.api import routes

        return routes(self.name, self._page)

    async def _page(self, accept: str) -> tuple[bytes, str]:
        return page(families(self.tally, self.config), accept)

    @hookimpl
    def on_finish(self, exchange: Exchange) -> None:
        """Count it."""
        self.tally.add(exchange)
