"""Properties over HTTP: keys, hidden ones, values, and the values that cost most (contract 13.4)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from helicone_gw_logging.api.routes import Call, Refused, Routes
from helicone_gw_logging.api.rows import dollars
from helicone_gw_logging.api.times import TimeFilter
from helicone_gw_logging.query.properties import hide, keys, restore, search, spent
from helicone_gw_logging.query.reading import reading

ROUTES = Routes("properties")

FOUND = 25
"""Values that a search finds."""
TOP = 10
"""Values of a list of the largest; the others are summed up."""
OTHERS = "Other"


class Nothing(Struct, frozen=True, forbid_unknown_fields=True):
    """A body that says nothing."""


class Key(Struct, frozen=True, forbid_unknown_fields=True):
    """The key of a property."""

    key: Annotated[str, Meta(min_length=1, max_length=256)]


class Search(Struct, frozen=True, forbid_unknown_fields=True):
    """What values must contain."""

    searchTerm: Annotated[str, Meta(max_length=512)] = ""  # noqa: N815 - the contract's name


class During(Struct, frozen=True, forbid_unknown_fields=True):
    """Which time is asked for."""

    timeFilter: TimeFilter  # noqa: N815 - the contract's name


class PropertyName(Struct, frozen=True):
    """A property by its key."""

    property: str


class Done(Struct, frozen=True):
    """That it was done."""

    ok: bool


class Cost(Struct, frozen=True):
    """What the requests with a value cost, in dollars, as far as it is known."""

    value: str
    cost: float


class Count(Struct, frozen=True):
    """How many requests have a value."""

    value: str
    count: int


@ROUTES.post("/v1/property/query", body=Nothing, data=list[PropertyName])
async def listed(call: Call, body: Nothing) -> list[PropertyName]:
    """The keys of properties, without those that are hidden."""
    async with reading(call.database) as connection:
        return [PropertyName(key) for key in await keys(connection, call.scope)]


@ROUTES.post("/v1/property/hidden/query", body=Nothing, data=list[PropertyName])
async def hidden(call: Call, body: Nothing) -> list[PropertyName]:
    """The keys that are hidden."""
    async with reading(call.database) as connection:
        return [PropertyName(key) for key in await keys(connection, call.scope, hidden=True)]


async def hiding(call: Call, body: Key) -> Done:
    """Leave a key out of lists; its sums go on."""
    if not await hide(call.database, call.scope, body.key, call.now):
        raise Refused(409, "No more properties can be hidden.")
    return Done(True)


async def restoring(call: Call, body: Key) -> Done:
    """Show a key in lists again."""
    await restore(call.database, call.scope, body.key)
    return Done(True)


for _path in ("/v1/property/hide", "/v2/properties/hide"):
    ROUTES.post(_path, body=Key, data=Done, errors=(409,))(hiding)
for _path in ("/v1/property/restore", "/v2/properties/unhide"):
    ROUTES.post(_path, body=Key, data=Done)(restoring)


@ROUTES.post("/v1/property/{key}/search", body=Search, data=list[str])
async def values(call: Call, body: Search) -> list[str]:
    """Up to 25 values of a property that contain a term."""
    async with reading(call.database) as connection:
        return await search(connection, call.scope, call.path["key"], body.searchTerm, FOUND)


@ROUTES.post("/v1/property/{key}/top-costs/query", body=During, data=list[Cost])
async def top_costs(call: Call, body: During) -> list[Cost]:
    """The ten values whose requests cost most, and what all others cost."""
    return [Cost(value, dollars(cost) or 0.0) for value, cost in await _top(call, body, 1)]


@ROUTES.post("/v1/property/{key}/top-requests/query", body=During, data=list[Count])
async def top_requests(call: Call, body: During) -> list[Count]:
    """The ten values with most requests, and how many have others."""
    return [Count(value, count) for value, count in await _top(call, body, 0)]


async def _top(call: Call, body: During, which: int) -> list[tuple[str, int]]:
    span = body.timeFilter.span()
    async with reading(call.database) as connection:
        found = await spent(connection, call.scope, call.path["key"], span)
    ranked = sorted(((value, sums[which]) for value, sums in found.items()), key=lambda one: (-one[1], one[0]))
    others = ranked[TOP:]
    return ranked[:TOP] + ([(OTHERS, sum(number for _, number in others))] if others else [])
