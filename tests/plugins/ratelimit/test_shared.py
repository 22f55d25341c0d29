"""Gateways that share a real Redis: one limit for all of them, one round trip for a request, places that come back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from helicone_gw import Exchange, Plugin, hookimpl
from helicone_gw.testing import GatewayFactory, RunningGateway, ScriptedProvider
from helicone_gw.testing.dialects import openai_chat
from helicone_gw_ratelimit.plugin import RatelimitPlugin
from tests.fixtures.redis_server import RedisServer

LIMITS = [
    {"policy": "1000;w=31536000", "name": "bucket"},
    {"policy": "20;w=31536000", "name": "window", "algorithm": "moving-window"},
    {"policy": "1000000;w=31536000;u=tokens", "name": "tokens"},
    {"concurrency": 1000, "name": "places"},
]


@pytest.fixture
async def gateways(gateway: GatewayFactory, redis_server: RedisServer) -> AsyncIterator[list[RunningGateway]]:
    """Three gateways with the same limits on the same Redis."""
    config: dict[str, Any] = {"store": {"url": redis_server.url, "deadline": 5}}
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                gateway(
                    [{"ratelimit": {"limits": LIMITS, "tokenizer": "estimate"}}],
                    config=config,
                    provider=ScriptedProvider(default=openai_chat.answer()),
                )
            )
            for _ in range(3)
        ]


async def settled(running: RunningGateway) -> None:
    """What exchanges used is in the store."""
    (plugin,) = (each for each in running.gateway.plugins if isinstance(each, RatelimitPlugin))
    while plugin.settling._running:
        await asyncio.sleep(0.005)


async def test_one_limit_for_all_of_them(gateways: list[RunningGateway]) -> None:
    replies = await asyncio.gather(*(gateways[number % 3].chat(stream=number % 2 == 0) for number in range(60)))
    assert sum(reply.status == 200 for reply in replies) == 20
    assert all(reply.status in (200, 429) for reply in replies)
    assert sum(len(running.provider.requests) for running in gateways) == 20


async def test_a_request_waits_for_one_round_trip_whatever_is_in_force(gateways: list[RunningGateway]) -> None:
    running = gateways[0]
    await running.chat()
    await settled(running)

    async def calls(ask: Any) -> int:
        before = running.gateway.store.stats.calls
        await ask
        await settled(running)
        return running.gateway.store.stats.calls - before

    # One before the provider is asked, which the client waits for, and one after the answer has left.
    assert await calls(running.chat()) <= 2
    assert await calls(running.chat(stream=True)) <= 2
    for _ in range(17):
        await running.chat()
    await settled(running)
    assert (await running.chat()).status == 429
    assert await calls(running.chat()) == 1


async def test_what_fails_at_one_is_given_back_to_all(gateways: list[RunningGateway]) -> None:
    gateways[0].provider.default = openai_chat.error(503)
    for _ in range(30):
        assert (await gateways[0].chat()).status == 503
    await settled(gateways[0])
    assert [(await gateways[1].chat()).status for _ in range(21)] == [200] * 20 + [429]


async def test_what_cannot_be_settled_keeps_back_nothing_behind_it(
    gateways: list[RunningGateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    (plugin,) = (each for each in gateways[0].gateway.plugins if isinstance(each, RatelimitPlugin))
    settle = plugin._limits.settle
    failed: list[Any] = []

    async def failing(*given: Any) -> Any:
        if not failed:
            failed.append(given)
            # Meanwhile another exchange ends, and waits behind this one.
            await gateways[0].chat()
            raise ValueError("the script failed")
        return await settle(*given)

    monkeypatch.setattr(plugin._limits, "settle", failing)
    await gateways[0].chat()
    await settled(gateways[0])
    assert failed
    assert plugin.settling.lost == 1
    assert [each.value for each in plugin.measurements() if each.name == "ratelimit_unsettled"] == [1]
    assert not plugin.settling._waiting
    assert gateways[0].gateway.background.failures == 0


async def test_places_are_shared_and_come_back_when_clients_leave(
    gateway: GatewayFactory, redis_server: RedisServer
) -> None:
    config: dict[str, Any] = {"store": {"url": redis_server.url, "deadline": 5}}
    plugins = [{"ratelimit": {"limits": [{"concurrency": 1}]}}]
    halting = ScriptedProvider(default=openai_chat.stream("One two three").cut(events=3, how="hang"))
    async with gateway(plugins, config=config, provider=halting) as one, gateway(plugins, config=config) as other:
        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
        async with one.stream("POST", "/v1/chat/completions", json=body) as live:
            await live.head()
            assert (await other.chat()).status == 429
            await live.leave()
            await live.read()
        await settled(one)
        assert (await other.chat()).status == 200


class Halting:
    """A store that does what it is asked and whose answer to ``run`` does not come."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.done = asyncio.Event()

    async def run(self, *call: Any) -> Any:
        await self._inner.run(*call)
        self.done.set()
        await asyncio.Event().wait()


async def test_a_client_that_leaves_while_the_store_is_asked_keeps_no_place(
    gateway: GatewayFactory, redis_server: RedisServer
) -> None:
    """Whether its place was taken is then unknown, so it is given back in any case."""
    config: dict[str, Any] = {"store": {"url": redis_server.url, "deadline": 5}}
    plugins: list[Any] = [{"ratelimit": {"limits": [{"concurrency": 1}]}}]
    async with gateway(plugins, config=config) as running:
        (plugin,) = (each for each in running.gateway.plugins if isinstance(each, RatelimitPlugin))
        store, halting = plugin._store, Halting(plugin._store)
        plugin._store = halting  # type: ignore[assignment]
        body = {"model": "gpt-4o-mini", "messages": []}
        async with running.stream("POST", "/v1/chat/completions", json=body) as live:
            await halting.done.wait()
            await live.leave()
            await live.read()
        plugin._store = store
        await settled(running)
        assert (await running.chat()).status == 200


async def test_settling_is_bounded_and_told_when_the_store_goes_away(
    gateway: GatewayFactory, own_redis_server: RedisServer
) -> None:
    config: dict[str, Any] = {"store": {"url": own_redis_server.url, "deadline": 0.2}}
    release = asyncio.Event()

    class Slow(Plugin):
        @hookimpl
        async def pre_request(self, exchange: Exchange) -> None:
            await release.wait()

    plugins: list[Any] = [{"ratelimit": {"limits": LIMITS, "tokenizer": "estimate"}}, "slow"]
    async with gateway(plugins, config=config, classes={"slow": Slow}) as running:
        asking = [asyncio.ensure_future(running.chat()) for _ in range(5)]
        (plugin,) = (each for each in running.gateway.plugins if isinstance(each, RatelimitPlugin))
        while plugin.counters.get(("admitted", "places"), 0) < 5:
            await asyncio.sleep(0.005)
        own_redis_server.kill()
        release.set()
        assert [reply.status for reply in await asyncio.gather(*asking)] == [200] * 5
        while plugin.settling.lost < 5:
            await asyncio.sleep(0.005)
        assert plugin.settling.lost == 5
        assert (await running.chat()).status == 200, "it fails open"


async def test_a_place_that_was_given_up_while_the_store_was_away_is_free_when_it_is_back(
    gateway: GatewayFactory, own_redis_server: RedisServer
) -> None:
    config: dict[str, Any] = {"store": {"url": own_redis_server.url, "deadline": 0.2, "retry_after": 0.2}}
    release = asyncio.Event()

    class Slow(Plugin):
        @hookimpl
        async def pre_request(self, exchange: Exchange) -> None:
            await release.wait()

    plugins: list[Any] = [{"ratelimit": {"limits": [{"concurrency": 1, "name": "place"}], "lease": 3600}}, "slow"]
    async with gateway(plugins, config=config, classes={"slow": Slow}) as running:
        asking = asyncio.ensure_future(running.chat())
        (plugin,) = (each for each in running.gateway.plugins if isinstance(each, RatelimitPlugin))
        while not plugin.counters.get(("admitted", "place"), 0):
            await asyncio.sleep(0.005)
        own_redis_server.freeze()
        release.set()
        assert (await asking).status == 200
        assert (await running.chat()).status == 200, "it fails open"
        own_redis_server.thaw()
        await settled(running)
        assert (await running.chat()).status == 200
        assert plugin.settling.lost == 0
