"""The moving window against an exact one and against `limits`, on memory and on a real Redis."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import pytest
from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from helicone_gw_ratelimit import window as window_module
from helicone_gw_ratelimit.limits import Claim
from helicone_gw_ratelimit.policy import SUBUNITS, parse_policy
from helicone_gw_ratelimit.rules import PolicyRule
from helicone_gw_ratelimit.window import EXACT
from tests.fixtures.redis_server import RedisServer
from tests.plugins.ratelimit.conftest import World, memory_world, redis_world
from tests.plugins.ratelimit.oracles import BASE, ExactWindow


class Expecting:
    amount = 0

    def __init__(self, scale: int) -> None:
        self._scale = scale

    def tokens(self, exchange: Any) -> int:
        return self.amount // self._scale

    def nano_usd(self, exchange: Any) -> int | None:
        return self.amount


def exchange(name: str) -> Any:
    return SimpleNamespace(organization="default", id=name)


def rule(text: str, name: str, expecting: Expecting) -> PolicyRule:
    return PolicyRule(parse_policy(text), "moving-window", name="it", words=("window", name), estimates=expecting)


async def schedules(world: World, count: int, seed: int) -> int:
    """Random takes and settlements, each decision and every number compared; how many decisions there were."""
    decisions = 0
    for number in range(count):
        choice = random.Random(f"{seed}/{number}")
        unit = choice.choice(("request", "cents", "tokens"))
        quota = choice.choice(("1", "2", "5", "10", "33.3"))
        policy = rule(f"{quota};w={choice.choice((60, 61, 3600))};u={unit}", f"{seed}-{number}", Expecting(1))
        expecting = Expecting(SUBUNITS[policy.policy.unit])
        policy = rule(policy.policy.text, f"{seed}-{number}", expecting)
        exact = ExactWindow(policy.policy.quota, policy.policy.microseconds)
        taken: list[Claim] = []
        world.clock.microseconds = BASE
        for step in range(20):
            length = policy.policy.microseconds
            world.clock.microseconds += choice.choice((0, 1, choice.randint(0, length // 4), length - 1, length))
            now = world.clock.microseconds
            if taken and choice.random() < 0.3:
                claim = taken.pop(choice.randrange(len(taken)))
                assert claim.fields is not None
                name, took, kept = claim.arguments[4], claim.fields[1], claim.fields[3].decode()
                most = expecting._scale if unit == "request" else 2 * exact.quota
                more = choice.choice((-took, choice.randint(0, most) - took))
                if more == 0:
                    continue
                exact.settle(now, str(name), more)
                await world.limits.settle(world.store, [[(claim, (length, kept, name, more))]])
                continue
            expecting.amount = choice.randint(0, exact.quota)
            claim = policy.claim(exchange(f"{number}-{step}"))
            asked = claim.arguments[3]
            assert isinstance(asked, int)
            some = unit != "request"
            await world.limits.reserve(world.store, [claim])
            expected = exact.take(now, asked, f"{number}-{step}", some=some)
            decisions += 1
            assert claim.admitted == (expected is not None)
            assert claim.fields is not None
            assert claim.fields[0] == exact.used(now)
            if expected is not None:
                assert claim.fields[1] == expected
                taken.append(claim)
                continue
            wait = policy.standing(claim).wait
            for early, admitted in ((1, False), (0, True)):
                world.clock.microseconds = now + wait - early
                claim = policy.claim(exchange(f"{number}-{step}-{early}"))
                assert await world.limits.reserve(world.store, [claim]) is admitted
                again = exact.take(world.clock.microseconds, asked, f"{number}-{step}-{early}", some=some)
                assert (again is not None) is admitted
            taken.append(claim)
    return decisions


async def test_nobody_is_admitted_or_refused_who_should_not_be() -> None:
    async with memory_world() as world:
        assert await schedules(world, 1000, seed=1) > 10_000


async def test_the_same_on_a_real_redis(redis_server: RedisServer) -> None:
    async with redis_world(redis_server) as world:
        assert await schedules(world, 100, seed=2) > 1000


@pytest.mark.full
@pytest.mark.timeout(600)
async def test_ten_thousand_schedules() -> None:
    async with memory_world() as world:
        assert await schedules(world, 10_000, seed=3) > 100_000


async def against_limits(world: World, count: int, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's own moving window over the same requests, at the same times."""
    monkeypatch.setattr("time.time", lambda: world.clock.microseconds / 1_000_000)
    for number in range(count):
        choice = random.Random(f"{seed}/{number}")
        quota, length = choice.randint(1, 8), choice.choice((60, 61, 90))
        policy = rule(f"{quota};w={length}", f"limits-{seed}-{number}", Expecting(1))
        # Its timer sweeps what expired by the machine's clock; these schedules are much quicker than that.
        reference = MovingWindowRateLimiter(MemoryStorage())
        item = RateLimitItemPerSecond(quota, length)
        world.clock.microseconds = BASE
        for step in range(40):
            # Half-microseconds are no times of ours, and whole windows are a matter of its floating point.
            world.clock.microseconds += choice.choice((0, 250_000, choice.randint(0, 20) * 1_000_000 + 125_000))
            admitted = await world.limits.reserve(world.store, [policy.claim(exchange(f"{number}-{step}"))])
            assert admitted == reference.hit(item, str(number)), f"schedule {number}, step {step}"
        reference.storage.reset()


async def test_it_decides_as_limits_does(monkeypatch: pytest.MonkeyPatch) -> None:
    async with memory_world() as world:
        await against_limits(world, 300, 1, monkeypatch)


async def test_a_large_cost_is_one_entry(world: World) -> None:
    expecting = Expecting(1000)
    expecting.amount = 1_000_000
    policy = rule("1000;w=60;u=tokens", "large", expecting)
    claim = policy.claim(exchange("it"))
    assert await world.limits.reserve(world.store, [claim])
    assert claim.fields is not None
    assert claim.fields[:2] == [1_000_000, 1_000_000]
    assert not await world.limits.reserve(world.store, [policy.claim(exchange("next"))])


async def test_what_a_request_turns_out_to_exceed_counts_from_then_on(world: World) -> None:
    expecting = Expecting(1000)
    expecting.amount = 10_000
    policy = rule("100;w=60;u=tokens", "late", expecting)
    claim = policy.claim(exchange("it"))
    await world.limits.reserve(world.store, [claim])
    world.clock.microseconds += 90 * 1_000_000  # a stream that took longer than the window
    await world.limits.settle(world.store, [[(claim, (60_000_000, "it", "it", 200_000))]])
    refused = policy.claim(exchange("next"))
    assert not await world.limits.reserve(world.store, [refused])
    assert policy.standing(refused).wait == 60_000_001


async def test_very_many_entries_become_fewer_and_never_count_too_short(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    if world.store.__class__.__name__ == "TimedStore":
        pytest.skip("the bound is written in the script, and ten thousand calls are for the run at full size")
    monkeypatch.setattr(window_module, "EXACT", 10)
    expecting = Expecting(1000)
    expecting.amount = 1000
    policy = rule("1000;w=60;u=tokens", "many", expecting)
    for number in range(500):
        assert await world.limits.reserve(world.store, [policy.claim(exchange(str(number)))])
        world.clock.microseconds += 100_000  # 60 a slot of a tenth of the window
    entries = world.store._table.get(next(iter(world.store._table._values)))
    assert len(entries.by_id) <= 2 * 10 + 1
    assert entries.used == 500 * 1000
    # Ten seconds after the first one would have left, nothing has left too early.
    world.clock.microseconds = BASE + 60_000_000 + 1_000_000
    claim = policy.claim(exchange("last"))
    await world.limits.reserve(world.store, [claim])
    assert claim.fields is not None
    assert claim.fields[0] >= (500 - 11 + 1) * 1000


@pytest.mark.full
@pytest.mark.timeout(600)
async def test_very_many_entries_on_a_real_redis(redis_server: RedisServer) -> None:
    expecting = Expecting(1000)
    expecting.amount = 1000
    policy = rule("1000000;w=60;u=tokens", "many", expecting)
    async with redis_world(redis_server) as world:
        for number in range(EXACT + 3000):
            claim = policy.claim(exchange(str(number)))
            assert await world.limits.reserve(world.store, [claim])
            world.clock.microseconds += 1000
    assert claim.fields is not None
    assert claim.fields[0] == (EXACT + 3000) * 1000
    count = redis_server.ask("ZCARD", "t:" + claim.keys[0])
    assert int(count[1:]) < EXACT + 600


async def test_a_sum_without_its_entries_is_forgotten(redis_server: RedisServer) -> None:
    """A Redis that is short of memory may evict one of the two keys."""
    policy = rule("1;w=60", "evicted", Expecting(1))
    async with redis_world(redis_server) as world:
        claim = policy.claim(exchange("it"))
        assert await world.limits.reserve(world.store, [claim])
        assert redis_server.ask("DEL", f"t:{claim.keys[0]}") == b":1\r\n"
        assert await world.limits.reserve(world.store, [policy.claim(exchange("next"))])
        assert not await world.limits.reserve(world.store, [policy.claim(exchange("third"))])
