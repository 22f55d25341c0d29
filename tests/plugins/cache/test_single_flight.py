"""Identical requests at the same time: one call, whoever leaves; errors are shared by nobody; everything is bounded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from helicone_gw import Chunk, Exchange, Plugin, hookimpl
from helicone_gw.testing import (
    GatewayFactory,
    LiveReply,
    Reply,
    RunningGateway,
    ScriptedProvider,
    ScriptedResponse,
    of_events,
)
from helicone_gw.testing.dialects import anthropic, openai_chat
from tests.plugins.cache.running import DEBUG, ON, calls, notes, plugin, said

pytestmark = pytest.mark.virtual_time

A_WHILE = 5.0
"""Virtual seconds in which everything that can happen has happened."""

BODY = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello!"}]}
WORDS = [f"word{number} " for number in range(12)]
SLOW = openai_chat.stream(WORDS, include_usage=True).paced(1)


def held_back(answer: ScriptedResponse) -> tuple[asyncio.Event, Callable[[Any], Awaitable[ScriptedResponse]]]:
    """An answer that waits until the event is set."""
    free = asyncio.Event()

    async def answered(request: Any) -> ScriptedResponse:
        await free.wait()
        return answer

    return free, answered


async def together(running: RunningGateway, count: int, **asked: Any) -> list[Reply]:
    return list(await asyncio.gather(*(running.chat(**asked) for _ in range(count))))


@asynccontextmanager
async def live(running: RunningGateway, count: int, **headers: str) -> AsyncIterator[list[LiveReply]]:
    """So many clients of the same stream, one after the other."""
    async with AsyncExitStack() as stack:
        replies = []
        for _ in range(count):
            reply = running.stream(
                "POST", "/v1/chat/completions", json={**BODY, "stream": True}, headers={**ON, **headers}
            )
            replies.append(await stack.enter_async_context(reply))
            await asyncio.sleep(0.2)
        yield replies


@pytest.mark.parametrize("stream", [False, True])
async def test_a_hundred_at_once_are_one_call(gateway: GatewayFactory, stream: bool) -> None:
    async with gateway(
        ["logging", "cost", "cache"], provider=ScriptedProvider(default=openai_chat.answer("Hello!"))
    ) as running:
        replies = await together(running, 100, stream=stream, headers=ON)
        assert calls(running) == 1
        assert {reply.body for reply in replies} == {replies[0].body}
        assert [said(reply) for reply in replies].count("MISS") == 1
        assert [reply.aborted for reply in replies] == [False] * 100
        assert sum(exchange.cost.nano_usd > 0 for exchange in running.exchanges if exchange.cost) == 1
        assert plugin(running).savings.total.hits == 99
        assert plugin(running).flights.counters.joined == 99
        assert (len(plugin(running).flights), plugin(running).flights.held) == (0, 0)
        again = await running.chat(stream=stream, headers=ON)
        assert (said(again), again.body, calls(running)) == ("HIT", replies[0].body, 1)


async def test_one_that_was_answered_while_another_looked_is_not_asked_again(
    gateway: GatewayFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with gateway(["cache"]) as running:
        backend = plugin(running).backend
        look = backend.get_many

        async def slow_once(keys: Any) -> Any:
            monkeypatch.setattr(backend, "get_many", look)
            found = await look(keys)
            await asyncio.sleep(5)
            return found

        monkeypatch.setattr(backend, "get_many", slow_once)
        slow = asyncio.ensure_future(running.chat(headers=ON))
        await asyncio.sleep(1)
        assert said(await running.chat(headers=ON)) == "MISS"
        assert said(await slow) == "HIT"
        assert calls(running) == 1


async def test_a_stream_that_may_end_for_one_client_alone_is_shared_with_nobody(gateway: GatewayFactory) -> None:
    class Cutting(Plugin):
        """Ends the first client's stream, as a budget does that is used up."""

        @hookimpl
        async def pre_request(self, exchange: Exchange) -> None:
            if exchange.request.helicone.user_id == "poor":
                exchange.watch_stream()
                exchange.annotate("cache.share", False)

        @hookimpl
        def on_stream_chunk(self, exchange: Exchange, chunk: Chunk) -> None:
            if exchange.annotations.get("cache.share") is False and b"word6" in chunk.data:
                exchange.end_stream("budget_exceeded")

    async with gateway(
        ["cutting", "cache"], classes={"cutting": Cutting}, provider=ScriptedProvider(default=SLOW)
    ) as running:
        poor = asyncio.ensure_future(running.chat(stream=True, headers={**ON, "Helicone-User-Id": "poor"}))
        await asyncio.sleep(2.5)
        others = await together(running, 2, stream=True, headers=ON)
        assert b"word11" not in (await poor).body
        assert [(reply.aborted, b"word11" in reply.body) for reply in others] == [(False, True)] * 2
        assert calls(running) == 2, "the others share one of their own"


async def test_events_without_their_end_stay_apart(gateway: GatewayFactory) -> None:
    class Last(Plugin):
        """Says something after the end."""

        @hookimpl
        def on_stream_chunk(self, exchange: Exchange, chunk: Chunk) -> list[Chunk] | None:
            return [Chunk(b": bye\n\n")] if chunk.kind == "end" else None

    answer = openai_chat.stream("Hello!")
    unended = of_events(*answer.parts[:-1], answer.parts[-1].rstrip(b"\n"))
    async with gateway(["cache", "last"], classes={"last": Last}, provider=ScriptedProvider(unended)) as running:
        first = await running.chat(stream=True, headers=ON)
        second = await running.chat(stream=True, headers=ON)
        assert first.body.endswith(b"data: [DONE]\n\n: bye\n\n")
        assert (said(second), second.body) == ("HIT", first.body)


async def test_an_answer_that_waits_to_be_written_is_shared_for_its_lifetime_only(
    gateway: GatewayFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = asyncio.Event()

    async def hang(entry: Any, together: int = 1) -> bool:
        await written.wait()
        return True

    async with gateway([{"cache": {"ttl": 60}}]) as running:
        monkeypatch.setattr(plugin(running).backend, "put", hang)
        monkeypatch.setattr(plugin(running).backend, "kind", "disk")
        assert [said(await running.chat(headers=ON)) for _ in range(2)] == ["MISS", "HIT"]
        await asyncio.sleep(61)
        assert said(await running.chat(headers=ON)) == "MISS"
        assert calls(running) == 2
        written.set()


async def test_different_questions_do_not_wait_for_each_other(gateway: GatewayFactory) -> None:
    async with gateway(["cache"]) as running:
        await asyncio.gather(*(running.chat(str(number % 5), headers=ON) for number in range(25)))
        assert calls(running) == 5


async def test_it_can_be_switched_off(gateway: GatewayFactory) -> None:
    free, answer = held_back(openai_chat.reply())
    plugins = [{"cache": {"single_flight": {"enabled": False}}}]
    async with gateway(plugins, provider=ScriptedProvider(default=answer)) as running:
        asking = asyncio.gather(*(running.chat(headers=ON) for _ in range(5)))
        await running.provider.received(5)
        free.set()
        await asking
        assert said(await running.chat(headers=ON)) == "HIT"


async def test_who_joins_a_stream_gets_all_of_it_as_it_comes(gateway: GatewayFactory) -> None:
    async with gateway(["cache"], provider=ScriptedProvider(default=SLOW)) as running:
        async with live(running, 3) as replies:
            await asyncio.sleep(3.5)
            async with live(running, 1) as late:
                seen = await anext(late[0])
                assert b"word1" in seen
                assert b"word9" not in seen, "live: the rest has not come yet"
                whole = [await reply.read() for reply in replies]
                assert seen + await late[0].read() == whole[0]
        assert calls(running) == 1
        assert whole == [whole[0]] * 3
        assert whole[0].endswith(b"data: [DONE]\n\n")
        assert [reply.headers.get("helicone-cache") for reply in replies] == ["MISS", "HIT", "HIT"]
        assert "helicone-cache-latency" not in replies[1].headers, "nobody knows it yet"
    joined = [exchange for exchange in running.exchanges if exchange.annotations["cache.status"] == "joined"]
    assert len(joined) == 3
    led = next(exchange for exchange in running.exchanges if exchange.attempts)
    assert led.usage is not None
    for exchange in joined:
        assert exchange.outcome is not None
        assert exchange.outcome.kind == "ok"
        assert exchange.outcome.bytes_sent == len(whole[0])
        assert exchange.cost is not None
        assert exchange.cost.nano_usd == 0
        assert exchange.annotations["cache.reference_id"] == led.request_id
        assert exchange.annotations["cache.saved_prompt_tokens"] == led.usage.input_tokens


@pytest.mark.parametrize("leaves", [0, 1, 2])
@pytest.mark.parametrize("when", ["before the answer", "in the middle"])
async def test_one_who_leaves_takes_nothing_from_the_others(gateway: GatewayFactory, leaves: int, when: str) -> None:
    answer = SLOW if when == "in the middle" else SLOW.delayed(3)
    async with gateway(["cache"], provider=ScriptedProvider(default=answer)) as running:
        async with live(running, 3) as replies:
            await asyncio.sleep(1.5)
            await asyncio.wait({asyncio.ensure_future(replies[leaves].leave())}, timeout=A_WHILE)
            others = [reply for index, reply in enumerate(replies) if index != leaves]
            whole = [await reply.read() for reply in others]
        assert calls(running) == 1
        assert not running.provider.closed_by_client.is_set()
        assert whole[0] == whole[1]
        assert whole[0].endswith(b"data: [DONE]\n\n")
        assert said(await running.chat(stream=True, headers=ON)) == "HIT", "it was whole, so it was stored"
    kinds = sorted(exchange.outcome.kind for exchange in running.exchanges if exchange.outcome)
    assert kinds == ["client_disconnected", "ok", "ok", "ok"]


async def test_the_call_ends_with_the_last_who_waits_for_it(gateway: GatewayFactory) -> None:
    async with gateway(["cache"], provider=ScriptedProvider(SLOW, openai_chat.stream("New"))) as running:
        async with live(running, 3) as replies:
            for index in (0, 2, 1):
                assert not running.provider.closed_by_client.is_set()
                leaving = asyncio.ensure_future(replies[index].leave())
                await asyncio.sleep(0.5)
            await running.provider.closed_by_client.wait()
            await leaving
        assert [exchange.outcome.kind for exchange in running.exchanges if exchange.outcome] == [
            "client_disconnected"
        ] * 3
        assert (len(plugin(running).flights), plugin(running).flights.held) == (0, 0)
        assert said(await running.chat(stream=True, headers=ON)) == "MISS"


async def test_a_unary_call_outlives_its_leader_too(gateway: GatewayFactory) -> None:
    free, answer = held_back(openai_chat.reply())
    async with gateway(["cache"], provider=ScriptedProvider(answer)) as running:
        async with running.stream("POST", "/v1/chat/completions", json=BODY, headers=ON) as leader:
            await running.provider.received(1)
            waiting = asyncio.ensure_future(running.request("POST", "/v1/chat/completions", json=BODY, headers=ON))
            await asyncio.sleep(1)
            leaving = asyncio.ensure_future(leader.leave())
            await asyncio.sleep(1)
            free.set()
            reply = await waiting
            await leaving
        assert (said(reply), reply.status, calls(running)) == ("HIT", 200, 1)


@pytest.mark.parametrize("stream", [False, True])
async def test_an_error_is_shared_by_nobody(gateway: GatewayFactory, stream: bool) -> None:
    free, failing = held_back(openai_chat.error(400, "not like this"))
    provider = ScriptedProvider(failing, default=openai_chat.answer("Hello!"))
    async with gateway(["cache"], provider=provider) as running:
        asking = asyncio.gather(*(running.chat(stream=stream, headers=ON) for _ in range(10)))
        await running.provider.received(1)
        await asyncio.sleep(1)
        free.set()
        replies = await asking
        assert sorted(reply.status for reply in replies) == [200] * 9 + [400]
        assert calls(running) == 2, "one of those who waited went on, and the others followed it"


async def test_where_every_call_fails_nobody_waits_more_than_twice(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(default=openai_chat.error(500).delayed(10))
    async with gateway(["cache"], provider=provider) as running:
        begun = asyncio.get_running_loop().time()
        replies = await together(running, 10, headers=ON)
        assert [reply.status for reply in replies] == [500] * 10
        assert calls(running) == 10, "as many as without a cache"
        assert asyncio.get_running_loop().time() - begun < 35
        assert plugin(running).flights.counters.lost == 2


async def test_an_answer_that_is_not_for_others_is_asked_for_by_each(gateway: GatewayFactory) -> None:
    answer = openai_chat.reply("No.", stop_reason="content_filter").delayed(1)
    async with gateway(["cache"], provider=ScriptedProvider(default=answer)) as running:
        replies = await together(running, 5, headers=ON)
        assert [said(reply) for reply in replies] == ["MISS"] * 5
        assert calls(running) == 5


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_stream_that_breaks_breaks_for_all_who_had_begun(gateway: GatewayFactory, how: Any) -> None:
    broken = openai_chat.stream(WORDS).paced(1).cut(events=6, how=how)
    async with gateway(["cache"], provider=ScriptedProvider(broken)) as running:
        async with live(running, 3) as replies:
            bodies = [await reply.read() for reply in replies]
            assert [reply.aborted for reply in replies] == [True] * 3
        assert calls(running) == 1
        for body in bodies:
            assert b"[DONE]" not in body
            assert b'"error"' in body, "they are told, in their own dialect"
    assert [exchange.outcome.kind for exchange in running.exchanges if exchange.outcome] == ["stream_broken"] * 3


async def test_a_stream_that_is_whole_but_not_to_be_stored_is_whole_for_all(gateway: GatewayFactory) -> None:
    filtered = openai_chat.stream(WORDS, stop_reason="content_filter").paced(1)
    async with gateway(["cache"], provider=ScriptedProvider(default=filtered)) as running:
        async with live(running, 3) as replies:
            bodies = [await reply.read() for reply in replies]
            assert [reply.aborted for reply in replies] == [False] * 3
        assert bodies == [bodies[0]] * 3
        assert calls(running) == 1
        assert said(await running.chat(stream=True, headers=ON)) == "MISS"


async def test_each_dialect_has_its_own_stream(gateway: GatewayFactory) -> None:
    async with gateway(["cache"], provider=ScriptedProvider(default=anthropic.stream(WORDS).paced(0.5))) as running:
        replies = await asyncio.gather(*(running.message(stream=True, headers=ON) for _ in range(5)))
        assert calls(running) == 1
        assert {reply.body for reply in replies} == {replies[0].body}
        assert b"message_stop" in replies[0].body


async def test_buckets_are_filled_by_as_many_calls_at_once(gateway: GatewayFactory) -> None:
    free, answer = held_back(openai_chat.reply())
    async with gateway(["cache"], provider=ScriptedProvider(default=answer)) as running:
        headers = {**ON, "Helicone-Cache-Bucket-Max-Size": "3"}
        asking = asyncio.gather(*(running.chat(headers=headers) for _ in range(30)))
        await running.provider.received(3)
        await asyncio.sleep(1)
        free.set()
        replies = await asking
        assert calls(running) == 3
        assert [said(reply) for reply in replies].count("MISS") == 3
        assert said(await running.chat(headers=headers)) == "HIT"


async def test_no_cache_waits_for_nobody(gateway: GatewayFactory) -> None:
    free, answer = held_back(openai_chat.reply())
    async with gateway(["cache"], provider=ScriptedProvider(default=answer)) as running:
        asking = asyncio.gather(
            running.chat(headers=ON), *(running.chat(headers={**ON, "Cache-Control": "no-cache"}) for _ in range(3))
        )
        await running.provider.received(4)
        free.set()
        await asking


async def test_one_who_only_reads_joins_and_never_leads(gateway: GatewayFactory) -> None:
    free, answer = held_back(openai_chat.reply())
    async with gateway(["cache"], provider=ScriptedProvider(default=answer)) as running:
        reads = {"Helicone-Cache-Read": "true"}
        first = asyncio.ensure_future(running.chat(headers=reads))
        await running.provider.received(1)
        assert len(plugin(running).flights) == 0
        leader = asyncio.ensure_future(running.chat(headers=ON))
        await running.provider.received(2)
        third = asyncio.ensure_future(running.chat(headers=reads))
        await asyncio.sleep(1)
        free.set()
        assert [said(await each) for each in (first, leader, third)] == ["MISS", "MISS", "HIT"]
        assert calls(running) == 2


async def test_a_waiter_is_impatient_in_the_end(gateway: GatewayFactory) -> None:
    provider = ScriptedProvider(openai_chat.reply().delayed(50), openai_chat.reply("Quick"))
    async with gateway([{"cache": {"single_flight": {"wait": 10}}}], provider=provider) as running:
        first = asyncio.ensure_future(running.chat(headers=ON))
        await running.provider.received(1)
        second = await running.chat(headers=DEBUG)
        assert (said(second), second.body) == ("MISS", openai_chat.reply("Quick").body)
        assert (await first).status == 200
        assert plugin(running).flights.counters.impatient == 1


@pytest.mark.parametrize(("bounds", "expected"), [({"max_waiters": 2}, 8), ({"max_flights": 1}, 1)])
async def test_who_finds_no_room_makes_a_call_of_its_own(
    gateway: GatewayFactory, bounds: dict[str, int], expected: int
) -> None:
    free, answer = held_back(openai_chat.reply())
    async with gateway([{"cache": {"single_flight": bounds}}], provider=ScriptedProvider(default=answer)) as running:
        asking = asyncio.gather(*(running.chat(headers=ON) for _ in range(10)))
        await running.provider.received(expected)
        await asyncio.sleep(1)
        assert calls(running) == expected
        assert plugin(running).flights.counters.full == (7 if expected == 8 else 0)
        free.set()
        await asking


async def test_more_questions_than_flights(gateway: GatewayFactory) -> None:
    free, answer = held_back(openai_chat.reply())
    plugins = [{"cache": {"single_flight": {"max_flights": 2}}}]
    async with gateway(plugins, provider=ScriptedProvider(default=answer)) as running:
        asking = asyncio.gather(*(running.chat(str(number % 3), headers=ON) for number in range(9)))
        await running.provider.received(5)
        free.set()
        await asking
        assert calls(running) == 5
        assert plugin(running).flights.counters.full == 3
        assert said(await running.chat("2", headers=ON)) == "HIT", "those by themselves store their answers, too"


async def test_one_who_falls_behind_a_long_stream_is_cut_off(
    gateway: GatewayFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("helicone_gw_cache.flight.WINDOW", 50_000)
    words = [("x" * 4000 + " ") for _ in range(100)]
    provider = ScriptedProvider(default=openai_chat.stream(words, include_usage=False).paced(1))
    plugins = [{"cache": {"single_flight": {"max_bytes": 100_000}}}]
    async with gateway(plugins, provider=provider) as running, live(running, 3) as replies:
        # The third takes nothing more; the client's window of the test kit is 64 KiB.
        bodies = await asyncio.gather(*(reply.read() for reply in replies[:2]))
        late = await replies[2].read()
        assert bodies[0] == bodies[1]
        assert not replies[0].aborted
        assert len(late) < len(bodies[0])
        assert replies[2].aborted
        counters = plugin(running).flights.counters
        assert (counters.too_long, counters.fell_behind) == (1, 1)
        assert plugin(running).flights.held == 0


async def test_a_refusal_outside_is_the_leaders_alone(gateway: GatewayFactory) -> None:
    class Limit(Plugin):
        """Lets the first one in, and ends its stream."""

        first: Exchange | None = None

        @hookimpl
        async def pre_request(self, exchange: Exchange) -> None:
            self.first = self.first or exchange

        @hookimpl
        def on_stream_chunk(self, exchange: Exchange, chunk: Any) -> None:
            if exchange is self.first and b"word5" in chunk.data:
                exchange.end_stream("budget")

    async with gateway(
        ["limit", "cache"], classes={"limit": Limit}, provider=ScriptedProvider(default=SLOW)
    ) as running:
        async with live(running, 2) as replies:
            bodies = [await reply.read() for reply in replies]
            assert not replies[0].aborted
            assert not bodies[0].count(b"word9")
            # The call that they shared is over: the other one learns that what it has is not the whole answer.
            assert replies[1].aborted
        assert said(await running.chat(stream=True, headers=ON)) == "MISS", "half an answer is not stored"
        limit = running.gateway.plugins[0]
        assert isinstance(limit, Limit)
        limit.first = None


async def test_notes_of_one_who_leads_say_nothing_of_followers(gateway: GatewayFactory) -> None:
    async with gateway(["cache"], provider=ScriptedProvider(default=SLOW)) as running:
        await together(running, 3, stream=True, headers=ON)
        statuses = [notes(running, index)["status"] for index in range(3)]
    assert sorted(statuses) == ["joined", "joined", "miss"]
