"""The hooks of ``metrics``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from helicone_gw import Measurement, Plugin, hookimpl, shared_directory
from helicone_gw_metrics.config import MetricsConfig
from helicone_gw_metrics.publishing import Publishing
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
        self._publishing: Publishing | None = None

    @hookimpl
    async def startup(self, gateway: Gateway) -> None:
        """Find the figures of other workers, and begin to share this one's."""
        shared = shared_directory()
        self._publishing = Publishing(
            self.tally,
            gateway.measurements,
            None if shared is None else shared / self.name,
            gateway.clock,
            gateway.log.bind(plugin=self.name),
        )
        await self._publishing.start()
        if self.config.server_timing == "always":
            gateway.time_hooks(lambda exchange: True)
        elif self.config.server_timing == "asked":
            gateway.time_hooks(lambda exchange: exchange.request.helicone.server_timing)

    @hookimpl
    async def shutdown(self, gateway: Gateway) -> None:
        """Leave the last figures to the others."""
        if self._publishing is not None:
            await self._publishing.stop()

    @hookimpl
    def register_routes(self, gateway: Gateway) -> Blueprint | None:
        """Serve ``/metrics``: the outermost instance does, where there are several."""
        if self._publishing is None or self._outermost(gateway) is not self:
            return None
        from helicone_gw_metrics.api import routes

        return routes(self.name, self._publishing.page)

    @staticmethod
    def _outermost(gateway: Gateway) -> Plugin:
        return next(plugin for plugin in gateway.plugins if isinstance(plugin, MetricsPlugin))

    def measurements(self) -> Iterator[Measurement]:
        """What had no place of its own, by label, and what could not be shared."""
        tally = self.tally
        for label in (tally.provider, tally.model, tally.code):
            yield Measurement(
                f"{self.name}_overflowed",
                "counter",
                "Values counted as (other).",
                label.overflowed,
                {"label": label.name},
            )
        yield Measurement(
            f"{self.name}_series_overflowed", "counter", "Combinations of labels counted as (other).", tally.overflowed
        )
        if self._publishing is not None:
            yield Measurement(
                f"{self.name}_share_failures", "counter", "Snapshots that were not shared.", self._publishing.failures
            )

    @hookimpl
    def on_finish(self, exchange: Exchange) -> None:
        """Count it."""
        self.tally.add(exchange)
