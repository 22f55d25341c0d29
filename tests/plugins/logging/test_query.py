"""Query: filters, order, pages, ids, following."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from helicone_gw.access import GatewayKey
from helicone_gw.database import Database
from helicone_gw.exchange import Exchange
from helicone_gw.model import Outcome
from helicone_gw_logging import AmbiguousId, Filter, follow, get_request, list_requests, ready
from helicone_gw_logging.insert import prepare, write
from helicone_gw_logging.record import record

Build = Callable[..., Exchange]


async def log_all(database: Database, *exchanges: Exchange) -> None:
    await write(database, [prepare(record(one), (), 1000) for one in exchanges], again=False)


async def test_newest_first_and_page_by_page(database: Database, exchange: Build) -> None:
    at = 1_767_225_600.0
    done = [exchange(received_at=at + second) for second in (3, 1, 2, 2, 5)]
    await log_all(database, *done)
    expected = [done[4].id, done[0].id, done[3].id, done[2].id, done[1].id]
    assert [one.row.id for one in await list_requests(database)] == expected
    paged: list[str] = []
    cursor = None
    while page := await list_requests(database, limit=2, before=cursor):
        paged += [one.row.id for one in page]
        cursor = page[-1].cursor
    assert paged == expected


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Filter(), "abc"),
        (Filter(status=range(200, 300)), "a"),
        (Filter(status=range(429, 430)), "b"),
        (Filter(outcome="client_disconnected"), "c"),
        (Filter(provider="anthropic"), "b"),
        (Filter(model="gpt-4o"), "ac"),
        (Filter(model="gpt-4o-2024-08-06"), "abc"),
        (Filter(model="gpt-4"), ""),
        (Filter(user_id="u-b"), "b"),
        (Filter(session_id="s-c"), "c"),
        (Filter(key_id="key-1"), "a"),
        (Filter(properties={"APP": "shop"}), "ab"),
        (Filter(properties={"app": "shop", "Stage": "Prod"}), "b"),
        (Filter(properties={"stage": "prod"}), ""),
        (Filter(since=1_767_225_601_000), "bc"),
        (Filter(until=1_767_225_601_000), "a"),
        (Filter(since=1_767_225_601_000, until=1_767_225_602_000), "b"),
        (Filter(organization="acme"), "z"),
        (Filter(provider="anthropic", user_id="u-a"), ""),
    ],
)
async def test_filters(database: Database, exchange: Build, key: GatewayKey, wanted: Filter, expected: str) -> None:
    a = exchange(user="u-a", headers={"Helicone-Property-App": "shop"}, key=key)
    b = exchange(
        model="claude",
        provider="anthropic",
        received_at=1_767_225_601.0,
        outcome=Outcome("upstream_error", 429),
        headers={"Helicone-Property-App": "shop", "Helicone-Property-Stage": "Prod", "Helicone-User-Id": "u-b"},
    )
    c = exchange(
        received_at=1_767_225_602.0,
        outcome=Outcome("client_disconnected", None),
        headers={"Helicone-Session-Id": "s-c"},
    )
    z = exchange(organization="acme")
    await log_all(database, a, b, c, z)
    names = {a.id: "a", b.id: "b", c.id: "c", z.id: "z"}
    assert "".join(sorted(names[one.row.id] for one in await list_requests(database, wanted))) == expected


async def test_long_property_values_are_compared_whole(database: Database, exchange: Build) -> None:
    one = exchange(headers={"Helicone-Property-App": "x" * 600 + "1"})
    other = exchange(headers={"Helicone-Property-App": "x" * 600 + "2"})
    await log_all(database, one, other)
    (found,) = await list_requests(database, Filter(properties={"app": "x" * 600 + "2"}))
    assert found.row.id == other.id


async def test_a_request_by_id_request_id_and_prefix(database: Database, exchange: Build) -> None:
    shared = "5f0c9a3e-8f57-4a6e-9d4e-0d6a1c9b7a11"
    first = exchange(headers={"Helicone-Request-Id": shared})
    second = exchange(headers={"Helicone-Request-Id": shared})
    await log_all(database, first, second)
    for given, expected in (
        (first.id, first.id),
        (second.id, second.id),
        (shared, second.id),
        (first.id[:8], first.id),
    ):
        detail = await get_request(database, given)
        assert detail is not None
        assert detail.request.row.id == expected
    assert await get_request(database, first.id[:7]) is None
    assert await get_request(database, "no-such-request") is None
    assert await get_request(database, first.id, organization="acme") is None
    assert await get_request(database, "%%%%%%%%") is None


async def test_an_id_that_begins_several_is_ambiguous(database: Database, exchange: Build) -> None:
    first, second = exchange(), exchange()
    first.id, second.id = "12345678-a", "12345678-b"
    await log_all(database, first, second)
    with pytest.raises(AmbiguousId):
        await get_request(database, "12345678")


@pytest.mark.parametrize("limit", [0, -1, 10_001])
async def test_a_limit_is_bounded(database: Database, limit: int) -> None:
    with pytest.raises(ValueError, match="limit"):
        await list_requests(database, limit=limit)


async def test_following_yields_everything_once_in_the_order_of_writing(database: Database, exchange: Build) -> None:
    old, kept = exchange(), exchange(user="me")
    await log_all(database, old, exchange(user="me"), kept)
    later = [exchange(user="me", received_at=1_767_225_600.0 - second) for second in range(5)]
    waiting = list(later)

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(0)
        if waiting:
            await log_all(database, exchange(user="other"), waiting.pop(0))

    seen: list[str] = []
    async for one in follow(database, Filter(user_id="me"), backlog=1, sleep=sleep):
        seen.append(one.row.id)
        if len(seen) == 6:
            break
    assert seen == [kept.id, *(one.id for one in later)]


async def test_following_waits_for_a_log_to_appear(exchange: Build, tmp_path: Any) -> None:
    from helicone_gw_logging.plugin import VERSIONS

    database = Database(f"sqlite:///{tmp_path}/later.db")
    assert not await ready(database)
    done = exchange()

    async def sleep(seconds: float) -> None:
        if database.missing:
            await database.migrate("logging", VERSIONS)
        else:
            await log_all(database, done)

    following = follow(database, sleep=sleep)
    assert (await anext(following)).row.id == done.id
    await following.aclose()
    assert await ready(database)
    await database.close()
