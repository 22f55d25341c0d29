"""Requests: the list, its filters, and what is told as it happens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from quart import Response

from helicone_gw_dashboard.lens import KEYED, RANGES, Lens
from helicone_gw_dashboard.live import following
from helicone_gw_dashboard.searching import WITHIN, searches
from helicone_gw_dashboard.site import Pages
from helicone_gw_dashboard.view import Trouble, View

PAGES = Pages("requests")

LIMIT: Final = 50
"""Rows of one part of the list."""

SORTS: Final[Mapping[str, tuple[str, str]]] = {
    "": ("created_at", "desc"),
    "oldest": ("created_at", "asc"),
    "slowest": ("latency", "desc"),
    "most tokens": ("total_tokens", "desc"),
    "most expensive": ("cost", "desc"),
}
"""Orders of the list: what the REST API calls them."""

COLUMNS: Final = (
    ("time", "Time"),
    ("status", "Status"),
    ("model", "Model"),
    ("provider", "Provider"),
    ("user", "User"),
    ("session", "Session"),
    ("properties", "Properties"),
    ("key", "Key"),
    ("operation", "Operation"),
    ("cache", "Cache"),
    ("tokens", "Tokens"),
    ("cost", "Cost"),
    ("latency", "Latency"),
    ("first", "First token"),
)
"""Columns of the list; all can be hidden but the first."""

FIELDS: Final = (
    ("status", "Status", "number"),
    ("model", "Model", "text"),
    ("provider", "Provider", "text"),
    ("user_id", "User", "text"),
    ("session_id", "Session", "text"),
    ("session_name", "Session name", "text"),
    ("key_name", "Key", "text"),
    ("cost", "Cost in dollars", "number"),
    ("latency", "Latency in ms", "number"),
    ("time_to_first_token", "First token in ms", "number"),
    ("total_tokens", "Tokens", "number"),
    ("cache_status", "Cache (hit, miss, ...)", "text"),
    ("outcome", "Outcome", "text"),
    ("error_code", "Error code", "text"),
    ("error_message", "Error message", "text"),
    ("path", "Path", "text"),
    ("country_code", "Country", "text"),
    ("properties", "Property (with its name)", "text"),
    ("scores", "Score (with its name)", "number"),
)
"""What a filter can be built for: column, name, kind."""

OPERATORS: Final = {
    "text": (("equals", "is"), ("not-equals", "is not"), ("contains", "contains"), ("not-contains", "lacks")),
    "number": (("equals", "="), ("gte", "≥"), ("gt", ">"), ("lte", "≤"), ("lt", "<"), ("not-equals", "≠")),
}


@PAGES.get("/requests", "Requests")
async def requests(view: View) -> Response:
    """The list, or with ``cursor`` or ``offset`` a further part of it."""
    lens = view.lens()
    rows, more, searched = await _rows(view, lens)
    values = {
        "lens": lens,
        "rows": rows,
        "more": more,
        "searched": searched,
        "columns": COLUMNS,
        "sort": view.args.get("sort", ""),
    }
    if view.partial:
        return view.render("_rows.html", **values)
    query = view.request.query_string.decode("ascii", "replace")
    return view.render(
        "requests.html", **values, ranges=RANGES, sorts=SORTS, fields=FIELDS, operators=OPERATORS, query=query
    )


@PAGES.get("/requests/count", "Requests")
async def count(view: View) -> Response:
    """How many there are: asked beside the list, which need not wait for it."""
    found = await view.ask("POST", "/v1/request/count/query", json={"filter": view.lens().node})
    return view.render("_count.html", found=found)


@PAGES.get("/requests/filter", "Requests")
async def add_filter(view: View) -> Response:
    """The list with one filter more, that a form was filled in for."""
    lens = view.lens()
    column, operator = view.args.get("column", ""), view.args.get("operator", "equals")
    kinds = {name: kind for name, _, kind in FIELDS}
    if column not in kinds or operator not in dict(OPERATORS[kinds[column]]):
        raise Trouble(400, "There is no such filter: choose another comparison for this column.")
    value: Any = view.args.get("value", "").strip()
    if kinds[column] == "number" and value:
        try:
            value = float(value)
        except ValueError:
            raise Trouble(400, "That column holds numbers, and what was given is none.") from None
        value = int(value) if value.is_integer() else value
    key = view.args.get("key", "").strip() if column in KEYED else None
    if key == "":
        raise Trouble(400, "A property or a score needs its name.")
    return view.go(view.url("/requests", **lens.plus(column, operator, value if value != "" else None, key)))


@PAGES.get("/requests/search", "Requests")
async def search(view: View) -> Response:
    """The list of what a few words are found in: ids, users, sessions, models, errors."""
    lens, words = view.lens(), view.args.get("words", "").strip()
    if not words:
        return view.go(view.url("/requests", **lens.params))
    return view.go(view.url("/requests", **lens.searching(words)))


@PAGES.get("/requests/live", "Requests")
async def live(view: View) -> Response:
    """Rows as they are logged, as server-sent events: each has the HTML of new rows."""
    lens = view.lens()

    def shown(rows: list[Any]) -> str:
        return view.site.renderer.html(
            "_rows.html", view=view, url=view.url, asset=view.asset, lens=lens, rows=rows, more=None, sort=""
        )

    return await following(view, lens, shown)


async def _rows(view: View, lens: Lens) -> tuple[list[Any], dict[str, Any] | None, str | None]:
    """A part of the list, the parameters of the next part, and how far back was searched where that took too long."""
    sort = view.args.get("sort", "")
    if sort not in SORTS:
        raise Trouble(400, "There is no such order.")
    name, direction = SORTS[sort]
    body: dict[str, Any] = {"filter": lens.node, "limit": LIMIT, "sort": {name: direction}}
    if "cursor" in view.args:
        body["cursor"] = view.args["cursor"]
    elif "offset" in view.args:
        body["offset"] = _number(view.args["offset"])
    if searches(lens) and name == "created_at" and "offset" not in body:
        body["within"] = WITHIN
    answer = await view.ask_whole("POST", "/v1/request/query", json=body)
    rows, searched = answer["data"], answer.get("searchedBackTo")
    if len(rows) < LIMIT and not searched:
        return rows, None, None
    next_part = {"cursor": answer["cursor"]} if answer.get("cursor") else {"offset": body.get("offset", 0) + LIMIT}
    # The time is fixed from here on: a range that ends now would move while somebody reads.
    return rows, {**lens.during(lens.start, lens.end), "sort": sort, **next_part}, searched


def _number(said: str) -> int:
    try:
        return min(max(int(said), 0), 10_000_000)
    except ValueError:
        raise Trouble(400, "The offset in the address is not a number.") from None
