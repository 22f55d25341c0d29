"""What tests of metrics share: a page of Prometheus's text format, read as Prometheus reads it."""

from __future__ import annotations

from typing import Any

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

from helicone_gw.testing import RunningGateway
from helicone_gw_metrics.plugin import MetricsPlugin


class Page:
    """The samples of a page. A name may be given without what all names begin with."""

    def __init__(self, text: str, *, open_metrics: bool = False) -> None:
        self.families = list((openmetrics if open_metrics else prometheus)(text))
        names = [family.name for family in self.families]
        assert len(names) == len(set(names)), "a name is told twice, and such a page is refused"
        self._samples = [sample for family in self.families for sample in family.samples]

    def of(self, name: str, **labels: str) -> dict[tuple[str, ...], float]:
        """The values of ``name`` that have ``labels``, each under its other labels' values, in order of their names."""
        found: dict[tuple[str, ...], float] = {}
        for sample in self._samples:
            if sample.name == f"helicone_gw_{name}" and labels.items() <= sample.labels.items():
                others = tuple(value for label, value in sorted(sample.labels.items()) if label not in labels)
                assert others not in found, f"a series is told twice: {sample}"
                found[others] = sample.value
        return found

    def sum(self, name: str, **labels: str) -> float:
        """The sum of the values of ``name`` that have ``labels``."""
        return sum(self.of(name, **labels).values())


async def page(running: RunningGateway, **headers: str) -> Page:
    """What ``/metrics`` says."""
    reply = await running.request("GET", "/metrics", headers=headers)
    assert reply.status == 200, reply.body
    kind = reply.headers.get("content-type") or ""
    return Page(reply.body.decode(), open_metrics=kind.startswith("application/openmetrics-text"))


def plugin(running: RunningGateway) -> MetricsPlugin:
    """The gateway's (outermost) metrics."""
    return next(each for each in running.gateway.plugins if isinstance(each, MetricsPlugin))


def config(**settings: Any) -> list[Any]:
    """The list of plugins with this one, so configured."""
    return [{"metrics": settings}]
