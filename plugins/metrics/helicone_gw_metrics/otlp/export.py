"""Export: finished exchanges and figures on their way to a collector. Nothing on a client's path waits for it."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics.export import MetricExportResult
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import SpanExportResult

from helicone_gw_metrics.exposition import families
from helicone_gw_metrics.otlp.facts import ExchangeFacts
from helicone_gw_metrics.otlp.points import metrics_data
from helicone_gw_metrics.otlp.spans import spans

if TYPE_CHECKING:
    from helicone_gw import Clock
    from helicone_gw_metrics.config import OtlpConfig
    from helicone_gw_metrics.snapshot import Snapshot

BATCH = 512
"""Exchanges in one request."""


logging.getLogger("opentelemetry.exporter").setLevel(logging.ERROR)  # each of its attempts would be told otherwise


def resource_of(service: str, worker: str) -> Resource:
    """Who sends: this ``worker`` of this machine, and what ``OTEL_RESOURCE_ATTRIBUTES`` says beside that.

    Two senders of one identity would be taken for one whose figures jump; machines may give the same number to a
    process, and containers do.
    """
    host = socket.gethostname()
    known = {"service.name": service, "service.instance.id": f"{host}-{worker}", "host.name": host}
    return Resource.create(known)


class ExportCounters(Struct):
    """What became of exchanges and figures that were to be exported.

    ``dropped`` exchanges found the queue full, ``failed`` ones could not be sent in time; ``metrics_failed`` are
    exports of figures, whose next one says the same and more. ``waiting`` is of now.
    """

    exported: int = 0
    dropped: int = 0
    failed: int = 0
    metrics_exported: int = 0
    metrics_failed: int = 0
    waiting: int = 0


class Export:
    """Sends to the collector of ``config``, in the background. ``shown`` gives a snapshot that is nobody else's."""

    def __init__(self, config: OtlpConfig, shown: Callable[[], Snapshot], clock: Clock, log: Any, worker: str) -> None:
        self.counters = ExportCounters()
        self._config = config
        self._shown = shown
        self._clock = clock
        self._log = log
        self._since = clock.now()
        self._queue: deque[ExchangeFacts] = deque()
        self._full = asyncio.Event()
        self._sending = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self._resource = resource_of(config.service_name, worker)
        endpoint = config.endpoint.rstrip("/")
        settings: dict[str, Any] = {
            "headers": {name: value.get_secret_value() for name, value in config.headers.items()},
            "timeout": config.timeout,
            "compression": Compression.Gzip,
        }
        self._spans = OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces", **settings) if config.traces else None
        self._metrics = OTLPMetricExporter(endpoint=f"{endpoint}/v1/metrics", **settings) if config.metrics else None

    def start(self) -> None:
        """Begin to send."""
        if self._spans is not None:
            self._tasks.append(asyncio.create_task(self._send_spans(), name="metrics.otlp.traces"))
        if self._metrics is not None:
            self._tasks.append(asyncio.create_task(self._send_metrics(), name="metrics.otlp.metrics"))

    def put(self, facts: ExchangeFacts) -> None:
        """Hand over an exchange; it neither waits nor raises."""
        if len(self._queue) >= self._config.queue:
            self.counters.dropped += 1
            return
        self._queue.append(facts)
        self.counters.waiting = len(self._queue)
        if len(self._queue) >= BATCH:
            self._full.set()

    async def stop(self) -> None:
        """Send what waits, once, and the last figures."""
        async with self._sending:  # an export that is under way has its own end
            for task in self._tasks:
                task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._tasks = []
        if self._spans is not None:
            while self._queue:
                if not await self._export_batch(self._spans):
                    break
            self.counters.failed += len(self._queue)
            self._queue.clear()
            self.counters.waiting = 0
            self._spans.shutdown()  # type: ignore[no-untyped-call]
        if self._metrics is not None:
            await self._export_metrics(self._metrics)
            self._metrics.shutdown()

    async def _send_spans(self) -> None:
        assert self._spans is not None
        while True:
            try:
                async with asyncio.timeout(self._config.interval):
                    await self._full.wait()
            except TimeoutError:
                pass
            self._full.clear()
            while self._queue:
                async with self._sending:
                    await self._export_batch(self._spans)

    async def _export_batch(self, exporter: OTLPSpanExporter) -> bool:
        batch = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
        self.counters.waiting = len(self._queue)

        def export() -> bool:
            made = [span for facts in batch for span in spans(facts, self._resource)]
            return exporter.export(made) is SpanExportResult.SUCCESS

        sent = await self._in_thread(export)
        if sent:
            self.counters.exported += len(batch)
        else:
            self.counters.failed += len(batch)
        return sent

    async def _send_metrics(self) -> None:
        assert self._metrics is not None
        while True:
            await self._clock.sleep(self._config.metrics_interval)
            await self._export_metrics(self._metrics)

    async def _export_metrics(self, exporter: OTLPMetricExporter) -> None:
        shown, now = self._shown(), self._clock.now()

        def export() -> bool:
            data = metrics_data(families(shown), shown, self._resource, since=self._since, now=now)
            return exporter.export(data) is MetricExportResult.SUCCESS

        if await self._in_thread(export):
            self.counters.metrics_exported += 1
        else:
            self.counters.metrics_failed += 1

    async def _in_thread(self, export: Callable[[], bool]) -> bool:
        try:
            return await asyncio.to_thread(export)
        except Exception as fault:
            self._log.error("nothing could be exported", fault=type(fault).__name__)
            return False
