"""Evaluations: scores over time, and the evaluators that give them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from quart import Response

from helicone_gw_dashboard import charts
from helicone_gw_dashboard.asking import buckets, increment
from helicone_gw_dashboard.formatting import instant, iso
from helicone_gw_dashboard.forms import number, segment, text
from helicone_gw_dashboard.lens import RANGES, Lens
from helicone_gw_dashboard.listing import share
from helicone_gw_dashboard.site import Pages
from helicone_gw_dashboard.view import Trouble, View

PAGES = Pages("evaluations")

API: Final = "/v1/evaluator"
CHARTS: Final = 12
"""Scores that have a chart."""
SHOWN: Final = 200
"""Evaluators of the list."""

TYPES: Final = {
    "regex": "regular expression",
    "json-schema": "JSON schema",
    "python": "Python function",
    "LLM-BOOLEAN": "model: true or false",
    "LLM-RANGE": "model: a number",
    "LLM-CHOICE": "model: a choice",
}
JUDGED: Final = ("LLM-BOOLEAN", "LLM-RANGE", "LLM-CHOICE")

SAYS: Final = "It gives new requests scores: by an expression, a schema, a function, or the opinion of a model."
YAML: Final = """plugins:
  - logging
  - alerts: {}"""


@PAGES.get("/evaluations", "Evaluations")
async def evaluations(view: View) -> Response:
    """Means of scores over time, and the evaluators."""
    lens = view.lens("7d")
    there = bool(view.instances("alerts"))
    scores = view.ask("POST", "/v1/dashboard/scores/query", json=buckets(view, lens))
    panels = await view.panels(scores=scores)
    found = panels["scores"].data or []
    return view.render(
        "evaluations.html",
        lens=lens,
        ranges=RANGES,
        panels=panels,
        charts=_charts(found, lens),
        there=there,
        says=SAYS,
        yaml=YAML,
        types=TYPES,
        rows=await _listed(view) if there else [],
    )


@PAGES.post("/evaluations", "Evaluations")
async def create(view: View) -> Response:
    """Make an evaluator; it works once it is begun."""
    form = await view.form()
    kind, template = text(form, "type", 50), text(form, "template", 65_536)
    wanted: dict[str, Any] = {"name": text(form, "name", 100), "scoring_type": kind}
    wanted["llm_template" if kind in JUDGED else "code_template"] = template
    made = await view.ask("POST", API, json=wanted)
    if (rate := number(form, "rate")) is not None and rate > 0:
        await view.ask("POST", f"{API}/{segment(made['id'])}/onlineEvaluators", json={"config": {"sampleRate": rate}})
    return view.go(view.url("/evaluations"))


@PAGES.get("/evaluations/<id>", "Evaluator")
async def evaluator(view: View, id: str) -> Response:
    """One evaluator: what it asks, where it works, what it said."""
    return view.render("_evaluator.html" if view.partial else "evaluator.html", **await _one(view, id))


@PAGES.post("/evaluations/<id>/begin", "Evaluator")
async def begin(view: View, id: str) -> Response:
    """Let it work on a share of the requests from now on."""
    rate = number(await view.form(), "rate")
    if rate is None:
        raise Trouble(400, "A share of the requests, in per cent, is needed.")
    await view.ask("POST", f"{API}/{segment(id)}/onlineEvaluators", json={"config": {"sampleRate": rate}})
    return view.render("_evaluator.html", **await _one(view, id, done="It works on new requests."))


@PAGES.post("/evaluations/<id>/stop/<online>", "Evaluator")
async def stop(view: View, id: str, online: str) -> Response:
    """Let it work no longer."""
    await view.ask("DELETE", f"{API}/{segment(id)}/onlineEvaluators/{segment(online)}")
    return view.render("_evaluator.html", **await _one(view, id, done="It is stopped."))


@PAGES.post("/evaluations/<id>/try", "Evaluator")
async def trial(view: View, id: str) -> Response:
    """What it says of one logged request; nothing is kept."""
    found = await view.ask("GET", f"{API}/{segment(id)}")
    kept = {name: found[name] for name in ("name", "scoring_type", "llm_template", "code_template")}
    request = text(await view.form(), "request", 200)
    kind = "llm" if found["scoring_type"] in JUDGED else "python"
    answer = await view.ask("POST", f"{API}/{kind}/test", json={"evaluator": kept, "request_id": request})
    return view.render("_evaluator.html", **await _one(view, id, done=f"Score: {answer['score']}"))


@PAGES.post("/evaluations/<id>/delete", "Evaluator")
async def delete(view: View, id: str) -> Response:
    """Delete it; the scores that it gave stay."""
    await view.ask("DELETE", f"{API}/{segment(id)}")
    return view.go(view.url("/evaluations"))


async def _listed(view: View) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (await view.ask("POST", f"{API}/query", json={}))[:SHOWN]
    for row in rows:
        row["type"] = TYPES.get(row["scoring_type"], row["scoring_type"])
    return sorted(rows, key=lambda row: str(row["name"]).lower())


async def _one(view: View, id: str, *, done: str = "") -> Mapping[str, Any]:
    found = await view.ask("GET", f"{API}/{segment(id)}")
    panels = await view.panels(
        online=view.ask("GET", f"{API}/{segment(id)}/onlineEvaluators"),
        stats=view.ask("GET", f"{API}/{segment(id)}/stats"),
    )
    view.title = found["name"]
    stats = panels["stats"].data
    spread = stats["scoreDistribution"] if stats else []
    largest = max((one["count"] for one in spread), default=0)
    return {
        "one": found,
        "type": TYPES.get(found["scoring_type"], found["scoring_type"]),
        "asks": found["llm_template"] if found["scoring_type"] in JUDGED else found["code_template"],
        "panels": panels,
        "stats": stats,
        "spread": [(one["range"], one["count"], share(one["count"], largest)) for one in spread[:20]],
        "done": done,
    }


def _charts(found: list[Mapping[str, Any]], lens: Lens) -> list[tuple[str, charts.Chart]]:
    """A chart for each score, over the whole period: the mean of each bucket that has one."""
    bucket = increment(lens)[1]
    ends = (iso(lens.start), iso(max(lens.start, lens.until - bucket)))
    known = {instant(text): text for text in (*ends, *(one["created_at_trunc"] for one in found))}
    times = sorted((at, text) for at, text in known.items() if at is not None)
    scores: dict[str, dict[str, float]] = {}
    for one in found:
        scores.setdefault(one["score_key"], {})[one["created_at_trunc"]] = one["score_sum"]
    made = []
    for name, values in sorted(scores.items())[:CHARTS]:
        lane = charts.lane("mean", [values.get(at) for _, at in times], "line", 0)
        drawn = charts.chart([at for _, at in times], bucket, "number", lane)
        made.append((name, {**drawn, "known": True}))
    return made
