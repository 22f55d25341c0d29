"""A thousand racers on one dollar: real gateways, real sockets, a real Redis; and what a crash of either leaves."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest
from running import EXECUTABLE, Program, Start, crowd

from helicone_gw.model import Usage
from helicone_gw.testing import RecordedRequest, ScriptedProvider, ScriptedResponse
from helicone_gw.testing.dialects import openai_chat
from helicone_gw_ratelimit.bound import bound
from helicone_gw_ratelimit.budget_config import BudgetConfig
from tests.fixtures.redis_server import RedisServer

pytestmark = pytest.mark.slow

RACERS = 1000
DOLLAR = 1_000_000_000
MODELS = {"gpt-4o-mini": {"providers": ["openai"], "price": {"input_mtok": 0, "output_mtok": 1000}}}
"""A token of output costs a tenth of a cent."""


class Till:
    """A provider that counts what it sold, in nano-dollars, itself."""

    def __init__(self, tokens: int, *, delay: float = 0.05) -> None:
        self.tokens = tokens
        self.delay = delay
        self.sold = 0
        self.provider = ScriptedProvider(default=self.answer)

    def answer(self, request: RecordedRequest) -> ScriptedResponse:
        self.sold += self.tokens * DOLLAR // 1000
        usage = Usage(input_tokens=10, output_tokens=self.tokens)
        return openai_chat.answer("Hello!", usage=usage, model="gpt-4o-mini")(request).delayed(self.delay)


def config(directory: Path, budget: dict[str, Any], store: str = "memory://", **said: Any) -> dict[str, Any]:
    return {
        "database": {"url": f"sqlite:///{directory}/db"},
        "store": {"url": store, **({} if store == "memory://" else {"deadline": 5})},
        "models": MODELS,
        "plugins": ["cost", {"ratelimit": {"budgets": {"team": {"limit": 1, "period": "total", **budget}}, **said}}],
    }


async def ask(client: httpx.AsyncClient, url: str, tokens: int = 10, *, stream: bool = False) -> int:
    body = {"model": "gpt-4o-mini", "max_tokens": tokens, "messages": [{"role": "user", "content": "Hi"}]}
    answer = await client.post(f"{url}/v1/chat/completions", json={**body, "stream": True} if stream else body)
    return answer.status_code


async def race(urls: list[str], racers: int = RACERS) -> Counter[int]:
    """How so many requests at once were answered, every fifth of them streamed."""
    async with crowd(racers, timeout=100) as clients:
        coming = (
            ask(client, urls[number % len(urls)], stream=number % 5 == 0) for number, client in enumerate(clients)
        )
        return Counter(await asyncio.gather(*coming))


async def standing(url: str) -> dict[str, Any]:
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        async with asyncio.timeout(20):
            while True:
                answer = await client.get(f"{url}/v1/budgets")
                if answer.status_code == 200:
                    found: dict[str, Any] = answer.json()["data"][0]
                    if found["underWay"] == 0:
                        return found
                await asyncio.sleep(0.1)


def nano(text: str) -> int:
    whole, _, rest = text.partition(".")
    return int(whole) * DOLLAR + int(rest.ljust(9, "0"))


async def three(start: Start, stack: AsyncExitStack, written: dict[str, Any], provider: str) -> list[Program]:
    return [await stack.enter_async_context(start(written, provider)) for _ in range(3)]


async def test_three_gateways_spend_a_dollar_once(start: Start, tmp_path: Path, redis_server: RedisServer) -> None:
    till = Till(10)
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(till.provider.serve())
        gateways = await three(start, stack, config(tmp_path, {}, redis_server.url), url)
        answers = await race([gateway.url for gateway in gateways])
        assert answers == {200: 100, 402: 900}
        assert till.sold == DOLLAR
        for gateway in gateways:
            assert nano((await standing(gateway.url))["spent"]) == DOLLAR


async def test_what_is_dearer_than_expected_stays_within_the_published_bound(
    start: Start, tmp_path: Path, redis_server: RedisServer
) -> None:
    """The provider sells three times as much as it was asked for."""
    budget = {"in_flight": 20, "largest_request": 0.03}
    highest = bound(BudgetConfig.model_validate({"limit": 1, "period": "total", **budget})).highest
    assert highest == 1_600_000_000
    till = Till(30)
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(till.provider.serve())
        gateways = await three(start, stack, config(tmp_path, budget, redis_server.url), url)
        urls = [gateway.url for gateway in gateways]
        await race(urls)
        while (await race(urls, 60))[402] < 60:
            pass  # those who were told to come again do
        assert DOLLAR <= till.sold <= highest
        assert nano((await standing(gateways[0].url))["spent"]) == till.sold


async def test_one_gateway_without_a_redis_does_so_too(start: Start, tmp_path: Path) -> None:
    till = Till(10)
    async with till.provider.serve() as url, start(config(tmp_path, {}), url) as gateway:
        assert await race([gateway.url]) == {200: 100, 402: 900}
        assert till.sold == DOLLAR
        assert nano((await standing(gateway.url))["spent"]) == DOLLAR


async def test_a_killed_gateway_remembers_what_it_had_written_down(
    start: Start, tmp_path: Path, client: httpx.AsyncClient
) -> None:
    """What was settled longer than ``budget_write_every`` ago is there; what came after that may be lost."""
    till, written = Till(10, delay=0), config(tmp_path, {}, budget_write_every=0.1)
    async with till.provider.serve() as url:
        async with start(written, url) as gateway:
            for _ in range(5):
                assert await ask(client, gateway.url) == 200
            async with asyncio.timeout(20):
                while (await listed(gateway)) != 50_000_000:
                    await asyncio.sleep(0.05)
            assert await ask(client, gateway.url) == 200
            gateway.process.kill()
            await gateway.ended()
        async with start(written, url) as gateway:
            assert 50_000_000 <= nano((await standing(gateway.url))["spent"]) <= till.sold == 60_000_000


async def listed(gateway: Program) -> int:
    """What the table says, by the command."""
    command = [EXECUTABLE, "--config", gateway.config, "budgets", "--json"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, cwd=gateway.config.parent)
    output, _ = await process.communicate()
    return nano(json.loads(output)[0]["spent"])


@pytest.mark.full
async def test_a_redis_that_lost_everything_is_told_again_and_nothing_counts_twice(
    start: Start, tmp_path: Path, client: httpx.AsyncClient, redis_server: RedisServer
) -> None:
    till, written = Till(10, delay=0), config(tmp_path, {}, redis_server.url, budget_write_every=0.1)
    async with till.provider.serve() as url, start(written, url) as one, start(written, url) as other:
        for gateway in (one, other) * 5:
            assert await ask(client, gateway.url) == 200
        async with asyncio.timeout(20):
            while (await listed(one)) != 100_000_000:
                await asyncio.sleep(0.05)
        redis_server.ask("FLUSHALL")
        for gateway in (one, other) * 5:
            assert await ask(client, gateway.url) == 200
        for gateway in (one, other):
            assert nano((await standing(gateway.url))["spent"]) == till.sold == 200_000_000


@pytest.mark.full
async def test_what_is_spent_while_redis_is_away_is_counted_when_it_is_back(
    start: Start, tmp_path: Path, client: httpx.AsyncClient, own_redis_server: RedisServer
) -> None:
    """In open mode the requests go through; what they cost waits for the store."""
    till, written = Till(10, delay=1), config(tmp_path, {}, own_redis_server.url, budget_write_every=0.1)
    written["store"]["deadline"] = 0.5
    async with till.provider.serve() as url, start(written, url) as gateway:
        assert await ask(client, gateway.url) == 200
        async with asyncio.timeout(20):
            while (await listed(gateway)) != 10_000_000:
                await asyncio.sleep(0.05)
        under_way = [asyncio.create_task(ask(client, gateway.url)) for _ in range(5)]
        async with asyncio.timeout(20):
            while len(till.provider.requests) < 6:
                await asyncio.sleep(0.05)
        own_redis_server.kill()
        assert await asyncio.gather(*under_way) == [200] * 5
        assert await ask(client, gateway.url) == 200
        own_redis_server.start()
        async with asyncio.timeout(30):
            while nano((await standing(gateway.url))["spent"]) != till.sold:
                await asyncio.sleep(0.1)
        assert till.sold == 70_000_000


async def test_sdks_do_not_ask_again_where_a_budget_is_used_up(
    start: Start, tmp_path: Path, provider: ScriptedProvider
) -> None:
    """Both retry what they take for passing; 402 with ``x-should-retry: false`` is not."""
    asked: list[str] = []

    async def note(request: Any) -> None:
        asked.append(str(request.url.path))

    async with provider.serve() as url, start(config(tmp_path, {"limit": 0.001}), url) as gateway:
        message: Any = {"role": "user", "content": "Hi"}
        async with openai.DefaultAsyncHttpxClient(event_hooks={"request": [note]}) as http:
            client = openai.AsyncOpenAI(api_key="sk-x", base_url=f"{gateway.url}/v1", http_client=http, max_retries=2)
            with pytest.raises(openai.APIStatusError) as refused:
                await client.chat.completions.create(model="gpt-4o-mini", max_tokens=10, messages=[message])
        assert (refused.value.status_code, refused.value.code) == (402, "budget_exceeded")
        async with anthropic.DefaultAsyncHttpxClient(event_hooks={"request": [note]}) as http:
            other = anthropic.AsyncAnthropic(api_key="sk-x", base_url=gateway.url, http_client=http, max_retries=2)
            with pytest.raises(anthropic.APIStatusError) as too:
                await other.messages.create(model="gpt-4o-mini", max_tokens=10, messages=[message])
        assert too.value.status_code == 402
        assert asked == ["/v1/chat/completions", "/v1/messages"]
        assert provider.requests == []
