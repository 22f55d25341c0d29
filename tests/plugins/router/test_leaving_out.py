"""Targets that cannot serve a request are left out, and the log says why."""

from __future__ import annotations

from typing import Any

import pytest

from helicone_gw import Exchange
from helicone_gw.testing import GatewayFactory, RunningGateway, ScriptedProvider
from helicone_gw.testing.dialects import openai_chat
from helicone_gw.testing.script import of_json

VECTOR = of_json({"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}], "model": "m"})
PROVIDERS: dict[str, Any] = {
    name: {"api_key": f"sk-{name}"} for name in ("openai", "groq", "mistral", "anthropic", "cohere", "together")
}
MODELS = {
    "vectors": {"providers": ["groq", "mistral", "openai"], "model": "e-1"},
    "only": {"providers": ["openai"], "model": "e-2", "operations": ["embeddings"]},
    "plain": {"providers": ["openai", "mistral"], "model": "p-1", "capabilities": {"tools": False, "images": False}},
    "seeing": {"providers": ["groq"], "model": "s-1", "capabilities": {"images": True}},
}
CONFIG = {"providers": {**PROVIDERS, "gemini": None}, "models": MODELS}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def targets(running: RunningGateway) -> list[str]:
    route = running.exchanges[-1].route
    return [] if route is None else [str(target) for target in route.targets]


def left_out(running: RunningGateway) -> Any:
    exchange: Exchange = running.exchanges[-1]
    return exchange.annotations.get("router.left_out")


async def test_who_does_not_offer_the_operation(gateway: GatewayFactory) -> None:
    async with gateway(["router"], provider=ScriptedProvider(default=VECTOR), config=CONFIG) as running:
        for _ in range(2):
            reply = await running.request("POST", "/v1/embeddings", json={"model": "vectors", "input": "hi"})
            assert (reply.status, targets(running)) == (200, ["mistral/e-1", "openai/e-1"])
            assert left_out(running) == {"groq/e-1": "does not offer 'embeddings'"}


async def test_a_model_of_which_nobody_offers_it(gateway: GatewayFactory) -> None:
    async with gateway(["router"], config=CONFIG) as running:
        reply = await running.request("POST", "/v1/embeddings", json={"model": "claude-sonnet-4-5", "input": "hi"})
        unknown = await running.request("POST", "/v1/rerank", json={"model": "r", "query": "q", "documents": ["a"]})
    error = reply.json()["error"]
    assert (reply.status, error["code"]) == (400, "operation_not_offered")
    assert error["message"].endswith("Here it is offered by openai, mistral, cohere, together.")
    assert targets(running) == ["cohere/r"], unknown.body
    assert len(running.provider.requests) == 1


async def test_in_a_list_the_others_go_on(gateway: GatewayFactory) -> None:
    async with gateway(["router"], provider=ScriptedProvider(default=VECTOR), config=CONFIG) as running:
        body = {"model": "claude-sonnet-4-5, only", "input": "hi"}
        assert (await running.request("POST", "/v1/embeddings", json=body)).status == 200
        assert targets(running) == ["openai/e-2"]
        assert list(left_out(running)) == ["anthropic/claude-sonnet-4-5"]


async def test_a_model_that_is_kept_for_other_operations(gateway: GatewayFactory) -> None:
    routes = {"mixed": {"strategy": "priority", "targets": ["only", "seeing"]}}
    provider = ScriptedProvider(default=openai_chat.reply())
    async with gateway([{"router": {"routes": routes}}], provider=provider, config=CONFIG) as running:
        refused = await running.chat(model="only")
        assert (refused.status, refused.json()["error"]["code"]) == (400, "operation_not_offered")
        assert provider.requests == []
        for model in ("only, seeing", "mixed"):
            assert (await running.chat(model=model)).status == 200
            assert targets(running) == ["groq/s-1"]
            assert left_out(running) == {"only": "is kept for other operations"}


IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/x.png"}}
ROUTES = {
    "any": {"strategy": "priority", "targets": ["plain/mistral", "seeing"]},
    "vision": {"targets": ["seeing"]},
}


@pytest.mark.parametrize("model", ["plain, seeing", "any"])
async def test_who_is_known_to_lack_what_the_request_needs(gateway: GatewayFactory, model: str) -> None:
    provider = ScriptedProvider(default=openai_chat.reply())
    async with gateway([{"router": {"routes": ROUTES}}], provider=provider, config=CONFIG) as running:
        await running.chat(model=model)
        assert targets(running)[-1] == "groq/s-1"
        assert len(targets(running)) > 1
        assert left_out(running) is None
        for extra in ({"tools": [TOOL]}, {"messages": [{"role": "user", "content": [IMAGE]}]}):
            assert (await running.chat(model=model, **extra)).status == 200
            assert targets(running) == ["groq/s-1"]
            assert left_out(running)["mistral/p-1"] == f"is known to lack {'tools' if 'tools' in extra else 'images'}"


async def test_where_nobody_else_is_left_it_is_asked_all_the_same(gateway: GatewayFactory) -> None:
    async with gateway(["router"], provider=ScriptedProvider(default=openai_chat.reply()), config=CONFIG) as running:
        assert (await running.chat(model="plain", tools=[TOOL])).status == 200
        assert targets(running) == ["openai/p-1", "mistral/p-1"]
        assert left_out(running) is None


async def test_a_rule_for_what_a_request_needs(gateway: GatewayFactory) -> None:
    rules = [{"when": {"needs": ["images"]}, "route": "vision"}]
    provider = ScriptedProvider(default=openai_chat.reply())
    async with gateway([{"router": {"routes": ROUTES, "rules": rules}}], provider=provider, config=CONFIG) as running:
        await running.chat(model="plain", messages=[{"role": "user", "content": [IMAGE]}])
        assert targets(running) == ["groq/s-1"]
        await running.chat(model="plain")
        assert targets(running)[0] == "openai/p-1"


async def test_what_the_configuration_says_of_models_is_listed(gateway: GatewayFactory) -> None:
    async with gateway(["router"], config=CONFIG) as running:
        listed = (await running.request("GET", "/v1/models?all=true")).json()["data"]
        registry = (await running.request("GET", "/v1/public/model-registry/models")).json()["models"]
    by_id = {model["id"]: model for model in listed}
    assert by_id["plain"]["capabilities"] == {"tools": False, "images": False}
    assert by_id["only"]["operations"] == ["embeddings"]
    assert by_id["gpt-4o"]["capabilities"]["images"] is True
    assert by_id["gpt-4o"]["max_output"] == 16_384
    registered = {model["id"]: model for model in registry}
    assert registered["seeing"]["inputModalities"] == ["text", "image"]
    assert registered["only"]["outputModalities"] == ["embeddings"]
    assert "tools" not in registered["plain"]["supportedParameters"]
    assert "tools" in registered["gpt-4o"]["supportedParameters"]


async def test_what_is_known_of_a_model_can_be_changed(gateway: GatewayFactory) -> None:
    models = {"gpt-4o": {"capabilities": {"images": False}, "max_output": 99}, "ft:new": {"operations": ["chat"]}}
    config = {"providers": {"openai": {"api_key": "sk"}}, "models": models}
    async with gateway(["router"], provider=ScriptedProvider(default=VECTOR), config=config) as running:
        listed = (await running.request("GET", "/v1/models")).json()["data"]
        one = next(model for model in listed if model["id"] == "gpt-4o")
        assert (one["capabilities"]["images"], one["capabilities"]["tools"], one["max_output"]) == (False, True, 99)
        assert all(model["id"] != "ft:new" for model in listed)
        reply = await running.request("POST", "/v1/embeddings", json={"model": "ft:new", "input": "hi"})
        assert (reply.status, reply.json()["error"]["code"]) == (400, "operation_not_offered")
        assert (await running.chat(model="ft:new")).status != 400


@pytest.mark.parametrize("model", ["both", "both, only", "claude-sonnet-4-5, both"])
async def test_a_named_routes_targets_that_cannot_serve(gateway: GatewayFactory, model: str) -> None:
    routes = {"both": {"strategy": "weighted", "targets": ["claude-sonnet-4-5", "sonar/perplexity", "vectors"]}}
    provider = ScriptedProvider(default=VECTOR)
    async with gateway([{"router": {"routes": routes}}], provider=provider, config=CONFIG) as running:
        for _ in range(4):
            reply = await running.request("POST", "/v1/embeddings", json={"model": model, "input": "hi"})
            assert reply.status == 200
            assert targets(running)[0] == "mistral/e-1"
            noted = left_out(running)
            assert noted["anthropic/claude-sonnet-4-5"] == "does not offer 'embeddings'"
            assert noted["perplexity/sonar"] == "there is no credential for it"
        refused = await running.request("POST", "/v1/rerank", json={"model": "both", "query": "q", "documents": []})
        assert (refused.status, refused.json()["error"]["code"]) == (400, "operation_not_offered")


async def test_what_a_key_may_not_use_is_no_other_target(gateway: GatewayFactory) -> None:
    key = {"key": "any-key-of-mine", "models": ["p-1", "plain*"]}
    plugins = [{"security": {"keys": {"me": key}}}, "router"]
    headers = {"Authorization": "Bearer any-key-of-mine"}
    async with gateway(plugins, provider=ScriptedProvider(default=openai_chat.reply()), config=CONFIG) as running:
        reply = await running.chat(model="plain, seeing", tools=[TOOL], headers=headers)
        other = await running.chat(
            model="plain, seeing", messages=[{"role": "user", "content": [IMAGE]}], headers=headers
        )
    assert (reply.status, other.status) == (200, 200)
    assert targets(running) == ["openai/p-1", "mistral/p-1"]
