"""Rules: what an alert is, and which alerts make sense (contract 14.3)."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from typing import Any, Final, Literal

from msgspec import Struct, field

from helicone_gw_alerts.errors import Refusal

Aggregation = Literal["sum", "avg", "min", "max", "percentile"]

EMAIL: Final = re.compile(r"^[^@\s<>,;:\"()\[\]\\]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$")
SHORTEST, LONGEST = 30_000, 30 * 86_400_000
"""Milliseconds that a window may have."""

TOKENS: Final = (
    "total_tokens",
    "prompt_tokens",
    "completion_tokens",
    "prompt_cache_read_tokens",
    "prompt_cache_write_tokens",
)
SCORE: Final = "score:"
"""What a metric begins with that is a score."""

_ALL: Final = frozenset({"sum", "avg", "min", "max", "percentile"})
_ORDERED: Final = frozenset({"avg", "min", "max", "percentile"})
METRICS: Final[dict[str, frozenset[str]]] = {
    "response.status": frozenset(),
    "count": frozenset({"sum"}),
    "cost": _ALL,
    "latency": _ORDERED,
    "time_to_first_token": _ORDERED,
    "total_tokens": _ALL,
    "prompt_tokens": _ALL,
    "completion_tokens": _ALL,
    "prompt_cache_read_tokens": _ALL,
    "prompt_cache_write_tokens": _ALL,
    "budget": frozenset(),
    "breaker": frozenset(),
}
"""Every metric and the aggregations that it has. ``budget`` is what is spent of each, in per cent, and ``breaker`` is 1
for each target that rests."""

STANDING: Final = frozenset({"budget", "breaker"})
"""Metrics of now, and of no requests: they have no window, filter, grouping or number of requests."""


class Rule(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An alert. ``time_window`` is milliseconds, a text in Helicone's; ``org_id`` is read over: it is the caller's.

    ``slack_channels`` and ``channels`` are names of configured channels. ``filter`` is a filter of the log's queries.
    """

    name: str
    metric: str
    threshold: float
    time_window: int | str = 300_000
    aggregation: Aggregation | None = None
    percentile: float | None = None
    grouping: str | None = None
    grouping_is_property: bool | None = False
    emails: list[str] = field(default_factory=list)
    slack_channels: list[str] = field(default_factory=list)
    channels: list[str] = field(default_factory=list)
    minimum_request_count: int | None = None
    filter: Any = None
    comparison: Literal["gte", "lte"] = "gte"
    org_id: str | None = None

    @property
    def window(self) -> int:
        """Milliseconds."""
        return int(self.time_window)

    @property
    def aggregated(self) -> str | None:
        """The aggregation that is used."""
        if self.aggregation is not None or not METRICS.get(self.metric, _ORDERED):
            return self.aggregation
        return "avg" if "sum" not in METRICS.get(self.metric, _ORDERED) else "sum"

    @property
    def asked(self) -> Any:
        """The filter."""
        return "all" if self.filter is None or self.filter == {} else self.filter

    @property
    def measured(self) -> tuple[Any, ...]:
        """What it measures: two rules that have the same see the same values of the same groups."""
        grouping = (self.grouping, bool(self.grouping_is_property)) if self.grouping else None
        return self.metric, self.window, self.aggregated, self.percentile, grouping, self.asked

    def breached(self, value: float) -> bool:
        """Whether ``value`` is one to tell of."""
        return value >= self.threshold if self.comparison == "gte" else value <= self.threshold

    def receivers(self) -> list[str]:
        """Whom to tell: ``channel:<name>``, ``email:<address>``, each once."""
        named = [f"channel:{name.removeprefix('#')}" for name in (*self.channels, *self.slack_channels)]
        return list(dict.fromkeys([*named, *(f"email:{address}" for address in self.emails)]))


def check(rule: Rule, channels: Collection[str], *, mail: bool) -> None:
    """Raise `Refusal` for an alert that makes no sense. ``channels`` are those that it may use."""
    _check_names(rule, channels, mail=mail)
    _check_window(rule)
    _check_measure(rule)
    if not math.isfinite(rule.threshold):
        raise Refusal("threshold: it is no number.")
    if not rule.metric.startswith(SCORE) and rule.threshold <= 0:
        raise Refusal("threshold: it must be above 0.")
    if rule.metric == "response.status" and rule.threshold > 100:
        raise Refusal("threshold: a share of errors is at most 100 per cent.")
    if rule.metric == "cost" and rule.threshold < 0.01:
        raise Refusal("threshold: a cost is at least 0.01 dollars.")
    if rule.minimum_request_count is not None and rule.minimum_request_count < 0:
        raise Refusal("minimum_request_count: it must not be negative.")


def _check_names(rule: Rule, channels: Collection[str], *, mail: bool) -> None:
    if not 1 <= len(rule.name) <= 200 or "\0" in rule.name:
        raise Refusal("name: it has 1 to 200 characters.")
    if len(rule.emails) > 50 or len(rule.channels) + len(rule.slack_channels) > 50:
        raise Refusal("emails, channels: at most 50 of each.")
    for address in rule.emails:
        if not EMAIL.fullmatch(address) or len(address) > 320:
            raise Refusal(f"emails: {address[:100]!r} is no address.")
    if rule.emails and not mail:
        raise Refusal("emails: no mail server is configured (alerts.smtp).")
    for name in (*rule.channels, *rule.slack_channels):
        if name.removeprefix("#") not in channels:
            raise Refusal(f"channels: no channel {name[:100]!r} is configured (alerts.channels).")


def _check_window(rule: Rule) -> None:
    try:
        window = rule.window
    except ValueError:
        raise Refusal("time_window: it is a number of milliseconds.") from None
    if not SHORTEST <= window <= LONGEST:
        raise Refusal("time_window: it is between 30 seconds and 30 days, in milliseconds.")


def _check_measure(rule: Rule) -> None:
    score = rule.metric.startswith(SCORE)
    if not score and rule.metric not in METRICS:
        raise Refusal(f"metric: there is no {rule.metric[:100]!r}; there are {', '.join(METRICS)}, {SCORE}<name>.")
    if score and not 1 <= len(rule.metric.removeprefix(SCORE)) <= 256:
        raise Refusal("metric: a score has a name.")
    allowed = _ORDERED if score else METRICS[rule.metric]
    if rule.aggregation is not None and allowed and rule.aggregation not in allowed:
        raise Refusal(f"aggregation: {rule.metric} has {', '.join(sorted(allowed))}.")
    if rule.aggregated == "percentile" and (rule.percentile is None or not 0 < rule.percentile <= 100):
        raise Refusal("percentile: it is above 0 and at most 100.")
    if rule.grouping_is_property and not rule.grouping:
        raise Refusal("grouping: name the property.")
    if rule.grouping is not None and not 1 <= len(rule.grouping) <= 256:
        raise Refusal("grouping: a name has 1 to 256 characters.")
    if (
        rule.grouping is not None
        and not rule.grouping_is_property
        and rule.grouping not in ("user", "model", "provider")
    ):
        raise Refusal("grouping: it is user, model or provider, or a property (grouping_is_property).")
    if rule.metric in STANDING and (rule.grouping or rule.minimum_request_count or rule.asked != "all"):
        raise Refusal(f"{rule.metric}: it has no filter, grouping and number of requests.")
