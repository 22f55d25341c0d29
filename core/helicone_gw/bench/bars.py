"""The bars that this gateway set itself, and whether a report shows that they hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from helicone_gw.bench.report import OURS, Report, Row

ENGINES = ("hypercorn", "uvicorn")
SHARES = {
    # case: per event?, then for each engine the most that may be had of Portkey's and of LiteLLM's cost
    "unary-1k": (False, {"hypercorn": (1 / 3, 1 / 20), "uvicorn": (1 / 5, 1 / 40)}),
    "sse-burst": (True, {"hypercorn": (1 / 4, 1 / 90), "uvicorn": (1 / 7, 1 / 150)}),
}
OF_NGINX = {"hypercorn": 25.0, "uvicorn": 10.0}
LARGER_BODY = {"no-bodies-20k": ("no-bodies-1k", 1.25), "unary-20k": ("unary-1k", 2.5)}
MEMORY_GROWTH = 1.1
ADDED_P50 = 1.0
"""Milliseconds at 100 requests a second."""
FIRST_TOKEN = 2.0
START = 1.5


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar and what was measured. ``holds`` is ``None`` where something that it needs was not measured."""

    engine: str
    what: str
    limit: str
    measured: str
    holds: bool | None


def bars(report: Report) -> list[Bar]:
    """Every bar, for each engine that has one and was measured."""
    return [bar for engine in ENGINES if _measured(report, engine) for bar in _of(report, engine)]


def _measured(report: Report, engine: str) -> bool:
    return any(row.subject == f"{OURS} {engine}" for row in report.rows)


def _of(report: Report, engine: str) -> Iterator[Bar]:
    ours = f"{OURS} {engine}"
    for case, (per_event, limits) in SHARES.items():
        mine = report.cpu(case, ours, per_event=per_event)
        for peer, limit in zip(("Portkey", "LiteLLM"), limits[engine], strict=True):
            theirs = report.cpu(case, peer, per_event=per_event)
            what = f"{case}, CPU per {'event' if per_event else 'request'}, of {peer}'s"
            yield _share(engine, what, limit, _quotient(mine, theirs))
    nginx = _quotient(report.cpu("pass-through", ours), report.cpu("unary-1k", "nginx"))
    yield _times(engine, "pass-through, CPU per request, of nginx's", OF_NGINX[engine], nginx)
    for case, (base, limit) in LARGER_BODY.items():
        yield _times(engine, f"{case}, of {base}", limit, _quotient(report.cpu(case, ours), report.cpu(base, ours)))
    row = report.row("memory", ours)
    growth = None if row is None else _quotient(row.rss_mib, row.rss_early_mib)
    yield _times(engine, "RSS after ten times as many requests", MEMORY_GROWTH, growth)
    added = _figure(report.row("rate-100", ours), lambda row: row.added.p50 if row.added else None)
    yield _most(engine, "added p50 at 100 requests a second", ADDED_P50, "ms", added)
    first = _figure(report.row("first-token", ours), lambda row: row.added.first_byte_p50 if row.added else None)
    yield _most(engine, "time to first token added, p50", FIRST_TOKEN, "ms", first)
    row = report.row("streams-256", ours)
    bad = None if row is None or row.skipped or row.failed else row.bad
    told, holds = ("not measured", None) if bad is None else (str(bad), bad == 0)
    yield Bar(engine, "256 paced streams, bad ones", "0", told, holds)
    start = _figure(report.row("start", ours), lambda row: row.start_seconds)
    yield _most(engine, "start to first answer", START, "s", start)


def _quotient(mine: float | None, theirs: float | None) -> float | None:
    return mine / theirs if mine is not None and theirs else None


def _figure(row: Row | None, figure: Callable[[Row], float | None]) -> float | None:
    return None if row is None else figure(row)


def _share(engine: str, what: str, limit: float, value: float | None) -> Bar:
    measured = "not measured" if value is None else f"1/{1 / value:.1f}" if value < 1 else f"{value:.1f} x"
    return Bar(engine, what, f"<= 1/{1 / limit:.0f}", measured, None if value is None else value <= limit)


def _times(engine: str, what: str, limit: float, value: float | None) -> Bar:
    measured = "not measured" if value is None else f"{value:.2f} x"
    return Bar(engine, what, f"<= {limit:g} x", measured, None if value is None else value <= limit)


def _most(engine: str, what: str, limit: float, unit: str, value: float | None) -> Bar:
    measured = "not measured" if value is None else f"{value:.2f} {unit}"
    return Bar(engine, what, f"<= {limit:g} {unit}", measured, None if value is None else value <= limit)
