"""Requests over HTTP: queries, one by its id, several by theirs, counts and bodies (contract 13.1)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct, field

from helicone_gw_logging.api.routes import Call, Plain, Refused, Routes
from helicone_gw_logging.api.rows import Bodies, HeliconeRequest, shown, shown_bodies
from helicone_gw_logging.api.schemas import FilterBody
from helicone_gw_logging.query.filters import read_filter
from helicone_gw_logging.query.known import known
from helicone_gw_logging.query.log import Cursor
from helicone_gw_logging.query.nodes import FilterError
from helicone_gw_logging.query.reading import reading
from helicone_gw_logging.query.requests import bodies, by_id, by_ids, count, find
from helicone_gw_logging.query.searching import search
from helicone_gw_logging.query.sorts import Order, RequestSort, chosen, read_cursor, write_cursor
from helicone_gw_logging.query.wanted import Wanted
from helicone_gw_logging.query.zoning import zoned
from helicone_gw_logging.times import iso

ROUTES = Routes("requests")

MAX_LIMIT = 1000
MAX_OFFSET = 10_000_000


class RequestQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """Which requests, in which order, and which part of the list.

    ``cursor``, as the answer before gave it, goes on behind that answer; it goes with ``sort: {created_at}`` only and
    costs the same however far the list is. ``within`` is for how many milliseconds is looked: the answer is what was
    found until then, perhaps fewer than ``limit``, ``searchedBackTo`` says how far that was, and ``cursor`` goes on
    from there. Without it everything is looked through, however long that takes. ``isPartOfExperiment`` true matches
    nothing: there are no experiments.
    """

    filter: FilterBody
    offset: Annotated[int, Meta(ge=0, le=MAX_OFFSET)] = 0
    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT)] = 10
    sort: RequestSort = field(default_factory=RequestSort)
    isCached: bool | None = None  # noqa: N815 - the contract's names
    includeInputs: bool | None = None  # noqa: N815
    isPartOfExperiment: bool | None = None  # noqa: N815
    isScored: bool | None = None  # noqa: N815
    cursor: str | None = None
    within: Annotated[int, Meta(ge=1, le=30_000)] | None = None


class CountQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """Which requests are counted."""

    filter: FilterBody
    isCached: bool | None = None  # noqa: N815 - the contract's names
    isScored: bool | None = None  # noqa: N815


class Ids(Struct, frozen=True, forbid_unknown_fields=True):
    """Requests by their ids."""

    requestIds: Annotated[list[str], Meta(max_length=MAX_LIMIT)]  # noqa: N815 - the contract's name


class OneRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Whether bodies come along."""

    includeBody: bool = False  # noqa: N815 - the contract's name


async def query(call: Call, body: RequestQuery) -> tuple[list[HeliconeRequest], dict[str, str | None]]:
    """Requests that a filter matches.

    ``cursor`` in the answer goes on behind it; null: this was the last. ``searchedBackTo`` is null where everything was
    looked through that the page needed.
    """
    wanted = Wanted(read_filter(body.filter), body.isCached, body.isScored)
    order = chosen(body.sort)
    after = None if body.cursor is None else read_cursor(body.cursor)
    if body.within is not None and body.offset:
        raise FilterError("within: goes with a cursor, not with an offset")
    if body.isPartOfExperiment:
        return [], {"cursor": None, "searchedBackTo": None}
    if body.within is not None:
        return await _searched(call, body, wanted, order, after)
    async with reading(call.database) as connection:
        wanted = await zoned(connection, call.scope, await known(connection, call.scope, wanted))
        found = await find(connection, call.scope, wanted, order, limit=body.limit, offset=body.offset, after=after)
    last = found[-1].cursor if len(found) == body.limit and order.name == "created_at" else None
    more = {"cursor": None if last is None else write_cursor(last), "searchedBackTo": None}
    return [shown(one, call.origin) for one in found], more


async def _searched(
    call: Call, body: RequestQuery, wanted: Wanted, order: Order, after: Cursor | None
) -> tuple[list[HeliconeRequest], dict[str, str | None]]:
    seconds, monotonic = (body.within or 0) / 1000, call.service.clock.monotonic
    async with reading(call.database) as connection:
        wanted = await zoned(connection, call.scope, await known(connection, call.scope, wanted), hurried=True)
        found, reached = await search(
            connection, call.scope, wanted, order, limit=body.limit, seconds=seconds, monotonic=monotonic, after=after
        )
    short = reached is not None and len(found) < body.limit
    more = {
        "cursor": None if reached is None else write_cursor(reached),
        "searchedBackTo": iso(reached.received_at) if short and reached is not None else None,
    }
    return [shown(one, call.origin) for one in found], more


MORE = {"cursor": str | None, "searchedBackTo": str | None}
"""What an answer has beside the requests."""

for _path in ("/v1/request/query", "/v1/request/query-clickhouse"):
    ROUTES.post(_path, body=RequestQuery, data=list[HeliconeRequest], more=MORE)(query)


@ROUTES.post("/v1/request/count/query", body=CountQuery, data=int)
async def counted(call: Call, body: CountQuery) -> int:
    """How many requests a filter matches."""
    wanted = Wanted(read_filter(body.filter), body.isCached, body.isScored)
    async with reading(call.database) as connection:
        wanted = await zoned(connection, call.scope, await known(connection, call.scope, wanted))
        return await count(connection, call.scope, wanted)


@ROUTES.post("/v1/request/query-ids", body=Ids, data=list[HeliconeRequest])
async def some(call: Call, body: Ids) -> list[HeliconeRequest]:
    """Requests by their ids, newest first; those that do not exist are left out."""
    async with reading(call.database) as connection:
        return [shown(one, call.origin) for one in await by_ids(connection, call.scope, body.requestIds)]


@ROUTES.get("/v1/request/{id}", query=OneRequest, data=HeliconeRequest, errors=(404,))
async def one(call: Call) -> HeliconeRequest:
    """One request, by its id or by what its client was told as ``Helicone-Id``."""
    async with reading(call.database) as connection:
        found = await by_id(connection, call.scope, call.path["id"])
        if found is None:
            raise Refused(404, "Request not found")
        kept = None
        if call.query.includeBody:
            kept = shown_bodies(*await bodies(connection, call.scope, found.row["seq"], call.service.objects))
    return shown(found, call.origin, kept)


@ROUTES.get("/v1/request/{id}/body", data=Bodies, plain="application/json", errors=(404,))
async def body(call: Call) -> Plain:
    """What was asked and what was answered: where ``signed_body_url`` points."""
    async with reading(call.database) as connection:
        found = await by_id(connection, call.scope, call.path["id"])
        if found is None or not found.has_bodies:
            raise Refused(404, "There are no bodies of such a request.")
        kept = await bodies(connection, call.scope, found.row["seq"], call.service.objects)
    return Plain(msgspec.json.encode(shown_bodies(*kept)), "application/json")
