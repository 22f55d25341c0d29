"""Budgets on a real Redis: streams that hold more and are cut, leases that are renewed, limits shared by gateways."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from helicone_gw.model import Usage
from helicone_gw.testing import GatewayFactory, RunningGateway, ScriptedProvider
from helicone_gw.testing.dialects import openai_chat
from helicone_gw_ratelimit.accounts import Standing
from tests.fixtures.redis_server import RedisServer

MODELS = {"gpt-4o-mini": {"providers": ["openai"], "price": {"input_mtok": 0, "output_mtok": 1000}}}

Start = Callable[..., AbstractAsyncContextManager[RunningGateway]]


@pytest.fixture
def start(gateway: GatewayFactory, redis_server: RedisServer) -> Start:
    """A gateway with a budget ``b`` of a dollar, on Redis."""

    @asynccontextmanager
    async def starting(
        budget: dict[str, Any], provider: ScriptedProvider, **said: Any
    ) -> AsyncIterator[RunningGateway]:
        given = {"b": {"limit": 1, "period": "total", **budget}}
        config = {"models": MODELS, "store": {"url": redis_server.url, "deadline": 5}}
        plugins: list[Any] = ["cost", {"ratelimit": {"budgets": given, **said}}]
        async with gateway(plugins, provider=provider, config=config) as running:
            yield running

    return starting


async def standing(running: RunningGateway) -> Standing:
    found: list[Standing] = await running.gateway.plugins[1].budgeting.accounts.standings(10)  # type: ignore[attr-defined]
    return found[0]


async def settled(running: RunningGateway) -> int:
    """What was spent, in thousandths of a dollar, once nothing is under way."""
    async with asyncio.timeout(20):
        while (found := await standing(running)).under_way:
            await asyncio.sleep(0.01)
    return found.spent // 1_000_000


def long_stream(words: int, pace: float = 0.0) -> Callable[..., Any]:
    usage = Usage(input_tokens=10, output_tokens=words)
    texts = [f"{number:03} " for number in range(words)]
    return lambda request: openai_chat.answer(texts, usage=usage, model="gpt-4o-mini")(request).paced(pace)


async def test_two_gateways_share_a_budget(start: Start) -> None:
    answer = openai_chat.answer(usage=Usage(input_tokens=10, output_tokens=600), model="gpt-4o-mini")
    async with (
        start({}, ScriptedProvider(default=answer)) as one,
        start({}, ScriptedProvider(default=answer)) as other,
    ):
        assert (await one.chat(max_tokens=600)).status == 200
        await settled(one)
        assert (await other.chat(max_tokens=600)).status == 402
        assert await settled(other) == 600


async def test_a_stream_holds_more_as_it_goes_and_is_cut_where_the_budget_ends(start: Start) -> None:
    provider = ScriptedProvider(default=long_stream(2000, 0.001))
    async with start({"cut": True, "limit": 0.1}, provider, output_tokens=10) as running:
        reply = await running.chat(stream=True)
        assert not reply.aborted
        assert reply.events()[-2].json()["choices"][0]["finish_reason"] == "length"
        assert 50 <= await settled(running) <= 130


async def test_streams_side_by_side_are_cut_within_a_slice_each(start: Start) -> None:
    provider = ScriptedProvider(default=long_stream(2000, 0.001))
    async with start({"cut": True, "limit": 0.3}, provider, output_tokens=10) as running:
        await asyncio.gather(*(running.chat(stream=True) for _ in range(10)))
        assert 200 <= await settled(running) <= 300 + 10 * 15


async def test_what_runs_longer_than_a_lease_stays_held(start: Start) -> None:
    provider = ScriptedProvider(default=openai_chat.reply().delayed(5))
    async with start({}, provider, lease=2) as running:
        under_way = asyncio.create_task(running.chat(max_tokens=900))
        while not provider.requests:
            await asyncio.sleep(0.01)
        seen = []
        while not under_way.done():
            seen.append((await standing(running)).reserved)
            await asyncio.sleep(0.05)
        assert len(seen) > 20
        # The last looks may see it settled already.
        assert set(seen[:-5]) == {900_000_000}
        await under_way


async def test_a_renewal_that_fails_is_not_the_last(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = ScriptedProvider(default=openai_chat.reply().delayed(5))
    async with start({}, provider, lease=1.5) as running:
        live = running.gateway.plugins[1].budgeting.live  # type: ignore[attr-defined]
        run_all = live._store.run_all
        failures: list[Any] = []

        class Failing:
            """A store that refuses the first renewal."""

            async def run_all(self, calls: Any) -> Any:
                if not failures:
                    failures.append(calls)
                    raise ValueError("the script failed")
                return await run_all(calls)

        monkeypatch.setattr(live, "_store", Failing())
        under_way = asyncio.create_task(running.chat(max_tokens=900))
        await asyncio.sleep(3)
        assert failures
        assert (await standing(running)).reserved == 900_000_000
        await under_way


async def test_what_a_dead_gateway_held_is_free_when_its_lease_ends(start: Start) -> None:
    provider = ScriptedProvider(default=openai_chat.reply().delayed(60))
    async with start({}, provider, lease=0.6) as running:
        live = running.gateway.plugins[1].budgeting.live  # type: ignore[attr-defined]
        under_way = asyncio.create_task(running.chat(max_tokens=900))
        while not len(live):
            await asyncio.sleep(0.01)
        await live.close()  # nobody renews any more, as after a crash
        async with asyncio.timeout(20):
            while (await standing(running)).reserved:
                await asyncio.sleep(0.05)
        under_way.cancel()
        await asyncio.wait({under_way})


async def test_no_number_is_too_large(start: Start) -> None:
    answer = openai_chat.answer(usage=Usage(input_tokens=10, output_tokens=600), model="gpt-4o-mini")
    async with start({"mode": "soft"}, ScriptedProvider(default=answer)) as running:
        for _ in range(3):
            assert (await running.chat(max_tokens=10**30)).status == 200
        assert running.faults == {}
        assert await settled(running) == 1800
