"""The REST API of evaluators (contract 14.4), where they are at work, what they said, and datasets."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct, field
from quart import Response

from helicone_gw_alerts.datasets import MAX_LINES, Form, lines
from helicone_gw_alerts.errors import Refusal
from helicone_gw_alerts.evaluators import ChangedEvaluator, Evaluator, Evaluators, NewEvaluator, Online
from helicone_gw_alerts.log import KNOWN, Log, narrowed
from helicone_gw_alerts.serving import Call, Pages
from helicone_gw_alerts.texts import Exchanged
from helicone_gw_alerts.webhooks import Sampling

if TYPE_CHECKING:
    from helicone_gw import Audit

RECENT: Final = 1000
"""Scored requests that statistics are about: the newest."""


class NewOnline(Struct, frozen=True, forbid_unknown_fields=True):
    """Which requests an evaluator is to work on."""

    config: Sampling = field(default_factory=Sampling)


class Trial(Struct, frozen=True, forbid_unknown_fields=True):
    """An evaluator as it would be, and what it is to score: a request of the log, or texts."""

    evaluator: NewEvaluator
    request_id: str | None = None
    request: str = ""
    response: str = ""


class Dataset(Struct, frozen=True, forbid_unknown_fields=True):
    """Which requests, in which form: messages as OpenAI's fine-tuning takes them, pairs of texts, or bodies."""

    filter: Any = "all"
    form: Form = "openai-chat"
    limit: Annotated[int, Meta(ge=1, le=MAX_LINES)] = 1000


def declare(pages: Pages, evaluators: Evaluators, log: Log, audit: Audit) -> None:
    """Add the pages."""

    @pages.route("POST", "/v1/evaluator", role="member", status=201)
    async def create(call: Call) -> Any:
        made = await evaluators.create(call.organization, await call.body(NewEvaluator))
        await audit(call.key, "evaluator.create", f"evaluator:{made.id}", after={"name": made.name})
        return _shown(made)

    @pages.route("POST", "/v1/evaluator/query")
    async def query(call: Call) -> Any:
        return [_shown(each) for each in await evaluators.all(call.organization)]

    @pages.route("GET", "/v1/evaluator/<id>")
    async def one(call: Call, id: str) -> Any:
        return _shown(await evaluators.one(call.organization, id))

    @pages.route("PUT", "/v1/evaluator/<id>", role="member")
    async def change(call: Call, id: str) -> Any:
        changed = await evaluators.change(call.organization, id, await call.body(ChangedEvaluator))
        await audit(call.key, "evaluator.change", f"evaluator:{id}")
        return _shown(changed)

    @pages.route("DELETE", "/v1/evaluator/<id>", role="member")
    async def delete(call: Call, id: str) -> None:
        await evaluators.delete(call.organization, id)
        await audit(call.key, "evaluator.delete", f"evaluator:{id}")

    @pages.route("GET", "/v1/evaluator/<id>/experiments")
    async def experiments(call: Call, id: str) -> Any:
        await evaluators.one(call.organization, id)
        return []  # there are no experiments in this gateway

    @pages.route("GET", "/v1/evaluator/<id>/onlineEvaluators")
    async def online(call: Call, id: str) -> Any:
        await evaluators.one(call.organization, id)
        return [_online(each) for each in await evaluators.online(call.organization, id)]

    @pages.route("POST", "/v1/evaluator/<id>/onlineEvaluators", role="member")
    async def begin(call: Call, id: str) -> Any:
        wanted = await call.body(NewOnline)
        made = await evaluators.begin(call.organization, id, wanted.config)
        await audit(call.key, "evaluator.begin", f"evaluator:{id}", after={"sampleRate": wanted.config.sampleRate})
        return {"id": made}

    @pages.route("DELETE", "/v1/evaluator/<id>/onlineEvaluators/<online>", role="member")
    async def stop(call: Call, id: str, online: str) -> None:
        await evaluators.stop(call.organization, id, online)
        await audit(call.key, "evaluator.stop", f"evaluator:{id}")

    @pages.route("GET", "/v1/evaluator/<id>/stats")
    async def stats(call: Call, id: str) -> Any:
        return await _stats(log, call.organization, await evaluators.one(call.organization, id))

    async def test(call: Call) -> Any:
        body = await call.body(Trial)
        wanted = body.evaluator
        evaluators.scoring.check(wanted.scoring_type, wanted.llm_template, wanted.code_template)
        if body.request_id is None:
            what = Exchanged("", body.request, body.response)
            score = await evaluators.scoring.score(wanted.scoring_type, wanted.llm_template, wanted.code_template, what)
        else:
            _check_id(body.request_id)
            trial = Evaluator(
                call.organization, "", wanted.name, wanted.scoring_type, wanted.llm_template, wanted.code_template, 0, 0
            )
            score = await evaluators.try_on(call.organization, trial, body.request_id)
        return {"score": score}

    for kind in ("python", "llm"):
        pages.route("POST", f"/v1/evaluator/{kind}/test", role="member")(test)

    @pages.route("POST", "/v1/evaluator/dataset/export")
    async def dataset(call: Call) -> Response:
        body = await call.body(Dataset)
        await log.post(call.organization, "/v1/request/count/query", {"filter": body.filter})
        pieces: AsyncIterator[bytes] = lines(log, call.organization, body.filter, body.form, body.limit)
        headers = {"content-disposition": 'attachment; filename="dataset.jsonl"'}
        response = Response(pieces, 200, headers, content_type="application/x-ndjson")
        response.timeout = None  # it lasts as long as there is something to send
        return response


async def _stats(log: Log, organization: str, evaluator: Evaluator) -> dict[str, Any]:
    """What the newest `RECENT` scores of the evaluator's name were."""
    name = evaluator.name
    scored = narrowed("all", ("scores", name, "gte", KNOWN))
    total = await log.post(organization, "/v1/request/count/query", {"filter": scored})
    asked = {"filter": scored, "sort": {"created_at": "desc"}, "limit": RECENT}
    rows = await log.post(organization, "/v1/request/query-clickhouse", asked)
    found = [(row["request_created_at"][:10], row["scores"][name]) for row in rows if name in row["scores"]]
    days: dict[str, list[float]] = defaultdict(list)
    for day, score in found:
        days[day].append(score)
    series = [{"date": day, "value": sum(scores) / len(scores)} for day, scores in sorted(days.items())]
    last = [sum(scores) / len(scores) for _, scores in sorted(days.items())[-2:]]
    trend = "stable" if len(last) < 2 or last[0] == last[1] else "up" if last[1] > last[0] else "down"
    spread = Counter(score for _, score in found)
    return {
        "averageScore": sum(score for _, score in found) / len(found) if found else None,
        "totalUses": total,
        "recentTrend": trend,
        "scoreDistribution": [{"range": f"{score:g}", "count": count} for score, count in sorted(spread.items())][:100],
        "timeSeriesData": series,
    }


def _check_id(id: str) -> None:
    if not 1 <= len(id) <= 200 or not all(each.isalnum() or each in "-_" for each in id):
        raise Refusal("request_id: it is no id.")


def _shown(evaluator: Evaluator) -> dict[str, Any]:
    return {
        "id": evaluator.id,
        "name": evaluator.name,
        "scoring_type": evaluator.scoring_type,
        "llm_template": evaluator.llm_template,
        "code_template": evaluator.code_template,
        "last_mile_config": None,
        "organization_id": evaluator.organization_id,
        "created_at": _moment(evaluator.created_at),
        "updated_at": _moment(evaluator.updated_at),
    }


def _online(online: Online) -> dict[str, Any]:
    return {
        "id": online.id,
        "evaluator_id": online.evaluator_id,
        "config": msgspec.to_builtins(online.config),
        "created_at": _moment(online.created_at),
    }


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
