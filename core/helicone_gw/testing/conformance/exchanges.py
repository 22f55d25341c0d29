"""What a plugin does to exchanges: nothing that it does not mean to, whatever becomes of them."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Mapping
from typing import Literal

import pytest

from helicone_gw.stash import StashKey
from helicone_gw.testing.conformance.footprint import PATIENCE
from helicone_gw.testing.conformance.suite import EXCHANGES, STREAM, STREAMED_CHAT, Suite
from helicone_gw.testing.dialects import openai_chat
from helicone_gw.testing.faults import empty, html, junk, malformed_json
from helicone_gw.testing.provider import ScriptedProvider
from helicone_gw.testing.running import GatewayFactory
from helicone_gw.testing.script import ScriptedResponse

FAILURES: Mapping[str, ScriptedResponse] = {
    "overloaded": openai_chat.error(503),
    "rate limited": openai_chat.error(429, headers={"retry-after": "0"}),
    "bad key": openai_chat.error(401),
    "connection lost": openai_chat.reply().cut("before_head"),
    "not HTTP": junk(),
    "cut in the middle": openai_chat.reply().cut(bytes=40),
    "half a JSON document": malformed_json(),
    "a proxy's page": html(),
    "nothing": empty(),
}
"""Ways in which a provider fails to give an answer."""


class Canary:
    """Lives as long as the exchange on whose stash it was put."""


_CANARY: StashKey[Canary] = StashKey("conformance.canary")


class Exchanges(Suite):
    """The part of the suite that compares exchanges with those of a gateway without the plugin."""

    @pytest.mark.asyncio
    @pytest.mark.parametrize("kind", EXCHANGES)
    async def test_the_client_gets_what_the_provider_sent(self, gateway: GatewayFactory, kind: str) -> None:
        """The very bytes that it gets without the plugin, streamed or not; unless ``changes_answers``."""
        async with self._running(gateway) as running:
            reply = await self._ask(running, kind)
        self._assert_answered(reply)
        if self.changes_answers:
            return
        async with self._without(gateway) as without:
            expected = await self._ask(without, kind)
        assert (reply.status, reply.body, reply.aborted) == (expected.status, expected.body, expected.aborted)
        assert reply.headers.get("content-type") == expected.headers.get("content-type")

    @pytest.mark.asyncio
    @pytest.mark.parametrize("failure", FAILURES)
    @pytest.mark.parametrize("kind", ["chat", STREAMED_CHAT])
    async def test_it_lives_with_a_provider_that_fails(self, gateway: GatewayFactory, kind: str, failure: str) -> None:
        """The client is told as without the plugin, and the next exchange works."""
        provider = ScriptedProvider(default=FAILURES[failure])
        async with self._running(gateway, provider=provider) as running:
            reply = await self._ask(running, kind)
            provider.default = openai_chat.answer()
            self._assert_answered(await self._ask(running, kind, "And now?"))
        if self.changes_answers:
            return
        async with self._without(gateway, ScriptedProvider(default=FAILURES[failure])) as without:
            expected = await self._ask(without, kind)
        assert (reply.status, reply.aborted) == (expected.status, expected.aborted)

    @pytest.mark.asyncio
    @pytest.mark.parametrize("how", ["close", "reset"])
    async def test_it_lives_with_a_stream_that_breaks(
        self, gateway: GatewayFactory, how: Literal["close", "reset"]
    ) -> None:
        """A broken stream goes on to the client as one, and does not look finished."""
        broken = STREAM.cut(events=4, how=how)
        async with self._running(gateway, provider=ScriptedProvider(default=broken)) as running:
            reply = await self._ask(running, STREAMED_CHAT)
        if self.changes_answers:
            return
        async with self._without(gateway, ScriptedProvider(default=broken)) as without:
            expected = await self._ask(without, STREAMED_CHAT)
        assert (reply.body, reply.aborted) == (expected.body, True)
        outcome = running.exchanges[-1].outcome
        assert outcome is not None
        assert outcome.kind == "stream_broken"

    @pytest.mark.asyncio
    @pytest.mark.parametrize("when", ["before the answer", "in the middle of a stream"])
    async def test_it_lives_with_a_client_that_leaves(self, gateway: GatewayFactory, when: str) -> None:
        """The exchange ends, the provider's connection is closed, and the next exchange works."""
        silent = openai_chat.reply().cut("before_head", how="hang")
        halting = STREAM.cut(events=4, how="hang")
        answer = silent if when == "before the answer" else halting
        provider = ScriptedProvider(default=answer)
        async with self._running(gateway, provider=provider) as running:
            await self._leave(running, answer.cut_at if isinstance(answer.cut_at, int) else 0)
            for request in provider.requests:
                assert request.answered.is_set() or request.closed_by_client.is_set(), "the provider still sends"
            if not self.changes_answers:
                outcome = running.exchanges[-1].outcome
                assert outcome is not None
                assert outcome.kind == "client_disconnected"
            provider.default = openai_chat.answer()
            self._assert_answered(await self._ask(running, "chat"))

    @pytest.mark.asyncio
    async def test_it_lets_go_of_an_exchange_that_ended(self, gateway: GatewayFactory) -> None:
        """``on_finish`` settles: whatever the plugin keeps of an exchange, it is not the exchange."""
        async with self._running(gateway) as running:
            await self._one_of_every_kind(running)
            canaries: list[weakref.ref[Canary]] = []
            while running.exchanges:
                canary = Canary()
                running.exchanges.pop().stash[_CANARY] = canary
                canaries.append(weakref.ref(canary))
                del canary
            held = len(canaries)
            for seconds in PATIENCE:
                await asyncio.sleep(seconds)
                gc.collect()
                held = sum(canary() is not None for canary in canaries)
                if not held:
                    break
            assert not held, f"{held} of {len(canaries)} exchanges are still held after they ended"
