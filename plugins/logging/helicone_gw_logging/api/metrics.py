"""Metrics over HTTP: what requests come to over time, in all and told apart by model, user, property, ..."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from helicone_gw_logging.api.amounts import SHOWN, Amounts, amounts
from helicone_gw_logging.api.asked import InBuckets, Value, added, before, shown
from helicone_gw_logging.api.routes import Call, Refused, Routes
from helicone_gw_logging.query.active import active
from helicone_gw_logging.query.largest import largest
from helicone_gw_logging.query.plan import Group, Question, planned
from helicone_gw_logging.query.reading import reading
from helicone_gw_logging.query.sums import Place, Sums, answered
from helicone_gw_logging.times import iso

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

ROUTES = Routes("metrics")

MAX_CELLS = 20_000
"""Buckets of all values together in one answer."""


class SeriesQuery(InBuckets, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is wanted over time. ``users``: how many different users there were, too, in all and in every bucket."""

    users: bool = False


class Bucket(Amounts, frozen=True, kw_only=True):
    """What the requests of one bucket come to; ``at`` is its beginning, in UTC."""

    at: str
    users: int | None = None


class Totals(Amounts, frozen=True, kw_only=True):
    """What all requests come to."""

    users: int | None = None


class Lane(Struct, frozen=True, kw_only=True):
    """The requests with one value."""

    value: Value
    totals: Totals
    buckets: list[Bucket]


class Series(Struct, frozen=True, kw_only=True):
    """Buckets in their order, those without requests among them, and what all of them come to.

    ``groups`` is by value, the one with most requests first; null where nothing was to be told apart. ``complete`` is
    false where there were more values than the log tells apart: those are summed up as "(other)". ``source`` says what
    answered: sums, or the rows of requests.
    """

    totals: Totals
    buckets: list[Bucket]
    groups: list[Lane] | None = None
    previous: Series | None = None
    complete: bool = True
    source: Literal["sums", "rows"]


@ROUTES.post("/v1/metrics/series/query", body=SeriesQuery, data=Series)
async def series(call: Call, body: SeriesQuery) -> Series:
    """Requests, errors, cost, tokens, latency, savings, ... over time, in buckets of any time zone."""
    group, question = body.group(), replace(body.question(call), cuts=body.buckets())
    async with reading(call.database) as connection:
        now = await _series(connection, question, group, body)
        if body.previous:
            now = replace(now, previous=await _series(connection, before(question), group, body))
    return now


async def _series(connection: AsyncConnection, question: Question, group: Group | None, body: SeriesQuery) -> Series:
    begins = question.cuts
    plan = await planned(connection, question)
    found = await answered(connection, question, plan, SHOWN)
    users: Mapping[int, int] | None = None
    everybody: int | None = None
    if body.users:
        users = await active(connection, question)
        # Of one bucket it is known already.
        all_of = users if len(begins) == 1 else await active(connection, replace(question, cuts=()))
        everybody = all_of.get(0, 0)
    groups, complete = None, True
    if group is not None:
        apart = replace(question, group=group)
        divided = await planned(connection, apart)
        values = await largest(connection, apart, divided, ("requests", None), body.limit)
        if len(values) * len(begins) > MAX_CELLS:
            raise Refused(400, f"limit: there would be more than {MAX_CELLS} buckets of all values together.")
        told = await answered(connection, apart, divided, SHOWN, values)
        groups = [
            Lane(value=shown(value), totals=_total(told, value), buckets=buckets_of(begins, told, value))
            for value in values
        ]
        complete = divided.complete
    return Series(
        totals=_total(found, None, everybody),
        buckets=buckets_of(begins, found, None, users),
        groups=groups,
        complete=complete,
        source="sums" if plan.levels else "rows",
    )


def buckets_of(
    begins: Sequence[int], found: Mapping[Place, Sums], value: Any, users: Mapping[int, int] | None = None
) -> list[Bucket]:
    """Every bucket of one value, those without requests among them."""
    return [
        Bucket(
            at=iso(at) or "",
            users=None if users is None else users.get(number, 0),
            **amounts(found.get((number, value))),  # type: ignore[arg-type]
        )
        for number, at in enumerate(begins)
    ]


def _total(found: Mapping[Place, Sums], value: Any, users: int | None = None) -> Totals:
    return Totals(users=users, **amounts(added(found, value)))  # type: ignore[arg-type]
