"""Two gateways on one Redis: what one was answered the other serves, and a Redis that is away costs hits alone."""

from __future__ import annotations

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
