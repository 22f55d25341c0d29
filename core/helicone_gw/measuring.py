"""Measuring: the core's own figures, as measurements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from helicone_gw.measurement import Measurement, measured

if TYPE_CHECKING:
    from helicone_gw.background import Background
    from helicone_gw.health import Health
    from helicone_gw.pipeline.asking import AskedTotal
    from helicone_gw.prices import Prices
    from helicone_gw.store import Store
    from helicone_gw.upstream.client import NetworkUpstream

MAX_TARGETS_SHOWN = 200
"""Targets that are shown by name while they are left alone; all of them are counted."""


def of_network(network: NetworkUpstream) -> Iterator[Measurement]:
    """Connections to providers, where the gateway's own transport makes them."""
    if network.counters is not None:
        gauges = ("open", "idle", "waiting")
        yield from measured("upstream_connections", network.counters, "Connections to providers", gauges=gauges)


def of_store(store: Store) -> Iterator[Measurement]:
    """What became of the calls to the store."""
    stats = store.stats
    yield from measured("store", stats, "Calls to the shared store", gauges=("open",), without=("slowest",))
    yield Measurement("store_slowest_seconds", "gauge", "The longest call to the shared store.", stats.slowest)


def of_health(health: Health) -> Iterator[Measurement]:
    """Targets that are left alone, and how often that began."""
    yield Measurement("targets_set_aside", "counter", "How often a target was set aside.", health.set_aside)
    states = health.states()
    yield Measurement("targets_resting", "gauge", "Targets and keys that are left alone now.", len(states))
    for target, state in list(states.items())[:MAX_TARGETS_SHOWN]:
        labels = {"target": target, "state": state}
        yield Measurement("target_state", "gauge", "A target that is left alone, and its breaker's state.", 1, labels)


def of_hooks(faults: Mapping[tuple[str, str], int]) -> Iterator[Measurement]:
    """What went wrong in plugins."""
    for (plugin, hook), count in faults.items():
        labels = {"plugin": plugin, "hook": hook}
        yield Measurement("plugin_faults", "counter", "Unexpected exceptions in hooks of plugins.", count, labels)


def of_timings(timed: int, totals: Mapping[tuple[str, str], tuple[float, int]]) -> Iterator[Measurement]:
    """How long hooks took in the exchanges that were timed (``pipeline.timings``)."""
    yield Measurement("exchanges_timed", "counter", "Exchanges whose hooks were timed.", timed)
    for (plugin, hook), (seconds, calls) in totals.items():
        labels = {"plugin": plugin, "hook": hook}
        yield Measurement("hook_seconds", "counter", "Time in hooks of exchanges that were timed.", seconds, labels)
        yield Measurement("hook_calls", "counter", "Calls of hooks of exchanges that were timed.", calls, labels)


def of_prices(prices: Prices) -> Iterator[Measurement]:
    """Attempts without a price, by provider and model: at most as many as `Prices` counts apart."""
    for (provider, model), count in prices.unknown.items():
        labels = {"provider": provider, "model": model}
        yield Measurement("prices_unknown", "counter", "Attempts that had tokens and no price.", count, labels)


def of_background(background: Background, settling: Background) -> Iterator[Measurement]:
    """Tasks beside the requests: plugins' own, and the last steps of exchanges."""
    for kind, tasks in (("plugins", background), ("settling", settling)):
        labels = {"kind": kind}
        yield Measurement("background_tasks", "gauge", "Tasks that run beside the requests.", len(tasks), labels)
        yield Measurement("background_failures", "counter", "Tasks that ended with an error.", tasks.failures, labels)


def of_questions(totals: Mapping[str, AskedTotal]) -> Iterator[Measurement]:
    """Plugins' own questions to models, by purpose."""
    for purpose, total in totals.items():
        yield from measured("asked", total, "Plugins' own questions to models", labels={"purpose": purpose})
