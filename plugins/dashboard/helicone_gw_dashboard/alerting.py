"""Alerting: a rule of ``alerts`` in words, as the fields of a form, and read back from a form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from werkzeug.datastructures import MultiDict

from helicone_gw_dashboard import formatting
from helicone_gw_dashboard.forms import entries, number, text
from helicone_gw_dashboard.lens import DAY, HOUR, MINUTE
from helicone_gw_dashboard.trouble import Trouble

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

USUAL: Final[Mapping[str, Any]] = {
    "name": "",
    "metric": "response.status",
    "score": "",
    "threshold": "",
    "comparison": "gte",
    "aggregation": "",
    "percentile": "95",
    "window": str(5 * MINUTE),
    "grouping": "",
    "property": "",
    "least": "",
    "filter": "",
    "channels": (),
    "emails": "",
}
"""What stands in the fields of a new rule."""


def read(form: MultiDict[str, str]) -> dict[str, Any]:
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


def typed(rule: Mapping[str, Any]) -> dict[str, Any]:
    """What stands in the fields of a rule that is changed: the form says the same again where nobody types."""
    metric, grouping = rule["metric"], rule["grouping"] or ""
    own = bool(grouping and rule["grouping_is_property"])
    score = metric.startswith("score:")
    filtered = rule["filter"] not in (None, "all", {})
    return {
        "name": rule["name"],
        "metric": "score" if score else metric,
        "score": metric.removeprefix("score:") if score else "",
        "threshold": f"{rule['threshold']:.15g}",
        "comparison": rule["comparison"],
        "aggregation": rule["aggregation"] or "",
        "percentile": "95" if rule["percentile"] is None else f"{rule['percentile']:.15g}",
        "window": rule["time_window"],
        "grouping": "property" if own else grouping,
        "property": grouping if own else "",
        "least": rule["minimum_request_count"],
        "filter": json.dumps(rule["filter"], ensure_ascii=False) if filtered else "",
        "channels": [*rule["channels"], *(name.removeprefix("#") for name in rule["slack_channels"])],
        "emails": ", ".join(rule["emails"]),
    }


def condition(rule: Mapping[str, Any]) -> str:
    """A rule in words."""
    metric = rule["metric"]
    name = metric.removeprefix("score:") if metric.startswith("score:") else METRICS.get(metric, metric)
    how = rule["aggregation"] or ""
    how = f"p{rule['percentile']:g}" if how == "percentile" else {"avg": "mean", "sum": "total"}.get(how, how)
    sign = "≥" if rule["comparison"] == "gte" else "≤"
    return f"{how} {name} {sign} {written(metric, rule['threshold'])}".strip()


def window(rule: Mapping[str, Any]) -> str:
    """Its window in words; a metric of now has none."""
    if rule["metric"] in STANDING:
        return formatting.UNKNOWN
    return titled(int(rule["time_window"]))


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


def titled(window: int) -> str:
    """How long a window is (milliseconds), in words."""
    return dict(WINDOWS).get(window) or formatting.duration(window)
