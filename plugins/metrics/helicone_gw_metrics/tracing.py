"""Tracing: what an exchange tells OpenTelemetry, where that is configured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helicone_gw import ConfigError
from helicone_gw_metrics.otlp.context import TraceContext, context_of
from helicone_gw_metrics.otlp.facts import facts_of

if TYPE_CHECKING:
    from helicone_gw import Exchange, Gateway, Request
    from helicone_gw_metrics.config import OtlpConfig
    from helicone_gw_metrics.otlp.export import Export, ExportCounters
    from helicone_gw_metrics.publishing import Publishing


class Tracing:
    """Spans of finished exchanges for ``export``, and the field that tells providers of them."""

    def __init__(self, config: OtlpConfig, export: Export) -> None:
        self._config = config
        self._export = export

    @property
    def counters(self) -> ExportCounters:
        """What became of what was to be sent."""
        return self._export.counters

    def start(self) -> None:
        """Begin to send."""
        self._export.start()

    async def stop(self) -> None:
        """Send what waits."""
        await self._export.stop()

    def passed_on(self, exchange: Exchange) -> Request | None:
        """The request with this exchange's span in ``traceparent``, or without the client's; ``None``: as it is."""
        request = exchange.request
        if self._config.propagate:
            context = self._context(exchange)
            headers = request.headers.set("traceparent", context.traceparent)
            return request.replace(headers=headers if context.parent_id else headers.without("tracestate"))
        if "traceparent" in request.headers or "tracestate" in request.headers:
            return request.replace(headers=request.headers.without("traceparent", "tracestate"))
        return None

    def finished(self, exchange: Exchange) -> None:
        """Hand over a finished exchange, if its trace is kept."""
        if self._config.traces and (context := self._context(exchange)).sampled:
            self._export.put(facts_of(exchange, context))

    def _context(self, exchange: Exchange) -> TraceContext:
        return context_of(exchange.id, exchange.original.headers.get("traceparent"), self._config.share)


def tracing(config: OtlpConfig, publishing: Publishing, gateway: Gateway, name: str) -> Tracing:
    """What ``config`` asks for. Raises `ConfigError` where its packages are missing."""
    try:
        from helicone_gw_metrics.otlp.export import Export
    except ImportError as problem:
        if (problem.name or "").startswith("helicone_gw"):
            raise
        raise ConfigError(
            [f"{name}.otlp needs the package {problem.name!r}: pip install 'helicone-gw[otlp]'"]
        ) from None
    log = gateway.log.bind(plugin=name)
    return Tracing(config, Export(config, publishing.mine, gateway.clock, log, publishing.worker))
