"""Inside the plugin ``cache``: an answer under one safety policy is nobody's under another."""

from __future__ import annotations

from typing import Any

import pytest

from helicone_gw.testing import GatewayFactory, Reply, RunningGateway, ScriptedProvider
from helicone_gw.testing.dialects import openai_chat
from tests.plugins.moderation.finding import ADDRESS, CLASSES, KEY, PHRASE

pytestmark = pytest.mark.virtual_time
CACHED = {"Helicone-Cache-Enabled": "true"}
SWITCHES = (
    "Helicone-Moderations-Enabled",
    "Helicone-LLM-Security-Enabled",
    "Helicone-Prompt-Security-Enabled",
    "Helicone-LLM-Security-Advanced",
    "Helicone-Peyeeye-Enabled",
)


def plugins(**config: Any) -> list[Any]:
    judged = {"checks": [{"find": ["keyword"], "action": "shadow"}], "headers": {"moderations": []}}
    return ["cost", "cache", {"moderation": {**judged, **config}}]


async def hit(running: RunningGateway, headers: dict[str, str], text: str = "Hello!") -> str:
    reply = await running.chat(text, headers={**CACHED, **headers})
    assert reply.status == 200
    return str(reply.headers.get("helicone-cache"))


@pytest.mark.parametrize("switch", SWITCHES)
async def test_each_switch_is_part_of_the_question(gateway: GatewayFactory, switch: str) -> None:
    async with gateway(plugins(), classes=CLASSES) as running:
        assert await hit(running, {}) == "MISS"
        assert await hit(running, {switch: "true"}) == "MISS"
        assert [await hit(running, headers) for headers in ({}, {switch: "true"})] == ["HIT", "HIT"]


async def test_what_one_may_ask_and_another_may_not_is_not_answered_from_the_cache(gateway: GatewayFactory) -> None:
    async with gateway(plugins(), classes=CLASSES) as running:
        assert await hit(running, {}, PHRASE) == "MISS"
        assert await hit(running, {}, PHRASE) == "HIT"
        guarded = await running.chat(PHRASE, headers={**CACHED, "Helicone-LLM-Security-Enabled": "true"})
    assert guarded.status == 400


async def test_rules_for_keys_set_keys_of_one_owner_apart(gateway: GatewayFactory) -> None:
    keys = {name: {"key": f"sk-helicone-{name}-0123456789", "owner": "us"} for name in ("free", "bound")}
    rules = [{"keys": ["bound"], "checks": [{"find": ["keyword"]}]}]
    stack = [{"security": {"keys": keys}}, {"cache": {"share": "owner"}}, {"moderation": {"rules": rules}}]
    async with gateway(stack, classes=CLASSES) as running:

        async def ask(name: str) -> Reply:
            auth = {"Helicone-Auth": f"Bearer sk-helicone-{name}-0123456789"}
            return await running.chat("forbidden", headers={**CACHED, **auth})

        assert (await ask("free")).status == 200
        assert (await ask("bound")).status == 400
        assert (await ask("free")).headers.get("helicone-cache") == "HIT"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_refused_answer_is_not_kept(gateway: GatewayFactory, stream: bool) -> None:
    provider = ScriptedProvider(default=openai_chat.answer(["Well. " * 20, f"It is {KEY}", " and so on."]))
    config = {"checks": [{"find": ["secret"]}]}
    async with gateway(plugins(**config), classes=CLASSES, provider=provider) as running:
        for _ in range(2):
            reply = await running.chat(headers=CACHED, stream=stream)
            assert reply.headers.get("helicone-cache") == "MISS"
            assert KEY.encode() not in reply.body
        assert len(running.provider.requests) == 2


@pytest.mark.parametrize("stream", [False, True])
async def test_what_is_kept_is_what_the_client_had(gateway: GatewayFactory, stream: bool) -> None:
    provider = ScriptedProvider(default=openai_chat.answer(["To [EM", "AIL_1], not bob@exam", "ple.com."]))
    config = {"checks": [{"find": ["pii"], "action": "redact"}]}
    async with gateway(plugins(**config), classes=CLASSES, provider=provider) as running:
        replies = [await running.chat(f"To {ADDRESS}", headers=CACHED, stream=stream) for _ in range(2)]
        assert replies[0].body == replies[1].body
        assert replies[1].headers.get("helicone-cache") == "HIT"
        assert ADDRESS.encode() in replies[1].body
        assert b"bob" not in replies[1].body
        assert len(running.provider.requests) == 1
    assert ADDRESS not in repr(running.exchanges[1].annotations)
