"""The ledger: what the log says was spent is what the providers' own books say, to the nano-dollar.

Mixed traffic: unary and streamed, with errors that are retried, targets that are given up for others, answers from the
cache, and clients that leave. What a broken-off stream cost nobody is told: those rows say that they are estimated.
"""

from __future__ import annotations

import random
from fractions import Fraction
from math import floor
from typing import Any

import pytest

from helicone_gw import Usage
from helicone_gw.testing import GatewayFactory, RunningGateway, ScriptedProvider
from helicone_gw.testing.dialects import anthropic, openai_chat
from helicone_gw.testing.record import RecordedRequest
from helicone_gw_logging import RequestDetail, get_request, list_requests
from helicone_gw_logging.plugin import LoggingPlugin

pytestmark = pytest.mark.virtual_time

PRICES = {
    "m-openai": {"input_mtok": "2.5", "cache_read_mtok": "1.25", "output_mtok": "10"},
    "m-anthropic": {"input_mtok": "3", "cache_read_mtok": "0.3", "cache_write_mtok": "3.75", "output_mtok": "15"},
    "m-groq": {"input_mtok": "0.0591", "cache_read_mtok": "0.0296", "output_mtok": "0.0791"},
}
"""USD per million tokens; the last ones make fractions of a nano-dollar."""
PROVIDERS = {"m-openai": "openai", "m-anthropic": "anthropic", "m-groq": "groq"}
CONFIG: dict[str, Any] = {
    "providers": {name: {"api_key": f"sk-{name}"} for name in PROVIDERS.values()},
    "models": {
        model: {"providers": [PROVIDERS[model]], "price": {unit: float(price) for unit, price in prices.items()}}
        for model, prices in PRICES.items()
    },
}
CHAIN: list[Any] = [
    "logging",
    "cost",
    "cache",
    "router",
    {"fallbacks": {"chains": {"*": ["m-groq"]}}},
    {"retries": {"enabled": True, "num": 2, "min_timeout": 0.1, "budget": {"floor": 10_000}}},
]


class Books:
    """The providers, and what each of their answers costs by their own price list, exactly."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.charged = Fraction(0)
        self.answers = 0
        self.failures = 0
        self.fails = False

    def __call__(self, request: RecordedRequest) -> Any:
        model = request.json()["model"]
        if model != "m-groq" and (self.fails or self.chance.random() < 0.3):
            self.failures += 1
            return (anthropic if model == "m-anthropic" else openai_chat).error(529 if self.fails else 500)
        usage = self._usage(model)
        self.answers += 1
        self.charged += self._cost(model, usage)
        if model == "m-anthropic":
            return anthropic.answer("Hello!", usage=usage)(request)
        return openai_chat.answer("Hello!", usage=usage)(request)

    def _usage(self, model: str) -> Usage:
        cached, fresh = self.chance.randrange(0, 4096), self.chance.randrange(1, 20_000)
        if model == "m-anthropic":
            written = self.chance.randrange(0, 1024)
            return Usage(
                cached + fresh + written,
                self.chance.randrange(1, 4000),
                cache_read_tokens=cached,
                cache_write_tokens=written,
            )
        return Usage(cached + fresh, self.chance.randrange(1, 4000), cache_read_tokens=cached, reasoning_tokens=0)

    def _cost(self, model: str, usage: Usage) -> Fraction:
        prices = {unit: Fraction(price) * 1000 for unit, price in PRICES[model].items()}  # nano-dollars a token
        read, written = usage.cache_read_tokens or 0, usage.cache_write_tokens or 0
        whole = (
            ((usage.input_tokens or 0) - read - written) * prices["input_mtok"]
            + read * prices["cache_read_mtok"]
            + written * prices.get("cache_write_mtok", Fraction(0))
            + (usage.output_tokens or 0) * prices["output_mtok"]
        )
        # Each answer is a position of its own on the bill, rounded half up to the nano-dollar.
        return Fraction(floor(whole + Fraction(1, 2)))


async def logged(running: RunningGateway) -> list[RequestDetail]:
    for plugin in running.gateway.plugins:
        if isinstance(plugin, LoggingPlugin):
            await plugin.flush()
    rows = await list_requests(running.gateway.database, limit=10_000)
    found = [await get_request(running.gateway.database, each.row.id) for each in rows]
    return [each for each in found if each is not None]


async def traffic(running: RunningGateway, books: Books, chance: random.Random, requests: int) -> None:
    for _ in range(requests):
        model = chance.choice(list(PRICES))
        anthropic_client = chance.random() < 0.3
        path = "/v1/messages" if anthropic_client else "/v1/chat/completions"
        body: dict[str, Any] = {
            "model": model,
            "stream": chance.random() < 0.5,
            # Few different questions, so that some were answered before.
            "messages": [{"role": "user", "content": f"Question {chance.randrange(25)}"}],
        }
        if anthropic_client:
            body["max_tokens"] = 100
        headers = {"Helicone-Cache-Enabled": "true"} if chance.random() < 0.5 else {}
        books.fails = chance.random() < 0.1
        reply = await running.request("POST", path, json=body, headers=headers)
        assert reply.status == 200, reply.body


async def test_the_log_agrees_with_the_providers_own_books(gateway: GatewayFactory) -> None:
    chance = random.Random(20_261_126)
    books = Books(chance)
    async with gateway(CHAIN, provider=ScriptedProvider(default=books), config=CONFIG) as running:
        await traffic(running, books, chance, 400)
        rows = await logged(running)
    assert len(rows) == 400
    spent = [each.request.row.cost_nano_usd for each in rows]
    assert None not in spent, "everything was told, so that nothing is unknown"
    assert sum(cost or 0 for cost in spent) == books.charged
    assert not any(each.request.row.cost_estimated for each in rows)
    attempts = [attempt for each in rows for attempt in each.attempts]
    assert sum(attempt.cost_nano_usd or 0 for attempt in attempts) == books.charged, "per attempt as well"
    assert len(attempts) == books.answers + books.failures == len(running.provider.requests)
    hits = [each for each in rows if each.request.row.cache_status == "hit"]
    assert len(hits) > 20
    assert all(each.request.row.cost_nano_usd == 0 and not each.attempts for each in hits)
    assert any(len(each.attempts) > 1 and each.request.row.provider == "groq" for each in rows), "some fell back"
    assert books.failures > 100


async def test_who_leaves_a_stream_is_charged_an_estimate_that_says_so(gateway: GatewayFactory) -> None:
    chance = random.Random(7)
    books = Books(chance)

    def answered(request: RecordedRequest) -> Any:
        if request.json()["messages"][0]["content"] == "Leave":
            return openai_chat.stream(("word ",) * 40, usage=Usage(30, 40)).paced(1)
        return books(request)

    async with gateway(CHAIN, provider=ScriptedProvider(default=answered), config=CONFIG) as running:
        for _ in range(15):
            await traffic(running, books, chance, 2)
            body = {"model": "m-openai", "stream": True, "messages": [{"role": "user", "content": "Leave"}]}
            async with running.stream("POST", "/v1/chat/completions", json=body) as answer:
                async for _ in answer:
                    await answer.leave()
                    break
        rows = await logged(running)
    left = [each.request.row for each in rows if each.request.row.outcome != "ok"]
    assert len(left) == 15
    assert {row.outcome for row in left} == {"client_disconnected"}
    assert all(row.cost_estimated and row.usage_estimated and row.cost_nano_usd for row in left)
    told = [each.request.row for each in rows if each.request.row.outcome == "ok"]
    assert sum(row.cost_nano_usd or 0 for row in told) == books.charged, "and nobody else's row knows of it"
    assert not any(row.cost_estimated for row in told)
