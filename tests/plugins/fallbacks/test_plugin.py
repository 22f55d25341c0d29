"""The hooks of ``fallbacks``: which target is tried after one that failed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from helicone_gw import ConfigError, Target
from helicone_gw.registry import load
from helicone_gw.testing import GatewayFactory, RunningGateway, ScriptedProvider
from helicone_gw.testing.dialects import openai_chat
from helicone_gw.testing.script import ScriptedResponse
from helicone_gw_fallbacks.plugin import FallbacksPlugin

KEYS = {name: {"api_key": f"sk-{name}"} for name in ("openai", "groq", "mistral")}
CONFIG: dict[str, Any] = {
    "providers": KEYS,
    "models": {
        "a": {"providers": ["openai", "groq"]},
        "b": {"providers": ["mistral"]},
        "d": {"providers": ["openai"]},
        "c": {"providers": ["groq"]},
        "keyless": {"providers": ["deepseek"]},
    },
}
DOWN = openai_chat.error(500)
GOOD = openai_chat.answer()
TOO_LONG = openai_chat.error(400, "maximum context length", code="context_length_exceeded")
INVALID = openai_chat.error(400, "temperature is wrong")


def targets(running: RunningGateway) -> list[str]:
    return [str(attempt.target) for attempt in running.exchanges[-1].attempts]


def test_it_is_offered_as_a_plugin() -> None:
    assert load("fallbacks") is FallbacksPlugin
    assert FallbacksPlugin.on_failure == "open"


@pytest.mark.parametrize("stream", [False, True])
async def test_the_routes_other_targets_are_tried_in_order(gateway: GatewayFactory, stream: bool) -> None:
    async with gateway(["fallbacks"], provider=ScriptedProvider(DOWN, GOOD), config=CONFIG) as running:
        reply = await running.chat(model="a", stream=stream)
    assert (reply.status, targets(running)) == (200, ["openai/a", "groq/a"])
    assert reply.headers.get("helicone-provider") == "groq"
    assert running.exchanges[0].annotations == {"fallbacks.after": "server"}
    assert running.provider.requests[1].headers.get("authorization") == "Bearer sk-groq"


async def test_when_all_have_failed_the_client_is_told_of_each(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(openai_chat.error(429, "slow down"), DOWN)
    async with gateway(["fallbacks"], provider=provider, config=CONFIG) as running:
        reply = await running.chat(model="a")
    assert reply.status == 500
    details = reply.json()["error"]["details"]
    assert [(each["source"], each["statusCode"]) for each in details] == [("openai/a", 429), ("groq/a", 500)]


async def test_an_invalid_request_is_invalid_elsewhere(gateway: GatewayFactory) -> None:
    async with gateway(["fallbacks"], provider=ScriptedProvider(INVALID), config=CONFIG) as running:
        reply = await running.chat(model="a")
    assert (reply.status, reply.body, targets(running)) == (400, INVALID.body, ["openai/a"])


async def test_the_kinds_are_configured(gateway: GatewayFactory) -> None:
    plugins = [{"fallbacks": {"on": ["rate_limit"]}}]
    provider = ScriptedProvider(DOWN, openai_chat.error(429), GOOD)
    async with gateway(plugins, provider=provider, config=CONFIG) as running:
        assert (await running.chat(model="a")).status == 500
        assert (await running.chat(model="a")).status == 200


@pytest.mark.parametrize(
    "first",
    [
        openai_chat.reply().cut("before_head"),
        openai_chat.stream().cut(events=1),
        openai_chat.stream().interrupted(openai_chat.error_event(status=500), events=1),
    ],
    ids=["dropped", "cut before its first content", "200 with an error event"],
)
async def test_failures_inside_a_stream_are_invisible_before_its_first_content(
    gateway: GatewayFactory, first: ScriptedResponse
) -> None:
    async with gateway(["fallbacks"], provider=ScriptedProvider(first, GOOD), config=CONFIG) as running:
        reply = await running.chat(model="a", stream=True)
    assert (reply.status, reply.aborted, targets(running)) == (200, False, ["openai/a", "groq/a"])
    assert b"error" not in reply.body


async def test_after_the_first_content_nothing_can_be_taken_back(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(openai_chat.stream().cut(events=4), GOOD)
    async with gateway(["fallbacks"], provider=provider, config=CONFIG) as running:
        reply = await running.chat(model="a", stream=True)
    assert (reply.aborted, targets(running)) == (True, ["openai/a"])


async def test_a_comma_list_of_models(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(DOWN, INVALID, GOOD)
    async with gateway(["fallbacks"], provider=provider, config=CONFIG) as running:
        reply = await running.chat(model="a, b")
    assert (reply.status, targets(running)) == (200, ["openai/a", "groq/a", "mistral/b"])
    assert [request.json()["model"] for request in provider.requests] == ["a", "a", "b"]
    assert "helicone-fallback-index" not in reply.headers


@pytest.mark.parametrize(
    ("model", "header", "tried"),
    [
        ("b", ["c", "b"], ["groq/c", "mistral/b"]),
        ("b", ["c"], ["mistral/b", "groq/c"]),
        ("b", ["b"], ["mistral/b"]),
    ],
)
async def test_litellms_list(gateway: GatewayFactory, model: str, header: list[str], tried: list[str]) -> None:
    provider = ScriptedProvider(*[DOWN] * (len(tried) - 1), GOOD)
    async with gateway(["fallbacks"], provider=provider, config=CONFIG) as running:
        reply = await running.chat(model=model, headers={"Helicone-Fallbacks": json.dumps(header)})
    assert (reply.status, targets(running)) == (200, tried)
    assert reply.headers.get("helicone-fallback-index") == str(len(tried) - 1)


async def test_an_address_that_names_its_provider_stays_there(gateway: GatewayFactory) -> None:
    plugins = [{"fallbacks": {"chains": {"*": ["b"]}}}]
    provider = ScriptedProvider(DOWN, DOWN, GOOD)
    async with gateway(plugins, provider=provider, config=CONFIG) as running:
        body = {"model": "x", "messages": []}
        assert (await running.request("POST", "/groq/v1/chat/completions", json=body)).status == 500
        body["model"] = "x, y"
        assert (await running.request("POST", "/groq/v1/chat/completions", json=body)).status == 200
    assert targets(running) == ["groq/x", "groq/y"]


async def test_chains_follow_the_routes_own_targets(gateway: GatewayFactory) -> None:
    plugins = [{"fallbacks": {"chains": {"a*": ["c", "b"]}}}]
    async with gateway(plugins, provider=ScriptedProvider(DOWN, DOWN, DOWN, GOOD), config=CONFIG) as running:
        reply = await running.chat(model="a")
    assert (reply.status, targets(running)) == (200, ["openai/a", "groq/a", "groq/c", "mistral/b"])


async def test_a_chain_for_one_kind_of_failure_goes_first(gateway: GatewayFactory) -> None:
    chains = {"a": {"context_length": ["b"], "default": ["c"]}}
    provider = ScriptedProvider(TOO_LONG, GOOD, DOWN, DOWN, GOOD)
    async with gateway([{"fallbacks": {"chains": chains}}], provider=provider, config=CONFIG) as running:
        await running.chat(model="a")
        assert targets(running) == ["openai/a", "mistral/b"]
        await running.chat(model="a")
        assert targets(running) == ["openai/a", "groq/a", "groq/c"]


async def test_what_has_no_credential_is_left_out(gateway: GatewayFactory) -> None:
    plugins = [{"fallbacks": {"chains": {"b": ["keyless", "c"]}}}]
    async with gateway(plugins, provider=ScriptedProvider(DOWN, GOOD), config=CONFIG) as running:
        assert (await running.chat(model="b")).status == 200
    assert targets(running) == ["mistral/b", "groq/c"]


async def test_the_healthy_go_first(gateway: GatewayFactory) -> None:
    plugins = [{"fallbacks": {"chains": {"b": ["c", "a"]}}}]
    async with gateway(plugins, provider=ScriptedProvider(DOWN, GOOD), config=CONFIG) as running:
        running.gateway.health.cool_down(Target("groq", "c"), 60, "no")
        assert (await running.chat(model="b")).status == 200
    assert targets(running) == ["mistral/b", "openai/a"]


@pytest.mark.parametrize(
    ("member", "attempts"),
    [
        ({"previous_response_id": "resp_1"}, 1),
        ({"conversation": "conv_1"}, 1),
        ({"conversation": {"id": "conv_1"}}, 1),
        ({"previous_response_id": None, "metadata": {"conversation": "7"}}, 2),
    ],
)
async def test_what_goes_on_from_something_stays_with_its_maker(
    gateway: GatewayFactory, member: dict[str, Any], attempts: int
) -> None:
    plugins = [{"fallbacks": {"chains": {"*": ["c"]}}}]
    body = {"model": "d", "input": "Hi", **member}
    async with gateway(plugins, provider=ScriptedProvider(default=DOWN), config=CONFIG) as running:
        assert (await running.request("POST", "/v1/responses", json=body)).status == 500
    assert len(running.exchanges[0].attempts) == attempts


async def test_retries_come_first(gateway: GatewayFactory) -> None:
    plugins = ["fallbacks", {"retries": {"enabled": True, "num": 1, "min_timeout": 0}}]
    async with gateway(plugins, provider=ScriptedProvider(DOWN, DOWN, GOOD), config=CONFIG) as running:
        assert (await running.chat(model="a")).status == 200
    assert targets(running) == ["openai/a", "openai/a", "groq/a"]


# Helicone's own form. Addresses in numbers: nothing here asks for a name.

ADDRESSES: dict[str, Any] = {
    "providers": {
        "openai": {"api_key": "sk-openai", "base_url": "http://127.0.0.1:4011/v1"},
        "groq": {"api_key": "sk-groq", "base_url": "http://127.0.0.1:4012/openai/v1"},
        "mistral": {"api_key": "sk-mistral", "base_url": "http://127.0.0.1:4013/v1"},
    }
}


def entries(*codes: Any, **fields: Any) -> dict[str, str]:
    hosts = ("http://127.0.0.1:4011", "http://127.0.0.1:4012/openai", "http://127.0.0.1:4013")
    made = [
        {"target-url": url, "headers": {"Authorization": f"Bearer sk-entry-{number}"}, "onCodes": list(on), **fields}
        for number, (url, on) in enumerate(zip(hosts, codes, strict=False))
    ]
    return {"Helicone-Fallbacks": json.dumps(made)}


async def ask(running: RunningGateway, headers: dict[str, str], path: str = "/gateway/v1/chat/completions") -> Any:
    return await running.request("POST", path, json={"model": "m", "messages": []}, headers=headers)


async def test_the_next_entry_is_tried_on_its_codes(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(openai_chat.error(429), GOOD)
    async with gateway(["fallbacks"], provider=provider, config=ADDRESSES) as running:
        reply = await ask(running, entries([429], []))
    assert (reply.status, reply.headers.get("helicone-fallback-index")) == (200, "1")
    assert [request.headers.get("authorization") for request in provider.requests] == [
        "Bearer sk-entry-0",
        "Bearer sk-entry-1",
    ]
    assert [request.path for request in provider.requests] == ["/v1/chat/completions", "/openai/v1/chat/completions"]


async def test_other_codes_are_answered(gateway: GatewayFactory) -> None:
    async with gateway(["fallbacks"], provider=ScriptedProvider(DOWN), config=ADDRESSES) as running:
        reply = await ask(running, entries([429], []))
    assert (reply.status, reply.body, reply.headers.get("helicone-fallback-index")) == (500, DOWN.body, "0")


async def test_no_connection_is_a_502(gateway: GatewayFactory) -> None:
    dropped = openai_chat.reply().cut("before_head")
    async with gateway(["fallbacks"], provider=ScriptedProvider(dropped, dropped, GOOD), config=ADDRESSES) as running:
        assert (await ask(running, entries([429], []))).status == 502
        assert (await ask(running, entries([{"from": 500, "to": 599}], []))).status == 200


async def test_the_last_entrys_answer_is_the_clients(gateway: GatewayFactory) -> None:
    async with gateway(["fallbacks"], provider=ScriptedProvider(DOWN, DOWN), config=ADDRESSES) as running:
        reply = await ask(running, entries([500], [500]))
    assert (reply.status, reply.headers.get("helicone-fallback-index")) == (500, "1")


async def test_the_body_is_overridden(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(DOWN, GOOD)
    async with gateway(["fallbacks"], provider=provider, config=ADDRESSES) as running:
        reply = await ask(running, entries([500], [], bodyKeyOverride={"model": "other", "seed": 7}))
    assert reply.status == 200
    assert [request.json() for request in provider.requests] == [{"model": "other", "messages": [], "seed": 7}] * 2


async def test_a_provider_with_a_fixed_address_is_not_moved(gateway: GatewayFactory) -> None:
    async with gateway(["fallbacks"], provider=ScriptedProvider(DOWN), config=ADDRESSES) as running:
        reply = await ask(running, entries([500], []), "/groq/v1/chat/completions")
    assert (reply.status, targets(running)) == (500, ["groq/m"])
    assert "helicone-fallback-index" not in reply.headers


@pytest.mark.parametrize("header", ["no json", "[]", '[{"target-url": 1}]', '["a", {}]'])
async def test_what_cannot_be_read_is_the_clients_fault(gateway: GatewayFactory, header: str) -> None:
    async with gateway(["fallbacks"], config=ADDRESSES) as running:
        reply = await running.chat(headers={"Helicone-Fallbacks": header})
    assert (reply.status, reply.json()["error"]["code"]) == (400, "invalid_fallbacks")
    assert "Helicone-Fallbacks cannot be read" in reply.json()["error"]["message"]


async def test_an_address_that_is_not_allowed_is_refused(gateway: GatewayFactory) -> None:
    header = json.dumps([{"target-url": "http://169.254.169.254", "headers": {}, "onCodes": [400]}])
    async with gateway(["fallbacks"], config=ADDRESSES) as running:
        reply = await ask(running, {"Helicone-Fallbacks": header})
    assert reply.status == 400
    assert running.provider.requests == []


async def test_an_entry_without_a_credential_gets_its_providers_configured_key(gateway: GatewayFactory) -> None:
    header = json.dumps([{"target-url": "http://127.0.0.1:4011", "headers": {}, "onCodes": []}])
    async with gateway(["fallbacks"], config=ADDRESSES) as running:
        reply = await ask(running, {"Helicone-Fallbacks": header, "Authorization": "Bearer sk-clients-own"})
    assert reply.status == 200
    assert running.provider.requests[0].headers.get("authorization") == "Bearer sk-openai"


@pytest.mark.parametrize("chains", [{"a": []}, {"a": {"default": []}}, {"a": {"nonsense": ["b"]}}, {"": ["b"]}])
async def test_chains_that_say_nothing_are_refused(gateway: GatewayFactory, chains: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="chains"):
        async with gateway([{"fallbacks": {"chains": chains}}]):
            pass
