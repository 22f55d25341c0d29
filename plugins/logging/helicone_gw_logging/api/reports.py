"""Reports over HTTP: what caches spared, what limits refused, what each model was used for; averages of scores."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct
from msgspec.structs import replace
from sqlalchemy import and_, func, select

from helicone_gw_logging.api.amounts import SHOWN, Amounts, amounts
from helicone_gw_logging.api.asked import MAX_GROUPS, Asked, InBuckets, Value, added, shown
from helicone_gw_logging.api.metrics import Bucket, buckets_of
from helicone_gw_logging.api.percentiles import Percentiles, percentiles_of
from helicone_gw_logging.api.routes import Call, Routes
from helicone_gw_logging.query.cuts import step
from helicone_gw_logging.query.largest import ranked
from helicone_gw_logging.query.nodes import ALL
from helicone_gw_logging.query.percentiles import counted
from helicone_gw_logging.query.plan import By, Group, Question, planned
from helicone_gw_logging.query.reading import reading
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.sums import answered, instants
from helicone_gw_logging.query.where import where
from helicone_gw_logging.tables import REQUEST, SCORE
from helicone_gw_logging.times import iso

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

ROUTES = Routes("metrics")

MAX_SCORES = 1000
"""Names of scores that are looked at, in their order."""
SHARES = (50.0, 95.0, 99.0)
"""Percentiles of a model."""


class ReportQuery(InBuckets, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which requests, in which buckets of time; ``limit`` is how many models, users and keys are named at most."""


class Counted(Amounts, frozen=True, kw_only=True):
    """What the requests with one value come to."""

    value: Value


class Report(Struct, frozen=True, kw_only=True):
    """What is reported of, in all, over time, and of the models, users and keys that have most of it."""

    totals: Amounts
    buckets: list[Bucket]
    models: list[Counted]
    users: list[Counted]
    keys: list[Counted]


@ROUTES.post("/v1/metrics/cache/query", body=ReportQuery, data=Report)
async def caches(call: Call, body: ReportQuery) -> Report:
    """What caches spared: ``cache_hits``, ``saved``, ``saved_ms`` and saved tokens, in all, over time, for whom."""
    return await _report(call, body, "cache_hits")


@ROUTES.post("/v1/metrics/rate-limit/query", body=ReportQuery, data=Report)
async def limits(call: Call, body: ReportQuery) -> Report:
    """What the gateway's limits refused: ``rate_limited``, in all, over time, of whom."""
    return await _report(call, body, "ratelimited")


async def _report(call: Call, body: ReportQuery, name: str) -> Report:
    question = body.question(call)
    begins = body.buckets()
    async with reading(call.database) as connection:
        over_time = replace(question, cuts=begins)
        found = await answered(connection, over_time, await planned(connection, over_time), SHOWN)
        models, users, keys = [
            await _most(connection, replace(question, group=Group(by)), name, body.limit) for by in _WHOSE
        ]
    return Report(
        totals=Amounts(**amounts(added(found, None))),  # type: ignore[arg-type]
        buckets=buckets_of(begins, found, None),
        models=models,
        users=users,
        keys=keys,
    )


_WHOSE: tuple[By, ...] = ("model", "user", "key")


async def _most(connection: AsyncConnection, question: Question, name: str, limit: int) -> list[Counted]:
    plan = await planned(connection, question)
    values, told = await ranked(connection, question, plan, (name, None), SHOWN, limit)
    return [
        Counted(value=shown(value), **amounts(told[0, value]))  # type: ignore[arg-type]
        for value in values
        if told.get((0, value), {}).get(name)
    ]


class ModelsQuery(Asked, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which requests; ``limit`` is how many models are shown."""

    limit: Annotated[int, Meta(ge=1, le=MAX_GROUPS)] = 50


class ModelUsage(Amounts, frozen=True, kw_only=True):
    """A model and what its requests come to, with percentiles (p50, p95, p99) in milliseconds."""

    model: Value
    latencies: Percentiles
    first_tokens: Percentiles


@ROUTES.post("/v1/metrics/models/query", body=ModelsQuery, data=list[ModelUsage])
async def models(call: Call, body: ModelsQuery) -> list[ModelUsage]:
    """The models that were used, the one with most requests first: what they cost, how fast they are."""
    question = replace(body.question(call), group=Group("model"))
    async with reading(call.database) as connection:
        plan = await planned(connection, question)
        values, told = await ranked(connection, question, plan, ("requests", None), SHOWN, body.limit)
        latencies = await counted(connection, question, "latency", values)
        firsts = await counted(connection, question, "time_to_first_token", values)
    return [
        ModelUsage(
            model=shown(value),
            latencies=Percentiles(**percentiles_of(latencies.get((0, value), {}), SHARES)),
            first_tokens=Percentiles(**percentiles_of(firsts.get((0, value), {}), SHARES)),
            **amounts(told.get((0, value))),  # type: ignore[arg-type]
        )
        for value in values
    ]


class ScoresQuery(InBuckets, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which requests, in which buckets of time."""


class ScoreAt(Struct, frozen=True, kw_only=True):
    """The average of a score over the requests of a bucket that have it (``score_sum``, as Helicone calls it)."""

    score_key: str
    score_sum: float
    created_at_trunc: str


@ROUTES.post("/v1/dashboard/scores/query", body=ScoresQuery, data=list[ScoreAt])
async def scores(call: Call, body: ScoresQuery) -> list[ScoreAt]:
    """Averages of scores over time."""
    question, begins = body.question(call), body.buckets()
    if not begins:
        return []
    at = instants(SCORE.c.received_at, step(begins), 1)
    own = and_(SCORE.c.organization_id == call.scope.organization, question.span.whole(SCORE))
    query = select(at.label("at"), SCORE.c.name, func.sum(SCORE.c.value), func.count()).where(own)
    if question.filter != ALL or not call.scope.whole:
        same = and_(SCORE.c.seq == REQUEST.c.seq, SCORE.c.received_at == REQUEST.c.received_at)
        query = query.select_from(SCORE.join(REQUEST, same)).where(where(question.filter, call.scope))
    query = query.group_by(at, SCORE.c.name)
    sums: dict[tuple[int, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
    async with reading(call.database) as connection:
        # Names first: an index leads to the scores of each in the time that is asked about.
        query = query.where(SCORE.c.name.in_(await _names(connection, call.scope)))
        for when, name, total, count in await connection.execute(query):
            found = sums[_bucket(begins, int(when)), name]
            found[0] += float(total)
            found[1] += int(count)
    return [
        ScoreAt(score_key=name, score_sum=total / count, created_at_trunc=iso(begins[number]) or "")
        for (number, name), (total, count) in sorted(sums.items())
    ]


async def _names(connection: AsyncConnection, scope: Scope) -> list[str]:
    """The names that scores have, each found behind the one before in the index of names."""
    own, name = SCORE.c.organization_id == scope.organization, SCORE.c.name
    found: list[str] = []
    while len(found) < MAX_SCORES:
        behind = [name > found[-1]] if found else []
        following = await connection.scalar(select(name).where(own, *behind).order_by(name).limit(1))
        if following is None:
            break
        found.append(following)
    return found


def _bucket(begins: Sequence[int], at: int) -> int:
    return max(0, bisect_right(begins, at) - 1)
