"""Attempts that are broken off: what they used is estimated and says so, or stays unknown, and with it the sum."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from onion import A, B, ListSink, exchange, gateway, handle, plugin, router

from helicone_gw import Exchange, Fallback, Gateway, PermissionDenied, Plugin, Route, Target
from helicone_gw.price import CompiledPrice
from helicone_gw.testing import ScriptedProvider
from helicone_gw.testing.dialects import anthropic, openai_chat

pytestmark = pytest.mark.virtual_time
TEXT = tuple(f"word{number} " for number in range(20))
BACK = plugin("fallbacks", on_error=lambda exchange, error: Fallback())


class Flat:
    """Input at 1,000 nano-dollars a token, output at 5,000."""

    def price(self, provider: str, models: tuple[str, ...], service_tier: str | None, at: float) -> CompiledPrice:
        return CompiledPrice.of({"input": 1000, "output": 5000}, source="flat")


def priced(layers: list[Plugin], provider: ScriptedProvider, **limits: Any) -> Gateway:
    running = gateway(layers, provider, **limits)
    running.prices.use(Flat())
    return running


async def left(running: Gateway, one: Exchange, after: float) -> ListSink:
    """The client leaves ``after`` seconds."""
    sink = ListSink()
    task = asyncio.ensure_future(running.pipeline.handle(one, sink))
    await asyncio.sleep(after)
    sink.disconnected = True
    task.cancel()
    await asyncio.wait({task})
    return sink


def marked(one: Exchange) -> list[int]:
    return one.annotations.get("usage.estimated", [])


@pytest.mark.parametrize("gated", [False, True])
async def test_a_stream_that_its_client_left_costs_what_came(gated: bool) -> None:
    provider = ScriptedProvider(openai_chat.stream(TEXT).paced(1))
    running, one = priced([BACK] if gated else [], provider), exchange(stream=True)
    await left(running, one, 10.5)
    usage = one.usage
    assert usage is not None
    assert usage.estimated
    assert usage.output_tokens == pytest.approx(10 * len("word1 ") / 4.2, abs=3)
    assert one.cost is not None
    assert one.cost.estimated
    assert one.cost.nano_usd == (usage.input_tokens or 0) * 1000 + (usage.output_tokens or 0) * 5000
    assert one.cost.source == "flat"
    assert marked(one) == [1]
    assert running.pipeline.services.attempts.settling.estimated == 1
    await running.stop()


async def test_a_whole_answer_that_its_client_did_not_wait_for_is_unknown() -> None:
    running, one = priced([], ScriptedProvider(openai_chat.reply("Hello!").delayed(60))), exchange()
    await left(running, one, 1)
    assert one.usage is not None
    assert (one.usage.input_tokens is not None, one.usage.output_tokens) == (True, None)
    assert one.cost is None, "the provider may have answered in full"
    assert running.pipeline.services.attempts.settling.unknown == 1
    await running.stop()


async def test_a_client_that_leaves_with_the_end_in_hand_changes_nothing() -> None:
    script = openai_chat.stream(TEXT)
    running, one = priced([], ScriptedProvider(script.paced(0.5))), exchange(stream=True)
    await left(running, one, 0.5 * len(script.parts) + 0.1)
    assert one.usage is not None
    assert not one.usage.estimated
    assert marked(one) == []
    await running.stop()


@pytest.mark.parametrize("cut", [3, 12])
async def test_a_stream_that_its_provider_cut_costs_what_came(cut: int) -> None:
    running, one = priced([], ScriptedProvider(openai_chat.stream(TEXT).cut(events=cut))), exchange(stream=True)
    sink = await handle(running, one)
    assert sink.aborted == 1
    assert one.usage is not None
    assert one.usage.output_tokens == pytest.approx((cut - 1) * len("word1 ") / 4.2, abs=2)
    assert marked(one) == [1]
    await running.stop()


async def test_what_a_plugin_ends_costs_what_came() -> None:
    def stop(exchange: Exchange, chunk: Any) -> None:
        if b"word5" in chunk.data:
            exchange.end_stream("length")

    provider = ScriptedProvider(openai_chat.stream(TEXT).paced(1))
    running, one = priced([plugin("budget", on_stream_chunk=stop)], provider), exchange(stream=True)
    sink = await handle(running, one)
    assert sink.finished == 1
    assert one.cost is not None
    assert one.cost.estimated
    await running.stop()


async def test_what_the_provider_has_said_is_not_estimated() -> None:
    provider = ScriptedProvider(anthropic.stream(TEXT).cut(events=8))
    one = exchange(stream=True, dialect="anthropic", operation="messages", path="/v1/messages")
    running = priced([], provider)
    await handle(running, one)
    assert one.usage is not None
    assert one.usage.input_tokens == 12
    assert one.usage.estimated
    await running.stop()


async def test_a_translated_stream_is_counted_in_its_providers_words() -> None:
    provider = ScriptedProvider(anthropic.stream(TEXT).cut(events=12))
    running, one = priced([router(Target("anthropic", "claude-sonnet-4-5"))], provider), exchange(stream=True)
    await handle(running, one)
    assert one.usage is not None
    assert one.usage.output_tokens == pytest.approx(9 * len("word1 ") / 4.2, abs=4)
    await running.stop()


@pytest.mark.parametrize("stream", [False, True])
async def test_the_loser_of_a_hedge_is_in_the_sum(stream: bool) -> None:
    answer = openai_chat.stream if stream else openai_chat.reply
    provider = ScriptedProvider(answer("Hello!").delayed(60), answer("Hello!").delayed(1))
    hedge = plugin("router", route_model=lambda exchange: Route((A, B), hedge_after=2.0))
    running, one = priced([hedge], provider), exchange(stream=stream)
    sink = await handle(running, one)
    loser, winner = one.attempts
    assert winner.usage is not None
    assert not winner.usage.estimated
    assert one.usage == winner.usage, "what the answer used"
    assert loser.usage is not None
    assert loser.usage.estimated
    assert loser.cost is not None
    assert winner.cost is not None
    assert one.cost is not None
    assert one.cost.nano_usd == loser.cost.nano_usd + winner.cost.nano_usd
    assert one.cost.estimated
    assert marked(one) == [1]
    if stream:
        assert loser.usage.output_tokens == 0, "nothing had come"
    else:
        assert loser.usage.total_tokens == winner.usage.total_tokens, "providers finish what is not streamed"
        assert sink.headers.get("helicone-cost-estimated") == "true"
    await running.stop()


async def test_a_hedge_that_was_not_needed_estimates_nothing() -> None:
    hedge = plugin("router", route_model=lambda exchange: Route((A, B), hedge_after=2.0))
    running, one = priced([hedge], ScriptedProvider(openai_chat.reply("Hello!"))), exchange()
    sink = await handle(running, one)
    assert marked(one) == []
    assert sink.headers.get("helicone-cost")
    assert sink.headers.get("helicone-cost-estimated") is None
    await running.stop()


@pytest.mark.parametrize("stream", [False, True])
async def test_two_that_answer_at_once_are_both_paid_for(stream: bool) -> None:
    answer = openai_chat.stream if stream else openai_chat.reply
    provider = ScriptedProvider(answer("Hello!").delayed(3), answer("Hello!").delayed(1))
    hedge = plugin("router", route_model=lambda exchange: Route((A, B), hedge_after=2.0))
    running, one = priced([hedge], provider), exchange(stream=stream)
    await handle(running, one)
    assert all(attempt.cost is not None and attempt.ended_at is not None for attempt in one.attempts)
    assert one.cost is not None
    await running.stop()


async def test_a_stream_that_a_judge_refused_costs_what_came() -> None:
    async def refuse() -> None:
        await asyncio.sleep(5.5)
        raise PermissionDenied("Flagged.", status=400)

    def judge(exchange: Exchange) -> None:
        exchange.before_commit(refuse(), timeout=60)

    provider = ScriptedProvider(openai_chat.stream(TEXT).paced(1))
    running, one = priced([plugin("judge", pre_request=judge), BACK], provider), exchange(stream=True)
    assert (await handle(running, one)).status == 400
    assert one.cost is not None
    assert one.cost.estimated
    await running.stop()


@pytest.mark.parametrize("stream", [False, True])
async def test_the_deadline_breaks_off(stream: bool) -> None:
    provider = ScriptedProvider((openai_chat.stream if stream else openai_chat.reply)("Hello!").delayed(60))
    running, one = priced([], provider, deadline=10), exchange(stream=stream)
    assert (await handle(running, one)).status == 504
    assert (one.cost is not None) is stream
    assert marked(one) == [1]
    await running.stop()


@pytest.mark.parametrize("stream", [False, True])
async def test_what_a_provider_refuses_is_not_billed(stream: bool) -> None:
    scripts = [openai_chat.error(500), openai_chat.stream("x").interrupted(openai_chat.error_event(), events=1)]
    running = priced([BACK, router(A, B)], ScriptedProvider(*scripts[:1] if not stream else scripts))
    one = exchange(stream=stream)
    await handle(running, one)
    cost = one.attempts[0].cost
    assert cost is not None
    assert cost.source == "no charge"
    assert marked(one) == []
    await running.stop()


async def test_what_an_earlier_attempt_used_is_not_what_the_answer_did() -> None:
    late, silent = openai_chat.stream(TEXT).cut(events=1), openai_chat.stream(TEXT, usage=None)
    running, one = priced([router(A, B), BACK], ScriptedProvider(late, silent)), exchange(stream=True)
    assert (await handle(running, one)).finished == 1
    first, second = one.attempts
    assert first.usage is not None
    assert first.usage.estimated
    assert (second.usage, one.usage, one.cost) == (None, None, None), "its provider did not say"
    await running.stop()


async def test_what_was_never_sent_is_not_billed() -> None:
    started = asyncio.Event()

    async def prepare(exchange: Exchange, target: Any) -> Any:
        started.set()
        await asyncio.sleep(60)

    running, one = priced([], ScriptedProvider()), exchange()
    running.pipeline.services.attempts.prepare = prepare
    await left(running, one, 1)
    assert started.is_set()
    assert one.cost is not None
    assert one.cost.source == "no charge"
    await running.stop()
