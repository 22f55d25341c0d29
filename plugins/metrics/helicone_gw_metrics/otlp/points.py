"""Points: the families of ``/metrics`` as OpenTelemetry's metrics, cumulative since the worker began."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from prometheus_client import Metric as Family

from helicone_gw_metrics.otlp.spans import SCOPE, operation_name, provider_name
from helicone_gw_metrics.snapshot import Snapshot
from helicone_gw_metrics.tally import ExchangeRow

CUMULATIVE = AggregationTemporality.CUMULATIVE


def metrics_data(
    families: Iterable[Family], shown: Snapshot, resource: Resource, *, since: float, now: float
) -> MetricsData:
    """What is exported. ``since`` and ``now`` are epoch seconds; histograms come from ``shown``, under the names of
    https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics.
    """
    times = (int(since * 1e9), int(now * 1e9))
    metrics = [metric for family in families if (metric := _metric(family, times)) is not None]
    metrics += _durations(shown, times)
    scope = ScopeMetrics(SCOPE, metrics, "")
    return MetricsData([ResourceMetrics(resource, [scope], "")])


def _metric(family: Family, times: tuple[int, int]) -> Metric | None:
    points = [
        NumberDataPoint(dict(sample.labels), times[0], times[1], sample.value)
        for sample in family.samples
        if sample.name in (family.name, f"{family.name}_total")
    ]
    if not points:
        return None
    data = Sum(points, CUMULATIVE, is_monotonic=True) if family.type == "counter" else Gauge(points)
    return Metric(family.name, family.documentation, "", data)


def _durations(shown: Snapshot, times: tuple[int, int]) -> Iterator[Metric]:
    whole: list[HistogramDataPoint] = []
    first: list[HistogramDataPoint] = []
    for key, row in shown.exchanges:
        provider, model, operation, outcome, _, _, _ = key
        labels = {"gen_ai.operation.name": operation_name(operation)}
        if provider:
            labels["gen_ai.provider.name"] = provider_name(provider)
        if model:
            labels["gen_ai.response.model"] = model
        if outcome != "ok":
            labels["error.type"] = outcome
        _gather(whole, labels, shown.latency, row.latency, row.seconds, times)
        if _streamed(row):
            _gather(first, labels, shown.first_token, row.first_token, row.first_token_seconds, times)
    for name, documentation, points in (
        ("gen_ai.server.request.duration", "From a request's arrival to the end of its answer.", whole),
        ("gen_ai.server.time_to_first_token", "From a request's arrival to the first content of a stream.", first),
    ):
        if points:
            yield Metric(name, documentation, "s", Histogram(points, CUMULATIVE))


def _streamed(row: ExchangeRow) -> bool:
    return any(row.first_token)


def _gather(
    points: list[HistogramDataPoint],
    labels: dict[str, str],
    bounds: Sequence[float],
    counts: Sequence[int],
    total: float,
    times: tuple[int, int],
) -> None:
    """Add to the point with these labels: rows are told apart by more than that."""
    for at, point in enumerate(points):
        if point.attributes == labels:
            counts = [a + b for a, b in zip(point.bucket_counts, counts, strict=True)]
            points[at] = _point(labels, bounds, counts, point.sum + total, times)
            return
    points.append(_point(labels, bounds, counts, total, times))


def _point(
    labels: dict[str, str], bounds: Sequence[float], counts: Sequence[int], total: float, times: tuple[int, int]
) -> HistogramDataPoint:
    # The least and the greatest are not kept: what is not a number is not sent.
    nothing = float("nan")
    return HistogramDataPoint(labels, times[0], times[1], sum(counts), total, counts, bounds, nothing, nothing)
