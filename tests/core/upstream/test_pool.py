"""The pool under cancellation: every place in it comes back."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress

import httpx
import pytest

from helicone_gw.testing import ScriptedProvider, event, of_events, of_json
from helicone_gw.upstream.pool import PooledTransport


@pytest.fixture
async def transport() -> AsyncIterator[PooledTransport]:
    made = PooledTransport(limits=httpx.Limits(max_connections=2, max_keepalive_connections=2))
    yield made
    await made.aclose()


async def fetch(transport: PooledTransport, url: str) -> bytes:
    timeout = {"connect": 2.0, "read": 2.0, "write": 2.0, "pool": 2.0}
    response = await transport.handle_async_request(httpx.Request("GET", url, extensions={"timeout": timeout}))
    assert isinstance(response.stream, httpx.AsyncByteStream)
    try:
        return b"".join([piece async for piece in response.stream])
    finally:
        await response.stream.aclose()


async def all_free(transport: PooledTransport) -> None:
    async with asyncio.timeout(5):
        while transport._pool._requests or any(not each.is_idle() for each in transport._pool.connections):
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("steps", range(40))
async def test_a_request_may_be_cancelled_at_any_step(transport: PooledTransport, steps: int) -> None:
    async with ScriptedProvider(default=of_json({"a": 1})).serve() as base:
        for _ in range(4):
            task = asyncio.ensure_future(fetch(transport, base))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await all_free(transport)
        assert await asyncio.gather(*(fetch(transport, base) for _ in range(4))) == [b'{"a":1}'] * 4


async def test_and_so_may_many_that_wait_for_the_same_places(transport: PooledTransport) -> None:
    choice = random.Random(11)
    script = of_events(*[event({"n": n}) for n in range(3)]).delayed(0.002).paced(0.001)
    async with ScriptedProvider(default=script).serve() as base:
        for _ in range(15):
            tasks = [asyncio.ensure_future(fetch(transport, base)) for _ in range(6)]
            for task in tasks:
                await asyncio.sleep(choice.random() * 0.004)
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await all_free(transport)
        assert await fetch(transport, base) == script.body


async def test_those_that_wait_get_the_places_of_those_that_were_cancelled(transport: PooledTransport) -> None:
    async with ScriptedProvider(default=of_json({})).serve() as base:
        cancelled = [asyncio.ensure_future(fetch(transport, base)) for _ in range(2)]
        waiting = [asyncio.ensure_future(fetch(transport, base)) for _ in range(2)]
        await asyncio.sleep(0)
        for task in cancelled:
            task.cancel()
        assert await asyncio.gather(*waiting) == [b"{}", b"{}"]


async def test_closing_is_finished_even_if_whoever_closes_is_cancelled(transport: PooledTransport) -> None:
    async with ScriptedProvider(default=of_events(*[event({"n": n}) for n in range(9)]).paced(0.05)).serve() as base:
        for steps in range(6):
            response = await transport.handle_async_request(httpx.Request("GET", base))
            assert isinstance(response.stream, httpx.AsyncByteStream)
            await anext(aiter(response.stream))
            closing = asyncio.ensure_future(response.stream.aclose())
            for _ in range(steps):
                await asyncio.sleep(0)
            closing.cancel()
            await asyncio.wait({closing})
            await response.stream.aclose()
        await all_free(transport)


async def test_an_answer_of_another_request_is_not_touched(transport: PooledTransport) -> None:
    script = of_events(*[event({"n": n}) for n in range(5)]).paced(0.01)
    async with ScriptedProvider(default=script).serve() as base:
        streaming = asyncio.ensure_future(fetch(transport, base))
        for _ in range(10):
            await asyncio.sleep(0.004)
            other = asyncio.ensure_future(fetch(transport, base))
            await asyncio.sleep(0)
            other.cancel()
            await asyncio.wait({other})
        assert await streaming == script.body
