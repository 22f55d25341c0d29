"""Reports that were never measured."""

from __future__ import annotations

from typing import Any

from helicone_gw.bench.plan import Quantiles
from helicone_gw.bench.report import PROVIDER, Added, Machine, Report, Row

MACHINE = Machine(cpu="Some CPU", cores=2, system="Linux 6", python="3.11.7", pinned=True)
OURS = "helicone-gw hypercorn"


def row(case: str, subject: str, cpu: float | None = None, event: float | None = None, **more: Any) -> Row:
    return Row(case=case, subject=subject, requests=1000, cpu_us_request=cpu, cpu_us_event=event, **more)


def report(*rows: Row, date: str = "2026-01-02T03:04:05Z", **more: Any) -> Report:
    return Report(date=date, machine=MACHINE, versions={OURS: "0.1.0"}, rows=list(rows), **{"quick": False, **more})


MEASURED = report(
    row("unary-1k", PROVIDER, 8.0, latency=Quantiles(0.1, 0.2, 0.3, 0.4)),
    row("unary-1k", OURS, 300.0, cpu_us_runs=[299.0, 300.0, 301.0], rss_mib=100.0),
    row("unary-1k", "nginx", 20.0),
    row("unary-1k", "Portkey", 1200.0),
    row("unary-1k", "LiteLLM", 9000.0),
    row("pass-through", OURS, 200.0),
    row("sse-burst", OURS, 700.0, 7.0, events=101_000),
    row("sse-burst", "Portkey", 2400.0, 24.0, events=101_000),
    row("sse-burst", "LiteLLM", 60_000.0, 600.0, events=101_000),
    row("unary-20k", OURS, 1200.0),
    row("rate-100", OURS, 500.0, added=Added(0.8, 2.0, 0.7, 1.9), latency=Quantiles(1.0, 2.0, 2.3, 9.0)),
    row("memory", OURS, rss_mib=110.0, rss_early_mib=105.0),
    row("streams-256", OURS, 700.0, 7.0, bad=3, faults={"event missing": 3}),
    row("start", OURS, start_seconds=1.25),
    row("sse-paced", "LiteLLM", skipped="too slow to keep up with the rate"),
    row("sse-burst", "nginx", failed="did not start"),
)
