"""Which rules fit a request: a model is meant however it is spelled, or led to."""

from __future__ import annotations

import json
from typing import Any

import pytest

from helicone_gw.testing import GatewayFactory
from tests.plugins.moderation.finding import CLASSES, PHRASE
from tests.plugins.moderation.test_plugin import check

CONFIG = {"models": {"house": {"providers": ["openai"], "aliases": ["home"]}}}
ROUTES = {"quick": {"targets": ["gpt-4o"]}, "other": {"targets": ["gpt-3.5-turbo"]}}


def stack(**rule: Any) -> list[Any]:
    rules = [{**rule, "checks": [check("injection")]}]
    return [{"moderation": {"rules": rules}}, {"router": {"routes": ROUTES}}, "fallbacks", "retries"]


def entry(override: dict[str, Any]) -> str:
    url = "https://api.openai.com"
    return json.dumps([{"target-url": url, "headers": {}, "onCodes": [500], "bodyKeyOverride": override}])


@pytest.mark.parametrize(
    ("path", "model", "fallbacks"),
    [
        ("", "gpt-4o", None),
        ("", "GPT-4o", None),
        ("", "openai/gpt-4o", None),
        ("", "gpt-4o/openai", None),
        ("", "!groq,gpt-3.5-turbo/openai, gpt-4o/openai", None),
        ("/openai", "gpt-4o", None),
        ("", "quick", None),
        ("/router/quick", "gpt-3.5-turbo", None),
        ("", "gpt-3.5-turbo", '["gpt-4o"]'),
        ("", "gpt-3.5-turbo", entry({"model": "gpt-4o"})),
    ],
)
async def test_a_rule_for_a_model_fits_whatever_leads_to_it(
    gateway: GatewayFactory, path: str, model: str, fallbacks: str | None
) -> None:
    headers = {} if fallbacks is None else {"Helicone-Fallbacks": fallbacks}
    body = {"model": model, "messages": [{"role": "user", "content": PHRASE}]}
    async with gateway(stack(models=["gpt-4o*"]), classes=CLASSES, config=CONFIG) as running:
        reply = await running.request("POST", f"{path}/v1/chat/completions", json=body, headers=headers)
    assert (reply.status, running.provider.requests) == (400, [])


@pytest.mark.parametrize(("model", "status"), [("home", 400), ("gpt-4o", 200), ("other", 200)])
async def test_an_alias_is_what_it_stands_for(gateway: GatewayFactory, model: str, status: int) -> None:
    async with gateway(stack(models=["house"]), classes=CLASSES, config=CONFIG) as running:
        assert (await running.chat(PHRASE, model=model)).status == status


@pytest.mark.parametrize(("path", "model", "status"), [("/router/quick", "x", 400), ("", "quick", 400), ("", "x", 200)])
async def test_a_rule_for_a_route(gateway: GatewayFactory, path: str, model: str, status: int) -> None:
    body = {"model": model, "messages": [{"role": "user", "content": PHRASE}]}
    async with gateway(stack(routes=["quick"]), classes=CLASSES, config=CONFIG) as running:
        assert (await running.request("POST", f"{path}/v1/chat/completions", json=body)).status == status
