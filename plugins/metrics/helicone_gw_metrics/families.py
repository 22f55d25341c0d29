"""Families: the counters of one worker, or the sum of several, as metrics that Prometheus knows.

Names follow https://prometheus.io/docs/practices/naming: base units (seconds, dollars), ``_total`` for counters.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.utils import floatToGoString

from helicone_gw_metrics.tally import TOKENS, AttemptKey, AttemptRow, ErrorKey, ExchangeKey, ExchangeRow

NANO = 1_000_000_000
PLACE = ("provider", "model")

Sums = defaultdict[tuple[str, ...], float]


def exchange_families(
    rows: Iterable[tuple[ExchangeKey, ExchangeRow]], latency: Sequence[float], first_token: Sequence[float]
) -> Iterator[Metric]:
    """The metrics of exchanges. ``latency`` and ``first_token`` are the bounds of the rows' buckets, in seconds."""
    requests, tokens, cached = _sums(), _sums(), _sums()
    cost, estimated, unknown, uncounted = _sums(), _sums(), _sums(), _sums()
    long, first = _Histogram(latency), _Histogram(first_token)
    saved = [0, 0, 0, 0]
    for (provider, model, operation, outcome, status, stream, cache), row in rows:
        place = (provider or "", model or "")
        ended = (operation, outcome, "" if status is None else str(status), "true" if stream else "false")
        requests[*place, *ended] += row.count
        long.add(place, row.latency, row.seconds)
        if any(row.first_token):
            first.add(place, row.first_token, row.first_token_seconds)
        for kind, number in zip(TOKENS, row.tokens, strict=True):
            if number:
                tokens[*place, kind] += number
        if cache is not None:
            cached[cache,] += row.count
            saved = [a + b for a, b in zip(saved, row.saved, strict=True)]
        for sums, number in (
            (cost, row.cost),
            (estimated, row.cost_estimated),
            (unknown, row.cost_unknown),
            (uncounted, row.tokens_unknown),
        ):
            if number:
                sums[place] += number
    yield _counter("requests", "Exchanges that ended.", (*PLACE, "operation", "outcome", "status", "stream"), requests)
    yield long.family("request_duration_seconds", "From a request's arrival to the end of its answer.")
    yield first.family("time_to_first_token_seconds", "From a request's arrival to the first content of a stream.")
    yield _counter("tokens", "Tokens that providers reported, by class.", (*PLACE, "class"), tokens)
    yield _counter("tokens_unknown_requests", "Exchanges whose tokens nobody reported.", PLACE, uncounted)
    yield _counter("cost_dollars", "What exchanges cost, as far as that is known.", PLACE, _dollars(cost))
    yield _counter("cost_estimated_dollars", "The part of it that was estimated.", PLACE, _dollars(estimated))
    yield _counter("cost_unknown_requests", "Exchanges whose cost is unknown.", PLACE, unknown)
    yield _counter("cache_requests", "Exchanges that asked the cache, by what it did.", ("status",), cached)
    yield _single("cache_saved_dollars", "What hits would have cost.", saved[0] / NANO)
    yield _single("cache_saved_seconds", "How long hits would have taken.", saved[1] / 1000)
    yield _single("cache_saved_tokens", "Tokens that hits would have used.", saved[2] + saved[3])


def attempt_families(
    rows: Iterable[tuple[AttemptKey, AttemptRow]], exchanges: Iterable[tuple[ExchangeKey, ExchangeRow]]
) -> Iterator[Metric]:
    """The metrics of calls to providers, a part of which is in the rows of ``exchanges``."""
    labels = (*PLACE, "status", "code")
    counts, seconds = _sums(), _sums()
    for (provider, model, status, code), row in rows:
        counts[provider, model or "", "" if status is None else str(status), code or ""] += row.count
        seconds[provider, model or ""] += row.seconds
    for (asked, of, _, _, ended, _, _), one in exchanges:
        if one.attempts:
            counts[asked or "", of or "", str(ended), ""] += one.attempts
            seconds[asked or "", of or ""] += one.attempt_seconds
    yield _counter("attempts", "Calls of providers that ended, by status and error code.", labels, counts)
    yield _counter("attempt_duration_seconds", "How long calls of providers took together.", PLACE, seconds)


def error_families(rows: Iterable[tuple[ErrorKey, int]]) -> Iterator[Metric]:
    """The metrics of what went wrong."""
    sums = _sums()
    for (outcome, code), count in rows:
        sums[outcome, code or ""] += count
    yield _counter("errors", "Exchanges that did not end well, by error code.", ("outcome", "code"), sums)


class _Histogram:
    def __init__(self, bounds: Sequence[float]) -> None:
        self._names = [*map(floatToGoString, bounds), "+Inf"]
        self._places: dict[tuple[str, ...], tuple[list[int], float]] = {}

    def add(self, place: tuple[str, ...], buckets: Sequence[int], seconds: float) -> None:
        held, total = self._places.get(place, ([0] * len(self._names), 0.0))
        self._places[place] = [a + b for a, b in zip(held, buckets, strict=True)], total + seconds

    def family(self, name: str, documentation: str) -> HistogramMetricFamily:
        family = HistogramMetricFamily(PREFIX + name, documentation, labels=PLACE)
        for place, (buckets, seconds) in self._places.items():
            family.add_metric(place, list(zip(self._names, accumulate(buckets), strict=True)), seconds)
        return family


PREFIX = "helicone_gw_"


def _sums() -> Sums:
    return defaultdict(int)


def _dollars(sums: Mapping[tuple[str, ...], float]) -> dict[tuple[str, ...], float]:
    return {labels: nano / NANO for labels, nano in sums.items()}


def _counter(
    name: str, documentation: str, labels: Sequence[str], sums: Mapping[tuple[str, ...], float]
) -> CounterMetricFamily:
    family = CounterMetricFamily(PREFIX + name, documentation, labels=labels)
    for values, total in sums.items():
        family.add_metric(values, total)
    return family


def _single(name: str, documentation: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(PREFIX + name, documentation, value=value)
