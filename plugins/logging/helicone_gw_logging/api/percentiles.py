"""Percentiles over HTTP: of latency, of the time to the first token, of tokens; in all, over time, by model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta, Struct, field
from msgspec.structs import replace

from helicone_gw_logging.api.asked import InBuckets, Value, before, shown
from helicone_gw_logging.api.routes import Call, Routes
from helicone_gw_logging.histograms import percentile
from helicone_gw_logging.query.buckets import Increment
from helicone_gw_logging.query.largest import largest
from helicone_gw_logging.query.percentiles import Counts, Metric, counted
from helicone_gw_logging.query.plan import Question, planned
from helicone_gw_logging.query.reading import reading
from helicone_gw_logging.query.sums import Place
from helicone_gw_logging.times import iso

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

ROUTES = Routes("metrics")

Percentage = Annotated[float, Meta(gt=0, le=100)]


class PercentilesQuery(InBuckets, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which percentiles of what: of ``latency`` or ``time_to_first_token`` (milliseconds), or of ``total_tokens``.

    Over time only where ``dbIncrement`` or ``bucketMilliseconds`` says in which buckets. ``percentiles`` are between 0
    and 100.
    """

    metric: Metric = "latency"
    percentiles: Annotated[list[Percentage], Meta(min_length=1, max_length=20)] = field(
        default_factory=lambda: [50.0, 75.0, 90.0, 95.0, 99.0]
    )
    dbIncrement: Increment | None = None  # type: ignore[assignment]  # noqa: N815 - the contract's name

    @property
    def over_time(self) -> bool:
        """Whether buckets are wanted."""
        return self.dbIncrement is not None or self.bucketMilliseconds is not None


class Percentiles(Struct, frozen=True, kw_only=True):
    """``values`` by name ("p50", "p99.9"), within one per cent of exact; null where ``count``, the number of requests
    of which there is a number, is 0."""

    count: int
    values: dict[str, float | None]


class PercentilesAt(Percentiles, frozen=True, kw_only=True):
    """Those of a bucket; ``at`` is its beginning, in UTC."""

    at: str


class PercentilesOf(Percentiles, frozen=True, kw_only=True):
    """Those of the requests with one value."""

    value: Value
    buckets: list[PercentilesAt] | None = None


class Distribution(Percentiles, frozen=True, kw_only=True):
    """Those of all requests; ``buckets`` over time, ``groups`` by value, the one with most requests first."""

    buckets: list[PercentilesAt] | None = None
    groups: list[PercentilesOf] | None = None
    previous: Distribution | None = None


@ROUTES.post("/v1/metrics/percentiles/query", body=PercentilesQuery, data=Distribution)
async def percentiles(call: Call, body: PercentilesQuery) -> Distribution:
    """Percentiles of latency, of the time to the first token or of tokens: in all, over time, and by model, ..."""
    begins = body.buckets() if body.over_time else ()
    question = replace(body.question(call), group=body.group(), cuts=begins)
    async with reading(call.database) as connection:
        now = await _distribution(connection, question, body)
        if body.previous:
            now = replace(now, previous=await _distribution(connection, before(question), body))
    return now


async def _distribution(connection: AsyncConnection, question: Question, body: PercentilesQuery) -> Distribution:
    shares, begins = body.percentiles, question.cuts if body.over_time else None
    all_of = await counted(connection, replace(question, group=None), body.metric)
    groups = None
    if question.group is not None:
        plan = await planned(connection, question)
        values = await largest(connection, question, plan, ("requests", None), body.limit)
        apart = await counted(connection, question, body.metric, values)
        groups = [
            PercentilesOf(
                value=shown(value),
                buckets=None if begins is None else _buckets(apart, begins, value, shares),
                **percentiles_of(_together(apart, value), shares),
            )
            for value in values
        ]
    return Distribution(
        buckets=None if begins is None else _buckets(all_of, begins, None, shares),
        groups=groups,
        **percentiles_of(_together(all_of, None), shares),
    )


def _buckets(
    found: Mapping[Place, Counts], begins: Sequence[int], value: Any, shares: Sequence[float]
) -> list[PercentilesAt]:
    return [
        PercentilesAt(at=iso(at) or "", **percentiles_of(found.get((number, value), {}), shares))
        for number, at in enumerate(begins)
    ]


def _together(found: Mapping[Place, Counts], value: Any) -> Counts:
    total: Counter[int] = Counter()
    for (_, each), counts in found.items():
        if each == value:
            total.update(counts)
    return total


def percentiles_of(counts: Counts, shares: Sequence[float]) -> dict[str, Any]:
    """The fields of `Percentiles`."""
    values = {f"p{share:g}": percentile(counts, share / 100) for share in shares}
    return {"count": sum(counts.values()), "values": values}
