"""Comparing: what the log says of a prompt's versions, asked over its own REST API on the caller's behalf."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from helicone_gw import Unavailable
from helicone_gw_prompts.expansion import PROMPT_VERSION
from helicone_gw_prompts.reading import Version

if TYPE_CHECKING:
    from collections.abc import Callable

    from helicone_gw import Gateway, GatewayKey

_SQL: Final = "/v1/helicone-sql/execute"
_NANO: Final = 1_000_000_000
_LONGEST_ID: Final = 200

# SQLite reads tables in the order of CROSS JOIN: first the few requests that have a version, which an index finds.
_FIGURES = """
WITH used AS (
  SELECT p.value AS version, r.seq AS seq, r.outcome AS outcome, r.cost_nano_usd AS cost, r.latency AS latency,
    r.time_to_first_token AS first, r.prompt_tokens AS asked, r.completion_tokens AS answered,
    cume_dist() OVER (PARTITION BY p.value, CASE WHEN r.latency IS NULL THEN 1 ELSE 0 END ORDER BY r.latency) AS share
  FROM properties p CROSS JOIN requests r
  WHERE p.key_lower = {key} AND r.seq = p.seq AND r.prompt_id = {prompt}{span}
)
SELECT version, count(*) AS requests, sum(CASE WHEN outcome = 'ok' THEN 0 ELSE 1 END) AS errors,
  sum(cost) AS cost, sum(CASE WHEN cost IS NULL THEN 1 ELSE 0 END) AS unknown_costs,
  sum(latency) AS latency, count(latency) AS latencies,
  min(CASE WHEN share >= 0.5 THEN latency END) AS latency_p50,
  min(CASE WHEN share >= 0.95 THEN latency END) AS latency_p95,
  sum(first) AS first, count(first) AS firsts, sum(asked) AS asked, sum(answered) AS answered
FROM used GROUP BY version
"""
_SCORES = """
SELECT p.value AS version, s.name AS name, count(*) AS requests, sum(s.value * 1.0) AS total
FROM properties p CROSS JOIN requests r CROSS JOIN scores s
WHERE p.key_lower = {key} AND r.seq = p.seq AND r.prompt_id = {prompt}{span} AND s.seq = r.seq GROUP BY p.value, s.name
"""
_INPUTS = """
SELECT CAST(annotations AS varchar) AS annotations FROM requests
WHERE request_id = {request} AND prompt_id = {prompt} ORDER BY received_at DESC LIMIT 1
"""


class Comparing:
    """Asks the log. Raises `Unavailable` where there is none, or it gives no answer."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def compare(
        self,
        key: GatewayKey | None,
        prompt_id: str,
        versions: Sequence[Version],
        since: int | None,
        until: int | None,
    ) -> list[dict[str, Any]]:
        """Each of ``versions`` with what its requests came to between ``since`` and ``until`` (epoch milliseconds).

        Costs are dollars, times milliseconds; what no request tells is ``None``. ``costs_unknown`` requests are not in
        ``cost``.
        """
        span = "" if since is None else f" AND r.received_at >= {since}"
        span += "" if until is None else f" AND r.received_at < {until}"
        names = {"key": _literal(PROMPT_VERSION.lower()), "prompt": _literal(prompt_id), "span": span}
        figures = {row["version"]: row for row in await self._rows(key, _FIGURES.format(**names))}
        scores: dict[str, dict[str, Any]] = {}
        for row in await self._rows(key, _SCORES.format(**names)):
            mean = row["total"] / row["requests"]
            scores.setdefault(row["version"], {})[row["name"]] = {"mean": mean, "requests": row["requests"]}
        return [
            {
                "id": version.id,
                "major_version": version.major_version,
                "minor_version": version.minor_version,
                "environments": version.environments,
                **_told(figures.get(f"{prompt_id}@{version.number}", {})),
                "scores": scores.get(f"{prompt_id}@{version.number}", {}),
            }
            for version in versions
        ]

    async def inputs(
        self, key: GatewayKey | None, prompt_id: str, version_id: str, request_id: str
    ) -> dict[str, Any] | None:
        """The inputs with which a request used that version; ``None`` where the log has none of such a request."""
        if not 0 < len(request_id) <= _LONGEST_ID:
            return None
        statement = _INPUTS.format(request=_literal(request_id), prompt=_literal(prompt_id))
        for row in await self._rows(key, statement):
            notes = msgspec.json.decode(row["annotations"] or "{}")
            if notes.get("prompts.version_id") == version_id and isinstance(notes.get("prompts.inputs"), dict):
                found: dict[str, Any] = notes["prompts.inputs"]
                return found
        return None

    async def _rows(self, key: GatewayKey | None, statement: str) -> list[dict[str, Any]]:
        answer = await self._gateway.pages.ask("POST", _SQL, caller=key, json={"sql": statement})
        if answer.status_code != 200:
            raise Unavailable("The log has no answer; is the plugin `logging` there?", code="log_unavailable")
        rows: list[dict[str, Any]] = answer.json()["data"]["rows"]
        return rows


def _told(row: dict[str, Any]) -> dict[str, Any]:
    requests = row.get("requests") or 0
    unknown = row.get("unknown_costs") or 0
    known: Callable[[str, str], float | None] = lambda total, of: row[total] / row[of] if row.get(of) else None  # noqa: E731
    return {
        "requests": requests,
        "errors": row.get("errors") or 0,
        "cost": None if requests == unknown else row["cost"] / _NANO,
        "costs_unknown": unknown,
        "cost_mean": None if requests == unknown else row["cost"] / _NANO / (requests - unknown),
        "latency_mean": known("latency", "latencies"),
        "latency_p50": row.get("latency_p50"),
        "latency_p95": row.get("latency_p95"),
        "time_to_first_token_mean": known("first", "firsts"),
        "prompt_tokens": row.get("asked"),
        "completion_tokens": row.get("answered"),
    }


def _literal(value: str) -> str:
    """``value`` as SQL writes it; the statement is the caller's own, over the caller's own rows."""
    return "'" + value.replace("\0", "").replace("'", "''") + "'"
