"""Figures: what the core and other plugins measure, as metrics that Prometheus knows."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from helicone_gw_metrics.families import PREFIX
from helicone_gw_metrics.snapshot import FigureKey

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_ENDINGS = ("_total", "_created", "_bucket", "_sum", "_count", "_info")
"""What formats add to names: with one of these, one metric could be taken for a part of another."""


def figure_families(figures: Iterable[tuple[FigureKey, str, float]], taken: Collection[str]) -> Iterator[Metric]:
    """A family for each name. What would make the page unreadable is left out: names that are ``taken`` or are none,
    figures whose kind or labels differ from those of the first one with the name.
    """
    found: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
    shapes: dict[str, tuple[str, tuple[str, ...]]] = {}
    for (name, kind, labels), documentation, value in figures:
        name = next((name.removesuffix(ending) for ending in _ENDINGS if name.endswith(ending)), name)
        full, names = PREFIX + name, tuple(label for label, _ in labels)
        if full in taken or not all(map(_NAME.fullmatch, (name, *names))):
            continue
        if shapes.setdefault(name, (kind, names)) != (kind, names):
            continue
        if name not in found:
            make = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
            found[name] = make(full, documentation, labels=names)
        found[name].add_metric([text for _, text in labels], value)
    yield from found.values()
