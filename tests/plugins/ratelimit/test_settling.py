"""Settling on a store beside the requests: what is over keeps nobody out, also after the store was away."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from helicone_gw import StoreUnavailable
from helicone_gw.store import StoreStats
from helicone_gw.testing import GatewayFactory, RunningGateway
from helicone_gw_ratelimit.plugin import RatelimitPlugin
from helicone_gw_ratelimit.settling import BATCH

pytestmark = pytest.mark.virtual_time

PLACE = [{"ratelimit": {"limits": [{"concurrency": 1, "name": "place"}], "lease": 3600, "tokenizer": "estimate"}}]


class Remote:
    """A store in memory as if it were on a network: settling takes a while, and it may be ``away``."""

    def __init__(self, plugin: RatelimitPlugin) -> None:
        self._inner = plugin._store
        self._settle = plugin._limits.settle_operation
        self.settled: list[int] = []
        """How many exchanges each round trip settled."""
        self.stats = StoreStats()
        plugin._store = plugin.settling._store = self  # type: ignore[assignment]
        plugin.settling._local = False

    @property
    def away(self) -> bool:
        return self.stats.open

    @away.setter
    def away(self, away: bool) -> None:
        self.stats.open = away

    async def run(self, *call: Any) -> Any:
        return (await self.run_all([call]))[0]

    async def run_all(self, calls: Any) -> Any:
        if self.away:
            raise StoreUnavailable("away")
        if calls[0][0] is self._settle:
            self.settled.append(len(calls))
            await asyncio.sleep(0.01)
        return await self._inner.run_all(calls)


def remote(running: RunningGateway) -> Remote:
    (plugin,) = (each for each in running.gateway.plugins if isinstance(each, RatelimitPlugin))
    return Remote(plugin)


async def test_one_request_after_the_other_is_never_too_many_at_once(gateway: GatewayFactory) -> None:
    async with gateway(PLACE) as running:
        remote(running)
        for number in range(6):
            assert (await running.chat(stream=number % 2 == 0)).status == 200


async def test_who_is_refused_for_what_is_under_way_waits_for_nothing(gateway: GatewayFactory) -> None:
    async with gateway(PLACE) as running:
        store = remote(running)
        replies = await asyncio.gather(*(running.chat() for _ in range(3)))
    assert sorted(reply.status for reply in replies) == [200, 429, 429]
    assert store.settled == [1]


async def test_places_are_free_as_soon_as_the_store_is_back(gateway: GatewayFactory) -> None:
    async with gateway(PLACE) as running:
        store = remote(running)
        store.away = True
        for _ in range(3):
            assert (await running.chat()).status == 200, "it fails open"
        store.away = False
        for _ in range(3):
            assert (await running.chat()).status == 200


async def test_what_ended_while_the_store_was_away_keeps_nobody_back_who_ends_now(gateway: GatewayFactory) -> None:
    async with gateway(PLACE) as running:
        store = remote(running)
        store.away = True
        for _ in range(20 * BATCH):
            await running.chat()
        await asyncio.sleep(1.5)
        store.away = False
        await asyncio.sleep(0.025)
        assert (await running.chat()).status == 200
        assert (await running.chat()).status == 200, "its place is free before those of the outage are"
        assert sum(store.settled) < 20 * BATCH
        await asyncio.sleep(1)
        assert sum(store.settled) == 20 * BATCH + 2
    assert max(store.settled) == BATCH
