"""Properties: the keys that clients gave, and what the requests with each value come to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from quart import Response

from helicone_gw_dashboard import charts
from helicone_gw_dashboard.asking import SERIES, TOP, asked, buckets, increment
from helicone_gw_dashboard.formatting import change
from helicone_gw_dashboard.lens import RANGES, Lens
from helicone_gw_dashboard.listing import LIMIT, most, offset, order, share
from helicone_gw_dashboard.site import Pages
from helicone_gw_dashboard.view import View

PAGES = Pages("properties")

SORTS: Final[Mapping[str, str]] = {
    "cost": "cost",
    "requests": "requests",
    "errors": "errors",
    "tokens": "total_tokens",
    "latency": "latency",
}
"""Orders of the values: what the REST API calls them."""

KEYS: Final = 200
"""Keys that are shown."""
LINES: Final = 4
"""Values that have a line in the chart."""


@PAGES.get("/properties", "Properties")
async def properties(view: View) -> Response:
    """The keys, and the values of the one that ``key`` names; with ``offset`` a further part of these."""
    lens = view.lens()
    sort, begin = order(view, SORTS, "cost"), offset(view)
    key = view.args.get("key", "")
    keys: list[str] = []
    if not view.partial or not key:
        listed = await view.ask("POST", "/v1/property/query", json={})
        keys = [one["property"] for one in listed if not one["property"].lower().startswith("helicone-")]
        key = key or next(iter(keys), "")
    values: dict[str, Any] = {"lens": lens, "sort": sort, "key": key, "ranges": RANGES, "sorts": SORTS}
    if not key:
        return view.render("properties.html", **values, keys=[], rows=[], more=None, chart=None, series=None)
    question = {**asked(lens), "by": "property", "propertyKey": key, "sort": SORTS[sort], "limit": LIMIT}
    found = await view.ask("POST", TOP, json={**question, "previous": True, "offset": begin})
    values |= _rows(view, lens, sort, key, found)
    if view.partial:
        return view.render("_values.html", **values)
    over_time = {**buckets(view, lens), "by": "property", "propertyKey": key, "limit": LINES}
    panels = await view.panels(series=view.ask("POST", SERIES, json=over_time))
    series = panels["series"].data
    return view.render(
        "properties.html",
        **values,
        keys=keys[:KEYS],
        series=panels["series"],
        chart=None if series is None else _chart(series, increment(lens)[1]),
    )


def _rows(view: View, lens: Lens, sort: str, key: str, found: Mapping[str, Any]) -> dict[str, Any]:
    rows, measure = found["values"], SORTS[sort]
    largest = most(view, (row[measure] for row in rows))
    for row in rows:
        known = row["value"] is not None and row["value"] != "(other)"
        row["name"] = "unknown" if row["value"] is None else str(row["value"])
        row["share"] = share(row[measure], largest)
        row["before"] = change(row["cost"], (row["previous"] or {}).get("cost"))
        row["params"] = lens.plus("properties", "equals", row["value"], key) if known else None
    more = None
    if len(rows) == LIMIT:
        fixed = {**lens.during(lens.start, lens.end), "sort": sort, "key": key, "most": largest}
        more = {**fixed, "offset": offset(view) + LIMIT}
    return {"rows": rows, "more": more, "complete": found["complete"]}


def _chart(series: Mapping[str, Any], bucket: int) -> charts.Chart:
    lanes = [
        charts.lane(str(lane["value"]), [each["cost"] for each in lane["buckets"]], "line", number)
        for number, lane in enumerate(series["groups"][:LINES])
    ]
    return charts.chart([each["at"] for each in series["buckets"]], bucket, "money", *lanes)
