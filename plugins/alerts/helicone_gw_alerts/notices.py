"""Notices: what an alert has to say, as data, as text, and as each service wants it. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from helicone_gw_alerts.rules import SCORE, Rule

_UNITS: Final = {
    "response.status": "% errors",
    "cost": " USD",
    "latency": " ms",
    "time_to_first_token": " ms",
    "budget": "% of the budget",
    "count": " requests",
}
_COLOURS: Final = {"triggered": 0xD92D20, "resolved": 0x079455, "test": 0x475467}
_SEVERITIES: Final = {"triggered": "trigger", "resolved": "resolve"}


def notice(
    event: str,
    *,
    id: str,
    alert_id: str,
    organization: str,
    rule: Rule,
    group: str,
    value: float | None,
    requests: int | None,
    started_at: float,
    ended_at: float | None,
) -> dict[str, Any]:
    """What is told of an alert; ``event`` is "triggered", "resolved" or "test". Times are epoch seconds."""
    return {
        "event": event,
        "id": id,
        "organization": organization,
        "alert": {
            "id": alert_id,
            "name": rule.name,
            "metric": rule.metric,
            "aggregation": rule.aggregated,
            "percentile": rule.percentile if rule.aggregated == "percentile" else None,
            "comparison": rule.comparison,
            "threshold": rule.threshold,
            "time_window": rule.window,
            "grouping": rule.grouping,
        },
        "group": group or None,
        "value": value,
        "requests": requests,
        "started_at": _moment(started_at),
        "ended_at": None if ended_at is None else _moment(ended_at),
    }


def subject(notice: Mapping[str, Any]) -> str:
    """One line."""
    group = f" ({notice['group']})" if notice["group"] else ""
    return _line(f"[{notice['event']}] {notice['alert']['name']}{group}", 200)


def text(notice: Mapping[str, Any]) -> str:
    """A few lines for people."""
    alert = notice["alert"]
    unit = "" if alert["metric"].startswith(SCORE) else _UNITS.get(alert["metric"], "")
    sign = "at or above" if alert["comparison"] == "gte" else "at or below"
    how = alert["aggregation"] or ""
    if how == "percentile":
        how = f"p{alert['percentile']:g}"
    measured = _line(f"{how} {alert['metric']}", 300)
    lines = [
        f"{notice['event'].capitalize()}: {_line(alert['name'], 200)}",
        f"Metric: {measured}",
        f"Value: {_number(notice['value'])}{unit}; it fires {sign} {_number(alert['threshold'])}{unit}",
    ]
    if notice["group"]:
        lines.append(f"Of: {_line(notice['group'], 300)}")
    if notice["requests"] is not None:
        lines.append(f"Requests: {notice['requests']} in {alert['time_window'] / 1000:g} s")
    lines.append(f"Since: {notice['started_at']}")
    if notice["ended_at"]:
        lines.append(f"Until: {notice['ended_at']}")
    return "\n".join(lines)


def slack(notice: Mapping[str, Any]) -> dict[str, Any]:
    """An incoming webhook's message. Source: Slack's "Sending messages using incoming webhooks"."""
    words = _escaped(text(notice))
    return {"text": words, "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": words[:3000]}}]}


def discord(notice: Mapping[str, Any]) -> dict[str, Any]:
    """A webhook's message, which mentions nobody. Source: Discord's "Execute Webhook"."""
    embed = {"title": subject(notice)[:256], "description": text(notice)[:4096], "color": _COLOURS[notice["event"]]}
    return {"embeds": [embed], "allowed_mentions": {"parse": []}}


def pagerduty(notice: Mapping[str, Any], routing_key: str, severity: str) -> dict[str, Any]:
    """An event of the Events API v2, whose ``dedup_key`` makes one incident of firing and resolving.

    A test is resolved at once: nobody is to be woken by it.
    """
    return {
        "routing_key": routing_key,
        "event_action": _SEVERITIES.get(notice["event"], "resolve"),
        "dedup_key": f"helicone-gw:{notice['id']}",
        "payload": {
            "summary": subject(notice)[:1024],
            "source": "helicone-gw",
            "severity": severity,
            "timestamp": notice["started_at"],
            "custom_details": dict(notice),
        },
    }


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.6g}"


def _line(words: str, longest: int) -> str:
    """``words`` on one line: names are what users typed, and must not become headers of mail."""
    return " ".join("".join(each if each.isprintable() else " " for each in words).split())[:longest]


def _escaped(words: str) -> str:
    """As Slack wants texts, so that nothing in them becomes a link or a mention."""
    return words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
