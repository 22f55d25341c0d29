"""The hooks of ``router``: from model strings to targets, and what it tells the core's health."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from structlog.testing import capture_logs

from helicone_gw import ConfigError, Target
from helicone_gw.registry import load
from helicone_gw.testing import GatewayFactory, RunningGateway, ScriptedProvider, VirtualClock
from helicone_gw.testing.dialects import openai_chat
from helicone_gw.testing.script import of_json
from helicone_gw_router import latencies
from helicone_gw_router.config import HedgeConfig
from helicone_gw_router.plugin import RouterPlugin

KEYS = {name: {"api_key": f"sk-{name}"} for name in ("openai", "groq", "mistral", "openrouter", "azure")}
CONFIG: dict[str, Any] = {
    "providers": {
        **KEYS,
        "azure": {"api_key": "sk-azure", "base_url": "https://x.openai.azure.com"},
        "anthropic": None,
        "gemini": None,
    },
    "models": {
        "house": {"providers": ["mistral", "groq"], "model": "house-1"},
        "cheap": {"model": "cheap", "providers": ["groq"], "price": {"input_mtok": 1, "output_mtok": 1}},
    },
}
DOWN = openai_chat.error(500)
GOOD = openai_chat.answer()


def targets(running: RunningGateway) -> list[str]:
    route = running.exchanges[-1].route
    return [] if route is None else [str(target) for target in route.targets]


async def routed(gateway: GatewayFactory, model: str, *plugins: Any, **options: Any) -> list[str]:
    config = options.pop("config", CONFIG)
    async with gateway(["cost", *(plugins or ["router"])], config=config) as running:
        reply = await running.chat(model=model, **options)
        assert reply.status == 200, reply.body
        return targets(running)


def test_it_is_offered_as_a_plugin_and_closes_when_it_fails() -> None:
    assert load("router") is RouterPlugin
    assert RouterPlugin.on_failure == "closed"


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gpt-4o-mini", ["openai/gpt-4o-mini", "azure/gpt-4o-mini", "openrouter/openai/gpt-4o-mini"]),
        ("gpt-4o-mini/azure", ["azure/gpt-4o-mini"]),
        ("openai/gpt-4o-mini", ["openai/gpt-4o-mini"]),
        ("!openai,gpt-4o-mini", ["azure/gpt-4o-mini", "openrouter/openai/gpt-4o-mini"]),
        ("gpt-4o-mini,!openai", ["azure/gpt-4o-mini", "openrouter/openai/gpt-4o-mini"]),
        ("nosuch,gpt-4o-mini/openai", ["openai/gpt-4o-mini"]),
        ("brand-new-model/openai", ["openai/brand-new-model"]),
        ("brand-new-model", ["openai/brand-new-model"]),
        ("new-one, new-two", ["openai/new-one", "openai/new-two"]),
        ("openai/gpt-oss-120b/groq", ["groq/openai/gpt-oss-120b"]),
        ("groq/openai/gpt-oss-120b", ["groq/openai/gpt-oss-120b"]),
        ("house", ["mistral/house-1", "groq/house-1"]),
        ("house, gpt-4o/openai", ["mistral/house-1", "groq/house-1", "openai/gpt-4o"]),
    ],
)
async def test_model_strings(gateway: GatewayFactory, model: str, expected: list[str]) -> None:
    assert await routed(gateway, model) == expected


@pytest.mark.parametrize(
    ("model", "code"),
    [
        ("!nosuch,gpt-4o-mini", "unknown_provider"),
        ("!", "unknown_provider"),
        ("gpt-4o-mini/openai,!openai", "no_available_providers"),
        ("gpt-4o-mini/azure/nowhere", "no_available_providers"),
    ],
)
async def test_model_strings_that_lead_nowhere(gateway: GatewayFactory, model: str, code: str) -> None:
    async with gateway(["router"], config=CONFIG) as running:
        reply = await running.chat(model=model)
    assert (reply.status, reply.json()["error"]["code"]) == (400, code)
    assert running.provider.requests == []


async def test_the_provider_is_asked_under_its_own_name(gateway: GatewayFactory) -> None:
    async with gateway(["router"], config=CONFIG) as running:
        await running.chat(model="gpt-4o-mini/openrouter")
    assert running.provider.requests[0].json()["model"] == "openai/gpt-4o-mini"


async def test_what_nobody_has_a_key_for_says_what_is_missing(gateway: GatewayFactory) -> None:
    config = {"providers": {"anthropic": None, "gemini": None}}
    async with gateway(["router"], config=config) as running:
        reply = await running.chat(model="llama-3.3-70b-versatile/groq")
    assert (reply.status, reply.json()["error"]["code"]) == (401, "provider_key_not_found")
    assert "'groq'" in reply.json()["error"]["message"]


async def test_what_reranks_is_coheres(gateway: GatewayFactory) -> None:
    answer = of_json({"results": [{"index": 0, "relevance_score": 0.9}]})
    config = {"providers": {"openai": {"api_key": "sk-o"}, "cohere": {"api_key": "co"}}}
    async with gateway(["router"], provider=ScriptedProvider(answer), config=config) as running:
        body = {"model": "rerank-v3.5", "query": "q", "documents": ["a"]}
        assert (await running.request("POST", "/v1/rerank", json=body)).status == 200
        assert targets(running) == ["cohere/rerank-v3.5"]


async def test_a_clients_own_key_reaches_its_provider(gateway: GatewayFactory) -> None:
    config = {"providers": {"openai": None, "anthropic": None, "gemini": None, "groq": {"api_key": "sk-groq"}}}
    async with gateway(["router"], config=config) as running:
        reply = await running.chat(model="gpt-4o-mini", headers={"Authorization": "Bearer sk-own"})
    assert (reply.status, targets(running)) == (200, ["openai/gpt-4o-mini"])
    assert running.provider.requests[0].headers.get("authorization") == "Bearer sk-own"


async def test_the_header_says_what_was_chosen_and_why(gateway: GatewayFactory) -> None:
    async with gateway(["cost", "router"], config=CONFIG) as running:
        reply = await running.chat(model="cheap")
    assert reply.headers.get("helicone-route") == "cheapest; groq/cheap=1"


async def test_an_address_that_names_its_provider_is_left_alone(gateway: GatewayFactory) -> None:
    async with gateway(["router"], config=CONFIG) as running:
        await running.request("POST", "/groq/v1/chat/completions", json={"model": "a/b, c", "messages": []})
    assert targets(running) == ["groq/a/b, c"]


# Named routes and rules

ROUTES = {
    "fast": {"strategy": "priority", "targets": ["gpt-4o-mini/groq", "gpt-4o-mini/openai"]},
    "share": {
        "strategy": "weighted",
        "targets": [{"model": "a/openai", "weight": 3}, {"model": "b/groq", "weight": 1}],
    },
    "bird": {"strategy": "canary", "targets": ["old/openai", {"model": "new/openai", "percent": 10}]},
    "sticky": {"strategy": "hash", "hash_on": "user", "targets": ["a/openai", "b/groq", "c/mistral"]},
    "guarded": {"targets": [{"model": "a/openai", "when": {"headers": {"x-tier": "gold"}}}]},
    "rest": {"strategy": "usage", "targets": ["a/openai", "b/groq"]},
    "busy": {"strategy": "least_busy", "targets": ["a/openai", "b/groq"]},
    "quick": {"strategy": "latency", "targets": ["a/openai", "b/groq"]},
}
ROUTER = {"router": {"routes": ROUTES, "rules": [{"when": {"user": "vip"}, "route": "fast"}]}}


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/router/fast/v1/chat/completions"])
async def test_a_named_route_by_model_or_by_path(gateway: GatewayFactory, path: str) -> None:
    async with gateway([ROUTER], config=CONFIG) as running:
        body = {"model": "fast" if path.startswith("/v1") else "anything", "messages": []}
        reply = await running.request("POST", path, json=body)
    assert (reply.status, targets(running)) == (200, ["groq/gpt-4o-mini", "openai/gpt-4o-mini"])
    assert running.exchanges[0].route is not None
    assert running.exchanges[0].route.name == "fast"
    assert (reply.headers.get("helicone-route") or "").startswith("fast; priority; ")


async def test_a_route_that_does_not_exist(gateway: GatewayFactory) -> None:
    async with gateway([ROUTER], config=CONFIG) as running:
        reply = await running.request("POST", "/router/nope/v1/chat/completions", json={"model": "m", "messages": []})
    assert (reply.status, reply.json()["error"]["code"]) == (404, "route_not_found")


async def test_a_rule_leads_to_a_route(gateway: GatewayFactory) -> None:
    async with gateway([ROUTER], config=CONFIG) as running:
        await running.chat(model="o3", headers={"Helicone-User-Id": "vip"})
        assert targets(running)[0] == "groq/gpt-4o-mini"
        await running.chat(model="o3/openai", headers={"Helicone-User-Id": "else"})
        assert targets(running) == ["openai/o3"]


@pytest.mark.parametrize(
    ("route", "shares"),
    [("share", {"openai/a": 75, "groq/b": 25}), ("bird", {"openai/old": 90, "openai/new": 10})],
)
async def test_shares(gateway: GatewayFactory, route: str, shares: dict[str, int]) -> None:
    async with gateway([ROUTER], config=CONFIG) as running:
        for _ in range(100):
            await running.chat(model=route)
    counted = Counter(str(exchange.attempts[0].target) for exchange in running.exchanges)
    assert counted == shares


async def test_the_same_user_stays_where_he_is(gateway: GatewayFactory) -> None:
    async with gateway([ROUTER], config=CONFIG) as running:
        for number in range(12):
            for _ in range(2):
                await running.chat(model="sticky", headers={"Helicone-User-Id": f"user-{number}"})
    first = [str(exchange.attempts[0].target) for exchange in running.exchanges]
    assert first[::2] == first[1::2]
    assert len(set(first)) > 1


async def test_a_target_for_some_requests_alone(gateway: GatewayFactory) -> None:
    async with gateway([ROUTER], config=CONFIG) as running:
        assert (await running.chat(model="guarded", headers={"x-tier": "gold"})).status == 200
        reply = await running.chat(model="guarded")
    assert (reply.status, reply.json()["error"]["code"]) == (400, "no_available_providers")


async def test_what_has_most_left_of_its_limits(gateway: GatewayFactory) -> None:
    low = openai_chat.reply(headers={"x-ratelimit-remaining-requests": "1", "x-ratelimit-limit-requests": "100"})
    async with gateway([ROUTER], provider=ScriptedProvider(low, default=GOOD), config=CONFIG) as running:
        for _ in range(3):
            await running.chat(model="rest")
    first = [str(exchange.attempts[0].target) for exchange in running.exchanges]
    assert first == [first[0], *[({"openai/a", "groq/b"} - {first[0]}).pop()] * 2]


async def test_what_says_that_nothing_is_left_is_not_idle(gateway: GatewayFactory) -> None:
    """The answer is another target's, but the refusal said how much is left of the first one's limits."""
    none = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-limit-requests": "100"}
    provider = ScriptedProvider(openai_chat.error(429, headers=none), default=GOOD)
    async with gateway([ROUTER, "fallbacks"], provider=provider, config=CONFIG) as running:
        for _ in range(3):
            assert (await running.chat(model="rest")).status == 200
    tried = [[str(attempt.target) for attempt in exchange.attempts] for exchange in running.exchanges]
    assert len(tried[0]) == 2
    assert tried[1:] == [tried[0][1:]] * 2


async def test_what_a_clients_own_key_has_left_is_its_own(gateway: GatewayFactory) -> None:
    low = openai_chat.reply(headers={"x-ratelimit-remaining-requests": "1", "x-ratelimit-limit-requests": "100"})
    own = {"Authorization": "Bearer sk-of-the-client"}
    async with gateway([ROUTER], provider=ScriptedProvider(low, default=GOOD), config=CONFIG) as running:
        await running.chat(model="rest", headers=own)
        await running.chat(model="rest")
        await running.chat(model="rest")
    first = [exchange.attempts[0].target.provider for exchange in running.exchanges]
    assert first[0] == "openai"
    assert "openai" in first[1:]


async def test_what_is_least_busy(gateway: GatewayFactory) -> None:
    async with gateway([ROUTER], config=CONFIG) as running:
        running.gateway.health.started(Target("openai", "a"))
        await running.chat(model="busy")
        assert targets(running) == ["groq/b", "openai/a"]
        running.gateway.health.ended(Target("openai", "a"), None)


@pytest.mark.virtual_time
async def test_what_is_quick(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(GOOD, GOOD, openai_chat.reply().delayed(2), default=openai_chat.reply())
    async with gateway([ROUTER], provider=provider, config=CONFIG) as running:
        health = running.gateway.health
        for target, seconds in ((Target("openai", "a"), 3.0), (Target("groq", "b"), 1.0)):
            health.started(target)
            health.ended(target, seconds)
        await running.chat(model="quick")
        assert targets(running) == ["groq/b", "openai/a"]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"rules": [{"when": {}, "route": "x"}]}, "route 'x', which does not exist"),
        ({"routes": {"a,b": {"targets": ["m"]}}}, "reads as a list"),
        ({"routes": {"a": {"targets": []}}}, "targets"),
        ({"routes": {"a": {"strategy": "canary", "targets": [{"model": "m", "percent": 60}] * 2}}}, "more than 100"),
        ({"routes": {"a": {"targets": [{"model": "m", "percent": 60}]}}}, "canary alone"),
        ({"routes": {"a": {"strategy": "least_busy", "targets": [{"model": "m", "percent": 0}]}}}, "canary alone"),
        ({"strategy": "fastest"}, "strategy"),
        ({"routes": {"a": {"targets": ["m"], "hedge": {}}}}, "needs percentile or after"),
    ],
)
async def test_a_configuration_that_cannot_be_meant(gateway: GatewayFactory, config: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        async with gateway([{"router": config}]):
            pass


@pytest.mark.virtual_time
async def test_a_slow_target_is_hedged_after_its_percentile(gateway: GatewayFactory) -> None:
    route = {"strategy": "priority", "targets": ["a/openai", "b/groq"], "hedge": {"percentile": 90}}
    quick, slow = openai_chat.reply().delayed(1), openai_chat.reply().delayed(60)
    provider = ScriptedProvider(*[quick] * 20, slow, quick)
    async with gateway([{"router": {"routes": {"r": route}}}], provider=provider, config=CONFIG) as running:
        start = asyncio.get_running_loop().time()
        for _ in range(21):
            assert (await running.chat(model="r")).status == 200
        assert asyncio.get_running_loop().time() - start == pytest.approx(20 + 1 + 1)
    assert [len(exchange.attempts) for exchange in running.exchanges] == [1] * 20 + [2]


def test_times_of_targets_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latencies, "MAX_TARGETS", 1)
    times, hedge = latencies.Latencies(), HedgeConfig(percentile=50, after=9)
    one, other = Target("openai", "a"), Target("openai", "b")
    for number in range(latencies.KEPT + 20):
        times.measured(one, number)
    assert times.hedge_after(one, hedge) == 20 + latencies.KEPT // 2
    assert times.hedge_after(one, HedgeConfig(after=9)) == 9
    times.measured(other, 1)
    assert times.hedge_after(one, hedge) == times.hedge_after(other, hedge) == 9


async def test_a_target_that_leads_nowhere_is_told_at_the_start(gateway: GatewayFactory) -> None:
    routes = {"r": {"targets": ["gpt-4o/openai", "o3/deepinfra", {"model": "no-such-model"}]}}
    with capture_logs() as lines:
        async with gateway([{"router": {"routes": routes}}], config=CONFIG):
            pass
    told = [line["target"] for line in lines if line["event"] == "no provider with a key for a target of a route"]
    assert told == ["o3/deepinfra", "no-such-model"]
    with pytest.raises(ConfigError, match="plugin 'router' could not start: An exclusion"):
        async with gateway([{"router": {"routes": {"r": {"targets": ["!nosuch"]}}}}], config=CONFIG):
            pass


# Keys and deployments

SEVERAL = {
    "openai": {"keys": [{"key": "sk-1", "name": "one", "weight": 3}, {"key": "sk-2", "name": "two"}]},
    "azure": {
        "deployments": {
            "east": {"base_url": "https://east.openai.azure.com", "api_key": "k", "models": {"gpt-4o": "our-gpt"}},
            "west": {"base_url": "https://west.openai.azure.com", "api_key": "k"},
        }
    },
    "anthropic": None,
    "gemini": None,
}


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/openai/v1/chat/completions"])
async def test_keys_share_the_traffic(gateway: GatewayFactory, path: str) -> None:
    async with gateway(["router"], config={"providers": SEVERAL}) as running:
        for _ in range(40):
            await running.request("POST", path, json={"model": "gpt-4o-mini/openai", "messages": []})
    keys = Counter(request.headers.get("authorization") for request in running.provider.requests)
    assert keys == {"Bearer sk-1": 30, "Bearer sk-2": 10}


async def test_deployments_have_names_for_models(gateway: GatewayFactory) -> None:
    config = {"providers": SEVERAL}
    assert await routed(gateway, "gpt-4o/azure", config=config) == [
        "azure/our-gpt (east)",
        "azure/gpt-4o (west)",
    ]
    assert await routed(gateway, "o3/azure", config=config) == ["azure/o3 (west)"]
    assert await routed(gateway, "gpt-4o/azure/west", config=config) == ["azure/gpt-4o (west)"]


async def test_a_refused_key_is_set_aside_and_the_other_goes_on(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(openai_chat.error(401), default=GOOD)
    async with gateway(["router", "fallbacks"], provider=provider, config={"providers": SEVERAL}) as running:
        for _ in range(8):
            assert (await running.chat(model="gpt-4o-mini/openai")).status == 200
        keys = [request.headers.get("authorization") for request in provider.requests]
        assert keys == ["Bearer sk-1", *["Bearer sk-2"] * 8]
        resting = running.gateway.health.resting()
        assert list(resting) == ["openai (one)"]
        assert "refuses the key (401)" in resting["openai (one)"]
        skipped = running.exchanges[-1].annotations["router.skipped"]
        assert list(skipped) == ["openai/gpt-4o-mini (one)"]


async def test_what_is_said_of_a_clients_own_key_concerns_nobody_else(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(openai_chat.error(401), default=GOOD)
    async with gateway(["router"], provider=provider, config=CONFIG) as running:
        reply = await running.chat(model="gpt-4o-mini/openai", headers={"Authorization": "Bearer sk-own"})
        assert reply.status == 401
        assert running.gateway.health.resting() == {}


# Affinity


async def test_ids_lead_back_to_the_key_that_made_them(gateway: GatewayFactory) -> None:
    def made(request: Any) -> Any:
        return of_json({"id": f"resp_{request.number:04}", "object": "response", "status": "completed", "output": []})

    provider = ScriptedProvider(default=made)
    async with gateway(["router"], provider=provider, config={"providers": SEVERAL}) as running:
        body = {"model": "gpt-4o-mini/openai", "input": "Hi"}
        for _ in range(4):
            await running.request("POST", "/v1/responses", json=body)
        await asyncio.sleep(0)
        by_key = {f"resp_{each.number:04}": each.headers.get("authorization") for each in list(provider.requests)}
        assert len(set(by_key.values())) == 2
        for made_id, key in by_key.items():
            await running.request("POST", "/v1/responses", json={**body, "previous_response_id": made_id})
            assert provider.requests[-1].headers.get("authorization") == key
            await running.request("GET", f"/v1/responses/{made_id}")
            assert provider.requests[-1].headers.get("authorization") == key


async def test_a_conversation_goes_where_its_files_are(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(default=of_json({"id": "file-AbC123", "object": "file"}))
    async with gateway(
        ["router"], provider=provider, config={"providers": {**SEVERAL, "groq": {"api_key": "g"}}}
    ) as up:
        await up.request("POST", "/v1/files", content=b"data", headers={"content-type": "application/octet-stream"})
        await asyncio.sleep(0)
        home = provider.requests[-1].headers.get("authorization")
        part = [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-AbC123"}}]}]
        for path, model, same in (
            *[("/v1/chat/completions", "gpt-4o-mini/openai", True)] * 3,
            ("/v1/chat/completions", "llama-3.3-70b-versatile/groq", False),
            ("/groq/openai/v1/chat/completions", "gpt-4o-mini", False),
        ):
            await up.request("POST", path, json={"model": model, "messages": part})
            assert (provider.requests[-1].headers.get("authorization") == home) is same, (path, model)


# Lists of models


async def test_the_list_is_of_what_can_be_reached(gateway: GatewayFactory) -> None:
    config = {**CONFIG, "providers": {**CONFIG["providers"], "openrouter": None}}
    async with gateway([ROUTER], config=config) as running:
        listed = (await running.request("GET", "/v1/models")).json()
        everything = (await running.request("GET", "/v1/models?all=true")).json()
    ids = [model["id"] for model in listed["data"]]
    assert listed["object"] == "list"
    assert ids[: len(ROUTES)] == list(ROUTES)
    assert {"house", "gpt-4o-mini", "llama-3.3-70b-instruct"} <= set(ids)
    assert "sonar" not in ids
    assert len(everything["data"]) > len(ids)
    one = next(model for model in listed["data"] if model["id"] == "gpt-4o-mini")
    assert one["owned_by"] == "openai"
    assert one["context_length"] == 128_000
    assert one["providers"] == ["openai", "azure"]
    assert running.provider.requests == []


@pytest.mark.parametrize(
    ("headers", "path", "field"),
    [
        ({}, "/v1/models", "data"),
        ({"anthropic-version": "2023-06-01"}, "/v1/models", "data"),
        ({}, "/v1beta/models", "models"),
    ],
)
async def test_the_list_is_in_the_clients_dialect(
    gateway: GatewayFactory, headers: dict[str, str], path: str, field: str
) -> None:
    async with gateway(["router"], config=CONFIG) as running:
        reply = await running.request("GET", path, headers=headers)
    assert reply.status == 200
    assert len(reply.json()[field]) > 100


async def test_what_makes_vectors_says_so(gateway: GatewayFactory) -> None:
    async with gateway(["router"], config=CONFIG) as running:
        ours = (await running.request("GET", "/v1/models/text-embedding-3-small")).json()
        googles = (await running.request("GET", "/v1beta/models/text-embedding-3-small")).json()
        other = (await running.request("GET", "/v1beta/models/gpt-4o-mini")).json()
    assert ours["operations"] == ["embeddings"]
    assert googles["supportedGenerationMethods"] == ["embedContent"]
    assert other["supportedGenerationMethods"] == ["generateContent"]


async def test_one_model_and_one_that_nobody_knows(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(of_json({"id": "ft:gpt-4o:me", "object": "model"}))
    async with gateway(["router"], provider=provider, config=CONFIG) as running:
        known = (await running.request("GET", "/v1/models/gpt-4o-mini")).json()
        alias = (await running.request("GET", "/v1/models/claude-3.5-sonnet")).json()
        unknown = await running.request("GET", "/v1/models/ft:gpt-4o:me")
    assert (known["id"], alias["id"]) == ("gpt-4o-mini", "claude-3.5-sonnet")
    assert unknown.json() == {"id": "ft:gpt-4o:me", "object": "model"}, "its provider knows"


@pytest.mark.parametrize(
    ("headers", "path"),
    [
        ({}, "/v1/models/sonar"),
        ({"anthropic-version": "2023-06-01"}, "/v1/models/sonar"),
        ({}, "/v1beta/models/sonar"),
    ],
)
async def test_one_model_that_cannot_be_called(gateway: GatewayFactory, headers: dict[str, str], path: str) -> None:
    async with gateway(["router"]) as running:
        refused = await running.request("GET", path, headers=headers)
        shown = await running.request("GET", f"{path}?all=true", headers=headers)
    assert (refused.status, shown.status) == (404, 200)
    assert b"?all=true" in refused.body
    assert running.provider.requests == []


async def test_a_key_sees_what_it_may_use(gateway: GatewayFactory) -> None:
    key = {"key": "any-key-of-mine", "models": ["gpt-4o*"], "providers": ["openai"]}
    headers = {"Authorization": "Bearer any-key-of-mine"}
    async with gateway([{"security": {"keys": {"me": key}}}, "router"], config=CONFIG) as running:
        listed = (await running.request("GET", "/v1/models", headers=headers)).json()["data"]
        one = await running.request("GET", "/v1/models/gpt-4o-mini", headers=headers)
        other = await running.request("GET", "/v1/models/claude-sonnet-4-5?all=true", headers=headers)
    assert (one.json()["providers"], other.status) == (["openai"], 404)
    assert listed
    assert all(model["id"].startswith("gpt-4o") and model["providers"] == ["openai"] for model in listed)


async def test_the_registry_in_helicones_shape(gateway: GatewayFactory) -> None:
    async with gateway(["cost", "router"], config=CONFIG) as running:
        registry = (await running.request("GET", "/v1/public/model-registry/models")).json()
    assert registry["total"] == len(registry["models"]) > 500
    model = next(each for each in registry["models"] if each["id"] == "gpt-4o-mini")
    assert (model["author"], model["contextLength"], model["maxOutput"]) == ("openai", 128_000, 16_384)
    endpoint = next(each for each in model["endpoints"] if each["provider"] == "openrouter")
    assert endpoint["endpoint"] == "openai/gpt-4o-mini"
    assert endpoint["supportsPtb"] is True
    assert endpoint["pricing"].keys() >= {"prompt", "completion"}
    assert {"name": "openai", "displayName": "OpenAI"} in registry["filters"]["providers"]


# Prompts


async def test_online_asks_for_search_once(gateway: GatewayFactory) -> None:
    async with gateway(["router"], config=CONFIG) as running:
        await running.chat(model="gpt-4o:online/openai")
        await running.chat(model="gpt-4o:online/openrouter")
    first, second = (request.json() for request in running.provider.requests)
    assert (first["model"], first["web_search_options"]) == ("gpt-4o", {})
    assert (second["model"], second["plugins"]) == ("openai/gpt-4o", [{"id": "web"}])


async def test_plugins_in_a_body_go_to_openrouter_and_mean_search_elsewhere(gateway: GatewayFactory) -> None:
    plugins = [{"router": {"routes": {"outside": {"targets": ["gpt-4o/openrouter"]}}}}]
    async with gateway(plugins, config=CONFIG) as running:
        for model in ("gpt-4o/openai", "gpt-4o/openrouter", "outside"):
            await running.chat(model=model, plugins=[{"id": "web"}])
    asked = [request.json() for request in running.provider.requests]
    assert [("plugins" in each, "web_search_options" in each) for each in asked] == [
        (False, True),
        (True, False),
        (True, False),
    ]


@pytest.mark.parametrize("asked", ["gpt-4/openai, gpt-4.1/openai", "gpt-4, gpt-4.1"])
@pytest.mark.parametrize(("handler", "model"), [("fallback", "gpt-4.1"), ("middle-out", "gpt-4")])
async def test_prompts_that_are_too_long(gateway: GatewayFactory, handler: str, model: str, asked: str) -> None:
    headers = {"Helicone-Token-Limit-Exception-Handler": handler}
    config = {"providers": {"openai": {"api_key": "sk-o"}}}
    async with gateway(["router"], config=config) as running:
        await running.chat("word " * 20_000, model=asked, headers=headers)
        await running.chat("short", model=asked, headers=headers)
    long, short = (request.json() for request in running.provider.requests)
    assert (long["model"], short["model"]) == (model, "gpt-4")
    assert short["messages"][0]["content"] == "short"
    if handler == "middle-out":
        assert len(long["messages"][0]["content"]) < 8192 * 4


async def test_what_must_fit_is_the_routes_first_target_or_what_the_client_says(gateway: GatewayFactory) -> None:
    cut = {"Helicone-Token-Limit-Exception-Handler": "middle-out"}
    asked = [("small", cut), ("gpt-4.1", {**cut, "Helicone-Model-Override": "gpt-4"}), ("gpt-4.1", cut)]
    plugins = [{"router": {"routes": {"small": {"targets": ["gpt-4/openai"]}}}}]
    async with gateway(plugins, config=CONFIG) as running:
        for model, headers in asked:
            await running.chat("word " * 20_000, model=model, headers=headers)
        body = {"model": "any", "messages": [{"role": "user", "content": "word " * 20_000}]}
        await running.request("POST", "/router/small/v1/chat/completions", json=body, headers=cut)
    lengths = [len(request.json()["messages"][0]["content"]) for request in running.provider.requests]
    assert [length < 8192 * 4 for length in lengths] == [True, True, False, True]


# Permits


async def test_what_a_key_may_not_use_is_no_choice(gateway: GatewayFactory) -> None:
    key = {"key": "any-key-of-mine", "models": ["gpt-4o*"], "providers": ["azure", "openrouter"]}
    headers = {"Authorization": "Bearer any-key-of-mine"}
    plugins = [{"security": {"keys": {"me": key}}}, "router", {"fallbacks": {"chains": {"*": ["o3"]}}}]
    async with gateway(plugins, provider=ScriptedProvider(GOOD, DOWN), config=CONFIG) as running:
        assert (await running.chat(model="gpt-4o-mini", headers=headers)).status == 200
        assert targets(running) == ["azure/gpt-4o-mini"]
        assert (await running.chat(model="gpt-4o-mini", headers=headers)).status == 500
        assert len(running.exchanges[-1].attempts) == 1
        refused = await running.chat(model="o3", headers=headers)
    assert (refused.status, refused.json()["error"]["code"]) == (403, "model_not_permitted")


async def test_long_names_are_neither_shown_nor_kept(gateway: GatewayFactory) -> None:
    async with gateway(["router"], provider=ScriptedProvider(default=DOWN), config=CONFIG) as running:
        for _ in range(6):
            reply = await running.chat(model="m" * 5000)
        assert len(reply.headers.get("helicone-route") or "") <= 512
        assert running.gateway.health.resting() == {}
        assert len(running.gateway.health._targets) == 0


# Health


@pytest.mark.virtual_time
async def test_a_target_that_fails_is_left_alone_and_comes_back(
    gateway: GatewayFactory, virtual_time: VirtualClock
) -> None:
    plugins = [{"router": {**ROUTER["router"], "health": {"failures": 2, "rest": 30}}}]
    provider = ScriptedProvider(DOWN, DOWN, default=GOOD)
    async with gateway(plugins, provider=provider, config=CONFIG) as running:
        for _ in range(2):
            assert (await running.chat(model="fast")).status == 500
        for _ in range(3):
            assert (await running.chat(model="fast")).status == 200
            assert targets(running) == ["openai/gpt-4o-mini", "groq/gpt-4o-mini"]
        assert "failed too often" in running.exchanges[-1].annotations["router.skipped"]["groq/gpt-4o-mini"]
        await asyncio.sleep(30)
        assert (await running.chat(model="fast")).status == 200
        assert targets(running)[0] == "groq/gpt-4o-mini"
        assert "router.skipped" not in running.exchanges[-1].annotations


@pytest.mark.virtual_time
async def test_a_probe_whose_client_leaves_says_nothing(gateway: GatewayFactory, virtual_time: VirtualClock) -> None:
    plugins = [{"router": {"health": {"failures": 1, "rest": 30}}}]
    silent = openai_chat.reply().cut("before_head", how="hang")
    target = Target("openai", "gpt-4o-mini")
    async with gateway(plugins, provider=ScriptedProvider(DOWN, silent), config=CONFIG) as running:
        body = {"model": "gpt-4o-mini/openai", "messages": []}
        assert (await running.request("POST", "/v1/chat/completions", json=body)).status == 500
        await asyncio.sleep(30)
        async with running.stream("POST", "/v1/chat/completions", json=body) as live:
            await asyncio.sleep(1)
            await live.leave()
        assert running.exchanges[-1].attempts[0].status is None
        assert running.gateway.health.of(target).breaker.opened == 1


async def test_estimates_and_fallbacks_ask_it(gateway: GatewayFactory) -> None:
    plugins = ["cost", ROUTER, {"fallbacks": {"chains": {"o3": ["fast"]}}}]
    provider = ScriptedProvider(DOWN, GOOD)
    async with gateway(plugins, provider=provider, config=CONFIG) as running:
        estimate = running.gateway.prices.estimate("cheap", None, 1_000_000, 0)
        assert estimate is not None
        assert estimate.nano_usd == 1_000_000_000
        assert running.gateway.prices.estimate("!nosuch, cheap", None, 1, 1) is None
        assert (await running.chat(model="o3")).status == 200
    tried = [str(attempt.target) for attempt in running.exchanges[0].attempts]
    assert tried[0] == "openai/o3"
    assert len(tried) == 2


async def test_a_chain_that_leads_nowhere_hides_no_failure(gateway: GatewayFactory) -> None:
    plugins = ["router", {"fallbacks": {"chains": {"*": ["!nosuch", "x/azure/nowhere", "house"]}}}]
    provider = ScriptedProvider(DOWN, GOOD)
    async with gateway(plugins, provider=provider, config=CONFIG) as running:
        assert (await running.chat(model="only-here/openai")).status == 200
    assert [str(attempt.target) for attempt in running.exchanges[0].attempts] == ["openai/only-here", "mistral/house-1"]


async def test_litellms_list_and_the_index_that_answered(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(DOWN, DOWN, GOOD)
    headers = {"Helicone-Fallbacks": '["house/groq", "fast"]'}
    async with gateway([ROUTER, "fallbacks"], provider=provider, config=CONFIG) as running:
        reply = await running.chat(model="o3/openai", headers=headers)
    tried = [str(attempt.target) for attempt in running.exchanges[0].attempts]
    assert (reply.status, tried) == (200, ["openai/o3", "groq/house-1", "groq/gpt-4o-mini"])
    assert reply.headers.get("helicone-fallback-index") == "2"


async def test_named_routes_in_a_list(gateway: GatewayFactory) -> None:
    assert await routed(gateway, "nosuch, fast, house, !mistral", ROUTER) == [
        "groq/gpt-4o-mini",
        "openai/gpt-4o-mini",
        "groq/house-1",
    ]
    async with gateway([ROUTER], config=CONFIG) as running:
        nothing = await running.chat(model="fast, !groq, !openai")
        unknown = await running.chat(model="fast, !nosuch")
    assert [reply.json()["error"]["code"] for reply in (nothing, unknown)] == [
        "no_available_providers",
        "unknown_provider",
    ]
