"""Server-Timing: how long each plugin took, for exchanges that are timed and for no others."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from helicone_gw import Chunk, Exchange, Gateway, Plugin, Response, hookimpl
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
