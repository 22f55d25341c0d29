"""Bodies of other dialects at the address of chat completions, as ``Helicone-Gateway-Body-Mapping`` says it."""

from __future__ import annotations

from typing import Any

import pytest

from helicone_gw.testing import GatewayFactory, ScriptedProvider
from helicone_gw.testing.dialects import anthropic, gemini, openai_chat, openai_responses

NATIVE = {"Helicone-Gateway-Body-Mapping": "NO_MAPPING"}
CONFIG: dict[str, Any] = {
    "providers": {name: {"api_key": "k"} for name in ("openai", "anthropic", "gemini", "cohere")},
    "models": {
        "claude": {"providers": ["anthropic"], "model": "claude-sonnet-4-5"},
        "flash": {"providers": ["gemini"], "model": "gemini-2.5-flash"},
        "command": {"providers": ["cohere"]},
    },
}
MESSAGES = [{"role": "user", "content": "Hi"}]


async def test_a_responses_body_is_a_call_of_responses(gateway: GatewayFactory) -> None:
    headers = {"Helicone-Gateway-Body-Mapping": "RESPONSES"}
    async with gateway(provider=ScriptedProvider(openai_responses.reply()), config=CONFIG) as running:
        body = {"model": "gpt-4o-mini", "input": "Hi"}
        reply = await running.request("POST", "/v1/chat/completions", json=body, headers=headers)
    assert reply.json()["object"] == "response"
    assert (running.provider.requests[0].path, running.provider.requests[0].json()) == ("/v1/responses", body)
    assert running.exchanges[0].usage is not None, "its answer is read as what it is"


async def test_a_body_of_anthropics_goes_as_it_is_and_so_does_the_answer(gateway: GatewayFactory) -> None:
    body = {"model": "claude", "max_tokens": 9, "thinking": {"type": "disabled"}, "messages": MESSAGES}
    async with gateway(provider=ScriptedProvider(anthropic.reply("Hello")), config=CONFIG) as running:
        reply = await running.request("POST", "/v1/chat/completions", json=body, headers=NATIVE)
    assert reply.json()["type"] == "message"
    assert running.provider.requests[0].path == "/v1/messages"
    assert running.provider.requests[0].json() == {**body, "model": "claude-sonnet-4-5"}
    assert "helicone-translation-loss" not in reply.headers


@pytest.mark.parametrize("stream", [False, True])
async def test_a_body_of_geminis_keeps_no_model_and_no_stream(gateway: GatewayFactory, stream: bool) -> None:
    contents = [{"role": "user", "parts": [{"text": "Hi"}]}]
    body = {"model": "flash", "stream": stream, "contents": contents}
    provider = ScriptedProvider(gemini.stream() if stream else gemini.reply())
    async with gateway(provider=provider, config=CONFIG) as running:
        reply = await running.request("POST", "/v1/chat/completions", json=body, headers=NATIVE)
    assert reply.status == 200
    assert b'"candidates"' in reply.body
    verb = "streamGenerateContent" if stream else "generateContent"
    assert provider.requests[0].path == f"/v1beta/models/gemini-2.5-flash:{verb}"
    assert provider.requests[0].json() == {"contents": contents}


@pytest.mark.parametrize(
    ("path", "model", "headers", "warned"),
    [
        ("/v1/chat/completions", "gpt-4o-mini", NATIVE, False),
        ("/v1/chat/completions", "gpt-4o-mini", {"Helicone-Gateway-Body-Mapping": "OPENAI"}, False),
        ("/v1/chat/completions", "command", NATIVE, True),
        ("/openai/v1/chat/completions", "claude", NATIVE, False),
    ],
)
async def test_what_stays_a_chat(
    gateway: GatewayFactory, path: str, model: str, headers: dict[str, str], warned: bool
) -> None:
    async with gateway(provider=ScriptedProvider(default=openai_chat.reply()), config=CONFIG) as running:
        reply = await running.request("POST", path, json={"model": model, "messages": MESSAGES}, headers=headers)
    assert running.exchanges[0].original.operation == "chat"
    assert ("Body-Mapping" in (reply.headers.get("helicone-warning") or "")) is warned


async def test_a_key_that_may_not_use_the_address_may_not_in_this_way_either(
    gateway: GatewayFactory, keyed: dict[str, Any]
) -> None:
    async with gateway(**keyed) as running:
        reply = await running.request(
            "POST",
            "/v1/chat/completions",
            json={"model": "gpt-4o-mini", "input": "Hi"},
            headers={"Helicone-Gateway-Body-Mapping": "RESPONSES", "Authorization": "Bearer hk-narrow"},
        )
    assert (reply.status, running.provider.requests) == (403, [])
