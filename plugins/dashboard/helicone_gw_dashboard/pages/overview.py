"""Overview: what requests came to in a time, compared with the time before, and who and what they were."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from quart import Response

from helicone_gw_dashboard import charts, formatting
from helicone_gw_dashboard.formatting import change
from helicone_gw_dashboard.lens import DAY, HOUR, MINUTE, RANGES, Lens
from helicone_gw_dashboard.pages.welcome import welcome
from helicone_gw_dashboard.site import Pages
from helicone_gw_dashboard.view import Panel, View

PAGES = Pages("overview")

SERIES: Final = "/v1/metrics/series/query"
PERCENTILES: Final = "/v1/metrics/percentiles/query"
TOP: Final = "/v1/metrics/top/query"

_INCREMENTS: Final = ((3 * HOUR, "min", MINUTE), (8 * DAY, "hour", HOUR), (120 * DAY, "day", DAY))
"""Times up to so long are drawn in buckets of this length."""

SHOWN: Final = 7
"""Values of one list."""

DRAWN: Final = (
    ("requests", "Requests", "series"),
    ("cost", "Cost", "series"),
    ("tokens", "Tokens", "series"),
    ("latency", "Latency", "latency"),
    ("first", "First token, of streams", "first"),
    ("cache", "Answered from caches", "series"),
)
"""Charts: name, heading, and which answer they are made of."""

TOPS: Final[tuple[tuple[str, str, str, str], ...]] = (
    ("model", "Models", "cost", "model"),
    ("provider", "Providers", "requests", "provider"),
    ("user", "Users", "cost", "user_id"),
    ("property", "Properties", "requests", "properties"),
    ("error", "Errors", "requests", "error_code"),
    ("key", "Keys", "cost", "key_name"),
)
"""Lists: what requests are told apart by, the heading, the order, the column that a click filters by."""


@PAGES.get("/", "Overview")
async def overview(view: View) -> Response:
    """The figures and the charts, or the first-run page while nothing was ever logged."""
    lens = Lens.read(view.args, view.now)
    increment, length = _increment(lens.end - lens.start)
    buckets = {
        **_asked(lens),
        "previous": True,
        "dbIncrement": increment,
        "timeZoneDifference": view.minutes_ahead,
    }
    shares = {**buckets, "percentiles": [50, 95, 99]}
    panels = await view.panels(
        series=view.ask("POST", SERIES, json={**buckets, "users": True}),
        latency=view.ask("POST", PERCENTILES, json={**shares, "metric": "latency"}),
        first=view.ask("POST", PERCENTILES, json={**shares, "metric": "time_to_first_token"}),
    )
    series = panels["series"].data
    if series is not None and not series["totals"]["requests"] and not lens.filters and await _is_new(view):
        return await welcome(view)
    return view.render(
        "overview.html",
        lens=lens,
        ranges=RANGES,
        panels=panels,
        figures=_figures(view, lens, panels),
        charts=charts.overview(panels, length),
        drawn=DRAWN,
        property_key=view.args.get("property", ""),
    )


@PAGES.get("/lists", "Overview")
async def lists(view: View) -> Response:
    """Who and what the requests were: a part of the overview that it need not wait for."""
    lens = Lens.read(view.args, view.now)
    found = await view.panels(keys=_keys(view))
    keys = found["keys"].data or []
    key = view.args.get("property") or next(iter(keys), "")
    asked = {
        by: {**_asked(lens), "by": by, "sort": sort, "limit": SHOWN}
        | ({"propertyKey": key} if by == "property" else {})
        for by, _, sort, _ in TOPS
        if by != "property" or key
    }
    panels = await view.panels(**{by: view.ask("POST", TOP, json=body) for by, body in asked.items()})
    shown = [
        (heading, by, panels.get(by, Panel()), _bars(view, lens, panels.get(by), by, sort, column, key))
        for by, heading, sort, column in TOPS
    ]
    return view.render("_lists.html", lens=lens, lists=shown, property_keys=keys, property_key=key)


def _increment(length: int) -> tuple[str, int]:
    for longest, name, each in _INCREMENTS:
        if length <= longest:
            return name, each
    return ("week", 7 * DAY) if length <= 800 * DAY else ("month", 30 * DAY)


def _asked(lens: Lens) -> dict[str, Any]:
    time = {"start": formatting.iso(lens.start), "end": formatting.iso(lens.end)}
    return {"timeFilter": time, "userFilter": list(lens.filters)}


async def _keys(view: View) -> list[str]:
    """The keys of properties that clients gave, without those by which Helicone's own headers are kept."""
    found = await view.ask("POST", "/v1/property/query", json={})
    return [one["property"] for one in found if not one["property"].lower().startswith("helicone-")]


async def _is_new(view: View) -> bool:
    """Whether nothing was ever logged."""
    return not await view.ask("POST", "/v1/request/query", json={"filter": "all", "limit": 1})


def _figures(view: View, lens: Lens, panels: Mapping[str, Panel]) -> list[dict[str, Any]]:
    """The figures of the first row; each is a link to the requests that it is about."""
    series = panels["series"].data
    if series is None:
        return []
    now, before = series["totals"], (series.get("previous") or {}).get("totals") or {}

    def figure(label: str, value: str, name: str, better: str = "", note: str = "", **link: Any) -> dict[str, Any]:
        href = view.url("/requests", **(link or lens.params))
        return {
            "label": label,
            "value": value,
            "before": change(now.get(name), before.get(name)),
            "better": better,
            "note": note,
            "href": href,
        }

    unknown = now["unknown_costs"]
    cost_note = f"unknown for {formatting.compact(unknown)}" if unknown else ""
    rate = formatting.percent(now["error_rate"])
    hits = now["cache_hits"]
    return [
        figure("Requests", formatting.compact(now["requests"]), "requests"),
        figure(
            "Errors",
            formatting.compact(now["errors"]),
            "errors",
            "less",
            rate,
            **lens.plus("outcome", "not-equals", "ok"),
        ),
        figure("Cost", formatting.money(now["cost"]), "cost", note=cost_note),
        figure("Tokens", formatting.compact(now["total_tokens"]), "total_tokens", note=_in_and_out(now)),
        _percentile(view, lens, "Latency p95", panels["latency"], "latency"),
        _percentile(view, lens, "First token p95", panels["first"], "time_to_first_token"),
        figure(
            "Saved by caches",
            formatting.money(now["saved"]),
            "saved",
            "more",
            f"{formatting.compact(hits)} hits",
            **lens.plus("cache_status", "equals", "hit"),
        ),
        figure("Active users", formatting.compact(now["users"]), "users", "more"),
        figure(
            "Limits hit",
            formatting.compact(now["rate_limited"]),
            "rate_limited",
            "less",
            **lens.plus("ratelimit_status", "equals", "rate_limited"),
        ),
        figure("Threats", formatting.compact(now["threats"]), "threats", "less", **lens.plus("threat", "equals", True)),
    ]


def _in_and_out(now: Mapping[str, Any]) -> str:
    return f"{formatting.compact(now['prompt_tokens'])} in, {formatting.compact(now['completion_tokens'])} out"


def _percentile(view: View, lens: Lens, label: str, panel: Panel, column: str) -> dict[str, Any]:
    now = panel.data["values"] if panel.data else {}
    before = ((panel.data or {}).get("previous") or {}).get("values") or {}
    value = now.get("p95")
    link = lens.plus(column, "gte", round(value)) if value is not None else lens.params
    return {
        "label": label,
        "value": formatting.duration(value),
        "before": change(value, before.get("p95")),
        "better": "less",
        "note": f"p50 {formatting.duration(now.get('p50'))}",
        "href": view.url("/requests", **link),
    }


def _bars(
    view: View, lens: Lens, panel: Panel | None, by: str, sort: str, column: str, key: str
) -> list[dict[str, Any]]:
    """The rows of one list, with the length of their bars: each is a link to the same page about that value alone."""
    values = panel.data["values"] if panel is not None and panel.data else []
    largest = max((value[sort] or 0 for value in values), default=0)
    rows = []
    for value in values:
        name = value["value"]
        known = name is not None
        link = lens.plus(column, "equals", name if known else None, key if by == "property" else None)
        figures = [formatting.compact(value["requests"])]
        if sort == "cost":
            figures.insert(0, formatting.money(value["cost"]))
        rows.append(
            {
                "name": str(name) if known else "unknown",
                "href": view.url("/", **link) if name != "(other)" else view.url("/", **lens.params),
                "share": (value[sort] or 0) / largest if largest else 0,
                "figures": figures,
            }
        )
    return rows
