"""Budgets over HTTP: how they stand, and who sees which."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from helicone_gw.testing import GatewayFactory, RunningGateway, ScriptedProvider, VirtualClock, usual_answer
from helicone_gw.testing.dialects import openai_chat

MODELS = {"gpt-4o-mini": {"providers": ["openai"], "price": {"input_mtok": 0, "output_mtok": 1000}}}
ALICE = {"Authorization": "Bearer sk-of-alice-0123456789"}
BOB = {"Authorization": "Bearer sk-of-bob-0123456789"}
EVE = {"Authorization": "Bearer sk-of-eve-0123456789"}
SECURITY: dict[str, Any] = {
    "keys": {
        "alice": "sk-of-alice-0123456789",
        "bob": "sk-of-bob-0123456789",
        "eve": {"key": "sk-of-eve-0123456789", "organization": "elsewhere"},
    }
}
TEAM = {"team": {"limit": 10, "period": "month"}}


async def listed(running: RunningGateway, headers: dict[str, str] | None = None) -> list[dict[str, Any]]:
    reply = await running.request("GET", "/v1/budgets", headers=headers)
    assert reply.status == 200
    assert reply.json()["error"] is None
    data: list[dict[str, Any]] = reply.json()["data"]
    return data


async def test_a_budget_is_listed_with_what_is_spent_held_and_left(
    gateway: GatewayFactory, virtual_time: VirtualClock
) -> None:
    provider = ScriptedProvider(openai_chat.reply().delayed(10), default=usual_answer)
    async with gateway(
        ["cost", {"ratelimit": {"budgets": TEAM}}], provider=provider, config={"models": MODELS}
    ) as running:
        first = asyncio.create_task(running.chat(max_tokens=1000))
        await asyncio.sleep(5)
        budget = {
            "budget": "team",
            "organization": "default",
            "segment": "global",
            "mode": "hard",
            "period": "month",
            "limit": "10.00",
            "resetsAt": "2026-02-01T00:00:00+00:00",
        }
        under_way = {"spent": "0.00", "left": "9.00", "percent": 0, "reserved": "1.00", "underWay": 1}
        assert await listed(running) == [budget | under_way]
        await first
        after = {"spent": "0.007", "left": "9.993", "percent": 0, "reserved": "0.00", "underWay": 0}
        assert await listed(running) == [budget | after]


@pytest.mark.usefixtures("virtual_time")
class TestWhoSees:
    async def test_a_key_sees_what_all_share_and_its_own(self, gateway: GatewayFactory) -> None:
        budgets = TEAM | {
            "each": {"limit": 1, "period": "day", "segment": "key"},
            "users": {"limit": 1, "period": "day", "segment": "user"},
        }
        plugins = [{"security": SECURITY}, "cost", {"ratelimit": {"budgets": budgets}}]
        async with gateway(plugins, config={"models": MODELS}) as running:
            for who in (ALICE, BOB, EVE):
                await running.chat(max_tokens=10, headers={**who, "Helicone-User-Id": "someone"})
            assert {(each["budget"], each["segment"]) for each in await listed(running, ALICE)} == {
                ("team", "global"),
                ("each", "key:config_alice"),
            }
            assert {each["organization"] for each in await listed(running, EVE)} == {"elsewhere"}

    async def test_nobody_without_a_key_sees_anything(self, gateway: GatewayFactory) -> None:
        async with gateway([{"security": SECURITY}, {"ratelimit": {"budgets": TEAM}}]) as running:
            assert (await running.request("GET", "/v1/budgets")).status == 401

    async def test_on_a_gateway_without_keys_everybody_sees_everything(self, gateway: GatewayFactory) -> None:
        budgets = {"users": {"limit": 1, "period": "day", "segment": "user"}}
        async with gateway(["cost", {"ratelimit": {"budgets": budgets}}], config={"models": MODELS}) as running:
            await running.chat(max_tokens=10, headers={"Helicone-User-Id": "someone"})
            assert [each["segment"] for each in await listed(running)] == ["user:someone"]

    async def test_a_second_instance_has_budgets_of_its_own(self, gateway: GatewayFactory) -> None:
        plugins = ["cost", {"ratelimit": {"budgets": TEAM}}, {"ratelimit": {"name": "inner", "budgets": TEAM}}]
        async with gateway(plugins, config={"models": MODELS}) as running:
            await running.chat(max_tokens=10)
            found = {each["budget"]: each["spent"] for each in await listed(running)}
            assert found == {"team": "0.007", "inner/team": "0.007"}

    async def test_a_database_that_is_away_is_a_503(
        self, gateway: GatewayFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with gateway([{"ratelimit": {"budgets": TEAM}}]) as running:

            async def away(*_: Any) -> Any:
                raise OSError("no")

            monkeypatch.setattr(running.gateway.plugins[0].budgeting._table, "current", away)
            reply = await running.request("GET", "/v1/budgets")
            assert (reply.status, reply.json()["data"]) == (503, None)
