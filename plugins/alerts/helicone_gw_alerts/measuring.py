"""Measuring: what an alert's metric comes to, for each of its groups, at any time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct
from msgspec.structs import replace

from helicone_gw_alerts.log import KNOWN, Log, iso, narrowed
from helicone_gw_alerts.rules import SCORE, STANDING, TOKENS, Rule

if TYPE_CHECKING:
    from helicone_gw import Health

MAX_GROUPS: Final = 100
"""Groups of an alert that are looked at: those with most of what is measured. The log tells no more apart."""

_IN_HISTOGRAMS: Final = frozenset({"latency", "time_to_first_token", "total_tokens"})
_SHOWN: Final = {"latency": "delay_ms", "cost": "costUSD"}
"""Metrics that a row of the log calls otherwise."""
_MEASURES: Final = {
    "response.status": "error_rate",
    "count": "requests",
    "cost": "cost",
    "latency": "latency",
    "time_to_first_token": "time_to_first_token",
    "total_tokens": "total_tokens",
    "prompt_tokens": "prompt_tokens",
    "completion_tokens": "completion_tokens",
}
_COLUMNS: Final = {"user": "user_id", "model": "model", "provider": "provider"}


class Sample(Struct, frozen=True):
    """What was measured: ``value`` is ``None`` where there are ``requests`` and it is not known of them.

    ``requests`` is ``None`` for what is not about requests.
    """

    value: float | None
    requests: int | None = None


class Measuring:
    """Measures. ``health`` is what this process knows of targets."""

    def __init__(self, log: Log, health: Health) -> None:
        self._log = log
        self._health = health

    async def measure(self, rule: Rule, organization: str, now: float) -> dict[str, Sample]:
        """The samples of ``rule`` at ``now`` (epoch seconds), by group ("": it has none); none without requests.

        Raises `LogUnavailable`, and `Refusal` for what the log cannot be asked.
        """
        if rule.metric == "budget":
            return await self._budgets(organization)
        if rule.metric == "breaker":
            return {target: Sample(1.0) for target in self._health.states()}
        end = round(now * 1000)
        span = {"start": iso(end - rule.window), "end": iso(end)}
        if rule.metric.startswith(SCORE):
            scored = narrowed(rule.asked, ("scores", rule.metric.removeprefix(SCORE), "gte", KNOWN))
            rule = replace(rule, filter=scored)
        groups = await self._groups(rule, organization, span)
        if rule.metric.startswith(SCORE) and rule.aggregated == "avg":
            return {
                group: Sample(await self._average_score(rule, organization, span, group), sums["requests"])
                for group, sums in groups.items()
            }
        if rule.aggregated not in ("min", "max", "percentile"):
            return {group: Sample(_value(rule, sums), sums["requests"]) for group, sums in groups.items()}
        if rule.aggregated == "percentile" and rule.metric in _IN_HISTOGRAMS:
            return await self._percentiles(rule, organization, span, groups)
        return {
            group: Sample(await self._ranked(rule, organization, span, group), sums["requests"])
            for group, sums in groups.items()
        }

    async def windows(self, rule: Rule, organization: str, end: float, number: int) -> list[dict[str, Sample]] | None:
        """What `measure` finds in each of ``number`` windows back to back, the last of which ends at ``end`` (epoch
        seconds), by one question; ``None`` where one does not tell: of scores, of what is ranked, of very many groups.

        Raises as `measure`.
        """
        ranked = rule.aggregated in ("min", "max") or (
            rule.aggregated == "percentile" and rule.metric not in _IN_HISTOGRAMS
        )
        if rule.metric in STANDING or rule.metric.startswith(SCORE) or ranked:
            return None
        last = round(end * 1000)
        body = {
            "timeFilter": {"start": iso(last - number * rule.window), "end": iso(last)},
            "userFilter": rule.asked,
            "bucketMilliseconds": rule.window,
            **_by(rule),
            "limit": MAX_GROUPS,
        }
        told = await self._log.post(organization, "/v1/metrics/series/query", body)
        lanes = {"": told} if rule.grouping is None else {each["value"]: each for each in told["groups"]}
        if len(lanes) >= MAX_GROUPS or not told["complete"]:
            return None
        values: dict[str | None, list[float | None]] | None = None
        if rule.aggregated == "percentile":
            body |= {"metric": rule.metric, "percentiles": [rule.percentile]}
            spread = await self._log.post(organization, "/v1/metrics/percentiles/query", body)
            apart = {"": spread} if rule.grouping is None else {each["value"]: each for each in spread["groups"]}
            values = {
                value: [next(iter(bucket["values"].values())) for bucket in each["buckets"]]
                for value, each in apart.items()
            }
        found: list[dict[str, Sample]] = [{} for _ in range(number)]
        for value, lane in lanes.items():
            if value is None:
                continue
            for index, sums in enumerate(lane["buckets"]):
                if not sums["requests"] and not (rule.grouping is None and rule.metric == "count"):
                    continue
                measured = _value(rule, sums) if values is None else values[value][index] if value in values else None
                found[index][str(value)] = Sample(measured, sums["requests"])
        return found

    async def _groups(self, rule: Rule, organization: str, span: Mapping[str, str]) -> dict[str, Mapping[str, Any]]:
        """What the requests of each group come to; those of no group are left out."""
        body = {"timeFilter": span, "userFilter": rule.asked}
        if rule.grouping is None:
            told = await self._log.post(organization, "/v1/metrics/series/query", {**body, "dbIncrement": "year"})
            # No requests are nothing to average, but they can be counted.
            return {"": told["totals"]} if told["totals"]["requests"] or rule.metric == "count" else {}
        body |= {**_by(rule), "limit": MAX_GROUPS, "sort": _MEASURES.get(rule.metric, "requests")}
        told = await self._log.post(organization, "/v1/metrics/top/query", body)
        return {str(each["value"]): each for each in told["values"] if each["value"] is not None}

    async def _percentiles(
        self, rule: Rule, organization: str, span: Mapping[str, str], groups: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, Sample]:
        body = {
            "timeFilter": span,
            "userFilter": rule.asked,
            "metric": rule.metric,
            "percentiles": [rule.percentile],
            **_by(rule),
            "limit": MAX_GROUPS,
        }
        told = await self._log.post(organization, "/v1/metrics/percentiles/query", body)
        found = {"": told} if rule.grouping is None else {str(each["value"]): each for each in told["groups"] or ()}
        return {
            group: Sample(next(iter(found[group]["values"].values())) if group in found else None, sums["requests"])
            for group, sums in groups.items()
        }

    async def _ranked(self, rule: Rule, organization: str, span: Mapping[str, str], group: str) -> float | None:
        """The smallest, the largest, or the one of a rank, of all values: exactly."""
        score = rule.metric.removeprefix(SCORE) if rule.metric.startswith(SCORE) else None
        column, key = ("scores", score) if score is not None else (rule.metric, None)
        conditions: list[tuple[str, str | None, str, Any]] = [
            ("request_created_at", None, "gte", span["start"]),
            ("request_created_at", None, "lt", span["end"]),
            (column, key, "gte", KNOWN),
        ]
        asked = narrowed(rule.asked, *conditions, *_of_group(rule, group))
        offset = 0
        if rule.aggregated == "percentile":
            known = await self._log.post(organization, "/v1/request/count/query", {"filter": asked})
            offset = max(0, math.ceil((rule.percentile or 100.0) / 100 * known) - 1)
        direction = "desc" if rule.aggregated == "max" else "asc"
        sort = {"scores": {score: direction}} if score is not None else {rule.metric: direction}
        body = {"filter": asked, "sort": sort, "limit": 1, "offset": offset}
        rows = await self._log.post(organization, "/v1/request/query-clickhouse", body)
        if not rows:
            return None
        value = rows[0]["scores"].get(score) if score is not None else rows[0][_SHOWN.get(rule.metric, rule.metric)]
        return None if value is None else float(value)

    async def _average_score(self, rule: Rule, organization: str, span: Mapping[str, str], group: str) -> float | None:
        """The average over all requests of a group that have the score."""
        score = rule.metric.removeprefix(SCORE)
        asked = narrowed(rule.asked, *_of_group(rule, group))
        body = {"timeFilter": span, "userFilter": asked, "dbIncrement": "year"}
        found = await self._log.post(organization, "/v1/dashboard/scores/query", body)
        averages = [each for each in found if each["score_key"] == score]
        if len(averages) == 1:
            return float(averages[0]["score_sum"])
        total, count = 0.0, 0
        for number, each in enumerate(averages):  # two where the window has a new year in it
            end = averages[number + 1]["created_at_trunc"] if number + 1 < len(averages) else span["end"]
            start = max(each["created_at_trunc"], span["start"]) if number else span["start"]
            within = narrowed(
                asked, ("request_created_at", None, "gte", start), ("request_created_at", None, "lt", end)
            )
            requests = await self._log.post(organization, "/v1/request/count/query", {"filter": within})
            total, count = total + each["score_sum"] * requests, count + requests
        return total / count if count else None

    async def _budgets(self, organization: str) -> dict[str, Sample]:
        told = await self._log.everybody("/v1/budgets")
        return {
            f"{each['budget']} {each['segment']}"[:500]: Sample(float(each["percent"]))
            for each in told
            if each["organization"] == organization
        }


def _by(rule: Rule) -> dict[str, Any]:
    if rule.grouping is None:
        return {}
    if rule.grouping_is_property:
        return {"by": "property", "propertyKey": rule.grouping}
    return {"by": rule.grouping}


def _of_group(rule: Rule, group: str) -> list[tuple[str, str | None, str, Any]]:
    """The condition that tells the requests of ``group`` from others; none where the rule has no groups."""
    if rule.grouping is None:
        return []
    if rule.grouping_is_property:
        return [("properties", rule.grouping, "equals", group)]
    return [(_COLUMNS[rule.grouping], None, "equals", group)]


def _value(rule: Rule, sums: Mapping[str, Any]) -> float | None:
    """The sum or average of `Amounts` of the log."""
    requests = sums["requests"]
    if rule.metric == "count":
        return float(requests)
    if rule.metric == "response.status":
        return None if sums["error_rate"] is None else sums["error_rate"] * 100
    total = sums[rule.metric]
    if rule.metric in TOKENS or rule.metric == "cost":
        known = requests - sums["unknown_costs" if rule.metric == "cost" else "unknown_tokens"]
        if not known or total is None:
            return None
        return float(total / known if rule.aggregated == "avg" else total)
    return None if total is None else float(total)
