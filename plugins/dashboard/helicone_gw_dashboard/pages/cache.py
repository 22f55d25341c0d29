"""Cache: what it answered and spared, what is stored, why requests missed it; and clearing it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from quart import Response

from helicone_gw_dashboard import charts
from helicone_gw_dashboard.asking import SQL, buckets, increment
from helicone_gw_dashboard.explaining import noted, why_missed
from helicone_gw_dashboard.lens import RANGES, Lens
from helicone_gw_dashboard.listing import share
from helicone_gw_dashboard.site import Pages
from helicone_gw_dashboard.view import Trouble, View

PAGES = Pages("cache")

LISTED: Final = 8
"""Models and users with most hits, and answers that were used most."""
MOST_HITS: Final = 5_000
"""Latest hits among which the answers are counted."""
LOOKED_AT: Final = 500
"""Latest misses whose reasons are counted."""
MISSES: Final = 12
"""Latest misses that are shown."""

YAML: Final = """plugins:
  - logging
  - cache: {}      # inside logging, security and cost; outside router and retries
  - router"""


@PAGES.get("/cache", "Cache")
async def cache(view: View) -> Response:
    """Hits and savings in a period, and what is stored now."""
    lens = view.lens("7d")
    there = bool(view.instances("cache"))
    report = {**buckets(view, lens), "limit": LISTED}
    questions = {"report": view.ask("POST", "/v1/metrics/cache/query", json=report)}
    if there:
        questions["stats"] = view.ask("GET", "/v1/cache/stats")
    panels = await view.panels(**questions)
    found = panels["report"].data
    cleared = view.args.get("cleared", "")
    return view.render(
        "cache.html",
        lens=lens,
        ranges=RANGES,
        there=there,
        yaml=YAML,
        panels=panels,
        stats=panels["stats"] if there else None,
        report=found,
        chart=None if found is None else _chart(found, increment(lens)[1]),
        lists=[] if found is None else [_bars(view, lens, found, name) for name in ("models", "users")],
        cleared=int(cleared) if cleared.isdecimal() and len(cleared) < 10 else None,
    )


@PAGES.get("/cache/used", "Cache")
async def used(view: View) -> Response:
    """The answers that were used most: a part of the page for which the rest need not wait."""
    lens = view.lens("7d")
    # Only numbers of our own stand in these statements.
    rows = await _rows(
        view,
        "SELECT cache_reference_id, MAX(model) AS model, COUNT(*) AS hits, SUM(saved_nano_usd) AS saved,"  # noqa: S608
        " SUM(saved_ms) AS saved_ms, MAX(received_at) AS last, SUM(COUNT(*)) OVER () AS looked_at FROM"
        " (SELECT cache_reference_id, model, saved_nano_usd, saved_ms, received_at"
        f" FROM requests WHERE received_at >= {lens.start} AND received_at < {lens.end}"
        f" AND cache_status = 'hit' ORDER BY received_at DESC LIMIT {MOST_HITS}) AS latest"
        f" GROUP BY cache_reference_id ORDER BY hits DESC LIMIT {LISTED}",
    )
    looked_at = int(rows[0]["looked_at"]) if rows else 0
    return view.render("_used.html", rows=rows, more_than=looked_at if looked_at >= MOST_HITS else 0)


@PAGES.get("/cache/missed", "Cache")
async def missed(view: View) -> Response:
    """The latest misses, and why they were none: likewise."""
    lens = view.lens("7d")
    rows = await _rows(
        view,
        "SELECT id, received_at, model, user_id, cache_status, annotations FROM requests"  # noqa: S608
        f" WHERE received_at >= {lens.start} AND received_at < {lens.end}"
        " AND cache_status IS NOT NULL AND cache_status NOT IN ('hit', 'joined')"
        f" ORDER BY received_at DESC LIMIT {LOOKED_AT}",
    )
    reasons: Counter[str] = Counter()
    for row in rows:
        row["why"] = _why(row)
        reasons[row["why"]] += 1
    largest = max(reasons.values(), default=0)
    counted = [(why, count, share(count, largest)) for why, count in reasons.most_common()]
    return view.render("_missed.html", lens=lens, rows=rows[:MISSES], reasons=counted, looked_at=len(rows))


@PAGES.post("/cache/clear", "Cache")
async def clear(view: View) -> Response:
    """Clear what of the caller's is stored: all of it, or that of a provider, of a model, older than an age."""
    form = await view.form()
    wanted = {name: form.get(name, "").strip() for name in ("provider", "model", "older_than")}
    given = {name: value for name, value in wanted.items() if value}
    if not given and form.get("everything") != "yes":
        raise Trouble(400, "Say what to clear, or tick “all of it”.")
    done = await view.ask("DELETE", "/v1/cache", params=given)
    return view.go(view.url("/cache", cleared=str(done["cleared"])))


async def _rows(view: View, sql: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (await view.ask("POST", SQL, json={"sql": sql}))["rows"]
    return rows


def _why(row: Mapping[str, Any]) -> str:
    notes = noted(row)
    reason = notes.get("cache.miss_reason")
    return why_missed(reason) if reason else str(row["cache_status"])


def _chart(report: Mapping[str, Any], bucket: int) -> charts.Chart:
    each = report["buckets"]
    requests = charts.lane("requests", [one["requests"] for one in each], "bars", 0)
    hits = charts.lane("hits", [one["cache_hits"] for one in each], "bars", 2)
    return charts.chart([one["at"] for one in each], bucket, "count", requests, hits)


def _bars(view: View, lens: Lens, report: Mapping[str, Any], name: str) -> dict[str, Any]:
    column = {"models": "model", "users": "user_id"}[name]
    rows = [one for one in report[name] if one["value"] is not None]
    largest = max((one["cache_hits"] for one in rows), default=0)
    return {
        "title": f"{name.capitalize()} with most hits",
        "rows": [
            {
                "name": str(one["value"]),
                "href": view.url("/requests", **lens.plus(column, "equals", one["value"])),
                "share": share(one["cache_hits"], largest),
                "figures": [f"{one['cache_hits']:,}"],
            }
            for one in rows
        ],
    }
