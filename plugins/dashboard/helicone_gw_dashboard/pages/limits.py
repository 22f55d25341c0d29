"""Limits and budgets: what is in force, how much of it is used, whom it refused; and setting a budget."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final
from urllib.parse import quote

from pydantic import ValidationError
from quart import Response

from helicone_gw import Plugin
from helicone_gw_dashboard import charts
from helicone_gw_dashboard.asking import buckets, increment
from helicone_gw_dashboard.budgets import paced
from helicone_gw_dashboard.lens import RANGES, Lens
from helicone_gw_dashboard.listing import share
from helicone_gw_dashboard.pages.plugins import operator
from helicone_gw_dashboard.site import Pages
from helicone_gw_dashboard.view import Panel, Trouble, View

PAGES = Pages("limits")

LISTED: Final = 8
"""Users and keys that were refused most."""
MOST_BUDGETS: Final = 200
"""Accounts of budgets that are shown: those of which most is spent."""
SEGMENTS: Final = ("global", "user", "key", "owner", "model", "provider", "route")
PERIODS: Final = ("day", "week", "month", "total")
_WHOM: Final = ("keys", "users", "models", "routes", "properties")
_NAMING: Final = ("keys", "users", "properties")
"""Of these, patterns may name what is another organization's."""

YAML: Final = """plugins:
  - logging
  - cost           # prices, without which no budget can be counted
  - security
  - ratelimit:     # outside cache and router
      limits:
        - { policy: "100;w=60;s=user" }     # 100 requests a minute for each user
      budgets:
        team: { limit: 500, period: month } # dollars"""


@PAGES.get("/limits", "Limits and budgets")
async def limits(view: View) -> Response:
    """What is in force now, and what was refused in a period."""
    lens = view.lens("7d")
    instances = view.instances("ratelimit")
    report = {**buckets(view, lens), "limit": LISTED}
    questions = {"report": view.ask("POST", "/v1/metrics/rate-limit/query", json=report)}
    if instances:
        questions["budgets"] = view.ask("GET", "/v1/budgets")
    of_keys = view.gateway.keys.budgets_enforced and view.may("admin")
    if of_keys:
        questions["keys"] = view.ask("GET", "/v1/api-keys")
    panels = await view.panels(**questions)
    found = panels["report"].data
    budgets = panels.get("budgets", Panel())
    told = [paced(one, view.now) for one in budgets.data or []]
    accounts = sorted(told, key=lambda one: (-one["percent"], one["budget"], one["segment"]))
    return view.render(
        "limits.html",
        lens=lens,
        ranges=RANGES,
        there=bool(instances),
        priced=bool(view.instances("cost")),
        yaml=YAML,
        panels=panels,
        report=found,
        chart=None if found is None else _chart(found, increment(lens)[1]),
        lists=[] if found is None else [_bars(view, lens, found, name) for name in ("users", "keys")],
        budgets=budgets,
        accounts=accounts[:MOST_BUDGETS],
        burn=partial(view.url, "/limits/burn"),
        hidden=max(len(accounts) - MOST_BUDGETS, 0),
        limits=[row for instance in instances for row in _in_force(view, instance)],
        keys=[key for key in (panels["keys"].data or []) if key["state"] == "active"] if of_keys else [],
        periods=PERIODS,
        segments=SEGMENTS,
        written=None,
        done=view.args.get("done") == "budget",
    )


@PAGES.get("/limits/yaml", "Limits and budgets", role="member")
async def written(view: View) -> Response:
    """A budget as the configuration has to say it, checked by the plugin that would count it."""
    operator(view)
    asked = {name: view.args.get(name, "").strip() for name in ("limit", "period", "segment", "mode")}
    name = view.args.get("name", "").strip()
    instances = view.instances("ratelimit")
    problems = [f"A budget is named {name} already: change it where it stands."] if _taken(instances, name) else []
    if instances and not problems:
        problems = _problems(instances[0], name, asked)
    text = "plugins:\n  - ratelimit:\n      budgets:\n        " + name + ": " + _flow(asked)
    return view.render("_budget.html", problems=problems, text=text, checked=bool(instances))


@PAGES.post("/limits/key-budget", "Limits and budgets", role="admin")
async def of_key(view: View) -> Response:
    """Give a gateway key a budget, beside those that it has for other periods, or take it away."""
    form = await view.form()
    key, period, amount = form.get("key", ""), form.get("period", ""), form.get("limit", "").strip()
    if period not in PERIODS:
        raise Trouble(400, "There is no such period.")
    found = [one for one in await view.ask("GET", "/v1/api-keys") if one["id"] == key]
    if not found:
        raise Trouble(404, "There is no such key.")
    kept = [one for one in found[0]["budgets"] or [] if one.rpartition("/")[2] != period]
    budgets = [*kept, f"{amount}/{period}"] if amount else kept
    await view.ask("PATCH", f"/v1/api-keys/{quote(key, safe='')}", json={"budgets": budgets})
    return view.go(view.url("/limits", done="budget"))


def _taken(instances: Sequence[Plugin], name: str) -> bool:
    return any(name in getattr(each.config, "budgets", {}) for each in instances)


def _problems(instance: Plugin, name: str, asked: Mapping[str, str]) -> list[str]:
    """What the plugin's own configuration says is wrong with such a budget."""
    try:
        type(instance).Config.model_validate({"budgets": {name: dict(asked)}})
    except ValidationError as refused:
        return [
            f"{'.'.join(str(part) for part in each['loc'][2:] if part != '[key]') or 'name'}: {each['msg']}"
            for each in refused.errors(include_input=False, include_url=False, include_context=False)
        ]
    return []


def _flow(asked: Mapping[str, str]) -> str:
    usual = {"segment": "global", "mode": "hard"}
    said = [f"{key}: {value}" for key, value in asked.items() if value and value != usual.get(key)]
    return "{ " + ", ".join(said) + " }"


def _in_force(view: View, instance: Plugin) -> Iterator[dict[str, Any]]:
    """The limits of one instance of the plugin, as its configuration has them, and what they decided so far."""
    decided: dict[tuple[str, str], float] = {}
    if view.operates:
        for each in instance.measurements():
            if each.name == "ratelimit_decisions":
                decided[each.labels["limit"], each.labels["what"]] = each.value
    policies = getattr(instance.config, "policies", {})
    for limit in getattr(instance.config, "limits", ()):
        said = limit.model_dump(mode="json", exclude_none=True)
        if not view.operates and any(said.get(word) for word in _NAMING):
            continue
        name = said.get("name") or ""
        policy = said.get("policy", "")
        yield {
            "name": name,
            "says": _policy(policies.get(policy, policy)) if policy else f"{said['concurrency']} under way at once",
            "text": policies.get(policy, policy) or "",
            "by": _segment(policies.get(policy, policy)) if policy else said.get("segment", "global"),
            "whom": "; ".join(f"{word}: {_patterns(said[word])}" for word in _WHOM if said.get(word)) or "all",
            "queue": bool(said.get("queue")),
            "admitted": decided.get((name, "admitted"), 0) if name and view.operates else None,
            "refused": decided.get((name, "refused"), 0) if name and view.operates else None,
        }


def _patterns(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={_patterns(patterns)}" for key, patterns in value.items())
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _policy(text: str) -> str:
    """A policy in words.

    >>> _policy("100;w=60;s=user"), _policy("2000000;w=3600;u=tokens")
    ('100 requests per minute', '2,000,000 tokens per hour')
    """
    quota, *parts = text.lower().split(";")
    said = dict(part.split("=", 1) for part in parts if "=" in part)
    unit = {"request": "requests"}.get(said.get("u", "request"), said.get("u", ""))
    seconds = int(said.get("w", "0"))
    usual = {60: "minute", 3600: "hour", 86_400: "day", 604_800: "week"}
    number = f"{float(quota):,.10g}" if float(quota) < 1e10 else quota
    return f"{number} {unit} per {usual.get(seconds, f'{seconds:,} s')}"


def _segment(text: str) -> str:
    return text.lower().partition(";s=")[2] or "global"


def _chart(report: Mapping[str, Any], bucket: int) -> charts.Chart:
    each = report["buckets"]
    refused = charts.lane("refused", [one["rate_limited"] for one in each], "bars", 1)
    return charts.chart([one["at"] for one in each], bucket, "count", refused)


def _bars(view: View, lens: Lens, report: Mapping[str, Any], name: str) -> dict[str, Any]:
    rows = [one for one in report[name] if one["value"] is not None]
    largest = max((one["rate_limited"] for one in rows), default=0)
    column = {"users": "user_id", "keys": "key_name"}[name]
    return {
        "title": f"{name.capitalize()} refused most",
        "rows": [
            {
                "name": str(one["value"]),
                "href": view.url("/requests", **lens.plus(column, "equals", one["value"])),
                "share": share(one["rate_limited"], largest),
                "figures": [f"{one['rate_limited']:,}"],
            }
            for one in rows
        ],
    }
