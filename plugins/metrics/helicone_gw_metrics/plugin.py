"""The hooks of ``metrics``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from helicone_gw import Measurement, Plugin, hookimpl, measured, shared_directory
from helicone_gw_metrics.config import MetricsConfig
from helicone_gw_metrics.publishing import Publishing
from helicone_gw_metrics.tally import Tally
from helicone_gw_metrics.tracing import Tracing, tracing

if TYPE_CHECKING:
    from quart import Blueprint

    from helicone_gw import Exchange, Gateway, Request


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
        self._tracing: Tracing | None = None
        if config.otlp is None or not config.otlp.traces:
            # A hook that is not there costs nothing.
            vars(self)["pre_request"] = None

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
        if self.config.otlp is not None:
            self._tracing = tracing(self.config.otlp, self._publishing, gateway, self.name)
            self._tracing.start()
        if self.config.server_timing == "always":
            gateway.time_hooks(lambda exchange: True)
        elif self.config.server_timing == "asked":
            gateway.time_hooks(lambda exchange: exchange.request.helicone.server_timing)

    @hookimpl
    async def shutdown(self, gateway: Gateway) -> None:
        """Leave the last figures to the others, and send what waits."""
        if self._tracing is not None:
            await self._tracing.stop()
        if self._publishing is not None:
            await self._publishing.stop()

    @hookimpl
    def register_routes(self, gateway: Gateway) -> Blueprint | None:
        """Serve ``/metrics``: the outermost instance does, where there are several."""
        if self._publishing is None or self._outermost(gateway) is not self:
            return None
        from helicone_gw_metrics.api import OPERATION, routes

        gateway.pages.describe(lambda: [OPERATION])
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

        if self._tracing is not None:
            yield from measured(f"{self.name}_otlp", self._tracing.counters, "Exports", gauges=("waiting",))

    @hookimpl
    async def pre_request(self, exchange: Exchange) -> Request | None:
        """Tell whoever is asked next of the trace, or take it away: it is the client's own affair."""
        return None if self._tracing is None else self._tracing.passed_on(exchange)

    @hookimpl
    def on_finish(self, exchange: Exchange) -> None:
        """Count it, and hand over what its trace needs."""
        self.tally.add(exchange)
        if self._tracing is not None:
            self._tracing.finished(exchange)
