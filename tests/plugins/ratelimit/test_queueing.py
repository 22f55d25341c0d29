"""Waiting at a limit: in a fair order, one asking at a time, and nobody left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from helicone_gw.testing import GatewayFactory, Reply, RunningGateway, ScriptedProvider, VirtualClock, run_virtual
from helicone_gw.testing.dialects import openai_chat
from helicone_gw_ratelimit.queue_config import PriorityConfig
from helicone_gw_ratelimit.queueing import Lines, Stop, Waiter
from helicone_gw_ratelimit.queues import _priority

HERE = Stop("limit", "limit", 5.0)


class Gate:
    """A limit with so many places, which counts how often it was asked and notes who was let in."""

    def __init__(self, places: int = 0, wait: float = 5.0) -> None:
        self.places = places
        self.wait = wait
        self.asked = 0
        self.admitted: list[str] = []
        self.lines = Lines()

    def attempt(self, name: str) -> Callable[[], Awaitable[Stop | None]]:
        async def attempt() -> Stop | None:
            self.asked += 1
            if self.places <= 0:
                return Stop("limit", "limit", self.wait)
            self.places -= 1
            self.admitted.append(name)
            return None

        return attempt

    def come(
        self, name: str, group: str = "", priority: int = 0, seconds: float = 1e6, wait: float = 5.0
    ) -> asyncio.Task[bool]:
        async def coming() -> bool:
            stop = Stop("limit", "limit", wait)
            return await self.lines.wait(stop, Waiter(group, priority), seconds, self.attempt(name))

        return asyncio.create_task(coming())

    def give_back(self, places: int = 1) -> None:
        self.places += places
        self.lines.given_back("limit")


async def soon() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.usefixtures("virtual_time")
class TestLines:
    async def test_who_waits_asks_when_the_limit_said_and_not_before(self, virtual_time: VirtualClock) -> None:
        gate = Gate()
        waiting = gate.come("a", wait=30)
        await asyncio.sleep(29)
        gate.places = 1
        assert gate.asked == 0
        assert await waiting
        assert virtual_time.monotonic() == pytest.approx(30)

    async def test_or_as_soon_as_something_is_given_back(self, virtual_time: VirtualClock) -> None:
        gate = Gate()
        waiting = gate.come("a", wait=30)
        await asyncio.sleep(7)
        gate.give_back()
        assert await waiting
        assert virtual_time.monotonic() == pytest.approx(7)

    async def test_however_many_wait_one_asks(self) -> None:
        gate = Gate()
        for number in range(100):
            gate.come(str(number))
        await asyncio.sleep(12)
        assert gate.asked == 2
        gate.give_back(3)
        await soon()
        assert (gate.asked, gate.admitted) == (6, ["0", "1", "2"])
        gate.give_back(1000)
        await soon()

    async def test_in_the_order_of_arrival(self) -> None:
        gate = Gate()
        for name in "abcde":
            gate.come(name)
        await soon()
        gate.give_back(5)
        await asyncio.sleep(0.1)
        assert gate.admitted == list("abcde")

    async def test_groups_take_turns_however_many_each_sends(self) -> None:
        gate = Gate()
        for name in ("a1", "a2", "a3", "a4", "b1", "b2", "c1"):
            gate.come(name, group=name[0])
        await soon()
        gate.give_back(7)
        await asyncio.sleep(0.1)
        assert gate.admitted == ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]

    async def test_higher_priorities_come_first(self) -> None:
        gate = Gate()
        for name, priority in (("low", -1), ("usual", 0), ("high", 5), ("high too", 5)):
            gate.come(name, priority=priority)
        await soon()
        gate.give_back(4)
        await asyncio.sleep(0.1)
        assert gate.admitted == ["high", "high too", "usual", "low"]

    async def test_one_that_comes_later_with_a_higher_priority_gets_the_next_turn(self) -> None:
        gate = Gate()
        gate.come("first")
        await asyncio.sleep(6)
        gate.come("important", priority=1)
        await soon()
        gate.give_back()
        await soon()
        assert gate.admitted == ["important"]
        gate.give_back()
        await soon()

    async def test_patience_ends(self, virtual_time: VirtualClock) -> None:
        gate = Gate()
        assert await gate.come("a", seconds=12) is False
        assert virtual_time.monotonic() == pytest.approx(12)
        assert not gate.lines
        assert gate.lines.waiting == {}

    async def test_one_whose_patience_ends_hands_on_nothing_and_takes_nothing(self) -> None:
        gate = Gate(wait=100)
        impatient, patient = gate.come("a", seconds=3), gate.come("b")
        assert await impatient is False
        gate.give_back()
        assert await patient
        assert gate.admitted == ["b"]

    async def test_who_leaves_is_not_waited_for(self) -> None:
        gate = Gate()
        leaving, staying = gate.come("a"), gate.come("b")
        await soon()
        leaving.cancel()
        await soon()
        assert gate.lines.waiting == {"limit": 1}
        gate.give_back()
        assert await staying
        assert gate.admitted == ["b"]

    async def test_who_leaves_in_the_very_moment_of_its_turn_hands_it_on(self) -> None:
        gate = Gate()
        leaving, staying = gate.come("a"), gate.come("b")
        await soon()
        gate.places = 1
        gate.lines.given_back("limit")
        leaving.cancel()
        assert await staying
        assert gate.admitted == ["b"]

    async def test_who_leaves_before_the_turn_comes_is_passed_over(self) -> None:
        gate = Gate()
        leaving, staying = gate.come("a"), gate.come("b")
        await soon()
        leaving.cancel()
        gate.give_back()
        assert await staying

    async def test_what_is_given_back_while_somebody_asks_is_not_missed(self, virtual_time: VirtualClock) -> None:
        gate = Gate()
        asking = asyncio.Event()

        async def slow() -> Stop | None:
            gate.asked += 1
            if gate.asked > 1:
                return None
            asking.set()
            await asyncio.sleep(1)
            return HERE

        waiting = asyncio.create_task(gate.lines.wait(HERE, Waiter("", 0), 100, slow))
        await asking.wait()
        gate.lines.given_back("limit")
        assert await waiting
        assert virtual_time.monotonic() == pytest.approx(6)

    async def test_one_that_is_stopped_elsewhere_waits_there(self) -> None:
        lines = Lines()
        answers = [Stop("other", "other", 3.0), None]

        async def attempt() -> Stop | None:
            return answers.pop(0)

        waiting = asyncio.create_task(lines.wait(HERE, Waiter("", 0), 100, attempt))
        await asyncio.sleep(5.5)
        assert lines.waiting == {"other": 1}
        assert lines.at(["limit", "other"]) == "other"
        assert await waiting
        assert lines.waiting == {}

    async def test_an_error_ends_the_waiting_of_that_one_alone(self) -> None:
        gate = Gate()

        async def fails() -> Stop | None:
            raise LookupError("gone")

        failing = asyncio.create_task(gate.lines.wait(HERE, Waiter("", 0), 100, fails))
        await soon()
        other = gate.come("b")
        await soon()
        gate.give_back()
        with pytest.raises(LookupError, match="gone"):
            await failing
        assert await other


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("come"), st.sampled_from("abc"), st.integers(-1, 1), st.floats(0.5, 30)),
        st.tuples(st.just("give"), st.integers(1, 3)),
        st.tuples(st.just("leave"), st.integers(0, 30)),
        st.tuples(st.just("sleep"), st.floats(0, 10)),
    ),
    max_size=40,
)


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_nobody_is_lost_and_no_place_stays_free_while_somebody_waits(steps: list[Any]) -> None:
    async def scenario() -> None:
        gate, tasks, given = Gate(), [], 0
        for number, step in enumerate(steps):
            match step:
                case "come", group, priority, seconds:
                    tasks.append(gate.come(f"{group}{number}", group, priority, seconds))
                case "give", places:
                    given += places
                    gate.give_back(places)
                case "leave", which if tasks:
                    tasks[which % len(tasks)].cancel()
                case "sleep", seconds:
                    await asyncio.sleep(seconds)
                case _:
                    pass
            await soon()
            # Whoever waits has been told of every place that there is.
            await asyncio.sleep(6)
            assert gate.places == 0 or not gate.lines
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert results.count(True) == len(gate.admitted)
        assert len(gate.admitted) + gate.places == given
        assert not gate.lines
        assert gate.lines.waiting == {}

    run_virtual(scenario())


# In the gateway

Slow = Callable[[Any], Any]


def slow(seconds: float) -> Slow:
    return lambda request: openai_chat.answer()(request).delayed(seconds)


@pytest.fixture
def start(gateway: GatewayFactory, virtual_time: VirtualClock) -> Callable[..., Any]:
    def starting(*limits: Any, seconds: float = 10, **said: Any) -> Any:
        provider = ScriptedProvider(default=slow(seconds))
        return gateway(plugins=[{"ratelimit": {"limits": list(limits), **said}}], provider=provider)

    return starting


def counters(running: RunningGateway) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = running.gateway.plugins[0].counters
    return found


async def test_a_place_that_becomes_free_is_taken_at_once(
    start: Callable[..., Any], virtual_time: VirtualClock
) -> None:
    async with start({"name": "two", "concurrency": 2, "queue": {}}) as running:
        replies: list[Reply] = await asyncio.gather(*(running.chat() for _ in range(6)))
        assert [reply.status for reply in replies] == [200] * 6
        assert virtual_time.monotonic() == pytest.approx(30, abs=0.1)
        assert counters(running) == {("admitted", "two"): 6, ("queued", "two"): 4}
        waited = sorted(exchange.annotations.get("ratelimit.queued_ms", 0) for exchange in running.exchanges)
        assert waited == [0, 0, 10000, 10000, 20000, 20000]


async def test_a_policy_admits_when_it_said_that_it_would(
    start: Callable[..., Any], virtual_time: VirtualClock
) -> None:
    async with start({"name": "p", "policy": "2;w=60", "queue": {"max_wait": 70}}, seconds=0) as running:
        replies: list[Reply] = await asyncio.gather(*(running.chat() for _ in range(4)))
        assert [reply.status for reply in replies] == [200] * 4
        assert virtual_time.monotonic() == pytest.approx(60, abs=0.1)


async def test_one_that_would_have_to_wait_too_long_is_refused_at_once(
    start: Callable[..., Any], virtual_time: VirtualClock
) -> None:
    async with start({"name": "p", "policy": "1;w=60", "queue": {"max_wait": 59}}, seconds=0) as running:
        await running.chat()
        refused = await running.chat()
        assert (refused.status, refused.headers.get("retry-after")) == (429, "60")
        assert virtual_time.monotonic() < 1


async def test_only_so_many_may_wait(start: Callable[..., Any]) -> None:
    async with start({"name": "one", "concurrency": 1, "queue": {"max_waiting": 2}}) as running:
        replies: list[Reply] = await asyncio.gather(*(running.chat() for _ in range(5)))
        assert sorted(reply.status for reply in replies) == [200, 200, 200, 429, 429]
        assert counters(running)["queue_full", "one"] == 2
        for refused in (reply for reply in replies if reply.status == 429):
            prefix = "helicone-ratelimit-"
            told = {name.removeprefix(prefix): text for name, text in refused.headers if name.startswith(prefix)}
            assert told == {"limit": "1", "remaining": "0", "policy": "concurrency=1"}
        noted = [exchange.annotations.get("ratelimit.refused") for exchange in running.exchanges]
        assert noted.count(["one"]) == 2


async def test_and_only_so_long(start: Callable[..., Any]) -> None:
    async with start({"name": "one", "concurrency": 1, "queue": {"max_wait": 15}}) as running:
        replies: list[Reply] = await asyncio.gather(*(running.chat() for _ in range(4)))
        assert sorted(reply.status for reply in replies) == [200, 200, 429, 429]
        assert counters(running)["queue_timeout", "one"] == 2


async def test_a_client_that_leaves_while_it_waits_makes_room(start: Callable[..., Any]) -> None:
    async with start({"name": "one", "concurrency": 1, "queue": {}}) as running:
        first = asyncio.create_task(running.chat())
        await asyncio.sleep(1)
        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}
        async with running.stream("POST", "/v1/chat/completions", json=body) as live:
            await asyncio.sleep(1)
            assert running.gateway.plugins[0].queues.lines.waiting == {"one": 1}
            measured = {each.name: each.value for each in running.gateway.plugins[0].measurements()}
            assert measured["ratelimit_waiting"] == 1
            await live.leave()
        assert running.gateway.plugins[0].queues.lines.waiting == {}
        assert (await first).status == 200
        assert len(running.provider.requests) == 1
        assert counters(running)["queue_left", "one"] == 1


async def test_nobody_overtakes_those_who_wait(start: Callable[..., Any]) -> None:
    """One that comes in the moment in which a place is free stands behind those who wait for it."""
    async with start({"name": "one", "concurrency": 1, "queue": {}}) as running:
        order: list[str] = []

        async def ask(name: str, after: float) -> None:
            await asyncio.sleep(after)
            await running.chat(name)
            order.append(name)

        await asyncio.gather(ask("first", 0), ask("second", 1), ask("third", 10), ask("fourth", 10.5))
        assert order == ["first", "second", "third", "fourth"]


async def test_users_take_turns_and_priorities_go_first(start: Callable[..., Any]) -> None:
    queue = {"fair": "user", "priority": {"property": "Tier", "levels": {"gold": 10}}, "max_wait": 100}
    async with start({"name": "one", "concurrency": 1, "queue": queue}) as running:
        order: list[str] = []

        async def ask(name: str, tier: str = "none") -> None:
            await running.chat(headers={"Helicone-User-Id": name[0], "Helicone-Property-Tier": tier})
            order.append(name)

        await asyncio.gather(*(ask(name) for name in ("a0", "a1", "a2", "b1")), ask("c1", "gold"))
        assert order == ["a0", "c1", "a1", "b1", "a2"]


async def test_a_refusal_without_a_queue_is_not_waited_for(
    start: Callable[..., Any], virtual_time: VirtualClock
) -> None:
    limits = ({"name": "one", "concurrency": 1, "queue": {}}, {"name": "p", "policy": "1;w=60"})
    async with start(*limits) as running:
        replies: list[Reply] = await asyncio.gather(*(running.chat() for _ in range(2)))
        assert sorted(reply.status for reply in replies) == [200, 429]
        assert virtual_time.monotonic() < 11


@pytest.mark.parametrize("said", [{}, {"levels": {"gold": 1}}, {"header": "Helicone-Priority"}, {"keys": {"a": 1000}}])
def test_a_priority_goes_by_something(said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PriorityConfig.model_validate(said)


@pytest.mark.parametrize(
    ("value", "level"),
    [("5", 5), ("-5", -5), ("gold", 10), (" GOLD ", 10), ("900", 100), ("lots", 0), ("²", 0), ("--1", 0), ("", 0)],
)
async def test_a_priority_is_a_number_or_a_word(start: Callable[..., Any], value: str, level: int) -> None:
    async with start(seconds=0) as running:
        await running.chat(headers={"Helicone-Property-Tier": value} if value else {})
        config = PriorityConfig(property="Tier", levels={"gold": 10})
        assert _priority(running.exchanges[0], config) == level
