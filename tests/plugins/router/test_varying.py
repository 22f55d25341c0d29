"""What decides where a request goes is told to a cache outside."""

from __future__ import annotations

import pytest

from helicone_gw.testing import GatewayFactory
from helicone_gw_router.config import RouterConfig
from helicone_gw_router.plugin import RouterPlugin
from helicone_gw_router.varying import varies

TIERS = {
    "routes": {
        "cheap": {"targets": ["gpt-4o-mini/openai"]},
        "good": {"targets": [{"model": "gpt-4o/openai", "when": {"user": "vip*", "body": {"n": 1}}}, "gpt-4o/openai"]},
    },
    "rules": [
        {"when": {"properties": {"Tier": "free"}, "headers": {"X-Tier": "free"}, "stream": False}, "route": "cheap"},
        {"when": {"key": "ci"}, "route": "cheap"},
    ],
}


def test_the_facts_of_every_condition() -> None:
    config = RouterConfig.model_validate(TIERS)
    assert varies(config) == ("header:x-tier", "key", "property:tier", "user")
    assert RouterPlugin(config, "router").vary == varies(config)


def test_without_conditions_there_are_none() -> None:
    assert varies(RouterConfig()) == ()
    assert varies(RouterConfig.model_validate({"routes": {"fast": {"targets": ["a", {"model": "b"}]}}})) == ()


@pytest.mark.virtual_time
async def test_a_cache_outside_tells_them_apart(gateway: GatewayFactory) -> None:
    rules = [{"when": {"properties": {"tier": "free"}}, "route": "cheap"}, {"when": {"user": "*"}, "route": "good"}]
    plugins = [{"cache": {"enabled": True}}, {"router": {"routes": TIERS["routes"], "rules": rules}}]
    async with gateway(plugins) as running:
        for headers in (
            {"Helicone-Property-Tier": "free"},
            {"Helicone-User-Id": "u"},
            {"Helicone-Property-Tier": "free"},
        ):
            reply = await running.chat(model="gpt-4o", headers=headers)
        assert [request.json()["model"] for request in running.provider.requests] == ["gpt-4o-mini", "gpt-4o"]
        assert reply.headers.get("helicone-cache") == "HIT"
