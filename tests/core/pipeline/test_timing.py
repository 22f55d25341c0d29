"""Server-Timing: how long each plugin took, for exchanges that are timed and for no others."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from helicone_gw import Chunk, Exchange, Gateway, Plugin, Response, hookimpl
from helicone_gw.pipeline.gates import WAITS
from helicone_gw.pipeline.timing import NOTE
from helicone_gw.testing import GatewayFactory, ScriptedProvider
from helicone_gw.testing.dialects import openai_chat

pytestmark = pytest.mark.virtual_time


class Slow(Plugin):
    """Takes half a second down, a quarter up, and an eighth for each event."""

    on_failure = "open"

    @hookimpl
    async def startup(self, gateway: Gateway) -> None:
        gateway.time_hooks(self.asked)

    def asked(self, exchange: Exchange) -> bool:
        return exchange.request.user != "nobody"

    @hookimpl
    async def pre_request(self, exchange: Exchange) -> None:
        await asyncio.sleep(0.5)
        if exchange.request.user == "fault":
            raise ValueError("a fault")

    @hookimpl
    def on_stream_chunk(self, exchange: Exchange, chunk: Chunk) -> None:
        return None

    @hookimpl
    async def on_response(self, exchange: Exchange, response: Response) -> None:
        await asyncio.sleep(0.25)


class Undecided(Slow):
    def asked(self, exchange: Exchange) -> bool:
        raise ValueError("nobody knows")


def told(value: str | None) -> dict[str, float]:
    assert value is not None
    return {name: float(duration.removeprefix("dur=")) for name, duration in (e.split(";") for e in value.split(", "))}


@pytest.mark.parametrize("stream", [False, True])
async def test_each_plugin_and_the_upstream(gateway: GatewayFactory, stream: bool) -> None:
    provider = ScriptedProvider(default=openai_chat.answer())
    async with gateway([{"slow": {"name": "a-slow-one"}}], provider=provider, classes={"slow": Slow}) as running:
        reply = await running.chat(stream=stream)
    times = told(reply.headers.get("server-timing"))
    assert list(times) == ["a-slow-one", "upstream", "total"]
    # Of a stream the head leaves before the answer is over.
    assert times["a-slow-one"] == (500 if stream else 750)
    assert times["total"] == times["a-slow-one"] + times["upstream"]


async def test_what_is_not_asked_for_is_not_told(gateway: GatewayFactory) -> None:
    async with gateway(["slow"], classes={"slow": Slow}) as running:
        reply = await running.chat(user="nobody")
    assert "server-timing" not in reply.headers


async def test_faults_are_counted_as_ever_and_their_time_too(gateway: GatewayFactory) -> None:
    async with gateway(["slow"], classes={"slow": Slow}) as running:
        reply = await running.chat(user="fault")
        assert running.faults == {("slow", "pre_request"): 1}
    assert told(reply.headers.get("server-timing"))["slow"] == 750


async def test_who_cannot_say_times_nothing(gateway: GatewayFactory) -> None:
    async with gateway(["slow"], classes={"slow": Undecided}) as running:
        with capture_logs() as logs:
            reply = await running.chat()
    assert reply.status == 200
    assert "server-timing" not in reply.headers
    assert any("timed" in entry["event"] for entry in logs)


ALWAYS = {"pipeline": {"timings": "always"}}
SECOND = 1_000_000


@pytest.mark.parametrize("stream", [False, True])
async def test_what_each_hook_took_is_noted_where_everything_is_timed(gateway: GatewayFactory, stream: bool) -> None:
    provider = ScriptedProvider(default=openai_chat.answer())
    async with gateway(["slow"], provider=provider, classes={"slow": Slow}, config=ALWAYS) as running:
        reply = await running.chat(stream=stream, user="nobody")
        exchange = running.exchanges[0]
        measured = {each.labels["hook"]: each.value for each in running.gateway.measurements() if "hook" in each.labels}
    assert "server-timing" not in reply.headers
    noted = {hook: (start, took, calls) for plugin, hook, start, took, calls in exchange.annotations[NOTE]}
    assert noted["pre_request"] == (0, SECOND // 2, 1)
    assert noted["on_response"][1:] == (SECOND // 4, 1)
    assert noted["on_response"][0] >= SECOND // 2
    assert ("on_stream_chunk" in noted) == stream
    if stream:
        assert noted["on_stream_chunk"][2] > 1, "the events of a stream are one entry, however many they are"
    assert measured["pre_request"] == 1


async def test_one_exchange_of_so_many_is_timed_and_the_first_is(gateway: GatewayFactory) -> None:
    async with gateway(
        ["slow"], classes={"slow": Slow}, config={"pipeline": {"sample": 3, "timings": "sampled"}}
    ) as running:
        for _ in range(7):
            await running.chat(user="nobody")
        assert [NOTE in each.annotations for each in running.exchanges] == [True, False, False] * 2 + [True]
        timed = [each.value for each in running.gateway.measurements() if each.name == "exchanges_timed"]
    assert timed == [3]


async def test_who_asks_is_told_and_has_it_noted_but_where_it_is_off(gateway: GatewayFactory) -> None:
    sampled = {"pipeline": {"sample": 1000, "timings": "sampled"}}
    async with gateway(["slow"], classes={"slow": Slow}, config=sampled) as running:
        await running.chat(user="nobody")
        reply = await running.chat(user="fault")
        assert NOTE in running.exchanges[1].annotations
        assert "server-timing" in reply.headers
    async with gateway(["slow"], classes={"slow": Slow}) as running:
        reply = await running.chat(user="somebody")
        assert NOTE not in running.exchanges[0].annotations
        assert "server-timing" in reply.headers


async def test_the_hooks_that_are_noted_have_a_bound(gateway: GatewayFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("helicone_gw.pipeline.timing.MAX_NOTED", 1)
    async with gateway(["slow"], classes={"slow": Slow}, config=ALWAYS) as running:
        await running.chat(user="nobody")
        assert len(running.exchanges[0].annotations[NOTE]) == 1
        assert {each.labels["hook"] for each in running.gateway.measurements() if each.name == "hook_seconds"} > {
            "pre_request"
        }


class Judging(Plugin):
    """Lets an answer go a third of a second after it was asked for."""

    on_failure = "open"

    @hookimpl
    async def pre_request(self, exchange: Exchange) -> None:
        if exchange.request.user != "nobody":
            exchange.before_commit(asyncio.sleep(0.5), timeout=9)


@pytest.mark.parametrize("stream", [False, True])
async def test_what_an_answer_waited_for_is_noted_whether_it_is_timed_or_not(
    gateway: GatewayFactory, stream: bool
) -> None:
    classes = {"judging": Judging, "slow": Slow}
    async with gateway(["slow", {"judging": {"name": "judge"}}], classes=classes) as running:
        await running.chat(stream=stream)
        await running.chat(stream=stream, user="nobody")
    waited, other = running.exchanges
    assert waited.annotations == {WAITS: [["judge", 500, 500]]}
    assert other.annotations == {}
