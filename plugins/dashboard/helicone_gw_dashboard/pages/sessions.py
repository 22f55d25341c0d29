"""Sessions: the list, and each as a tree of paths beside a waterfall of its requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from quart import Response

from helicone_gw_dashboard.lens import RANGES
from helicone_gw_dashboard.listing import offset
from helicone_gw_dashboard.site import Pages
from helicone_gw_dashboard.view import Trouble, View

PAGES = Pages("sessions")

LIMIT: Final = 50
"""Sessions of one part of the list."""
STEPS: Final = 200
"""Steps of one part of a session; the next part is asked for where somebody comes to the end of one."""

SORTS: Final[Mapping[str, str]] = {
    "": "latest_request_created_at",
    "most expensive": "total_cost",
    "longest": "duration",
    "most requests": "total_requests",
    "most errors": "errors",
    "slowest": "avg_latency",
}
"""Orders of the list: what the REST API calls them."""


class Bar(NamedTuple):
    """One line of a waterfall: ``left`` and ``width`` in per cent of the session. ``row`` is a node or a request."""

    row: Mapping[str, Any]
    depth: int
    left: float
    width: float
    request: bool


@PAGES.get("/sessions", "Sessions")
async def sessions(view: View) -> Response:
    """The list, or with ``offset`` a further part of it."""
    lens = view.lens()
    sort, words = view.args.get("sort", ""), view.args.get("words", "").strip()[:512]
    if sort not in SORTS:
        raise Trouble(400, "There is no such order.")
    begin = offset(view)
    rows = await view.ask(
        "POST",
        "/v1/session/query",
        json={
            "timeFilter": {"startTimeUnixMs": lens.start, "endTimeUnixMs": lens.end + 1},
            "search": words,
            "filter": list(lens.filters),
            "sort": SORTS[sort],
            "limit": LIMIT,
            "offset": begin,
        },
    )
    more = None
    if len(rows) == LIMIT:
        more = {**lens.during(lens.start, lens.end), "sort": sort, "words": words, "offset": begin + LIMIT}
    values = {"lens": lens, "rows": rows, "more": more, "sort": sort, "words": words}
    if view.partial:
        return view.render("_sessions.html", **values)
    return view.render("sessions.html", **values, ranges=RANGES, sorts=SORTS)


@PAGES.get("/session", "Session")
async def session(view: View) -> Response:
    """One session, by its ``id``, and its ``name`` where one id has several; with ``offset`` further steps of it."""
    wanted, name = view.args.get("id", ""), view.args.get("name")
    params = {} if name is None else {"name": name}
    tree = await view.ask("GET", f"/v1/session/{quote(wanted, safe='')}/tree", params=params)
    bars, begin = waterfall(tree["nodes"], tree["requests"]), offset(view)
    left = max(len(bars) - begin - STEPS, 0)
    more = {"id": wanted, **params, "offset": begin + STEPS} if left else None
    values = {"bars": bars[begin : begin + STEPS], "left": left, "more": more}
    if view.partial:
        return view.render("_steps.html", **values)
    return await view.render_aside("session.html", tree=tree, name=name, **values)


def waterfall(nodes: Sequence[Mapping[str, Any]], requests: Sequence[Mapping[str, Any]]) -> list[Bar]:
    """Nodes, each followed by its own requests and then by what is below it, with their places in the whole time."""
    whole = max((row["offset_ms"] + (row["latency"] or 0) for row in requests), default=0) or 1
    by_id = {row["id"]: row for row in requests}
    bars: list[Bar] = []

    def add(row: Mapping[str, Any], depth: int, took: float, *, request: bool) -> None:
        left = min(row["offset_ms"] / whole, 1) * 100
        bars.append(Bar(row, min(depth, 5), left, min(max(took / whole * 100, 0.4), 100 - left), request))

    for node in nodes:
        if node["depth"] or node["path"] not in ("", "/") or len(nodes) == 1:
            add(node, node["depth"], node["duration_ms"], request=False)
        for one in node["request_ids"]:
            if one in by_id:
                add(by_id[one], node["depth"] + 1, by_id[one]["latency"] or 0, request=True)
    return bars
