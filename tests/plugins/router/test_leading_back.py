"""What refers to something that a target keeps goes to the target and key that keep it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from helicone_gw.testing import GatewayFactory, ScriptedProvider
from helicone_gw.testing.dialects import anthropic, gemini, openai_responses
from helicone_gw.testing.script import event, of_events, of_json

KEYS: dict[str, Any] = {
    "anthropic": {"keys": ["sk-a1", "sk-a2"]},
    "gemini": {"keys": ["g1", "g2"]},
    "openai": {"api_key": "sk-o"},
}
CONTAINER = {"id": "container_011CPR5C", "expires_at": "2026-11-27T00:00:00Z"}
CODE = {"tools": [{"type": "code_execution_20250825", "name": "code_execution"}]}
ASKED = {"model": "claude-sonnet-4-5/anthropic", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}


def key_of(provider: ScriptedProvider) -> str | None:
    headers = provider.requests[-1].headers
    return headers.get("x-api-key") or headers.get("x-goog-api-key") or headers.get("authorization")


def message() -> Any:
    whole = json.loads(anthropic.reply("Done. " * 2000).body)
    return of_json({**whole, "container": CONTAINER})


def stream() -> Any:
    start = {"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant", "container": None}}
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Done. " * 2000}}
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn", "container": CONTAINER}, "usage": {}}
    return of_events(*(event(each, each["type"]) for each in (start, delta, end, {"type": "message_stop"})))


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_container_of_anthropics(gateway: GatewayFactory, streamed: bool) -> None:
    provider = ScriptedProvider(stream() if streamed else message(), default=anthropic.reply())
    async with gateway(["router"], provider=provider, config={"providers": KEYS}) as running:
        headers = {"anthropic-version": "2023-06-01"}
        body = {**ASKED, **CODE, "stream": streamed}
        first = await running.request("POST", "/v1/messages", json=body, headers=headers)
        assert (first.status, b"container_011CPR5C" in first.body) == (200, True)
        home = key_of(provider)
        await asyncio.sleep(0)
        for container in ("container_011CPR5C", {"id": "container_011CPR5C", "skills": []}) * 2:
            again = {**ASKED, **CODE, "container": container}
            assert (await running.request("POST", "/v1/messages", json=again, headers=headers)).status == 200
            assert key_of(provider) == home
        other = {key_of(provider) for _ in range(4) if await running.request("POST", "/v1/messages", json=ASKED)}
        assert len(other) == 2, "what has none is shared among the keys"


FILE = {"file": {"name": "files/abc-123", "uri": "https://generativelanguage.googleapis.com/v1beta/files/abc-123"}}


async def test_files_and_caches_of_geminis(gateway: GatewayFactory) -> None:
    def answered(request: Any) -> Any:
        if "/upload/" in request.path:
            return of_json(FILE)
        return of_json({"name": "cachedContents/xyz", "model": "models/gemini-2.5-flash"})

    provider = ScriptedProvider(default=answered)
    async with gateway(["router"], provider=provider, config={"providers": KEYS}) as running:
        binary = {"content-type": "application/octet-stream", "x-goog-api-key": ""}
        await running.request("POST", "/upload/v1beta/files?uploadType=media", content=b"data", headers=binary)
        file_home = key_of(provider)
        made = {"model": "models/gemini-2.5-flash", "contents": []}
        await running.request("POST", "/v1beta/cachedContents", json=made)
        cache_home = key_of(provider)
        await asyncio.sleep(0)
        part = {"fileData": {"fileUri": FILE["file"]["uri"], "mimeType": "text/plain"}}
        asked = {"contents": [{"role": "user", "parts": [part]}]}
        path = "/v1beta/models/gemini-2.5-flash:generateContent"
        for _ in range(3):
            await running.request("POST", path, json=asked)
            assert key_of(provider) == file_home
            await running.request("GET", "/v1beta/files/abc-123")
            assert key_of(provider) == file_home
            await running.request("POST", path, json={"contents": [], "cachedContent": "cachedContents/xyz"})
            assert key_of(provider) == cache_home


async def test_what_was_met_under_a_key_is_remembered(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(default=of_json({"name": "files/met", "state": "ACTIVE"}))
    async with gateway(["router"], provider=provider, config={"providers": KEYS}) as running:
        await running.request("GET", "/gemini/v1beta/files/met")
        home = key_of(provider)
        await asyncio.sleep(0)
        body = {"contents": [{"parts": [{"fileData": {"fileUri": "https://x.example/v1beta/files/met"}}]}]}
        for _ in range(3):
            await running.request("POST", "/v1beta/models/gemini-2.5-flash:generateContent", json=body)
            assert key_of(provider) == home


@pytest.mark.virtual_time
async def test_a_file_that_nobody_saw_is_found_by_falling_back(gateway: GatewayFactory) -> None:
    def answered(request: Any) -> Any:
        return gemini.reply() if request.headers.get("x-goog-api-key") == "g2" else gemini.error(403)

    provider = ScriptedProvider(default=answered)
    plugins = [{"router": {"health": {"key_rest": 0.5}}}, "fallbacks"]
    async with gateway(plugins, provider=provider, config={"providers": KEYS}) as running:
        body = {"contents": [{"parts": [{"fileData": {"fileUri": "https://x.example/v1beta/files/strange"}}]}]}
        for _ in range(4):
            reply = await running.request("POST", "/v1beta/models/gemini-2.5-flash:generateContent", json=body)
            assert reply.status == 200
            await asyncio.sleep(1)
    attempts = [len(exchange.attempts) for exchange in running.exchanges]
    assert attempts[0] <= 2
    assert attempts[1:] == [1, 1, 1]


@pytest.mark.virtual_time
async def test_a_response_leads_back_to_the_target_whose_answer_was_taken(gateway: GatewayFactory) -> None:
    """Of two that were asked, the first one may be the quicker all the same."""

    def answered(request: Any) -> Any:
        first = request.headers.get("authorization") == "Bearer sk-o"
        return openai_responses.reply().delayed(3 if first else 60) if request.method == "POST" else of_json({})

    route = {"strategy": "priority", "targets": ["gpt-4o/openai", "m/groq"], "hedge": {"after": 1}}
    config = {"providers": {**KEYS, "groq": {"api_key": "sk-g"}}}
    plugins = [{"router": {"routes": {"r": route}}}]
    async with gateway(plugins, provider=ScriptedProvider(default=answered), config=config) as running:
        made = await running.request("POST", "/v1/responses", json={"model": "r", "input": "Hi"})
        await asyncio.sleep(1)
        await running.request("GET", f"/v1/responses/{made.json()['id']}")
    targets = [[attempt.target.provider for attempt in exchange.attempts] for exchange in running.exchanges]
    assert targets == [["groq", "openai"], ["openai"]]
