"""Properties over HTTP: keys, hidden ones, values, and that sums and rows tell the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from itertools import product
from pathlib import Path
from typing import Any, get_args

import pytest

from helicone_gw.exchange import Exchange
from helicone_gw.model import Cost
from helicone_gw.testing import GatewayFactory, RunningGateway
from helicone_gw_logging.query.buckets import Increment, bucket_start
from helicone_gw_logging.query.filters import read_filter
from helicone_gw_logging.query.nodes import ALL
from helicone_gw_logging.query.properties import Spent, over_time, spent
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.spans import Span
from tests.plugins.logging.asking import START, log_all, many
from tests.plugins.logging.calling import ALICE, EVE, KEYS, ask

Build = Callable[..., Exchange]
HOUR = 3_600_000
AT = round(START * 1000)


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[RunningGateway]:
    async with GatewayFactory(tmp_path)(["logging"]) as running:
        yield running


async def test_keys_are_listed_unless_they_are_hidden(running: RunningGateway, exchange: Build) -> None:
    await log_all(running.gateway.database, many(exchange, 20))

    async def listed(path: str = "/v1/property/query") -> list[str]:
        return [one["property"].lower() for one in await ask(running, "POST", path, {})]

    assert {"app", "stage"} <= set(await listed())
    assert await ask(running, "POST", "/v1/property/hide", {"key": "APP"}) == {"ok": True}
    assert await ask(running, "POST", "/v2/properties/hide", {"key": "never-sent"}) == {"ok": True}
    assert "app" not in await listed()
    assert await listed("/v1/property/hidden/query") == ["app", "never-sent"]
    assert await ask(running, "POST", "/v1/property/restore", {"key": "app"}) == {"ok": True}
    assert await ask(running, "POST", "/v2/properties/unhide", {"key": "never-sent"}) == {"ok": True}
    assert "app" in await listed()
    assert await listed("/v1/property/hidden/query") == []


async def test_a_key_may_have_slashes(running: RunningGateway, exchange: Build) -> None:
    await log_all(running.gateway.database, many(exchange, 3))
    (row, *_) = await ask(running, "POST", "/v1/request/query", {"filter": "all"})
    await ask(running, "PUT", f"/v1/request/{row['id']}/property", {"key": "/team/a", "value": "red"})
    assert await ask(running, "POST", "/v1/property/%2Fteam%2FA/search", {"searchTerm": ""}) == ["red"]
    whole = {"timeFilter": {"start": "2000-01-01", "end": "2100-01-01"}}
    (top,) = await ask(running, "POST", "/v1/property/%2Fteam%2FA/top-requests/query", whole)
    assert top == {"value": "red", "count": 1}


async def test_values_are_found_by_a_part_of_them(running: RunningGateway, exchange: Build) -> None:
    done = [exchange(headers={"Helicone-Property-App": f"Shop-{number:02}"}) for number in range(40)]
    await log_all(running.gateway.database, [*done, exchange(headers={"Helicone-Property-App": "100%"})])

    async def found(term: str) -> list[str]:
        values: list[str] = await ask(running, "POST", "/v1/property/app/search", {"searchTerm": term})
        return values

    assert await found("shop-3") == [f"Shop-{number}" for number in range(30, 40)]
    assert len(await found("shop")) == 25
    assert await found("%") == ["100%"]
    assert await found("nothing") == []
    assert await ask(running, "POST", "/v1/property/unknown/search", {"searchTerm": ""}) == []


async def test_the_largest_and_the_others(running: RunningGateway, exchange: Build) -> None:
    made = [exchange(headers={"Helicone-Property-App": f"{min(value, 11):02}"}) for value in range(20)]
    await log_all(running.gateway.database, made)
    at = {"timeFilter": {"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T01:00:00Z"}}
    counts = await ask(running, "POST", "/v1/property/app/top-requests/query", at)
    assert counts[0] == {"value": "11", "count": 9}
    assert len(counts) == 11
    assert counts[-1] == {"value": "Other", "count": 2}
    assert sum(one["count"] for one in counts) == 20
    costs = await ask(running, "POST", "/v1/property/app/top-costs/query", at)
    assert costs[0] == {"value": "11", "cost": pytest.approx(9 * 7_500e-9), "unknown_costs": 0}


async def test_a_cost_that_nobody_knows_is_null(running: RunningGateway, exchange: Build) -> None:
    def of(value: str, *costs: Cost | None) -> list[Exchange]:
        return [exchange(headers={"Helicone-Property-App": value}, cost=cost) for cost in costs]

    # Twelve values: the last two are summed up.
    made = [*of("dear", Cost(10**9), None), *of("free", Cost(0)), *of("dark", None, None)]
    for number in range(9):
        made += of(f"e{number}", None)
    await log_all(running.gateway.database, made)
    at = {"timeFilter": {"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T01:00:00Z"}}
    costs = await ask(running, "POST", "/v1/property/app/top-costs/query", at)
    assert costs[:3] == [
        {"value": "dear", "cost": 1.0, "unknown_costs": 1},
        {"value": "free", "cost": 0.0, "unknown_costs": 0},
        {"value": "dark", "cost": None, "unknown_costs": 2},
    ]
    assert costs[10:] == [{"value": "Other", "cost": None, "unknown_costs": 2}]
    for asked in ("all", {"request_response_rmt": {"latency": {"gte": 0}}}):  # told by sums, and by rows
        body = {**at, "propertyKey": "app", "userFilter": asked}
        found = await ask(running, "POST", "/v1/property/properties/over-time", body)
        told = {one["property"]: (one["total_cost"], one["unknown_costs"], one["request_count"]) for one in found}
        assert (told["dear"], told["free"], told["dark"]) == ((1.0, 1, 2), (0.0, 0, 1), (None, 2, 2))


@pytest.mark.parametrize(
    "span",
    [
        Span(AT, AT + 3 * HOUR),
        Span(AT + 1, AT + 3 * HOUR - 1),
        Span(AT + HOUR // 2, AT + 2 * HOUR + HOUR // 3),
        Span(AT + HOUR // 4, AT + HOUR // 2),
        Span(AT + HOUR // 2, AT + HOUR + HOUR // 2),
        Span(AT, AT),
        Span(0, 2**60),
    ],
)
@pytest.mark.parametrize("key", ["app", "stage", "helicone-session-id"])
async def test_sums_and_rows_tell_the_same(any_database: Any, exchange: Build, span: Span, key: str) -> None:
    made = many(exchange, 80)
    await log_all(any_database, made)
    requests: Counter[str] = Counter()
    costs: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    for one in made:
        value = {name.lower(): value for name, value in one.request.helicone.properties.items()}.get(key)
        if value and one.organization == "default" and span.start <= round(one.received_at * 1000) < span.end:
            requests[value] += 1
            costs[value] += one.cost.nano_usd if one.cost and one.cost.nano_usd else 0
            unknown[value] += one.cost is None
    async with any_database.connect() as connection:
        found = await spent(connection, Scope(), key, span)
    assert found == {value: Spent(requests[value], costs[value], unknown[value]) for value in requests}


async def test_over_time_sums_and_rows_tell_the_same(any_database: Any, exchange: Build) -> None:
    made = many(exchange, 60)
    await log_all(any_database, made)
    span = Span(AT + 17 * 60_000, AT + 2 * HOUR + 1)
    inside = [
        (round(one.received_at * 1000), one.request.helicone.properties["app"])
        for one in made
        if one.organization == "default" and span.start <= round(one.received_at * 1000) < span.end
    ]
    everything = read_filter({"request_response_rmt": {"latency": {"gte": 0}}})
    async with any_database.connect() as connection:
        for increment, ahead, asked in product(get_args(Increment), (0, -300, 330, 345, 7), (ALL, everything)):
            expected = Counter((bucket_start(at, increment, ahead), value) for at, value in inside)
            found = await over_time(connection, Scope(), "App", span, asked, increment, ahead)
            assert {place: sums.requests for place, sums in found.items()} == expected


@pytest.mark.parametrize(
    ("increment", "ahead", "start"),
    [
        ("min", 0, "2026-01-01T00:34:00.000+00:00"),
        ("hour", 0, "2026-01-01T00:00:00.000+00:00"),
        ("hour", 330, "2026-01-01T00:30:00.000+00:00"),
        ("day", 60, "2025-12-31T23:00:00.000+00:00"),
        ("day", -60, "2025-12-31T01:00:00.000+00:00"),
        ("week", 0, "2025-12-29T00:00:00.000+00:00"),
        ("month", -60, "2025-12-01T01:00:00.000+00:00"),
        ("year", 0, "2026-01-01T00:00:00.000+00:00"),
    ],
)
async def test_buckets_begin_where_the_clock_says(
    running: RunningGateway, exchange: Build, increment: str, ahead: int, start: str
) -> None:
    one = exchange(headers={"Helicone-Property-App": "shop"}, received_at=START + 34 * 60 + 5)
    await log_all(running.gateway.database, [one])
    body = {
        "timeFilter": {"start": "2026-01-01", "end": "2026-01-02"},
        "propertyKey": "app",
        "dbIncrement": increment,
        "timeZoneDifference": ahead,
    }
    found = await ask(running, "POST", "/v1/property/properties/over-time", body)
    shown = {
        "property": "shop",
        "request_count": 1,
        "created_at_trunc": start,
        "total_cost": pytest.approx(7_500e-9),
    } | {"unknown_costs": 0}
    assert found == [shown]


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("query", {"key": "x"}, "key"),
        ("hide", {}, "key"),
        ("app/top-costs/query", {}, "timeFilter"),
        ("app/top-costs/query", {"timeFilter": {"start": "then", "end": "now"}}, "then"),
        ("app/top-costs/query", {"timeFilter": {"start": "2026-01-02", "end": "2026-01-01"}}, "end"),
        ("app/search", {"term": "x"}, "term"),
        ("properties/over-time", {"timeFilter": {"start": "2026-01-01", "end": "2026-01-02"}}, "propertyKey"),
        (
            "properties/over-time",
            {"timeFilter": {"start": "1970-01-01", "end": "2026-01-02"}, "propertyKey": "a", "dbIncrement": "min"},
            "dbIncrement",
        ),
    ],
)
async def test_what_is_wrong_is_named(running: RunningGateway, path: str, body: Any, named: str) -> None:
    assert named in await ask(running, "POST", f"/v1/property/{path}", body, status=400)


async def test_everybody_sees_their_organizations(tmp_path: Path, exchange: Build) -> None:
    async with GatewayFactory(tmp_path)([{"security": {"keys": KEYS}}, "logging"]) as running:
        theirs = exchange(headers={"Helicone-Property-Secret": "plan"}, organization="acme")
        await log_all(running.gateway.database, [theirs])
        await ask(running, "POST", "/v1/property/hide", {"key": "secret"}, headers=ALICE)
        for who, keys in ((ALICE, []), (EVE, [{"property": "secret"}])):
            listed = await ask(running, "POST", "/v1/property/query", {}, headers=who)
            assert [{"property": one["property"].lower()} for one in listed] == keys
            found = await ask(running, "POST", "/v1/property/secret/search", {"searchTerm": ""}, headers=who)
            assert found == (["plan"] if keys else [])
