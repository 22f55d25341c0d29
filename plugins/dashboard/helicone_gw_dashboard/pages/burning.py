"""Burning: how the money of a budget went in its period, beside how it would go if it were to last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from quart import Response

from helicone_gw_dashboard import charts
from helicone_gw_dashboard.asking import SERIES, buckets, increment
from helicone_gw_dashboard.budgets import span
from helicone_gw_dashboard.lens import Lens, leaf
from helicone_gw_dashboard.site import Pages
from helicone_gw_dashboard.trouble import Trouble
from helicone_gw_dashboard.view import View

PAGES = Pages("limits")

COLUMNS: Final[Mapping[str, str]] = {"user": "user_id", "model": "model", "provider": "provider"}
"""Segments of which the log knows what they spent, and its columns for them; beside all requests together."""

ALIKE: Final = 0.1
"""By how much of what was spent the log may say something else, and still tell how it went."""


@PAGES.get("/limits/burn", "Limits and budgets")
async def burn(view: View) -> Response:
    """The chart of one account, by its ``budget`` and ``segment``: a part of the page, asked for when it is opened."""
    wanted = (view.args.get("budget", ""), view.args.get("segment", ""))
    accounts = await view.ask("GET", "/v1/budgets")
    found = [one for one in accounts if (one["budget"], one["segment"]) == wanted]
    if not found:
        raise Trouble(404, "There is no such budget.")
    account = found[0]
    period = span(account["period"], account["resetsAt"])
    filters = _filters(account["segment"])
    if period is None or filters is None:
        return view.render("_burn.html", chart=None, account=account)
    begin, end = (round(at * 1000) for at in period)
    lens = Lens("", begin, max(min(view.now, end), begin + 1), filters)
    series = await view.ask("POST", SERIES, json=buckets(view, lens))
    each = increment(lens)[1] if end - begin <= increment(lens)[1] * 60 else increment(Lens("", begin, end))[1]
    chart = burnt(series["buckets"], begin, end, each, float(account["limit"]), float(account["spent"]))
    return view.render("_burn.html", chart=chart, account=account)


def burnt(
    known: Sequence[Mapping[str, Any]], begin: int, end: int, each: int, limit: float, spent: float
) -> charts.Chart | None:
    """What was left at the end of each bucket of ``each`` ms, until ``end``, beside a straight way from ``limit`` to
    nothing. ``None`` where what the log knows is not what was ``spent``: the budget counts other requests, too."""
    costs = [float(one["cost"] or 0) for one in known]
    if abs(sum(costs) - spent) > max(ALIKE * spent, 1e-6):
        return None
    left: list[float | None] = []
    rest = limit
    for cost in costs:
        rest -= cost
        left.append(max(rest, 0.0))
    times = [one["at"] for one in known]
    at = begin + len(times) * each
    while at < end and len(times) < 400:
        times.append(datetime.fromtimestamp(at / 1000, UTC).isoformat())
        left.append(None)
        at += each
    even = [limit * (1 - (place + 1) / len(times)) for place in range(len(times))]
    return charts.chart(times, each, "money", charts.lane("left", left, "line", 0), charts.lane("even", even, "before"))


def _filters(segment: str) -> tuple[Any, ...] | None:
    """What the requests of a segment are in the log; ``None`` where it does not know."""
    if segment == "global":
        return ()
    kind, colon, value = segment.partition(":")
    return (leaf(COLUMNS[kind], "equals", value),) if colon and kind in COLUMNS else None
