"""Properties over HTTP: keys, hidden ones, values, and the values that cost most (contract 13.4)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Annotated

from msgspec import Meta, Struct

from helicone_gw_logging.api.routes import Call, Refused, Routes
from helicone_gw_logging.api.rows import dollars
from helicone_gw_logging.api.schemas import FilterBody
from helicone_gw_logging.api.times import TimeFilter
from helicone_gw_logging.query.buckets import Increment, most_buckets
from helicone_gw_logging.query.filters import read_filter
from helicone_gw_logging.query.properties import Spent, hide, keys, over_time, restore, search, spent
from helicone_gw_logging.query.reading import reading
from helicone_gw_logging.times import iso

ROUTES = Routes("properties")

FOUND = 25
"""Values that a search finds."""
TOP = 10
"""Values of a list of the largest; the others are summed up."""
OTHERS = "Other"
MAX_VALUES = 100
"""Values that are told apart over time."""
MAX_BUCKETS = 10_000


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


class OverTime(Struct, frozen=True, forbid_unknown_fields=True):
    """Which time is asked for, in which buckets; ``timeZoneDifference``: minutes that clocks are ahead of UTC."""

    timeFilter: TimeFilter  # noqa: N815 - the contract's names
    propertyKey: Annotated[str, Meta(min_length=1, max_length=256)]  # noqa: N815
    userFilter: FilterBody = "all"  # noqa: N815
    dbIncrement: Increment = "hour"  # noqa: N815
    timeZoneDifference: Annotated[int, Meta(ge=-1440, le=1440)] = 0  # noqa: N815
    organizationId: str | None = None  # noqa: N815 - sent by some, and not what decides


class PropertyOverTime(Struct, frozen=True):
    """What the requests of a bucket with a value are; the bucket's beginning in UTC.

    ``total_cost`` is what is known, in dollars, and null where nothing is; of ``unknown_costs`` requests it is not.
    """

    property: str
    total_cost: float | None
    unknown_costs: int
    request_count: int
    created_at_trunc: str


class PropertyName(Struct, frozen=True):
    """A property by its key."""

    property: str


class Done(Struct, frozen=True):
    """That it was done."""

    ok: bool


class Cost(Struct, frozen=True):
    """What the requests with a value cost, in dollars, as far as it is known; null where nothing is known.

    Of ``unknown_costs`` requests it is not known.
    """

    value: str
    cost: float | None
    unknown_costs: int


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
    ROUTES.post(_path, body=Key, data=Done, errors=(409,), role="member")(hiding)
for _path in ("/v1/property/restore", "/v2/properties/unhide"):
    ROUTES.post(_path, body=Key, data=Done, role="member")(restoring)


@ROUTES.post("/v1/property/properties/over-time", body=OverTime, data=list[PropertyOverTime])
async def through_time(call: Call, body: OverTime) -> list[PropertyOverTime]:
    """What the requests with each value of a property cost over time; beyond the hundred largest values: Other."""
    span, wanted, increment = body.timeFilter.span(), read_filter(body.userFilter), body.dbIncrement
    if most_buckets(span.start, span.end, increment) > MAX_BUCKETS:
        raise Refused(400, f"timeFilter: there are more than {MAX_BUCKETS} buckets of dbIncrement in this time.")
    async with reading(call.database) as connection:
        ahead = body.timeZoneDifference
        found = await over_time(connection, call.scope, body.propertyKey, span, wanted, increment, ahead)
    totals: Counter[str] = Counter()
    for (_, value), sums in found.items():
        totals[value] += sums.requests
    largest = {value for value, _ in totals.most_common(MAX_VALUES)}
    folded: dict[tuple[int, str], Spent] = defaultdict(Spent)
    for (at, value), sums in found.items():
        folded[at, value if value in largest else OTHERS].add(sums.requests, sums.cost, sums.unknown_costs)
    return [
        PropertyOverTime(value, dollars(sums.known), sums.unknown_costs, sums.requests, iso(at) or "")
        for (at, value), sums in sorted(folded.items(), key=lambda one: one[0])
    ]


@ROUTES.post("/v1/property/{key}/search", body=Search, data=list[str])
async def values(call: Call, body: Search) -> list[str]:
    """Up to 25 values of a property that contain a term."""
    async with reading(call.database) as connection:
        return await search(connection, call.scope, call.path["key"], body.searchTerm, FOUND)


@ROUTES.post("/v1/property/{key}/top-costs/query", body=During, data=list[Cost])
async def top_costs(call: Call, body: During) -> list[Cost]:
    """The ten values whose requests cost most, and what all others cost."""
    # What is unknown comes behind what is known, were it nothing.
    top = await _top(call, body, lambda sums: -1 if sums.known is None else sums.cost)
    return [Cost(value, dollars(sums.known), sums.unknown_costs) for value, sums in top]


@ROUTES.post("/v1/property/{key}/top-requests/query", body=During, data=list[Count])
async def top_requests(call: Call, body: During) -> list[Count]:
    """The ten values with most requests, and how many have others."""
    return [Count(value, sums.requests) for value, sums in await _top(call, body, lambda sums: sums.requests)]


async def _top(call: Call, body: During, measure: Callable[[Spent], int]) -> list[tuple[str, Spent]]:
    """The values of which ``measure`` is largest, and all others as one."""
    span = body.timeFilter.span()
    async with reading(call.database) as connection:
        found = await spent(connection, call.scope, call.path["key"], span)
    ranked = sorted(found.items(), key=lambda one: (-measure(one[1]), one[0]))
    if len(ranked) <= TOP:
        return ranked
    others = Spent()
    for _, sums in ranked[TOP:]:
        others.add(sums.requests, sums.cost, sums.unknown_costs)
    return [*ranked[:TOP], (OTHERS, others)]
