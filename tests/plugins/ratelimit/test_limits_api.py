"""Limits over HTTP: which are in force, those without a name among them, and who is told what of them."""

from __future__ import annotations

from typing import Any

from helicone_gw.testing import GatewayFactory, RunningGateway, ScriptedProvider, usual_answer

ALICE = {"Authorization": "Bearer sk-of-alice-0123456789"}
EVE = {"Authorization": "Bearer sk-of-eve-0123456789"}
SECURITY: dict[str, Any] = {
    "keys": {
        "alice": {"key": "sk-of-alice-0123456789", "limits": ["5;w=60", "900;w=3600;u=tokens"]},
        "eve": {"key": "sk-of-eve-0123456789", "organization": "elsewhere"},
    }
}
LIMITS: dict[str, Any] = {
    "policies": {"basic": "2;w=60;s=user"},
    "limits": [
        {"policy": "basic"},
        {"concurrency": 7, "segment": "key", "name": "seven", "queue": {"max_waiting": 2}},
        {"policy": "1000;w=60;u=cents", "users": ["bob"], "algorithm": "moving-window"},
    ],
}


async def listed(running: RunningGateway, headers: dict[str, str] | None = None) -> list[dict[str, Any]]:
    reply = await running.request("GET", "/v1/ratelimit", headers=headers)
    assert (reply.status, reply.json()["error"]) == (200, None)
    data: list[dict[str, Any]] = reply.json()["data"]
    return data


async def test_every_limit_is_told_and_what_it_decided(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(default=usual_answer)
    async with gateway([{"ratelimit": LIMITS}], provider=provider) as running:
        statuses = [(await running.chat()).status for _ in range(3)]
        assert statuses == [200, 200, 429]
        basic, seven, cents = await listed(running)
    assert (basic["policy"], basic["quota"], basic["window"], basic["segment"]) == ("2;w=60;s=user", "2", 60, "user")
    assert (basic["admitted"], basic["refused"], basic["algorithm"]) == (2, 1, "token-bucket")
    assert len(basic["name"]) == 16, "made of what it says, as in the counters"
    assert (seven["kind"], seven["name"], seven["quota"], seven["segment"]) == ("concurrency", "seven", "7", "key")
    assert (seven["waits"], seven["policy"], seven["window"]) == (True, None, None)
    assert (cents["unit"], cents["whom"], cents["algorithm"]) == ("cents", {"users": ["bob"]}, "moving-window")


async def test_a_key_is_told_its_own(gateway: GatewayFactory) -> None:
    async with gateway([{"security": SECURITY}, {"ratelimit": LIMITS}]) as running:
        own = [one for one in await listed(running, ALICE) if one["source"] == "key"]
        assert [(one["quota"], one["unit"], one["window"]) for one in own] == [
            ("5", "request", 60),
            ("900", "tokens", 3600),
        ]


async def test_other_organizations_are_told_what_concerns_them(gateway: GatewayFactory) -> None:
    async with gateway([{"security": SECURITY}, {"ratelimit": LIMITS}]) as running:
        assert len(await listed(running, ALICE)) == 5
        told = await listed(running, EVE)
        assert [(one["quota"], one["admitted"], one["whom"]) for one in told] == [("2", None, {}), ("7", None, {})]
