"""Limits and budgets that a gateway key brings along: counted for it alone, whatever the configuration says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from helicone_gw import Gateway, GatewayKey, Plugin, Usage, hookimpl
from helicone_gw.testing import GatewayFactory, Reply, RunningGateway, ScriptedProvider, VirtualClock
from helicone_gw.testing.dialects import openai_chat

pytestmark = pytest.mark.virtual_time

MODELS = {"gpt-4o-mini": {"providers": ["openai"], "price": {"input_mtok": 0, "output_mtok": 1000}}}
"""A token of output costs a tenth of a cent."""

KEYS = {
    "sk-two": GatewayKey("1", "two", "ann", limits=("2;w=60", "3;w=3600")),
    "sk-same": GatewayKey("2", "same", "ann", limits=("2;w=60",)),
    "sk-users": GatewayKey("3", "users", "ann", limits=("1;w=60;s=user",)),
    "sk-dollar": GatewayKey("4", "dollar", "ann", budgets=("1/day",)),
    "sk-other": GatewayKey("5", "other", "ann", budgets=("1/day",)),
    "sk-broken": GatewayKey("6", "broken", "ann", limits=("a lot",)),
    "sk-free": GatewayKey("7", "free", "ann"),
}


class Doorman(Plugin):
    """Knows the keys."""

    configured = True
    raised: dict[str, GatewayKey]

    async def lookup(self, secret: str) -> GatewayKey | None:
        return self.raised.get(secret)

    async def knows(self, secret: str) -> bool:
        return secret in self.raised

    @hookimpl
    async def startup(self, gateway: Gateway) -> None:
        self.raised = dict(KEYS)
        gateway.keys.register(self)


@pytest.fixture
async def running(gateway: GatewayFactory, virtual_time: VirtualClock) -> AsyncIterator[RunningGateway]:
    provider = ScriptedProvider(
        default=openai_chat.answer("Hi", usage=Usage(input_tokens=10, output_tokens=500), model="gpt-4o-mini")
    )
    ratelimit = {"ratelimit": {"key_budgets": True, "tokenizer": "estimate"}}
    async with gateway(
        ["doorman", "cost", ratelimit], provider=provider, classes={"doorman": Doorman}, config={"models": MODELS}
    ) as made:
        yield made


async def ask(running: RunningGateway, key: str, *, stream: bool = False, **headers: str) -> Reply:
    body: dict[str, Any] = {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": "Hi"}],
        "max_tokens": 500,
        "stream": stream,
    }
    fields = {"authorization": f"Bearer {key}", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return await running.request("POST", "/v1/chat/completions", json=body, headers=fields)


@pytest.mark.parametrize("stream", [False, True])
async def test_every_limit_of_a_key_holds_and_no_other_key_shares_it(
    running: RunningGateway, virtual_time: VirtualClock, stream: bool
) -> None:
    assert [(await ask(running, "sk-two", stream=stream)).status for _ in range(3)] == [200, 200, 429]
    assert (await ask(running, "sk-same", stream=stream)).status == 200
    assert (await ask(running, "sk-free", stream=stream)).status == 200
    virtual_time.advance(61)
    answers = [await ask(running, "sk-two", stream=stream) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 429], "three an hour"
    assert answers[1].json()["error"]["code"] == "rate_limit_exceeded"


async def test_a_segment_divides_the_limit_of_a_key(running: RunningGateway) -> None:
    assert (await ask(running, "sk-users", helicone_user_id="a")).status == 200
    assert (await ask(running, "sk-users", helicone_user_id="a")).status == 429
    assert (await ask(running, "sk-users", helicone_user_id="b")).status == 200


@pytest.mark.parametrize("stream", [False, True])
async def test_a_budget_of_a_key_is_its_own(running: RunningGateway, stream: bool) -> None:
    assert [(await ask(running, "sk-dollar", stream=stream)).status for _ in range(3)] == [200, 200, 402]
    assert (await ask(running, "sk-other", stream=stream)).status == 200
    report = (await running.request("GET", "/v1/budgets", headers={"authorization": "Bearer sk-dollar"})).json()
    assert [(each["budget"], each["limit"], each["spent"]) for each in report["data"]] == [("key(day)", "1.00", "1.00")]


async def test_a_budget_that_is_raised_keeps_what_was_spent(running: RunningGateway) -> None:
    assert [(await ask(running, "sk-dollar")).status for _ in range(3)] == [200, 200, 402]
    doorman = next(plugin for plugin in running.gateway.plugins if isinstance(plugin, Doorman))
    doorman.raised["sk-dollar"] = GatewayKey("4", "dollar", "ann", budgets=("1.5/day",))
    assert [(await ask(running, "sk-dollar")).status for _ in range(2)] == [200, 402]


async def test_a_limit_that_cannot_be_read_admits_nobody(running: RunningGateway) -> None:
    answer = await ask(running, "sk-broken")
    assert (answer.status, answer.json()["error"]["code"]) == (503, "limits_not_enforced")
    assert not running.provider.requests


async def test_the_gateway_knows_whether_keys_are_held_to_their_limits(gateway: GatewayFactory) -> None:
    for plugins, told in (
        ([], (False, False)),
        (["ratelimit"], (True, False)),
        ([{"ratelimit": {"key_budgets": True}}], (True, True)),
    ):
        async with gateway(plugins) as running:
            keys = running.gateway.keys
            assert (keys.limits_enforced, keys.budgets_enforced) == told
