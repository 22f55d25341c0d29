"""Overview: what requests came to in a time, compared with the time before, and who and what they were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from quart import Response

from helicone_gw_dashboard import charts, formatting
from helicone_gw_dashboard.asking import PERCENTILES, SERIES, TOP, asked, buckets, compared, increment
from helicone_gw_dashboard.formatting import change
from helicone_gw_dashboard.lens import RANGES, Lens, leaf
from helicone_gw_dashboard.pages.users import users_of
from helicone_gw_dashboard.pages.welcome import welcome
from helicone_gw_dashboard.site import Pages
from helicone_gw_dashboard.view import Trouble, View

PAGES = Pages("overview")

LIMITED: Final = (leaf("status", "equals", 429), leaf("outcome", "equals", "refused"))
"""What a request is that a limit of the gateway refused."""

SHOWN: Final = 7
"""Values of one list."""

NEWEST: Final = 5_000
"""Requests that are read for a list which no sums tell, unless everything is asked for."""

METRICS: Final[Mapping[str, str]] = {"latency": "Latency", "time_to_first_token": "First token, of streams"}
"""What there are percentiles of, and the headings of their charts."""

DRAWN: Final[tuple[tuple[str, str], ...]] = (
    ("requests", "Requests"),
    ("cost", "Cost"),
    ("tokens", "Tokens"),
    *METRICS.items(),
    ("cache", "Cache hits"),
)
"""Charts by name, with their headings."""


class Largest(NamedTuple):
    """A list of the overview: what requests are told apart by, its order, and the column that a click filters by."""

    by: str
    title: str
    sort: str
    column: str
    empty: str = "Nothing in this time."


LISTS: Final = (
    Largest("model", "Models", "cost", "model"),
    Largest("provider", "Providers", "requests", "provider"),
    Largest("user", "Users", "cost", "user_id", "No request names its user."),
    Largest("property", "Properties", "requests", "properties", "No request has a property."),
    Largest("status", "Errors", "errors", "status", "No errors."),
    Largest("key", "Keys", "cost", "key_name", "No keys were used."),
)


@PAGES.get("/", "Overview")
async def overview(view: View) -> Response:
    """The figures and the charts, or the first-run page while nothing was ever logged."""
    lens = view.lens()
    panels = await view.panels(series=compared(view, SERIES, lens, buckets(view, lens)))
    series = panels["series"].data
    if series is not None and not series["totals"]["requests"] and not lens.filters and await _is_new(view):
        return await welcome(view)
    return view.render(
        "overview.html",
        lens=lens,
        ranges=RANGES,
        series=panels["series"],
        figures=_figures(view, lens, series) if series else [],
        charts=charts.of_series(series, increment(lens)[1]) if series else {},
        drawn=DRAWN,
        lists=LISTS,
        property_key=view.args.get("property", ""),
    )


@PAGES.get("/percentiles/<metric>", "Overview")
async def percentiles(view: View, metric: str) -> Response:
    """How long requests took, as a chart and a figure, for which the rest of the page need not wait."""
    lens = view.lens()
    if metric not in METRICS:
        raise Trouble(404, "There is no such chart.")
    body = {**buckets(view, lens), "percentiles": [50, 95, 99], "metric": metric}
    found = await compared(view, PERCENTILES, lens, body)
    value = found["values"]["p95"]
    link = view.url("/requests", **(lens.params if value is None else lens.plus(metric, "gte", round(value))))
    return view.render(
        "_percentiles.html",
        lens=lens,
        metric=metric,
        title=METRICS[metric],
        chart=charts.of_percentiles(found, increment(lens)[1]),
        value=value,
        p50=found["values"]["p50"],
        before=(found.get("previous") or {}).get("values", {}).get("p95"),
        link=link,
    )


@PAGES.get("/lists/<by>", "Overview")
async def largest(view: View, by: str) -> Response:
    """Who or what most of the requests were: a list of the overview, for which the others need not wait."""
    lens = view.lens()
    found = [one for one in LISTS if one.by == by]
    if not found:
        raise Trouble(404, "There is no such list.")
    (one,) = found
    question = {**asked(lens), "by": by, "sort": one.sort, "limit": SHOWN}
    if "every" not in view.args:
        question["newest"] = NEWEST
    keys: list[str] = []
    key = ""
    if by == "property":
        keys = await _keys(view)
        key = view.args.get("property") or next(iter(keys), "")
        question["propertyKey"] = key
    top = {"values": []} if by == "property" and not key else await view.ask("POST", TOP, json=question)
    rows = _bars(view, lens, top["values"], one, key)
    since = {"since": top.get("since"), "newest": NEWEST}
    return view.render("_list.html", lens=lens, one=one, rows=rows, keys=keys, key=key, **since)


@PAGES.get("/active-users", "Overview")
async def active_users(view: View) -> Response:
    """How many users there were: the one figure that takes longer, so that the others do not wait for it."""
    lens = view.lens()
    if lens.filters:
        # No sums tell: all requests that match would have to be read, of this time and of the one before.
        count, more = await users_of(view, lens)
        return view.render("_active.html", users=formatting.compact(count), more=more, before=None)
    series = await compared(view, SERIES, lens, {**asked(lens), "dbIncrement": "year", "users": True})
    now, before = series["totals"]["users"], series["previous"]["totals"]["users"]
    return view.render("_active.html", users=formatting.compact(now), more=False, before=change(now, before))


async def _keys(view: View) -> list[str]:
    """The keys of properties that clients gave, without those by which Helicone's own headers are kept."""
    found = await view.ask("POST", "/v1/property/query", json={})
    return [one["property"] for one in found if not one["property"].lower().startswith("helicone-")]


async def _is_new(view: View) -> bool:
    """Whether nothing was ever logged."""
    return not await view.ask("POST", "/v1/request/query", json={"filter": "all", "limit": 1})


def _figures(view: View, lens: Lens, series: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The figures of the first row; each is a link to the requests that it is about, or is asked for later."""
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
        {"label": "Latency p95", "id": "latency"},
        {"label": "First token p95", "id": "time_to_first_token"},
        figure(
            "Saved by caches",
            formatting.money(now["saved"]),
            "saved",
            "more",
            f"{formatting.compact(hits)} hit{'' if hits == 1 else 's'}",
            **lens.plus("cache_status", "in", ["hit", "joined"]),
        ),
        {"label": "Active users", "later": view.url("/active-users", **lens.params)},
        figure(
            "Limits hit",
            formatting.compact(now["rate_limited"]),
            "rate_limited",
            "less",
            **lens.narrowed(*LIMITED).params,
        ),
        figure("Threats", formatting.compact(now["threats"]), "threats", "less", **lens.plus("threat", "equals", True)),
    ]


def _in_and_out(now: Mapping[str, Any]) -> str:
    return f"{formatting.compact(now['prompt_tokens'])} in, {formatting.compact(now['completion_tokens'])} out"


def _bars(view: View, lens: Lens, values: Sequence[Mapping[str, Any]], one: Largest, key: str) -> list[dict[str, Any]]:
    """The rows of one list, with the length of their bars: each is a link to the same page about that value alone."""
    values = [value for value in values if value[one.sort] or one.sort != "errors"]
    most = max((value[one.sort] or 0 for value in values), default=0)
    rows = []
    for value in values:
        name = value["value"]
        link = lens.plus(one.column, "equals", name, key if one.by == "property" else None)
        figures = [formatting.compact(value["errors" if one.sort == "errors" else "requests"])]
        if one.sort == "cost":
            figures.insert(0, formatting.money(value["cost"]))
        rows.append(
            {
                "name": "unknown" if name is None else str(name),
                "href": view.url("/", **(lens.params if name == "(other)" else link)),
                "share": (value[one.sort] or 0) / most if most else 0,
                "figures": figures,
            }
        )
    return rows
