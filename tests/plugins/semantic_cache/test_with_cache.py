"""Inside the plugin ``cache``: what that one makes of answers that are another question's."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from helicone_gw.testing import GatewayFactory, RunningGateway, ScriptedProvider
from helicone_gw_semantic_cache.plugin import SemanticCachePlugin
from tests.plugins.semantic_cache.ngrams import answering

pytestmark = pytest.mark.virtual_time

ASKED, LIKE = "How do I reset my password?", "how can I reset my password, please"


def plugins(**meter: Any) -> list[Any]:
    settings = {"enabled": True, "threshold": 0.5, "meter": {"share": 0, **meter}}
    return ["logging", "cost", {"cache": {"enabled": True}}, {"semantic-cache": settings}]


def plugin(running: RunningGateway) -> SemanticCachePlugin:
    [found] = [each for each in running.gateway.plugins if isinstance(each, SemanticCachePlugin)]
    return found


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_that_was_guessed_is_not_kept_as_the_questions_own(
    gateway: GatewayFactory, stream: bool
) -> None:
    async with gateway(plugins(), provider=ScriptedProvider(default=answering())) as running:
        first = await running.chat(ASKED, stream=stream)
        await running.gateway.background.drain(100)
        for _ in range(2):
            again = await running.chat(LIKE, stream=stream)
            assert again.body == first.body
            assert "helicone-cache-semantic" in again.headers  # guessed each time, by whoever can take it back
        assert plugin(running).counts.hits == 2
        assert "helicone-cache-semantic" not in (await running.chat(ASKED, stream=stream)).headers


@pytest.mark.parametrize("stream", [False, True])
async def test_many_who_ask_alike_at_once_are_all_answered(gateway: GatewayFactory, stream: bool) -> None:
    async with gateway(plugins(), provider=ScriptedProvider(default=answering())) as running:
        first = await running.chat(ASKED, stream=stream)
        await running.gateway.background.drain(100)
        replies = await asyncio.gather(*(running.chat(LIKE, stream=stream) for _ in range(20)))
        assert {reply.body for reply in replies} == {first.body}
        assert {reply.status for reply in replies} == {200}


async def test_a_hit_that_is_asked_again_gives_the_question_an_answer_of_its_own(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(default=answering({ASKED: "Click on the link.", LIKE: "Call 555 1234."}))
    async with gateway(plugins(share=1), provider=provider) as running:
        await running.chat(ASKED)
        await running.gateway.background.drain(100)
        assert b"Click" in (await running.chat(LIKE)).body
        await running.gateway.background.drain(100)
        assert plugin(running).meter.counts.other == 1
        asked = len(provider.requests)
        again = await running.chat(LIKE)
        assert b"555 1234" in again.body
        assert again.headers.get("helicone-cache") == "HIT"
        assert len(provider.requests) == asked
