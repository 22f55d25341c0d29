"""Leases: so many under way, given back at the end, taken anew while they run, and ended by time if nobody does."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from helicone_gw_ratelimit.concurrency import RENEW
from helicone_gw_ratelimit.limits import Claim
from helicone_gw_ratelimit.rules import ConcurrencyRule
from tests.plugins.ratelimit.conftest import World

RULE = ConcurrencyRule(2, "global", name="two", lease=30.0)
SECOND = 1_000_000


def claim(name: str) -> Claim:
    exchange: Any = SimpleNamespace(organization="default", id=name)
    return RULE.claim(exchange)


async def taken(world: World, name: str) -> bool:
    return await world.limits.reserve(world.store, [claim(name)])


async def given_back(world: World, name: str) -> None:
    it = claim(name)
    it.admitted = True
    arguments = RULE.settlement(SimpleNamespace(id=name), it)  # type: ignore[arg-type]
    assert arguments is not None
    await world.limits.settle(world.store, [[(it, arguments)]])


async def test_there_are_so_many_places(world: World) -> None:
    assert [await taken(world, name) for name in ("a", "b", "c")] == [True, True, False]
    await given_back(world, "a")
    assert await taken(world, "c")
    assert not await taken(world, "d")


async def test_a_place_is_given_back_once_however_often_that_is_said(world: World) -> None:
    assert await taken(world, "a")
    assert await taken(world, "b")
    for _ in range(3):
        await given_back(world, "a")
    await given_back(world, "nobody")
    assert await taken(world, "c")
    assert not await taken(world, "d")


async def test_those_of_a_worker_that_died_end_by_themselves(world: World) -> None:
    await taken(world, "a")
    await taken(world, "b")
    world.clock.microseconds += 30 * SECOND - 1
    assert not await taken(world, "c")
    world.clock.microseconds += 1
    assert await taken(world, "c")


async def test_a_refused_one_holds_no_place(world: World) -> None:
    await taken(world, "a")
    await taken(world, "b")
    refused = claim("c")
    assert not await world.limits.reserve(world.store, [refused])
    assert RULE.settlement(SimpleNamespace(id="c"), refused) is None  # type: ignore[arg-type]
    standing = RULE.standing(refused)
    assert (standing.remaining, standing.limit) == (0, "2")
    assert RULE.refusal(None, refused).code == "concurrency_limit_exceeded"  # type: ignore[arg-type]


async def test_an_answer_that_never_came_gives_its_place_back_all_the_same() -> None:
    unknown = claim("a")
    assert RULE.settlement(SimpleNamespace(id="a"), unknown) == ("a",)  # type: ignore[arg-type]


async def test_a_renewed_lease_runs_anew_and_one_that_ended_does_not_come_back() -> None:
    from tests.plugins.ratelimit.conftest import memory_world

    async with memory_world() as world:
        for name in ("a", "b"):
            await taken(world, name)
        world.clock.microseconds += 20 * SECOND
        await given_back(world, "b")
        (key,) = claim("a").keys
        assert await world.store.run(RENEW, (key,), (30 * SECOND, "a", "b")) == [1]
        world.clock.microseconds += 20 * SECOND
        assert await taken(world, "c")
        assert not await taken(world, "d")
        world.clock.microseconds += 10 * SECOND
        assert await taken(world, "d")
