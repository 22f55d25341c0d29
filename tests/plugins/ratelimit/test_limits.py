"""Limits: claims of every kind, all or nothing, in one operation of the store."""

from __future__ import annotations

import asyncio
import random
from types import SimpleNamespace
from typing import Any

from helicone_gw.clock import SystemClock
from helicone_gw.store import MemoryStore, open_store
from helicone_gw_ratelimit.limits import Claim, Limits
from helicone_gw_ratelimit.policy import parse_policy
from helicone_gw_ratelimit.rules import ConcurrencyRule, PolicyRule
from tests.fixtures.redis_server import RedisServer
from tests.plugins.ratelimit.conftest import KINDS, World


class Nothing:
    def tokens(self, exchange: Any) -> int:
        return 0

    def nano_usd(self, exchange: Any) -> int | None:
        return None


def bucket(text: str, name: str = "bucket") -> PolicyRule:
    return PolicyRule(parse_policy(text), "token-bucket", name=name, words=("bucket", name), estimates=Nothing())


def window(text: str, name: str = "window") -> PolicyRule:
    return PolicyRule(parse_policy(text), "moving-window", name=name, words=("window", name), estimates=Nothing())


def exchange(name: str = "it") -> Any:
    return SimpleNamespace(organization="default", id=name)


async def test_one_refusal_takes_nothing_from_the_others(world: World) -> None:
    rules = [bucket("5;w=60"), window("5;w=60"), ConcurrencyRule(1, "global", name="one", lease=60)]
    assert await world.limits.reserve(world.store, [rule.claim(exchange("first")) for rule in rules])
    for number in range(3):
        claims = [rule.claim(exchange(f"refused {number}")) for rule in rules]
        assert not await world.limits.reserve(world.store, claims)
        assert [claim.admitted for claim in claims] == [True, True, False]
    left = [rule.claim(exchange("after")) for rule in rules[:2]]
    assert await world.limits.reserve(world.store, left)
    assert [rules[0].standing(left[0]).remaining, rules[1].standing(left[1]).remaining] == [3, 3]


async def test_exchanges_are_settled_in_one_go(world: World) -> None:
    rule = bucket("2;w=60")
    claims = [rule.claim(exchange(name)) for name in "ab"]
    for claim in claims:
        assert await world.limits.reserve(world.store, [claim])
    failed: Any = SimpleNamespace(attempts=[], id="a")
    settlements = [[(claim, rule.settlement(failed, claim) or ())] for claim in claims]
    if isinstance(world.store, MemoryStore):
        told = await world.limits.settle(world.store, settlements)
        assert [fields[0][:2] for fields in told] == [[30_000_000, 0], [0, 0]]
    else:
        for one in settlements:
            await world.limits.settle(world.store, [one])
    again = rule.claim(exchange())
    assert await world.limits.reserve(world.store, [again])
    assert rule.standing(again).remaining == 1


async def test_many_workers_on_one_redis_admit_exactly_the_quota(redis_server: RedisServer) -> None:
    stores = [
        open_store(redis_server.url, SystemClock(), namespace="t:", deadline=10, retry_after=0.2, max_connections=8)
        for _ in range(3)
    ]
    limits = [Limits(KINDS) for _ in stores]
    rules = [bucket("100;w=31536000"), window("70;w=31536000")]

    async def one(number: int) -> bool:
        await asyncio.sleep(random.random() / 10)
        claims: list[Claim] = [rule.claim(exchange(str(number))) for rule in rules]
        return await limits[number % 3].reserve(stores[number % 3], claims)

    try:
        admitted = await asyncio.gather(*(one(number) for number in range(300)))
    finally:
        for store in stores:
            await store.close()
    assert sum(admitted) == 70


async def test_the_time_is_redis_s_own(redis_server: RedisServer) -> None:
    """A worker whose clock is an hour behind refuses and admits as the others do."""

    class Behind(SystemClock):
        def now(self) -> float:
            return super().now() - 3600

    rule = bucket("1;w=3600")
    for clock, expected in ((SystemClock(), True), (Behind(), False)):
        store = open_store(redis_server.url, clock, namespace="t:", deadline=10, retry_after=0.2, max_connections=2)
        assert await Limits(KINDS).reserve(store, [rule.claim(exchange())]) is expected
        await store.close()
