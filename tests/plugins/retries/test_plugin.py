"""The hooks of ``retries``: the same target again, after the right wait, and no more often than it may be."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from helicone_gw.registry import load
from helicone_gw.testing import GatewayFactory, RunningGateway, ScriptedProvider, VirtualClock
from helicone_gw.testing.dialects import anthropic, openai_chat
from helicone_gw.testing.script import ScriptedResponse
from helicone_gw_retries.plugin import RetriesPlugin

ASKED = {"Helicone-Retry-Enabled": "true"}
LIMITED = openai_chat.error(429, "slow down")
BROKEN = openai_chat.error(500)
GOOD = openai_chat.answer()

pytestmark = pytest.mark.virtual_time


def plugin(running: RunningGateway) -> RetriesPlugin:
    (found,) = (each for each in running.gateway.plugins if isinstance(each, RetriesPlugin))
    return found


def unjittered(running: RunningGateway) -> RunningGateway:
    plugin(running).random = lambda: 1.0
    return running


def now() -> float:
    return asyncio.get_running_loop().time()


def test_it_is_offered_as_a_plugin() -> None:
    assert load("retries") is RetriesPlugin
    assert RetriesPlugin.on_failure == "open"


async def test_nothing_is_retried_that_does_not_ask(gateway: GatewayFactory) -> None:
    async with gateway(["retries"], provider=ScriptedProvider(BROKEN)) as running:
        reply = await running.chat()
    assert (reply.status, reply.headers.get("helicone-attempts")) == (500, "1")
    assert reply.body == BROKEN.body


@pytest.mark.parametrize("stream", [False, True])
async def test_three_calls_and_two_waits(gateway: GatewayFactory, stream: bool) -> None:
    provider = ScriptedProvider(BROKEN, LIMITED, GOOD)
    async with gateway(["retries"], provider=provider) as running:
        start = now()
        reply = await unjittered(running).chat(stream=stream, headers={**ASKED, "Helicone-Retry-Num": "3"})
        assert now() - start == pytest.approx(1 + 2)
    assert (reply.status, reply.headers.get("helicone-attempts")) == (200, "3")
    assert [attempt.status for attempt in running.exchanges[0].attempts] == [500, 429, 200]


async def test_the_last_answer_is_the_providers_own(gateway: GatewayFactory) -> None:
    last = openai_chat.error(503, "the third", headers={"retry-after": "7"})
    async with gateway(["retries"], provider=ScriptedProvider(BROKEN, BROKEN, last)) as running:
        reply = await running.chat(headers={**ASKED, "Helicone-Retry-Num": "2"})
    assert (reply.status, reply.body, reply.headers.get("retry-after")) == (503, last.body, "7")


async def test_no_retries_is_one_call(gateway: GatewayFactory) -> None:
    async with gateway(["retries"], provider=ScriptedProvider(BROKEN)) as running:
        reply = await running.chat(headers={**ASKED, "Helicone-Retry-Num": "0"})
    assert (reply.status, len(running.provider.requests)) == (500, 1)


async def test_what_is_no_use_is_answered_at_once(gateway: GatewayFactory) -> None:
    async with gateway(["retries"], provider=ScriptedProvider(openai_chat.error(408))) as running:
        assert (await running.chat(headers=ASKED)).status == 408


@pytest.mark.parametrize(
    ("headers", "waited"),
    [
        ({"retry-after": "4"}, 4),
        ({"retry-after": "Thu, 01 Jan 2026 00:00:05 GMT"}, 5),
        ({"retry-after-ms": "2500"}, 2.5),
        ({"retry-after": "0.5"}, 1),
    ],
)
async def test_the_provider_says_how_long(gateway: GatewayFactory, headers: dict[str, str], waited: float) -> None:
    provider = ScriptedProvider(openai_chat.error(429, headers=headers), GOOD)
    async with gateway(["retries"], provider=provider) as running:
        start = now()
        running.gateway.clock.set_wall_clock(1767225600.0)  # type: ignore[attr-defined]
        reply = await unjittered(running).chat(headers=ASKED)
        assert now() - start == pytest.approx(waited)
    assert reply.status == 200


async def test_too_long_a_wait_is_not_waited_for(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(openai_chat.error(429, headers={"retry-after": "11"}))
    async with gateway(["retries"], provider=provider) as running:
        start = now()
        reply = await running.chat(headers=ASKED)
        assert now() == start
    assert (reply.status, reply.headers.get("retry-after")) == (429, "11")
    assert running.exchanges[0].annotations == {"retries.refused": "retry-after"}


async def test_a_client_that_will_be_gone_is_not_waited_for(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(openai_chat.error(429, headers={"retry-after": "5"}), GOOD)
    async with gateway(["retries"], provider=provider) as running:
        reply = await running.chat(headers={**ASKED, "x-stainless-timeout": "5"})
        assert (reply.status, running.exchanges[0].annotations) == (429, {"retries.refused": "client-timeout"})
        assert (await running.chat(headers={**ASKED, "x-stainless-timeout": "6"})).status == 200


async def test_nothing_goes_past_the_deadline(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(openai_chat.error(429, headers={"retry-after": "5"}))
    async with gateway(["retries"], provider=provider, config={"limits": {"deadline": 5}}) as running:
        start = now()
        assert (await running.chat(headers=ASKED)).status == 429
        assert now() == start


@pytest.mark.parametrize(
    "first",
    [
        openai_chat.reply().cut("before_head"),
        openai_chat.reply().cut(bytes=20),
        openai_chat.stream().cut(events=1),
        openai_chat.stream().interrupted(openai_chat.error_event(status=500), events=1),
    ],
    ids=["dropped", "cut", "stream cut before its first content", "200 with an error event"],
)
async def test_what_breaks_before_the_first_content_is_retried(
    gateway: GatewayFactory, first: ScriptedResponse
) -> None:
    async with gateway(["retries"], provider=ScriptedProvider(first, GOOD)) as running:
        reply = await running.chat(stream=True, headers=ASKED)
    assert (reply.status, reply.aborted, len(running.provider.requests)) == (200, False, 2)
    assert b"error" not in reply.body


async def test_a_stream_that_breaks_after_its_first_content_is_not(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(openai_chat.stream().cut(events=3), GOOD)
    async with gateway(["retries"], provider=provider) as running:
        reply = await running.chat(stream=True, headers=ASKED)
    assert (reply.aborted, len(provider.requests)) == (True, 1)


async def test_anthropics_overload_inside_a_stream(gateway: GatewayFactory) -> None:
    overloaded = anthropic.stream().interrupted(anthropic.error_event(), events=1)
    provider = ScriptedProvider(overloaded, anthropic.answer())
    async with gateway(["retries"], provider=provider) as running:
        reply = await running.message(stream=True, headers=ASKED)
    assert (reply.status, reply.aborted, len(provider.requests)) == (200, False, 2)


async def test_the_budget_stops_a_storm(gateway: GatewayFactory) -> None:
    plugins: list[Any] = [{"retries": {"enabled": True, "num": 1, "budget": {"share": 0.1, "floor": 3}}}]
    async with gateway(plugins, provider=ScriptedProvider(default=BROKEN)) as running:
        for _ in range(60):
            assert (await running.chat()).status == 500
        assert len(running.provider.requests) == 60 + 6
        assert plugin(running).budget.refused == 54
        assert running.exchanges[-2].annotations == {"retries.refused": "budget"}


async def test_what_retries_cost_counts(gateway: GatewayFactory) -> None:
    config = {"models": {"gpt-4o-mini": {"price": {"input_mtok": 1000, "output_mtok": 1000}}}}
    plugins: list[Any] = ["cost", {"retries": {"enabled": True, "num": 1, "budget": {"usd": "0.0001"}}}]
    provider = ScriptedProvider(BROKEN, GOOD, BROKEN)
    async with gateway(plugins, provider=provider, config=config) as running:
        assert (await running.chat()).status == 200
        assert (await running.chat()).status == 500
        await asyncio.sleep(61)
        provider.enqueue(BROKEN, GOOD)
        assert (await running.chat()).status == 200


async def test_each_target_has_its_own_retries(gateway: GatewayFactory, virtual_time: VirtualClock) -> None:
    plugins: list[Any] = [{"retries": {"routes": {"gpt-4o*": {"enabled": True, "num": 2}}}}]
    async with gateway(plugins, provider=ScriptedProvider(BROKEN, BROKEN, BROKEN, BROKEN)) as running:
        await running.chat(model="gpt-4o-mini")
        assert len(running.provider.requests) == 3
        await running.chat(model="o3")
    assert len(running.provider.requests) == 4
