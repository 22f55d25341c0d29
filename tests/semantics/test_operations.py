"""An operation that a provider does not offer is refused before any call, or goes to one that does."""

from __future__ import annotations

from typing import Any

import pytest

from helicone_gw.testing import GatewayFactory, ScriptedProvider
from helicone_gw.testing.dialects import anthropic, gemini, openai_chat
from helicone_gw.testing.script import of_json

KEYS: dict[str, Any] = {name: {"api_key": f"sk-{name}"} for name in ("openai", "anthropic", "gemini", "groq", "cohere")}


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("/anthropic/v1/embeddings", {"model": "claude", "input": "hi"}, "'anthropic' does not offer 'embeddings'"),
        ("/groq/v1/embeddings", {"model": "m", "input": "hi"}, "'groq' does not offer 'embeddings'"),
        ("/anthropic/v1/images/generations", {"model": "m"}, "does not offer 'images/generations'"),
        ("/openai/v1/messages/batches", {"requests": []}, "'openai' does not offer 'message_batches'"),
        ("/groq/v1beta/models/m:embedContent", {"content": {}}, "'groq' does not offer 'embed_content'"),
        ("/groq/v1/messages/count_tokens", {"model": "m", "messages": []}, "does not offer 'count_tokens'"),
    ],
)
@pytest.mark.parametrize("plugins", [[], ["router", "fallbacks", "retries"]])
async def test_before_any_call(gateway: GatewayFactory, path: str, body: Any, named: str, plugins: list[str]) -> None:
    async with gateway(plugins, config={"providers": KEYS}) as running:
        reply = await running.request("POST", path, json=body, headers={"Helicone-Retry-Enabled": "true"})
    error = reply.json()["error"]
    assert reply.status == 400
    assert named in error["message"]
    assert "Here it is offered by" in error["message"]
    if "embedContent" in path:
        assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
    elif "messages" in path:
        assert (reply.json()["type"], error["type"]) == ("error", "invalid_request_error")
    else:
        assert error["code"] == "operation_not_offered"
    assert running.provider.requests == []
    assert len(running.exchanges) == 1


async def test_a_rerank_needs_no_router(gateway: GatewayFactory) -> None:
    answer = of_json({"results": [{"index": 0, "relevance_score": 0.9}]})
    async with gateway([], provider=ScriptedProvider(answer), config={"providers": KEYS}) as running:
        body = {"model": "rerank-v3.5", "query": "q", "documents": ["a"]}
        reply = await running.request("POST", "/v1/rerank", json=body)
    assert (reply.status, reply.json()["results"][0]["index"]) == (200, 0)
    assert running.provider.requests[0].path == "/v2/rerank"


async def test_and_neither_do_embeddings_where_openai_cannot_be_called(gateway: GatewayFactory) -> None:
    answer = of_json({"embeddings": {"float": [[0.5]]}, "meta": {"billed_units": {"input_tokens": 1}}})
    config = {"providers": {"openai": None, "gemini": None, "cohere": {"api_key": "co"}}}
    async with gateway([], provider=ScriptedProvider(answer), config=config) as running:
        reply = await running.request("POST", "/v1/embeddings", json={"model": "embed-v4.0", "input": "hi"})
    assert (reply.status, reply.json()["data"][0]["embedding"]) == (200, [0.5])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("path", "kit", "sent_to"),
    [
        ("/gemini/v1beta/openai/chat/completions", gemini, "/v1beta/models/m:"),
        ("/gemini/v1/chat/completions", gemini, "/v1beta/models/m:"),
        ("/anthropic/v1/responses", anthropic, "/v1/messages"),
        ("/groq/openai/v1/completions", openai_chat, "/openai/v1/chat/completions"),
        ("/groq/v1/messages", openai_chat, "/openai/v1/chat/completions"),
    ],
)
async def test_an_address_that_names_a_provider_of_another_dialect(
    gateway: GatewayFactory, path: str, kit: Any, sent_to: str, stream: bool
) -> None:
    provider = ScriptedProvider(kit.stream("Hello") if stream else kit.reply("Hello"))
    asked = {"prompt": "Hi"} if "/v1/completions" in path else {"input": "Hi"} if "responses" in path else {}
    body = asked or {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9}
    async with gateway([], provider=provider, config={"providers": KEYS}) as running:
        reply = await running.request("POST", path, json={"model": "m", "stream": stream, **body})
    assert reply.status == 200
    assert b"Hello" in reply.body
    assert provider.requests[0].path.startswith(sent_to)


async def test_what_nobody_has_a_name_for_is_passed_on(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(default=of_json({"ok": True}))
    async with gateway(["router"], provider=provider, config={"providers": KEYS}) as running:
        for path in ("/v1/anything/new", "/groq/openai/v1/anything", "/anthropic/v1/skills", "/cohere/v2/classify"):
            assert (await running.request("POST", path, json={"model": "m"})).status == 200, path
