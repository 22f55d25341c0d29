"""Entries whose providers speak another dialect than the client get its original in theirs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from helicone_gw.testing import GatewayFactory, RunningGateway, ScriptedProvider
from helicone_gw.testing.dialects import anthropic, gemini, openai_chat

ADDRESSES: dict[str, Any] = {
    "providers": {
        "openai": {"base_url": "http://127.0.0.1:4011/v1", "api_key": "sk-openai"},
        "anthropic": {"base_url": "http://127.0.0.1:4012", "api_key": "sk-ant"},
        "gemini": {"base_url": "http://127.0.0.1:4013", "api_key": "g-key"},
    }
}
PORTS = {"openai": 4011, "anthropic": 4012, "gemini": 4013}
CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}


def entries(*made: tuple[str, dict[str, Any]]) -> dict[str, str]:
    listed = [
        {"target-url": f"http://127.0.0.1:{PORTS[name]}", "headers": {}, "onCodes": [{"from": 400, "to": 599}], **extra}
        for name, extra in made
    ]
    return {"Helicone-Fallbacks": json.dumps(listed)}


async def ask(
    running: RunningGateway, headers: dict[str, str], body: Any = CHAT, path: str = "/gateway/v1/chat/completions"
) -> Any:
    return await running.request("POST", path, json=body, headers=headers)


CLAUDE = {"bodyKeyOverride": {"model": "claude-sonnet-4-5"}, "headers": {"x-api-key": "sk-entry"}}
GEMINI = {"bodyKeyOverride": {"model": "gemini-2.5-flash"}, "headers": {"x-goog-api-key": "g-entry"}}


@pytest.mark.parametrize("stream", [False, True])
async def test_chat_completions_go_to_anthropic_and_gemini(gateway: GatewayFactory, stream: bool) -> None:
    answer = gemini.stream("Hello") if stream else gemini.reply("Hello")
    provider = ScriptedProvider(openai_chat.error(500), anthropic.error(529), answer)
    headers = entries(("openai", {}), ("anthropic", CLAUDE), ("gemini", GEMINI))
    async with gateway(["fallbacks"], provider=provider, config=ADDRESSES) as running:
        reply = await ask(running, headers, {**CHAT, "stream": stream})
    assert (reply.status, reply.headers.get("helicone-fallback-index")) == (200, "2")
    assert b"Hello" in reply.body
    assert (b"chat.completion.chunk" if stream else b'"chat.completion"') in reply.body
    first, second, third = provider.requests
    assert first.path == "/v1/chat/completions"
    assert (second.path, second.headers.get("x-api-key")) == ("/v1/messages", "sk-entry")
    assert (second.json()["model"], second.json()["max_tokens"]) == ("claude-sonnet-4-5", 64_000)
    verb = "streamGenerateContent" if stream else "generateContent"
    assert third.path == f"/v1beta/models/gemini-2.5-flash:{verb}"
    assert third.headers.get("x-goog-api-key") == "g-entry"
    assert third.json()["contents"] == [{"role": "user", "parts": [{"text": "Hi"}]}]
    attempts = running.exchanges[-1].attempts
    assert [attempt.target.model for attempt in attempts] == ["gpt-4o", "claude-sonnet-4-5", "gemini-2.5-flash"]
    assert attempts[-1].usage is not None


async def test_messages_go_to_openai(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(anthropic.error(529), openai_chat.reply("Hello"))
    headers = entries(("anthropic", {}), ("openai", {"bodyKeyOverride": {"model": "gpt-4o"}}))
    body = {"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": CHAT["messages"]}
    async with gateway(["fallbacks"], provider=provider, config=ADDRESSES) as running:
        reply = await ask(running, headers, body, "/gateway/v1/messages")
    assert (reply.status, reply.json()["type"]) == (200, "message")
    assert provider.requests[1].path == "/v1/chat/completions"
    assert provider.requests[1].json()["model"] == "gpt-4o"
    assert provider.requests[1].headers.get("authorization") == "Bearer sk-openai"


async def test_contents_go_to_openai_and_another_model_of_geminis(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(gemini.error(503), openai_chat.error(500), gemini.reply("Hello"))
    headers = entries(
        ("gemini", {}),
        ("openai", {"bodyKeyOverride": {"model": "gpt-4o"}}),
        ("gemini", {"bodyKeyOverride": {"model": "gemini-2.5-pro"}}),
    )
    body = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
    path = "/gateway/v1beta/models/gemini-2.5-flash:generateContent"
    async with gateway(["fallbacks"], provider=provider, config=ADDRESSES) as running:
        reply = await ask(running, headers, body, path)
    assert reply.status == 200
    assert [request.path for request in provider.requests] == [
        "/v1beta/models/gemini-2.5-flash:generateContent",
        "/v1/chat/completions",
        "/v1beta/models/gemini-2.5-pro:generateContent",
    ]
    assert provider.requests[1].json()["model"] == "gpt-4o"
    assert "model" not in provider.requests[2].json()


async def test_an_error_of_the_only_entry_is_in_the_clients_dialect(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(anthropic.error(429))
    async with gateway(["fallbacks"], provider=provider, config=ADDRESSES) as running:
        reply = await ask(running, entries(("anthropic", CLAUDE)))
    assert reply.status == 429
    assert "type" not in reply.json()
    assert reply.json()["error"]["message"]


async def test_a_path_of_a_compatibility_layer_is_meant(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(openai_chat.reply())
    async with gateway(["fallbacks"], provider=provider, config=ADDRESSES) as running:
        path = "/gateway/v1beta/openai/chat/completions"
        assert (await ask(running, entries(("gemini", {})), path=path)).status == 200
    assert provider.requests[0].path == "/v1beta/openai/chat/completions"


async def test_and_so_is_a_target_that_the_client_names_by_url(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(openai_chat.reply())
    async with gateway(["fallbacks"], provider=provider, config=ADDRESSES) as running:
        headers = {"Helicone-Target-URL": "http://127.0.0.1:4012"}
        assert (await ask(running, headers)).status == 200
    assert provider.requests[0].path == "/v1/chat/completions"
    assert provider.requests[0].json() == CHAT
