"""fast on uvloop, on which the gateway runs where it is installed: what needs no table of cases, once more."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.core.upstream.conformance import (
    test_chaos,
    test_leaving,
    test_pool,
    test_replies,
    test_requests,
    test_timeouts,
)
from tests.core.upstream.conformance.clients import Client

uvloop = pytest.importorskip("uvloop")

Test = Callable[..., Awaitable[None]]


def of_the_suite() -> dict[str, Test]:
    """Every test of these modules that is given a client, or makes one, and nothing else."""
    return {
        f"{module.__name__.rpartition('.')[2]}.{name}": test
        for module in (test_leaving, test_pool, test_replies, test_requests, test_timeouts)
        for name, test in vars(module).items()
        if name.startswith("test_") and set(inspect.signature(test).parameters) in ({"client"}, {"make"})
    }


@pytest.mark.parametrize("name", of_the_suite())
def test_on_uvloop(name: str) -> None:
    test = of_the_suite()[name]
    made: list[Client] = []

    def make(**options: Any) -> Client:
        made.append(Client("fast", "gateway", **options))
        return made[-1]

    async def run() -> None:
        try:
            await (test(client=make()) if "client" in inspect.signature(test).parameters else test(make=make))
        finally:
            for client in made:
                await client.aclose()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


@pytest.mark.parametrize("seed", [101, 102])
def test_chaos_on_uvloop(seed: int) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(test_chaos.no_answer_is_another_s(seed, test_chaos.ROUNDS // 2))
        runner.run(test_chaos.nothing_is_left_behind(seed, test_chaos.WALKS))
        runner.run(test_chaos.nothing_is_left_behind(seed, test_chaos.WALKS // 2, secured=True))
