"""Comparing: what the log says of a prompt's versions, and with which inputs a request was made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from helicone_gw import Database
from helicone_gw.registry import load
from helicone_gw.testing import GatewayFactory, RunningGateway
from helicone_gw.testing.dialects import openai_chat
from tests.plugins.prompts.running import BODY, CHAT, made, rest

BASE = "/v1/prompt-2025"


async def use(running: RunningGateway, prompt: str, **asked: Any) -> str:
    """Ask with a prompt; the request's id."""
    await running.request("POST", CHAT, json={"prompt_id": prompt, **asked})
    return running.exchanges[-1].request_id


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgres", marks=pytest.mark.full)])
async def test_versions_are_compared_by_what_the_log_says(
    gateway: GatewayFactory, tmp_path: Path, database: str, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path / 'log.db'}"
    if database == "postgres":
        url = request.getfixturevalue("postgres_url")
        by_command = Database(url)
        for plugin in (load("logging"), load("prompts")):
            for branch, versions in plugin.migrations.items():
                await by_command.migrate(branch, versions)
        await by_command.close()
    async with gateway(["logging", "cost", "prompts"], config={"database": {"url": url}}) as running:
        prompt, first = await made(running)
        update = {"promptId": prompt, "promptVersionId": first, "promptBody": {**BODY, "model": "unpriced"}}
        second = (await rest(running, "POST", f"{BASE}/update", update))["id"]
        used = [await use(running, prompt, inputs={"who": who, "times": 1}) for who in ("a", "b", "o'c")]
        await use(running, prompt, version_id=second, model="gpt-4o", stream=True)
        running.provider.enqueue(openai_chat.error(400, "no"), openai_chat.answer("Hi", model="of-nobody"))
        await use(running, prompt, version_id=second)
        await use(running, prompt, version_id=second, model="of-nobody/openai")
        for scored, score in zip(used, (1, 4), strict=False):
            await rest(running, "POST", f"/v1/request/{scored}/score", {"scores": {"quality": score}}, status=201)
        two, one = await rest(running, "POST", f"{BASE}/query/compare", {"promptId": prompt})
        assert (one["id"], one["major_version"], one["minor_version"], one["environments"]) == (
            first,
            1,
            0,
            ["production"],
        )
        assert (one["requests"], one["errors"], one["costs_unknown"]) == (3, 0, 0)
        assert one["cost"] == pytest.approx(3 * one["cost_mean"])
        assert one["cost_mean"] > 0
        assert (one["prompt_tokens"], one["completion_tokens"]) == (36, 21)
        assert one["latency_p50"] is not None
        assert one["latency_p50"] <= one["latency_p95"]
        assert one["scores"] == {"quality": {"mean": 2.5, "requests": 2}}
        assert (two["id"], two["requests"], two["errors"], two["scores"]) == (second, 3, 1, {})
        assert (two["costs_unknown"], two["cost"]) == (1, pytest.approx(2 * two["cost_mean"]))  # the refused one cost 0
        assert two["time_to_first_token_mean"] is not None
        late = await rest(running, "POST", f"{BASE}/query/compare", {"promptId": prompt, "since": 99_999_999_999_999})
        assert [(each["requests"], each["cost"], each["latency_mean"]) for each in late] == [(0, None, None)] * 2
        inputs = f"{BASE}/id/{prompt}/{first}/inputs?requestId="
        found = await rest(running, "GET", inputs + used[2])
        assert found == {"request_id": used[2], "version_id": first, "inputs": {"who": "o'c", "times": 1}}
        await rest(running, "GET", inputs.replace(first, second) + used[2], status=404)
        await rest(running, "GET", inputs + "x' OR '1'='1", status=404)


async def test_without_a_log_nothing_is_compared(gateway: GatewayFactory) -> None:
    async with gateway(["prompts"]) as running:
        prompt, _ = await made(running)
        told = await rest(running, "POST", f"{BASE}/query/compare", {"promptId": prompt}, status=503)
        assert "logging" in told
