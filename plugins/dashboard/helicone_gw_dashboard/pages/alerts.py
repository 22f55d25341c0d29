"""Alerts: the rules, what fired, and a builder that shows when a rule would have fired."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from quart import Response
from werkzeug.datastructures import MultiDict

from helicone_gw_dashboard import charts, formatting
from helicone_gw_dashboard.forms import absent, entries, number, segment, text
from helicone_gw_dashboard.lens import DAY, HOUR, MINUTE
from helicone_gw_dashboard.site import Pages
from helicone_gw_dashboard.view import Trouble, View

PAGES = Pages("alerts")

SHOWN: Final = 200
"""Alerts, and events of the history."""
STEPS: Final = 24
"""Instants of a preview."""
LINES: Final = 4
"""Groups that have a line in a preview."""

METRICS: Final = {
    "response.status": "error rate",
    "count": "requests",
    "cost": "cost",
    "latency": "latency",
    "time_to_first_token": "time to first token",
    "total_tokens": "tokens",
    "prompt_tokens": "input tokens",
    "completion_tokens": "output tokens",
    "prompt_cache_read_tokens": "tokens read from prompt caches",
    "prompt_cache_write_tokens": "tokens written to prompt caches",
    "budget": "budget spent",
    "breaker": "targets that rest",
}
"""Metrics and what they are called; a score is a metric, too."""
STANDING: Final = ("budget", "breaker")
"""Metrics of now: without window, grouping and preview."""

WINDOWS: Final = (
    (5 * MINUTE, "5 minutes"),
    (15 * MINUTE, "15 minutes"),
    (HOUR, "1 hour"),
    (6 * HOUR, "6 hours"),
    (DAY, "1 day"),
    (7 * DAY, "7 days"),
    (30 * DAY, "30 days"),
)
GROUPINGS: Final = ("", "user", "model", "provider", "property")

SAYS: Final = "It watches errors, cost, latency, tokens, scores and budgets, and tells by mail, chat, pager or webhook."
YAML: Final = """plugins:
  - logging
  - alerts:
      channels:
        ops: { type: slack, url: "${SLACK_URL}" }"""


@PAGES.get("/alerts", "Alerts")
async def alerts(view: View) -> Response:
    """The rules, the history, and the builder."""
    if (missing := absent(view, "alerts", SAYS, YAML)) is not None:
        return missing
    lens = view.lens()
    channels = await view.ask("GET", "/v1/alert/channels")
    return view.render(
        "alerts.html",
        **await _listed(view),
        filter=lens.filter,
        channels=channels["channels"],
        mail=channels["email"],
        metrics=METRICS,
        windows=WINDOWS,
        groupings=GROUPINGS,
    )


@PAGES.post("/alerts", "Alerts")
async def create(view: View) -> Response:
    """Make an alert."""
    await view.ask("POST", "/v1/alert/create", json=_rule(await _form(view)))
    return view.render("_alerts.html", **await _listed(view, "The alert is made."))


@PAGES.post("/alerts/preview", "Alerts")
async def preview(view: View) -> Response:
    """What the rule of the form would have measured, and when it would have fired."""
    rule = _rule(await _form(view))
    if rule["metric"] in STANDING:
        raise Trouble(400, f"Of the metric “{METRICS[rule['metric']]}” the past is not known: there is no preview.")
    rule["name"] = rule["name"] or "preview"
    found = await view.ask("POST", "/v1/alert/preview", json={"alert": rule, "steps": STEPS})
    return view.render("_preview.html", times=found["times_triggered"], chart=_chart(rule, found["points"]))


@PAGES.post("/alerts/<id>/test", "Alerts")
async def test(view: View, id: str) -> Response:
    """Tell every receiver of an alert, now."""
    results = await view.ask("POST", f"/v1/alert/{segment(id)}/test")
    told = [
        f"{each['receiver'].partition(':')[2]}: {'delivered' if each['delivered'] else each['error']}"
        for each in results
    ]
    good = all(each["delivered"] for each in results)
    message = "; ".join(told) or "The alert has no channel."
    return view.render("_alerts.html", **await _listed(view, message, good=good and bool(told)))


@PAGES.post("/alerts/<id>/delete", "Alerts")
async def delete(view: View, id: str) -> Response:
    """Delete an alert."""
    await view.ask("DELETE", f"/v1/alert/{segment(id)}")
    return view.render("_alerts.html", **await _listed(view, "The alert is deleted."))


async def _form(view: View) -> MultiDict[str, str]:
    form = await view.form()
    assert isinstance(form, MultiDict)
    return form


def _rule(form: MultiDict[str, str]) -> dict[str, Any]:
    """What a form says, as the REST API takes it; a metric of now has no window and no conditions."""
    metric, score = text(form, "metric", 300), text(form, "score", 256)
    rule: dict[str, Any] = {
        "name": text(form, "name", 200),
        "metric": f"score:{score}" if metric == "score" else metric,
        "threshold": number(form, "threshold"),
        "comparison": text(form, "comparison", 10) or "gte",
        "channels": form.getlist("channels"),
        "emails": entries(form, "emails"),
    }
    if rule["threshold"] is None:
        raise Trouble(400, "An alert needs a threshold.")
    if metric in STANDING:
        return rule
    rule["time_window"] = text(form, "window", 20) or str(5 * MINUTE)
    if aggregation := text(form, "aggregation", 20):
        rule["aggregation"] = aggregation
        if aggregation == "percentile":
            rule["percentile"] = number(form, "percentile")
    grouping = text(form, "grouping", 20)
    if grouping:
        rule["grouping_is_property"] = grouping == "property"
        rule["grouping"] = text(form, "property", 256) if grouping == "property" else grouping
    if (least := number(form, "least")) is not None:
        rule["minimum_request_count"] = round(least) if abs(least) < 1e12 else -1
    if typed := text(form, "filter"):
        try:
            rule["filter"] = json.loads(typed)
        except (ValueError, RecursionError):
            raise Trouble(400, "The filter is not JSON.") from None
    return rule


async def _listed(view: View, done: str = "", *, good: bool = True) -> dict[str, Any]:
    found = await view.ask("GET", "/v1/alert/query")
    named = {one["id"]: one for one in found["alerts"]}
    rows = [{**one, "condition": _condition(one), "window": _window(one)} for one in found["alerts"]]
    rows.sort(key=lambda row: (row["status"] != "triggered", row["name"].lower()))
    history = sorted(found["history"], key=lambda event: event["alert_start_time"], reverse=True)[:SHOWN]
    for event in history:
        event["value"] = written(event["alert_metric"], event["triggered_value"])
        event["took"] = _took(event, view.now)
        event["known"] = event["alert_id"] in named
    return {"rows": rows[:SHOWN], "history": history, "done": done, "good": good}


def _condition(rule: Mapping[str, Any]) -> str:
    """A rule in words."""
    metric = rule["metric"]
    name = metric.removeprefix("score:") if metric.startswith("score:") else METRICS.get(metric, metric)
    how = rule["aggregation"] or ""
    how = f"p{rule['percentile']:g}" if how == "percentile" else {"avg": "mean", "sum": "total"}.get(how, how)
    sign = "≥" if rule["comparison"] == "gte" else "≤"
    return f"{how} {name} {sign} {written(metric, rule['threshold'])}".strip()


def _window(rule: Mapping[str, Any]) -> str:
    if rule["metric"] in STANDING:
        return formatting.UNKNOWN
    window = int(rule["time_window"])
    return dict(WINDOWS).get(window) or formatting.duration(window)


def written(metric: str, value: float | None) -> str:
    """A value of a metric, in its unit."""
    if value is None:
        return formatting.UNKNOWN
    if metric in ("response.status", "budget"):
        return formatting.percent(value / 100)
    if metric == "cost":
        return formatting.money(value)
    if metric in ("latency", "time_to_first_token"):
        return formatting.duration(value)
    return f"{value:.4g}" if metric.startswith("score:") else formatting.compact(value)


def _took(event: Mapping[str, Any], now: int) -> str:
    begin, end = (formatting.instant(event[name]) for name in ("alert_start_time", "alert_end_time"))
    if begin is None:
        return formatting.UNKNOWN
    return formatting.duration((now if end is None else end.timestamp() * 1000) - begin.timestamp() * 1000)


def _chart(rule: Mapping[str, Any], points: list[Mapping[str, Any]]) -> charts.Chart:
    """A line for each of the first `LINES` groups, and one for the threshold."""
    times = list(dict.fromkeys(point["at"] for point in points))
    groups: dict[str, dict[str, float | None]] = {}
    for point in points:
        groups.setdefault(point["group"] or "value", {})[point["at"]] = point["value"]
    shown = sorted(groups.items(), key=lambda group: -max((value or 0 for value in group[1].values()), default=0))
    lanes = [
        charts.lane(name, [values.get(at) for at in times], "line", (0, 2, 3, 1)[place])
        for place, (name, values) in enumerate(shown[:LINES])
    ]
    limit = charts.lane("threshold", [rule["threshold"]] * len(times), "before")
    units = {"cost": "money", "latency": "duration", "time_to_first_token": "duration", "count": "count"}
    unit = units.get(rule["metric"], "number")
    made = charts.chart(times, int(rule["time_window"]), unit, *lanes, limit)
    return {**made, "known": any(value is not None for lane in lanes for value in lane["values"])}
