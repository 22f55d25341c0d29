"""Rankings over HTTP: the models, users, properties, ... with most requests, highest cost, longest latency."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace

from helicone_gw_logging.api.amounts import SHOWN, Amounts, amounts
from helicone_gw_logging.api.asked import MAX_GROUPS, Asked, Value, added, before, group_of, shown
from helicone_gw_logging.api.routes import Call, Routes
from helicone_gw_logging.query.largest import ranked
from helicone_gw_logging.query.plan import By, Question, planned
from helicone_gw_logging.query.reading import reading
from helicone_gw_logging.query.requests import reached
from helicone_gw_logging.query.spans import Span
from helicone_gw_logging.query.sums import answered
from helicone_gw_logging.times import iso

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

ROUTES = Routes("metrics")

Measure = Literal[
    "requests",
    "errors",
    "error_rate",
    "cost",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "latency",
    "time_to_first_token",
    "cache_hits",
    "cache_hit_rate",
    "saved",
    "threats",
    "rate_limited",
]
_SUMS: Final[Mapping[Measure, tuple[str, str | None]]] = {
    "error_rate": ("errors", "requests"),
    "cost": ("cost_nano_usd", None),
    "latency": ("latency_sum", "latency_count"),
    "time_to_first_token": ("first_token_sum", "first_token_count"),
    "cache_hit_rate": ("cache_hits", "requests"),
    "saved": ("saved_nano_usd", None),
    "rate_limited": ("ratelimited", None),
}


class TopQuery(Asked, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What requests are told apart by, and what makes a value large: ``sort``, of which the largest come first.

    ``propertyKey`` names the one whose values are meant where ``by`` is "property". ``newest``: where rows have to be
    read, only so many of the requests.
    """

    by: By
    propertyKey: Annotated[str, Meta(min_length=1, max_length=256)] | None = None  # noqa: N815 - the contract's name
    sort: Measure = "requests"
    limit: Annotated[int, Meta(ge=1, le=MAX_GROUPS)] = 10
    offset: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    newest: Annotated[int, Meta(ge=1, le=10_000_000)] | None = None


class Ranked(Amounts, frozen=True, kw_only=True):
    """What the requests with one value come to; ``previous``: in the time before."""

    value: Value
    previous: Amounts | None = None


class Top(Struct, frozen=True, kw_only=True):
    """The largest values in their order, and what all requests of that time come to, those without any value included.

    ``complete`` is false where there were more values than the log tells apart: those are summed up as "(other)".
    ``source`` says what answered: sums, or the rows of requests. ``since`` is when the first of the ``newest`` requests
    came, null where all of that time are told of.
    """

    values: list[Ranked]
    totals: Amounts
    previous: Amounts | None = None
    complete: bool
    source: Literal["sums", "rows"]
    since: str | None = None


@ROUTES.post("/v1/metrics/top/query", body=TopQuery, data=Top)
async def top(call: Call, body: TopQuery) -> Top:
    """The largest values: models, providers, users, keys, countries, sessions, values of a property, errors, ..."""
    question = body.question(call)
    apart = replace(question, group=group_of(body.by, body.propertyKey))
    async with reading(call.database) as connection:
        plan, since = await planned(connection, apart), None
        if body.newest is not None and not plan.levels:
            since = await reached(connection, question, body.newest)
        if since is not None:
            question, apart = (replace(each, span=Span(since, each.span.end)) for each in (question, apart))
            plan = await planned(connection, apart)
        measure = _SUMS.get(body.sort, (body.sort, None))
        values, now = await ranked(connection, apart, plan, measure, SHOWN, body.limit, body.offset)
        then: dict[Any, Any] | None = None
        if body.previous:
            earlier = before(apart)
            then = await answered(connection, earlier, await planned(connection, earlier), SHOWN, values)
        return Top(
            values=[
                Ranked(
                    value=shown(value),
                    previous=None if then is None else _amounts(then.get((0, value))),
                    **amounts(now.get((0, value))),  # type: ignore[arg-type]
                )
                for value in values
            ],
            totals=await _all(connection, question),
            previous=await _all(connection, before(question)) if body.previous else None,
            complete=plan.complete,
            source="sums" if plan.levels else "rows",
            since=iso(since),
        )


async def _all(connection: AsyncConnection, question: Question) -> Amounts:
    found = await answered(connection, question, await planned(connection, question), SHOWN)
    return _amounts(added(found, None))


def _amounts(sums: Mapping[str, int] | None) -> Amounts:
    return Amounts(**amounts(sums))  # type: ignore[arg-type]
