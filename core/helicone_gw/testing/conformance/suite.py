"""What the parts of the conformance suite share: the plugin, gateways that run it, and exchanges of every kind."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar

from helicone_gw.plugin import Plugin
from helicone_gw.testing.answers import usual_answer
from helicone_gw.testing.client import Reply
from helicone_gw.testing.conformance.log import RecordedLog, recorded_log
from helicone_gw.testing.conformance.neighbour import FAULT, Plan, neighbour
from helicone_gw.testing.dialects import openai_chat
from helicone_gw.testing.provider import ScriptedProvider
from helicone_gw.testing.running import CHAT_MODEL, MESSAGE_MODEL, GatewayFactory, RunningGateway

STREAMED_CHAT = "chat, streamed"
EXCHANGES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"model": CHAT_MODEL}),
    STREAMED_CHAT: ("/v1/chat/completions", {"model": CHAT_MODEL, "stream": True}),
    "message": ("/v1/messages", {"model": MESSAGE_MODEL, "max_tokens": 64}),
    "message, streamed": ("/v1/messages", {"model": MESSAGE_MODEL, "max_tokens": 64, "stream": True}),
}
"""Exchanges of the two big dialects: path and body, to which a conversation is added."""

STREAM = openai_chat.stream("One two three four five")
SECOND = "another-one"
"""Name of the second instance, where there are two."""


class Suite:
    """The attributes that a plugin's author sets; see `PluginConformance`."""

    plugin: ClassVar[type[Plugin]]
    config: ClassVar[Mapping[str, Any]] = {}
    name: ClassVar[str] = ""
    headers: ClassVar[Mapping[str, str]] = {}
    changes_answers: ClassVar[bool] = False

    @property
    def _name(self) -> str:
        if self.name:
            return self.name
        words = self.plugin.__name__.removesuffix("Plugin") or self.plugin.__name__
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", words).lower()

    @property
    def _item(self) -> dict[str, Any]:
        """The plugin's item in the YAML's list."""
        return {self._name: dict(self.config)}

    def _instance(self) -> Plugin:
        """An instance that no gateway has started."""
        return self.plugin(self.plugin.Config.model_validate(dict(self.config)), self._name)

    @asynccontextmanager
    async def _running(
        self,
        gateway: GatewayFactory,
        *,
        plugins: Sequence[Any] | None = None,
        provider: ScriptedProvider | None = None,
        config: Mapping[str, Any] | None = None,
        plan: Plan | None = None,
        log: RecordedLog | None = None,
    ) -> AsyncIterator[RunningGateway]:
        """A gateway with the plugin. At the end nothing may have gone wrong in the plugin, nor be under way."""
        classes = {self._name: self.plugin, "neighbour": neighbour(plan or Plan())}
        with recorded_log(log) as recorded:
            async with gateway(
                plugins=[self._item] if plugins is None else plugins, provider=provider, config=config, classes=classes
            ) as running:
                yield running
                ours = (self._name, SECOND)
                faults = {where: count for where, count in running.faults.items() if where[0] in ours}
        assert not faults, f"faults of the plugin, by hook: {faults}\n{recorded.text}"
        assert running.gateway.active == 0, "an exchange never ended"
        assert all(exchange.outcome is not None for exchange in running.exchanges)
        complaints = [line for line in recorded.complaints if FAULT not in line]
        assert not complaints, "errors in the log:\n" + "\n".join(complaints)

    @asynccontextmanager
    async def _without(
        self, gateway: GatewayFactory, provider: ScriptedProvider | None = None
    ) -> AsyncIterator[RunningGateway]:
        """A gateway without the plugin, to compare with.

        That somebody may answer ``on_error`` alone holds streams back until their first event (the commit gate). So
        where the plugin does, a plugin that has every hook and no opinion stands in its place.
        """
        place = ["neighbour"] if hasattr(self.plugin, "on_error") else []
        async with gateway(place, provider=provider, classes={"neighbour": neighbour(Plan())}) as without:
            yield without

    async def _ask(
        self, running: RunningGateway, kind: str, text: str = "Hello!", headers: Mapping[str, str] | None = None
    ) -> Reply:
        """One exchange of `EXCHANGES`."""
        path, body = self._request(kind, text)
        return await running.request("POST", path, json=body, headers={**(headers or {}), **self.headers})

    async def _leave(
        self,
        running: RunningGateway,
        after: int,
        text: str = "Hello!",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """A streamed chat whose client leaves once the provider has sent ``after`` bytes of its body."""
        path, body = self._request(STREAMED_CHAT, text)
        known = len(running.provider.requests)
        fields = {**(headers or {}), **self.headers}
        async with running.stream("POST", path, json=body, headers=fields) as live:
            reading = asyncio.ensure_future(live.read())
            while not reading.done():
                asked = running.provider.requests[known:]
                if any(request.received.is_set() and request.bytes_sent >= after for request in asked):
                    break
                await asyncio.sleep(0.002)
            await live.leave()
            await reading

    async def _one_of_every_kind(
        self, running: RunningGateway, text: str = "Hello!", headers: Mapping[str, str] | None = None
    ) -> None:
        """Exchanges that are answered, fail, break, and are left by their client."""
        provider = running.provider
        provider.default = usual_answer
        for kind in EXCHANGES:
            await self._ask(running, kind, text, headers)
        failures = (openai_chat.error(503, f"failed at {text}"), openai_chat.reply().cut("before_head"))
        for answer in (*failures, STREAM.cut(events=4)):
            provider.default = answer
            await self._ask(running, STREAMED_CHAT, text, headers)
        provider.default = halting = STREAM.cut(events=4, how="hang")
        assert isinstance(halting.cut_at, int)
        await self._leave(running, halting.cut_at, text, headers)
        provider.default = usual_answer

    def _assert_answered(self, reply: Reply) -> None:
        if not self.changes_answers:
            assert reply.status == 200, f"answered {reply.status}: {reply.body!r:.500}"
            assert not reply.aborted

    @staticmethod
    def _request(kind: str, text: str) -> tuple[str, dict[str, Any]]:
        path, fields = EXCHANGES[kind]
        return path, {**fields, "messages": [{"role": "user", "content": text}]}
