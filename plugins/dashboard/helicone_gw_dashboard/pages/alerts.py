"""Alerts: the rules, what fired, and a builder that shows when a rule would have fired."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from quart import Response
from werkzeug.datastructures import MultiDict

from helicone_gw_dashboard import charts, formatting
from helicone_gw_dashboard.alerting import (
    GROUPINGS,
    METRICS,
    STANDING,
    USUAL,
    WINDOWS,
    condition,
    read,
    titled,
    typed,
    window,
    written,
)
from helicone_gw_dashboard.forms import absent, segment
from helicone_gw_dashboard.site import Pages
from helicone_gw_dashboard.view import Trouble, View

PAGES = Pages("alerts")

SHOWN: Final = 200
"""Alerts, and events of the history."""
STEPS: Final = 24
"""Instants of a preview."""
LINES: Final = 4
"""Groups that have a line in a preview."""

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
    fields = await _fields(view, {"filter": view.lens().filter})
    return view.render("alerts.html", **await _listed(view), fields=fields)


@PAGES.get("/alerts/<id>", "Alert", role="member")
async def alert(view: View, id: str) -> Response:
    """One rule, to be changed."""
    return view.render("alert.html", **await _one(view, id))


@PAGES.post("/alerts/<id>", "Alert")
async def change(view: View, id: str) -> Response:
    """Change a rule."""
    await view.ask("PUT", f"/v1/alert/{segment(id)}", json=read(await _form(view)))
    return view.render("_alert.html", **await _one(view, id, "Saved."))


@PAGES.post("/alerts", "Alerts")
async def create(view: View) -> Response:
    """Make an alert."""
    await view.ask("POST", "/v1/alert/create", json=read(await _form(view)))
    return view.render("_alerts.html", **await _listed(view, "The alert is made."))


@PAGES.post("/alerts/preview", "Alerts")
async def preview(view: View) -> Response:
    """What the rule of the form would have measured, and when it would have fired."""
    rule = read(await _form(view))
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


async def _one(view: View, id: str, done: str = "") -> dict[str, Any]:
    """An alert and the form that changes it. Raises `Trouble` for none, and for one of the configuration."""
    known = {one["id"]: one for one in (await view.ask("GET", "/v1/alert/query"))["alerts"]}
    if id not in known:
        raise Trouble(404, "There is no such alert.")
    if known[id]["configured"]:
        raise Trouble(400, "That alert is one of the configuration, which alone changes it.")
    return {"alert": known[id], "fields": await _fields(view, typed(known[id])), "done": done}


async def _fields(view: View, rule: Mapping[str, Any]) -> dict[str, Any]:
    """What the fields of a form are, and what stands in them; what ``rule`` does not say is as usual."""
    found = await view.ask("GET", "/v1/alert/channels")
    chosen = {**USUAL, **rule}
    windows = sorted({*(length for length, _ in WINDOWS), int(chosen["window"])})
    return {
        "rule": chosen,
        "metrics": [*METRICS.items(), ("score", "a score")],
        "windows": [(str(length), titled(length)) for length in windows],
        "groupings": [(value, value or "all requests together") for value in GROUPINGS],
        "channels": found["channels"],
        "mail": found["email"],
    }


async def _listed(view: View, done: str = "", *, good: bool = True) -> dict[str, Any]:
    found = await view.ask("GET", "/v1/alert/query")
    named = {one["id"]: one for one in found["alerts"]}
    rows = [{**one, "condition": condition(one), "window": window(one)} for one in found["alerts"]]
    rows.sort(key=lambda row: (row["status"] != "triggered", row["name"].lower()))
    history = sorted(found["history"], key=lambda event: event["alert_start_time"], reverse=True)[:SHOWN]
    for event in history:
        event["value"] = written(event["alert_metric"], event["triggered_value"])
        event["took"] = _took(event, view.now)
        event["known"] = event["alert_id"] in named
    return {"rows": rows[:SHOWN], "history": history, "done": done, "good": good}


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
