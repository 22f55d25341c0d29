"""Exposition: what ``/metrics`` shows, in the format that the scraper prefers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from helicone_gw_metrics.families import attempt_families, error_families, exchange_families
from helicone_gw_metrics.figures import figure_families
from helicone_gw_metrics.snapshot import Snapshot


def families(shown: Snapshot) -> Iterator[Metric]:
    """Everything in ``shown``, by name of the metric."""
    names = set()
    for family in (
        *exchange_families(shown.exchanges, shown.latency, shown.first_token),
        *attempt_families(shown.attempts, shown.exchanges),
        *error_families(shown.errors),
    ):
        names.add(family.name)
        yield family
    yield from figure_families(shown.figures, names)


def page(metrics: Iterable[Metric], accept: str) -> tuple[bytes, str]:
    """The page and its content type: OpenMetrics for those who accept it, else Prometheus's text format."""
    encode, content_type = choose_encoder(accept)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Given(metrics))
    return encode(registry), content_type


class _Given(Collector):
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        return self._metrics
