"""A plugin may hold the end of a stream until it knows something, and end it in its own words."""

from __future__ import annotations

import asyncio

import pytest

from helicone_gw import Chunk, Exchange, Plugin, StashKey, hookimpl
from helicone_gw.testing import GatewayFactory, ScriptedProvider
from helicone_gw.testing.dialects import openai_chat

pytestmark = pytest.mark.virtual_time
HELD: StashKey[list[Chunk]] = StashKey("held")


class HoldingPlugin(Plugin):
    """Holds everything back, and has something to wait for before the end."""

    waits, patience = 2.0, 10.0

    @hookimpl
    async def pre_request(self, exchange: Exchange) -> None:
        exchange.stash[HELD] = []

    @hookimpl
    def on_stream_chunk(self, exchange: Exchange, chunk: Chunk) -> list[Chunk]:
        held = exchange.stash[HELD]
        if chunk.kind == "end":
            return held
        if not held:
            exchange.hold_end(asyncio.sleep(self.waits), timeout=self.patience)
        held.append(chunk)
        return []


class ImpatientPlugin(HoldingPlugin):
    waits, patience = 1000.0, 3.0


class ClosingPlugin(Plugin):
    """Ends streams after the second event, in its own words or in the core's."""

    closed = True

    @hookimpl
    def on_stream_chunk(self, exchange: Exchange, chunk: Chunk) -> list[Chunk] | None:
        if chunk.kind == "event" and b"two" in chunk.data:
            exchange.end_stream("content_filter", closed=self.closed)
            return [Chunk(b"data: mine\n\n")]
        return None


class CoreClosesPlugin(ClosingPlugin):
    closed = False


@pytest.mark.parametrize(("cls", "seconds"), [(HoldingPlugin, 2.0), (ImpatientPlugin, 3.0)])
async def test_the_end_waits_as_long_as_it_is_held_and_no_longer(
    gateway: GatewayFactory, cls: type[Plugin], seconds: float
) -> None:
    answer = openai_chat.stream("one two three")
    async with gateway(["holding"], classes={"holding": cls}, provider=ScriptedProvider(default=answer)) as running:
        began = asyncio.get_running_loop().time()
        reply = await running.chat(stream=True)
        assert asyncio.get_running_loop().time() - began == pytest.approx(seconds, abs=0.1)
    assert reply.body.decode().count("data: ") == len(answer.parts) - 1  # the usage, which the gateway asked for
    assert not running.faults


@pytest.mark.parametrize(("cls", "ends"), [(ClosingPlugin, 0), (CoreClosesPlugin, 1)])
async def test_the_core_adds_no_end_to_one_that_is_there(gateway: GatewayFactory, cls: type[Plugin], ends: int) -> None:
    provider = ScriptedProvider(default=openai_chat.stream("one two three"))
    async with gateway(["closing"], classes={"closing": cls}, provider=provider) as running:
        reply = await running.chat(stream=True)
    assert not reply.aborted
    assert reply.body.decode().count("[DONE]") == ends
    assert b"mine" in reply.body
    assert b"three" not in reply.body
