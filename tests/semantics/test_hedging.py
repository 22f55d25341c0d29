"""Hedging: a second target asked beside a slow one, and what becomes of the one that loses."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from onion import A, B, ListSink, exchange, gateway, handle, plugin

from helicone_gw import Attempt, Exchange, Fallback, GatewayError, Plugin, Route, Target
from helicone_gw.testing import ScriptedProvider
from helicone_gw.testing.dialects import openai_chat

pytestmark = pytest.mark.virtual_time


def hedging(*targets: Target, after: float = 2.0) -> Plugin:
    return plugin("router", route_model=lambda exchange: Route(targets, hedge_after=after))


def fallbacks() -> Plugin:
    return plugin("fallbacks", on_error=lambda exchange, error: Fallback())


def now() -> float:
    return asyncio.get_running_loop().time()


def tried(one: Exchange) -> list[str]:
    return [attempt.target.provider for attempt in one.attempts]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_quick_answer_is_alone(stream: bool) -> None:
    provider = ScriptedProvider(answer(stream).delayed(1.9))
    running, one = gateway([hedging(A, B)], provider), exchange(stream=stream)
    assert (await handle(running, one)).status == 200
    assert tried(one) == ["openai"]
    await running.stop()


def answer(stream: bool) -> Any:
    return openai_chat.stream() if stream else openai_chat.reply()


@pytest.mark.parametrize("stream", [False, True])
async def test_a_slow_one_is_overtaken_and_given_up(stream: bool) -> None:
    told: list[Attempt] = []
    provider = ScriptedProvider(answer(stream).delayed(60), answer(stream).delayed(1))
    layers = [hedging(A, B), plugin("observer", on_attempt=lambda exchange, attempt: told.append(attempt))]
    running, one = gateway(layers, provider), exchange(stream=stream)
    sink = await handle(running, one)
    assert sink.status == 200
    assert now() == pytest.approx(3)
    assert tried(one) == ["openai", "groq"]
    assert (one.provider, sink.headers.get("helicone-provider"), sink.headers.get("helicone-attempts")) == (
        "groq",
        "groq",
        "2",
    )
    assert provider.requests[0].closed_by_client.is_set(), "the loser is cancelled"
    loser, winner = one.attempts
    assert (loser.status, loser.error) == (None, None)
    assert loser.ended_at is not None
    assert loser.usage is not None
    assert loser.usage.estimated
    assert winner.usage is not None
    assert one.usage == winner.usage
    assert [attempt.number for attempt in told] == [1, 2]
    assert all(running.health.of(target).in_flight == 0 for target in (A, B))
    await running.stop()


async def test_the_slow_one_may_still_win() -> None:
    provider = ScriptedProvider(openai_chat.reply("first").delayed(3), openai_chat.reply("second").delayed(60))
    running, one = gateway([hedging(A, B)], provider), exchange()
    sink = await handle(running, one)
    assert b"first" in sink.body
    assert (one.provider, now()) == ("openai", pytest.approx(3))
    assert [(attempt.number, attempt.target) for attempt in one.attempts] == [(2, B), (1, A)], "the winner is the last"
    assert one.model == one.attempts[-1].model
    await running.stop()


@pytest.mark.parametrize(
    ("first", "second", "status", "at"),
    [
        (openai_chat.error(500).delayed(3), openai_chat.reply().delayed(5), 200, 7),
        (openai_chat.reply().delayed(9), openai_chat.error(500).delayed(1), 200, 9),
        (openai_chat.error(500).delayed(3), openai_chat.error(429).delayed(5), 429, 7),
        (openai_chat.error(500).delayed(1), openai_chat.reply(), 500, 1),
    ],
    ids=["the first fails", "the second fails", "both fail", "the first fails early"],
)
async def test_failures(first: Any, second: Any, status: int, at: float) -> None:
    running, one = gateway([hedging(A, B)], ScriptedProvider(first, second)), exchange()
    assert (await handle(running, one)).status == status
    assert now() == pytest.approx(at)
    await running.stop()


async def test_what_fails_early_falls_back_as_ever() -> None:
    provider = ScriptedProvider(openai_chat.error(500), openai_chat.reply())
    running, one = gateway([hedging(A, B), fallbacks()], provider), exchange()
    assert (await handle(running, one)).status == 200
    assert tried(one) == ["openai", "groq"]
    await running.stop()


@pytest.mark.parametrize("change", [{"body": None}, {}])
async def test_what_cannot_be_sent_twice_or_has_one_target_is_not_hedged(change: dict[str, Any]) -> None:
    targets = (A, B) if change else (A,)
    one = exchange(**change)
    if change:
        one._upload = _upload()
    running = gateway([hedging(*targets)], ScriptedProvider(openai_chat.reply().delayed(9)))
    assert (await handle(running, one)).status == 200
    assert tried(one) == ["openai"]
    await running.stop()


async def _upload() -> Any:
    yield b"{}"


async def test_attempts_are_bounded() -> None:
    running = gateway([hedging(A, B)], ScriptedProvider(openai_chat.reply().delayed(9)), max_attempts=1)
    one = exchange()
    assert (await handle(running, one)).status == 200
    assert tried(one) == ["openai"]
    await running.stop()


@pytest.mark.parametrize("after", [1.0, 2.5, 3.5])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_takes_both_with_it(after: float, stream: bool) -> None:
    provider = ScriptedProvider(answer(stream).delayed(60), answer(stream).delayed(60))
    running, one, sink = gateway([hedging(A, B)], provider), exchange(stream=stream), ListSink()
    task = asyncio.ensure_future(running.pipeline.handle(one, sink))
    await asyncio.sleep(after)
    sink.disconnected = True
    task.cancel()
    await asyncio.wait({task})
    assert all(request.closed_by_client.is_set() for request in provider.requests)
    assert all(attempt.ended_at is not None for attempt in one.attempts)
    assert one.outcome is not None
    assert one.outcome.kind == "client_disconnected"
    await running.stop()


async def test_a_judge_that_refuses_takes_both_with_it() -> None:
    async def refuse() -> None:
        await asyncio.sleep(3)
        raise GatewayError("no", status=400)

    def judge(exchange: Exchange) -> None:
        exchange.before_commit(refuse(), timeout=10)

    provider = ScriptedProvider(openai_chat.reply().delayed(60), openai_chat.reply().delayed(60))
    running, one = gateway([plugin("judge", pre_request=judge), hedging(A, B)], provider), exchange()
    assert (await handle(running, one)).status == 400
    assert len(provider.requests) == 2
    assert all(request.closed_by_client.is_set() for request in provider.requests)
    await running.stop()


async def test_the_deadline_holds() -> None:
    provider = ScriptedProvider(openai_chat.reply().delayed(60), openai_chat.reply().delayed(60))
    running, one = gateway([hedging(A, B)], provider, deadline=10), exchange()
    assert (await handle(running, one)).status == 504
    assert now() == pytest.approx(10)
    await running.stop()
