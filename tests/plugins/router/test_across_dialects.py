"""Fallbacks to a provider of another dialect: the client's own request is translated, and so is the answer."""

from __future__ import annotations

from typing import Any

import pytest

from helicone_gw.testing import GatewayFactory, ScriptedProvider, of_json
from helicone_gw.testing.dialects import anthropic, openai_chat

CONFIG: dict[str, Any] = {
    "providers": {"openai": {"api_key": "sk-o"}, "anthropic": {"api_key": "sk-a"}, "gemini": None},
    "models": {"both": {"providers": ["openai", "anthropic"]}},
}
PLUGINS = ["router", "fallbacks", {"retries": {"enabled": True, "num": 1, "min_timeout": 0}}]
TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_chat_falls_back_to_messages(gateway: GatewayFactory, stream: bool) -> None:
    provider = ScriptedProvider(openai_chat.error(500), openai_chat.error(500), anthropic.answer("Hello there!"))
    async with gateway(PLUGINS, provider=provider, config=CONFIG) as running:
        reply = await running.chat("Say hello", model="gpt-4o, claude-sonnet-4-5", stream=stream, tools=TOOLS)
    assert (reply.status, reply.aborted) == (200, False)
    assert [request.path for request in provider.requests] == [*["/v1/chat/completions"] * 2, "/v1/messages"]
    asked = provider.requests[-1].json()
    assert asked["model"] == "claude-sonnet-4-5"
    assert asked["tools"][0]["name"] == "look"
    assert asked["max_tokens"] > 0
    assert b"Hello" in reply.body
    assert (b"chat.completion.chunk" in reply.body) is stream
    assert reply.headers.get("helicone-provider") == "anthropic"
    exchange = running.exchanges[0]
    assert exchange.usage is not None
    assert exchange.usage.input_tokens == anthropic.USAGE.input_tokens


async def test_the_original_is_translated_and_not_what_the_first_was_sent(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(anthropic.error(529), anthropic.error(529), openai_chat.reply("Hello!"))
    config = {**CONFIG, "models": {"both": {"providers": ["anthropic", "openai"]}}}
    async with gateway(PLUGINS, provider=provider, config=config) as running:
        reply = await running.chat("Say hello", model="both", logit_bias={"1": 5})
    assert reply.status == 200
    assert provider.requests[-1].json()["logit_bias"] == {"1": 5}, "nothing is lost on the way through the first"
    assert "helicone-translation-loss" not in reply.headers


async def test_messages_fall_back_to_chat_and_every_attempt_is_told_in_the_clients_words(
    gateway: GatewayFactory,
) -> None:
    config = {**CONFIG, "models": {"both": {"providers": ["anthropic", "openai"]}}}
    provider = ScriptedProvider(default=lambda request: _down(request.path))
    async with gateway(PLUGINS, provider=provider, config=config) as running:
        reply = await running.message(model="both")
    assert reply.status == 503
    assert reply.json()["type"] == "error"
    details = reply.json()["error"]["details"]
    assert [(each["source"], each["statusCode"]) for each in details] == [
        ("anthropic/both", 529),
        ("anthropic/both", 529),
        ("openai/both", 503),
        ("openai/both", 503),
    ]


def _down(path: str) -> Any:
    return anthropic.error(529) if path == "/v1/messages" else openai_chat.error(503)


async def test_an_operation_that_no_other_provider_has_stays(gateway: GatewayFactory) -> None:
    """Speech is OpenAI's: a model of that name elsewhere is no choice."""
    config = {**CONFIG, "models": {"both": {"providers": ["anthropic", "openai"]}}}
    async with gateway(PLUGINS, provider=ScriptedProvider(openai_chat.reply()), config=config) as running:
        reply = await running.request("POST", "/v1/audio/speech", json={"model": "both", "input": "x", "voice": "a"})
    assert reply.status == 200
    assert [str(attempt.target) for attempt in running.exchanges[0].attempts] == ["openai/both"]


async def test_an_answer_that_names_no_model_is_of_the_one_that_answered(gateway: GatewayFactory) -> None:
    """Gemini's vectors say nothing of it, and a list is no name of a model."""
    provider = ScriptedProvider(openai_chat.error(500), of_json({"embeddings": [{"values": [0.5]}]}))
    config = {"providers": {"openai": {"api_key": "sk-o"}, "gemini": {"api_key": "g"}}}
    body = {"model": "text-embedding-3-small/openai, gemini-embedding-001/gemini", "input": ["x"]}
    async with gateway(["router", "fallbacks"], provider=provider, config=config) as running:
        reply = await running.request("POST", "/v1/embeddings", json=body)
    assert (reply.status, reply.json()["model"]) == (200, "gemini-embedding-001")
