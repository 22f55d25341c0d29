"""The token bucket against an exact one in rational numbers: contract 5.4, on memory and on a real Redis."""

from __future__ import annotations

import random
from fractions import Fraction
from math import ceil, floor
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw_ratelimit import bucket
from helicone_gw_ratelimit.bucket import MAX_DEBT, amount_left, amount_of, gap
from helicone_gw_ratelimit.limits import Claim
from helicone_gw_ratelimit.policy import MAX_QUOTA, SUBUNITS, Policy, parse_policy
from helicone_gw_ratelimit.rules import PolicyRule
from tests.fixtures.redis_server import RedisServer
from tests.plugins.ratelimit.conftest import World, memory_world, redis_world
from tests.plugins.ratelimit.oracles import BASE, ExactBucket

EXCHANGE: Any = SimpleNamespace(organization="default", id="exchange")
QUOTAS = ("1", "2", "3", "7", "10.5", "100", "333.333333", "0.07", "1000000", "9999999.999")
MAX_WAIT = 2 * 31_536_000_000_000
"""Two years, in microseconds: the times of a schedule stay within this century, where seconds hold microseconds."""
WINDOWS = (60, 61, 97, 3600, 86_400, 31_536_000)


class Expecting:
    """Estimates that a test sets, in the policy's subunits."""

    amount = 0

    def __init__(self, scale: int) -> None:
        self._scale = scale

    def tokens(self, exchange: Any) -> int:
        return self.amount // self._scale

    def nano_usd(self, exchange: Any) -> int | None:
        return self.amount


def random_policy(choice: random.Random, unit: str) -> Policy:
    quota = choice.choice(QUOTAS)
    while unit == "request" and float(quota) < 1:
        quota = choice.choice(QUOTAS)
    return parse_policy(f"{quota};w={choice.choice(WINDOWS)};u={unit}")


class Schedule:
    """One random schedule: takes, settlements, changes of policy and waits, at the bucket and at the exact one."""

    def __init__(self, world: World, choice: random.Random, name: str) -> None:
        self.world, self.choice, self.name = world, choice, name
        self.unit = choice.choice(("request", "cents", "tokens"))
        self.scale = SUBUNITS[self.unit]  # type: ignore[index]
        self.estimates = Expecting(self.scale)
        self.policy = random_policy(choice, self.unit)
        self.exact = ExactBucket(Fraction(self.policy.quota, self.scale), Fraction(self.policy.window), at=self.now)
        self.seen = self.policy
        """The policy that the bucket has heard of: it hears of another with the next request."""
        self.taken: list[tuple[tuple[int, int], Fraction, Policy]] = []
        self.decisions = 0

    @property
    def now(self) -> Fraction:
        return Fraction(self.world.clock.microseconds, 1_000_000)

    def rule(self) -> PolicyRule:
        return PolicyRule(self.policy, "token-bucket", name="it", words=("bucket", self.name), estimates=self.estimates)

    async def run(self, steps: int) -> None:
        for _ in range(steps):
            await self.pass_time()
            step = self.choice.random()
            if step < 0.7:
                await self.take()
            elif step < 0.95:
                await self.settle()
            else:
                self.policy = random_policy(self.choice, self.unit)

    async def pass_time(self) -> None:
        window = self.policy.microseconds
        per_unit = min(window * self.scale // self.policy.quota, window)
        self.world.clock.microseconds += self.choice.choice(
            (
                0,
                1,
                self.choice.randint(0, 20),
                self.choice.randint(0, per_unit + 1),
                per_unit,
                per_unit - 1,
                self.choice.randint(0, self.policy.microseconds),
            )
        )

    async def take(self) -> None:
        wanted = self.scale if self.unit == "request" else self.choice.randint(0, 2 * self.policy.quota)
        if self.unit == "tokens":
            wanted -= wanted % self.scale
        claim = await self.attempt(wanted)
        if not claim.admitted and self.choice.random() < 0.5:
            # A client that comes a microsecond before its time is refused again; at its time it is let in.
            wait = self.rule().standing(claim).wait
            assert wait > 0
            if wait > MAX_WAIT:
                return
            self.world.clock.microseconds += wait - 1
            assert not (await self.attempt(wanted)).admitted
            self.world.clock.microseconds += 1
            assert (await self.attempt(wanted)).admitted

    async def attempt(self, wanted: int) -> Claim:
        self.estimates.amount = wanted
        rule = self.rule()
        claim = rule.claim(EXCHANGE)
        await self.world.limits.reserve(self.world.store, [claim])
        if self.seen is not self.policy:
            self.hear_of(self.policy)
        # More than the whole quota is never reserved.
        asked = Fraction(min(wanted, self.policy.quota), self.scale)
        taken: Fraction | None
        if self.unit == "request":
            taken = asked if self.exact.take(self.now, asked) else None
        else:
            taken = self.exact.take_some(self.now, asked)
        self.decisions += 1
        assert claim.admitted == (taken is not None), f"{self.policy} at {self.now}: {self.exact}"
        standing = rule.standing(claim)
        assert standing.remaining == max(0, floor(self.exact.tokens))
        until_full = (self.exact.quota - self.exact.tokens) * self.exact.window / self.exact.quota
        assert standing.reset == ceil(until_full * 1_000_000)
        if taken is not None:
            assert claim.fields is not None
            self.taken.append(((claim.fields[2], claim.fields[3]), taken, self.policy))
        return claim

    def hear_of(self, policy: Policy) -> None:
        self.seen = policy
        self.exact.change(self.now, Fraction(policy.quota, self.scale), Fraction(policy.window), self.scale)

    async def settle(self) -> None:
        """Settle something that was taken, under whatever policy: it counts under the one that the bucket knows."""
        if not self.taken:
            return
        took, amount, policy = self.taken.pop(self.choice.randrange(len(self.taken)))
        most = self.scale if self.unit == "request" else self.choice.randint(0, 3 * policy.quota)
        actual = self.choice.choice((0, most))
        arguments = bucket.settlement(took, actual, policy.quota, policy.microseconds)
        assert (arguments is None) == (Fraction(actual, self.scale) == amount)
        if arguments is None:
            return
        if policy is not self.seen:
            if self.exact.full(self.now):
                self.hear_of(policy)
            else:
                amount = Fraction(floor(amount * self.scale + Fraction(1, 2)), self.scale)  # to the nearest subunit
        self.exact.settle(self.now, Fraction(actual, self.scale) - amount)
        claim = self.rule().claim(EXCHANGE)
        await self.world.limits.settle(self.world.store, [[(claim, arguments)]])


async def schedules(world: World, count: int, seed: int) -> int:
    decisions = 0
    for number in range(count):
        world.clock.microseconds = BASE + random.Random(seed + number).randint(0, 10**14)
        schedule = Schedule(world, random.Random(f"{seed}/{number}"), f"{seed}-{number}")
        await schedule.run(15)
        decisions += schedule.decisions
    return decisions


async def test_nobody_is_admitted_or_refused_who_should_not_be() -> None:
    async with memory_world() as world:
        assert await schedules(world, 1000, seed=1) > 10_000


async def test_the_same_on_a_real_redis(redis_server: RedisServer) -> None:
    async with redis_world(redis_server) as world:
        assert await schedules(world, 150, seed=2) > 1500


@pytest.mark.full
@pytest.mark.timeout(600)
async def test_ten_thousand_schedules() -> None:
    async with memory_world() as world:
        assert await schedules(world, 10_000, seed=3) > 100_000


@pytest.mark.full
@pytest.mark.timeout(600)
async def test_a_thousand_schedules_on_a_real_redis(redis_server: RedisServer) -> None:
    async with redis_world(redis_server) as world:
        assert await schedules(world, 1000, seed=4) > 10_000


@given(
    st.integers(1, MAX_QUOTA),
    st.integers(60, 31_536_000),
    st.integers(-(2**50), 2**50),
)
def test_a_gap_is_the_time_that_an_amount_takes_exactly(quota: int, seconds: int, amount: int) -> None:
    window = seconds * 1_000_000
    whole, rest = gap(amount, quota, window)
    assert 0 <= rest < quota
    assert whole + Fraction(rest, quota) == Fraction(amount) * window / quota
    assert amount_left((whole, rest), quota, window) == quota - amount
    assert amount_of((whole, rest), quota, window) == amount


async def test_a_debt_is_at_most_what_takes_142_years(world: World) -> None:
    rule = PolicyRule(
        parse_policy("1;w=31536000;u=cents"), "token-bucket", name="it", words=("it",), estimates=Expecting(1)
    )
    claim = rule.claim(EXCHANGE)
    assert await world.limits.reserve(world.store, [claim])
    settled = bucket.settlement((0, 0), 10**13, rule.policy.quota, rule.policy.microseconds)
    assert settled is not None
    for _ in range(2):
        await world.limits.settle(world.store, [[(claim, settled)]])
    assert not await world.limits.reserve(world.store, [claim])
    assert claim.fields is not None
    assert claim.fields[0] == MAX_DEBT


async def test_a_clock_that_was_set_back_costs_a_full_window_at_most(world: World) -> None:
    rule = PolicyRule(parse_policy("2;w=60"), "token-bucket", name="it", words=("it",), estimates=Expecting(1))
    for _ in range(2):
        assert await world.limits.reserve(world.store, [rule.claim(EXCHANGE)])
    world.clock.microseconds -= 3600 * 1_000_000
    claim = rule.claim(EXCHANGE)
    assert not await world.limits.reserve(world.store, [claim])
    assert rule.standing(claim).wait == 30_000_000
