"""What a plugin must not do to those around it: hold back a cancellation, stumble over a neighbour, tell secrets."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from helicone_gw.chain import REQUEST_HOOKS
from helicone_gw.testing.client import NoAnswer
from helicone_gw.testing.conformance.interrupting import InterruptingCaller
from helicone_gw.testing.conformance.log import RecordedLog
from helicone_gw.testing.conformance.neighbour import Plan
from helicone_gw.testing.conformance.suite import STREAMED_CHAT, Suite
from helicone_gw.testing.dialects import openai_chat
from helicone_gw.testing.provider import ScriptedProvider
from helicone_gw.testing.running import PROVIDER_KEYS, GatewayFactory

NEVER_WAITING = frozenset({"on_stream_chunk", "before_stream", "before_end"})

TURNS = (1, 2, 3, 4, 6, 8)
"""Turns of the event loop after which a hook is interrupted."""

NEIGHBOURS = {"outer-open": "open", "outer-closed": "closed", "inner-closed": "closed", "inner-open": "open"}
"""Instance and failure mode, outermost first; the plugin stands in the middle."""

PLANTED: Mapping[str, str] = {
    "authorization": "Bearer sk-planted-as-a-bearer-0123456789",
    "cookie": "planted-cookie-0123456789",
    "x-custom": "planted-header-0123456789",
}
PLANTED_TEXT = "planted-words-0123456789"


class Isolation(Suite):
    """The part of the suite that puts the plugin into bad company."""

    @pytest.mark.asyncio
    @pytest.mark.parametrize("hook", [hook for hook in REQUEST_HOOKS if hook not in NEVER_WAITING])
    async def test_a_hook_never_swallows_a_cancellation(self, gateway: GatewayFactory, hook: str) -> None:
        """However far the hook has come, ``CancelledError`` goes through it, and the next exchange works."""
        provider = ScriptedProvider()
        async with self._running(gateway, provider=provider) as running:
            if not getattr(running.gateway.chain, hook):
                return
            pipeline = running.gateway.pipeline
            services = pipeline.services
            for answer in (openai_chat.answer(), openai_chat.error(503)):
                provider.default = answer
                for kind in ("chat", STREAMED_CHAT):
                    for turns in TURNS:
                        caller = InterruptingCaller(self._name, hook, turns)
                        pipeline.services = replace(services, caller=caller)
                        with suppress(NoAnswer):
                            await self._ask(running, kind)
                        assert not caller.swallowed, f"{hook} swallowed a cancellation ({kind}, turn {turns})"
                        assert not caller.faults, f"faults of the plugin, by hook: {caller.faults}"
                        if not caller.interrupted:
                            break
            pipeline.services = services
            provider.default = openai_chat.answer()
            self._assert_answered(await self._ask(running, "chat", "And now?"))

    @pytest.mark.asyncio
    @pytest.mark.parametrize("hook", REQUEST_HOOKS)
    async def test_it_lives_with_neighbours_that_fail(self, gateway: GatewayFactory, hook: str) -> None:
        """A fault or a refusal in any other plugin, outside or inside, is not its own; afterwards all is as before."""
        plan = Plan()
        items: list[Any] = [{"neighbour": {"name": name, "on_failure": mode}} for name, mode in NEIGHBOURS.items()]
        items.insert(2, self._item)
        provider = ScriptedProvider(default=openai_chat.error(503) if hook == "on_error" else openai_chat.answer())
        async with self._running(gateway, plugins=items, plan=plan, provider=provider) as running:
            for kind in ("chat", STREAMED_CHAT):
                usual = await self._ask(running, kind)
                for name, mode in NEIGHBOURS.items():
                    plan.fail(name, hook, "fault")
                    reply = await self._ask(running, kind)
                    if mode == "open" and not self.changes_answers:
                        assert (reply.status, reply.body) == (usual.status, usual.body)
                    plan.fail(name, hook, "refusal")
                    await self._ask(running, kind)
                    plan.rest()
                assert (await self._ask(running, kind)).status == usual.status

    @pytest.mark.asyncio
    async def test_no_secret_gets_into_the_log(
        self, gateway: GatewayFactory, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """Keys, other headers and what people wrote are in nothing that is logged or printed."""
        log = RecordedLog()
        async with self._running(gateway, log=log) as running:
            await self._one_of_every_kind(running, PLANTED_TEXT, PLANTED)
        printed = "".join([*capfd.readouterr(), log.text])
        values = [*PLANTED.values(), *self.headers.values()]
        secrets = [value.removeprefix("Bearer ") for value in values] + [PLANTED_TEXT, *PROVIDER_KEYS.values()]
        for secret in secrets:
            assert secret not in printed, f"the log holds {secret!r}:\n{printed}"
