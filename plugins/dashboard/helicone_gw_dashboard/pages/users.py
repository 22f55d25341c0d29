"""Users: who asked for how much, and each of them alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from quart import Response

from helicone_gw_dashboard import charts, formatting
from helicone_gw_dashboard.asking import SERIES, buckets, compared, increment
from helicone_gw_dashboard.budgets import paced
from helicone_gw_dashboard.formatting import change
from helicone_gw_dashboard.lens import RANGES, Lens, leaf
from helicone_gw_dashboard.listing import LIMIT, most, offset, order, share
from helicone_gw_dashboard.site import Pages
from helicone_gw_dashboard.view import Trouble, View

PAGES = Pages("users")

SORTS: Final[Mapping[str, str]] = {
    "cost": "cost",
    "requests": "total_requests",
    "errors": "errors",
    "input tokens": "total_prompt_tokens",
    "output tokens": "total_completion_tokens",
}
"""Orders of the list: what the REST API calls them."""

LISTS: Final = (("model", "Models"), ("property", "Properties"), ("status", "Errors"))
"""Lists of the overview that a user's page has, too."""

METRICS: Final = "/v1/user/metrics/query"
MOST_FOUND: Final = 100
"""Users that a search finds."""

NEWEST: Final = 10_000
"""Requests that are read for a list which no sums tell, unless everything is asked for: a tenth of a second's worth."""

LATEST: Final = 10
"""Requests of a user's page."""


@PAGES.get("/users", "Users")
async def users(view: View) -> Response:
    """The list, or with ``offset`` a further part of it."""
    lens = view.lens()
    sort, begin = order(view, SORTS, "cost"), offset(view)
    words, every = view.args.get("words", "").strip()[:512], "every" in view.args
    if words and not lens.filters:
        found = await _searched(view, lens, words)
    else:
        searched = [leaf("user_id", "contains", words)] if words else []
        found = await view.ask(
            "POST",
            METRICS,
            json={
                "filter": [*lens.filters, *searched],
                "timeFilter": _seconds(lens),
                "sort": {SORTS[sort]: "desc"},
                "limit": LIMIT,
                "offset": begin,
                **({} if every else {"newest": NEWEST}),
            },
        )
    rows = found["users"]
    if words:
        rows.sort(key=lambda row: -(row[SORTS[sort]] or 0))
    largest = most(view, (row[SORTS[sort]] for row in rows))
    for row in rows:
        row["share"] = share(row[SORTS[sort]], largest)
    more = None
    if begin + len(rows) < found["count"] and rows:
        fixed = {**lens.during(lens.start, lens.end), "sort": sort, "words": words, "most": largest}
        fixed |= {"every": "1"} if every else {}
        more = {**fixed, "offset": begin + LIMIT}
    values = {"lens": lens, "rows": rows, "more": more, "sort": sort, "words": words}
    if view.partial:
        return view.render("_users.html", **values)
    return view.render("users.html", **values, found=found, ranges=RANGES, sorts=SORTS, newest=NEWEST)


async def users_of(view: View, lens: Lens) -> tuple[int, bool]:
    """How many users the newest `NEWEST` requests of a lens with filters have, and whether there are older ones."""
    body = {"filter": list(lens.filters), "timeFilter": _seconds(lens), "limit": 1, "newest": NEWEST}
    found = await view.ask("POST", METRICS, json=body)
    return found["count"], found.get("since") is not None


async def _searched(view: View, lens: Lens, words: str) -> dict[str, Any]:
    """Users in whose id the words are, with what they used in the lens's time.

    In two steps, for sums know users by their whole ids: searching the rows of a long time would take seconds. How many
    requests failed is not known then, and of more than `MOST_FOUND` users those are meant that cost most ever.
    """
    search = {"filter": [leaf("user_id", "contains", words)], "sort": {"cost": "desc"}, "limit": MOST_FOUND}
    known = {row["user_id"]: row for row in (await view.ask("POST", METRICS, json=search))["users"]}
    asked = {"userIds": list(known), "timeFilter": _seconds(lens)}
    used = await view.ask("POST", "/v1/user/query", json=asked) if known else []
    rows = [
        {
            **known[row["user_id"]],
            "cost": row["cost"],
            "unknown_costs": None,
            "total_requests": row["count"],
            "errors": None,
            "total_prompt_tokens": row["prompt_tokens"],
            "total_completion_tokens": row["completion_tokens"],
        }
        for row in used
        if row["count"]
    ]
    return {"users": rows, "count": len(rows), "hasUsers": True, "since": None}


def _seconds(lens: Lens) -> dict[str, float]:
    return {"startTimeUnixSeconds": lens.start / 1000, "endTimeUnixSeconds": lens.end / 1000}


@PAGES.get("/user", "User")
async def user(view: View) -> Response:
    """One user, by ``id``."""
    id = view.args.get("id", "")  # noqa: A001 - what the address calls it
    if not id:
        raise Trouble(404, "The address names no user.")
    given = view.lens("30d")
    lens = replace(given, filters=(*given.filters, leaf("user_id", "equals", id)))
    query = {"filter": lens.node, "limit": LATEST, "sort": {"created_at": "desc"}}
    panels = await view.panels(
        series=compared(view, SERIES, lens, buckets(view, lens)),
        latest=view.ask("POST", "/v1/request/query", json=query),
        budgets=view.ask("GET", "/v1/budgets"),
    )
    view.title = id
    series = panels["series"].data
    own = [
        paced(one, view.now)
        for one in panels["budgets"].data or []
        if one["segment"].partition(":")[::2] == ("user", id)
    ]
    return view.render(
        "user.html",
        id=id,
        given=given,
        lens=lens,
        ranges=RANGES,
        panels=panels,
        budgets=own,
        figures=_figures(series) if series else [],
        charts=charts.of_series(series, increment(lens)[1]) if series else {},
        lists=LISTS,
    )


def _figures(series: Mapping[str, Any]) -> list[tuple[str, str, str, str, str]]:
    """Label, value, change against the previous period, a note, and what is better: "more", "less", or nothing."""
    now, before = series["totals"], (series.get("previous") or {}).get("totals") or {}

    def changed(name: str) -> str:
        return change(now.get(name), before.get(name))

    unknown = now["unknown_costs"]
    tokens = f"{formatting.compact(now['prompt_tokens'])} in, {formatting.compact(now['completion_tokens'])} out"
    return [
        (
            "Cost",
            formatting.money(now["cost"]),
            changed("cost"),
            f"unknown for {formatting.compact(unknown)}" if unknown else "",
            "",
        ),
        ("Requests", formatting.compact(now["requests"]), changed("requests"), "", ""),
        (
            "Errors",
            formatting.compact(now["errors"]),
            changed("errors"),
            formatting.percent(now["error_rate"]),
            "less",
        ),
        ("Tokens", formatting.compact(now["total_tokens"]), changed("total_tokens"), tokens, ""),
        ("Limits hit", formatting.compact(now["rate_limited"]), changed("rate_limited"), "", "less"),
    ]
