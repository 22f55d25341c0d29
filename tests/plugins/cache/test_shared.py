"""Places outside the process, in real time: a file, and a Redis that two gateways share or that is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from helicone_gw.testing import GatewayFactory, RunningGateway, ScriptedProvider
from helicone_gw.testing.dialects import openai_chat
from tests.fixtures.redis_server import RedisServer, own_redis_server
from tests.plugins.cache.running import ON, calls, plugin, said

__all__ = ["own_redis_server"]

CACHE = {"cache": {"backend": {"url": "store://"}, "stale_while_revalidate": 60}}


@pytest.fixture
async def pair(own_redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[list[RunningGateway]]:
    """Two gateways of the same configuration, as two workers are."""
    store: dict[str, Any] = {"url": own_redis_server.url, "deadline": 0.5, "retry_after": 0.1}
    async with AsyncExitStack() as stack:
        running = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            factory = GatewayFactory(tmp_path / name)
            provider = ScriptedProvider(default=openai_chat.answer("Hello!"))
            made = factory([CACHE], provider=provider, config={"store": store})
            running.append(await stack.enter_async_context(made))
        yield running


def on_disk(directory: Path) -> dict[str, Any]:
    return {"cache": {"backend": {"url": f"disk://{directory}/cache.db", "deadline": 60}}}


async def test_entries_on_disk_outlive_the_gateway(gateway: GatewayFactory, tmp_path: Path) -> None:
    for plugins, expected in (
        (["cache"], "MISS"),
        (["cache"], "MISS"),
        ([on_disk(tmp_path)], "MISS"),
        ([on_disk(tmp_path)], "HIT"),
    ):
        async with gateway(plugins) as running:
            assert said(await running.chat(headers=ON)) == expected


@pytest.mark.parametrize("stream", [False, True])
async def test_a_hundred_at_once_are_one_call_and_one_entry(
    gateway: GatewayFactory, stream: bool, tmp_path: Path
) -> None:
    async with gateway([on_disk(tmp_path)]) as running:
        asking = (running.chat(stream=stream, headers=ON) for _ in range(100))
        replies = await asyncio.gather(*asking)
        assert calls(running) == 1
        assert {reply.body for reply in replies} == {replies[0].body}
        again = await running.chat(stream=stream, headers=ON)
        assert (said(again), again.body, calls(running)) == ("HIT", replies[0].body, 1)
        await plugin(running)._keeping.settle()
        assert (len(plugin(running).flights), plugin(running).flights.held) == (0, 0)
        assert plugin(running).backend.counters.stored == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_what_one_was_answered_the_other_serves(pair: list[RunningGateway], stream: bool) -> None:
    one, two = pair
    first = await one.chat(stream=stream, headers=ON)
    await plugin(one)._keeping.settle()
    second = await two.chat(stream=stream, headers=ON)
    assert (said(first), said(second), calls(two)) == ("MISS", "HIT", 0)
    assert second.body == first.body
    assert two.exchanges[0].annotations["cache.reference_id"] == one.exchanges[0].request_id


@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_a_redis_that_is_away_is_a_miss(
    pair: list[RunningGateway], own_redis_server: RedisServer, how: str
) -> None:
    one, _ = pair
    await one.chat(headers=ON)
    await plugin(one)._keeping.settle()
    assert said(await one.chat(headers=ON)) == "HIT"
    if how == "killed":
        own_redis_server.kill()
    else:
        own_redis_server.freeze()
    replies = [await one.chat(headers=ON) for _ in range(5)]
    assert [(reply.status, said(reply)) for reply in replies] == [(200, "MISS")] * 5
    assert plugin(one).backend.counters.unavailable > 0
    assert not one.faults
    if how == "frozen":
        own_redis_server.thaw()
