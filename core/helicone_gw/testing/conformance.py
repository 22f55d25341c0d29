"""The conformance suite: what every plugin must hold, whatever it is for.

>>> class TestConformance(PluginConformance):
...     plugin = MyPlugin  # doctest: +SKIP
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import re
import weakref
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from helicone_gw import hookspecs, registry
from helicone_gw.chain import REQUEST_HOOKS
from helicone_gw.errors import ConfigError
from helicone_gw.plugin import Plugin
from helicone_gw.stash import StashKey
from helicone_gw.testing import commands
from helicone_gw.testing.client import LiveReply, NoAnswer, Reply
from helicone_gw.testing.dialects import openai_chat
from helicone_gw.testing.faults import empty, html, junk, malformed_json
from helicone_gw.testing.probes import Footprint, InterruptingCaller, Plan, RecordedLog, neighbour, recorded_log
from helicone_gw.testing.provider import ScriptedProvider
from helicone_gw.testing.running import CHAT_MODEL, PROVIDER_KEYS, GatewayFactory, RunningGateway
from helicone_gw.testing.script import ScriptedResponse

EXCHANGES = {
    "chat": ("/v1/chat/completions", {"model": CHAT_MODEL}),
    "chat, streamed": ("/v1/chat/completions", {"model": CHAT_MODEL, "stream": True}),
    "message": ("/v1/messages", {"model": "claude-sonnet-4-5", "max_tokens": 64}),
    "message, streamed": ("/v1/messages", {"model": "claude-sonnet-4-5", "max_tokens": 64, "stream": True}),
}
"""Exchanges of the two big dialects: path and body, to which a conversation is added."""

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

STEPS = (1, 2, 3, 4, 6, 8)
"""Turns of the event loop after which a hook is interrupted."""

_CANARY: StashKey[Canary] = StashKey("conformance.canary")


class Canary:
    """Lives as long as the exchange that it was put on."""


class PluginConformance:
    """Subclass it in a test module, name the plugin, and pytest runs the suite on it.

    ``config`` is the plugin's YAML block; ``name`` its name there (default: the class's, ``AuditTrailPlugin`` is
    "audit-trail"). ``headers`` are sent with every request, for a plugin that lets nobody in without them. Set
    ``changes_answers`` for one that means to give clients other bytes than the provider's: replaced or early answers,
    refusals. A plugin that waits (retries, back-off) is tested faster with ``@pytest.mark.virtual_time`` on the class.
    """

    plugin: ClassVar[type[Plugin]]
    config: ClassVar[Mapping[str, Any]] = {}
    name: ClassVar[str] = ""
    headers: ClassVar[Mapping[str, str]] = {}
    changes_answers: ClassVar[bool] = False

    # What it is

    def test_the_registry_accepts_it(self) -> None:
        """A subclass of `Plugin` whose hooks exist, and whose ``Config`` keeps the rules."""
        registry.check(self.plugin, self._name)

    def test_its_hooks_are_of_the_right_kind(self) -> None:
        """Asynchronous where the specification is, plain where it is not."""
        manager = registry.new_manager()
        manager.register(self._instance())
        for name in vars(hookspecs):
            for implementation in getattr(manager.hook, name).get_hookimpls() if hasattr(manager.hook, name) else ():
                wanted = inspect.iscoroutinefunction(getattr(hookspecs, name))
                assert inspect.iscoroutinefunction(implementation.function) is wanted, f"{name}: async is {wanted}"

    @pytest.mark.asyncio
    async def test_an_unknown_key_is_refused(self, gateway: GatewayFactory) -> None:
        """A typing error in the YAML is told at its line, not ignored."""
        with pytest.raises(ConfigError, match="no_such_key"):
            async with self._running(gateway, plugins=[{self._name: {**self.config, "no_such_key": 1}}]):
                pass

    def test_its_configuration_is_frozen(self) -> None:
        """Nobody changes a setting behind the plugin's back."""
        config = self._instance().config
        for field in type(config).model_fields:
            with pytest.raises(ValidationError, match="frozen"):
                setattr(config, field, getattr(config, field))
        assert config.model_config.get("frozen")

    # How it starts and stops

    @pytest.mark.asyncio
    async def test_it_starts_and_stops_twice_in_a_row(self, gateway: GatewayFactory, tmp_path: Path) -> None:
        """Also on a database that it has used before."""
        config = {"database": {"url": f"sqlite:///{tmp_path / 'gateway.db'}"}}
        for _ in range(2):
            async with self._running(gateway, config=config) as running:
                self._is_answered(await self._ask(running, "chat"))

    @pytest.mark.asyncio
    async def test_two_instances_live_side_by_side(self, gateway: GatewayFactory) -> None:
        """The same plugin twice, under two names."""
        twice = [self._item, {self._name: {**self.config, "name": "another-one"}}]
        async with self._running(gateway, plugins=twice) as running:
            for kind in EXCHANGES:
                self._is_answered(await self._ask(running, kind))

    @pytest.mark.asyncio
    async def test_it_can_be_interrupted_while_it_starts(self, gateway: GatewayFactory) -> None:
        """Somebody presses Ctrl-C early: cancellation goes through."""
        for steps in (1, 2, 4, 8, 16, 32):
            task = asyncio.ensure_future(self._start_and_stop(gateway))
            for _ in range(steps):
                await asyncio.sleep(0)
            if not task.cancel():
                task.result()
                return
            await asyncio.wait({task})
            assert task.cancelled(), f"start and stop swallowed a cancellation: {task!r}"

    @pytest.mark.asyncio
    async def test_it_leaves_nothing_behind(self, gateway: GatewayFactory) -> None:
        """No task, no thread, no connection, once the gateway has stopped."""
        await self._everything(gateway)  # what is opened once per process is open now
        gc.collect()
        before = Footprint.now()
        await self._everything(gateway)
        left: list[str] = []
        for _ in range(40):  # a database driver's thread says good-bye after its connection
            gc.collect()
            left = Footprint.now().beyond(before)
            if not left:
                break
            await asyncio.sleep(0.05)
        assert not left, f"left behind: {', '.join(left)}"

    # What it does to exchanges

    @pytest.mark.asyncio
    @pytest.mark.parametrize("kind", EXCHANGES)
    async def test_the_client_gets_what_the_provider_sent(self, gateway: GatewayFactory, kind: str) -> None:
        """The very bytes that it gets without the plugin, streamed or not; unless ``changes_answers``."""
        async with self._running(gateway) as running:
            reply = await self._ask(running, kind)
        self._is_answered(reply)
        if not self.changes_answers:
            async with gateway() as without:
                expected = await self._ask(without, kind)
            assert (reply.status, reply.body, reply.aborted) == (expected.status, expected.body, expected.aborted)
            assert reply.headers.get("content-type") == expected.headers.get("content-type")

    @pytest.mark.asyncio
    @pytest.mark.parametrize("failure", FAILURES)
    @pytest.mark.parametrize("kind", ["chat", "chat, streamed"])
    async def test_it_lives_with_a_provider_that_fails(
        self, gateway: GatewayFactory, kind: str, failure: str
    ) -> None:
        """The client is told as it is without the plugin, and the next exchange works."""
        provider = ScriptedProvider(default=FAILURES[failure])
        async with self._running(gateway, provider=provider) as running:
            reply = await self._ask(running, kind)
            provider.default = openai_chat.answer()
            self._is_answered(await self._ask(running, kind))
        if not self.changes_answers:
            async with gateway(provider=ScriptedProvider(default=FAILURES[failure])) as without:
                expected = await self._ask(without, kind)
            assert (reply.status, reply.aborted) == (expected.status, expected.aborted)

    @pytest.mark.asyncio
    @pytest.mark.parametrize("how", ["close", "reset"])
    async def test_it_lives_with_a_stream_that_breaks(self, gateway: GatewayFactory, how: Any) -> None:
        """A broken stream is passed on as one, and does not look finished."""
        broken = openai_chat.stream("One two three four five").cut(events=4, how=how)
        async with self._running(gateway, provider=ScriptedProvider(default=broken)) as running:
            reply = await self._ask(running, "chat, streamed")
            exchange = running.exchanges[-1]
        if not self.changes_answers:
            async with gateway(provider=ScriptedProvider(default=broken)) as without:
                expected = await self._ask(without, "chat, streamed")
            assert (reply.body, reply.aborted) == (expected.body, True)
            assert exchange.outcome is not None
            assert exchange.outcome.kind == "stream_broken"

    @pytest.mark.asyncio
    @pytest.mark.parametrize("when", ["before the answer", "in the middle of a stream"])
    async def test_it_lives_with_a_client_that_leaves(self, gateway: GatewayFactory, when: str) -> None:
        """The exchange ends, the provider's connection is closed, and the next exchange works."""
        silent = openai_chat.reply().cut("before_head", how="hang")
        halting = openai_chat.stream("One two three four five").cut(events=4, how="hang")
        provider = ScriptedProvider(silent if when == "before the answer" else halting, default=openai_chat.answer())
        async with self._running(gateway, provider=provider) as running:
            await self._leave_early(running)
            outcome = running.exchanges[-1].outcome
            assert outcome is not None
            if not self.changes_answers:
                assert outcome.kind == "client_disconnected"
            for request in provider.requests:
                assert request.answered.is_set() or request.closed_by_client.is_set()
            self._is_answered(await self._ask(running, "chat"))

    @pytest.mark.asyncio
    @pytest.mark.parametrize("hook", [hook for hook in REQUEST_HOOKS if hook != "on_stream_chunk"])
    async def test_a_hook_never_swallows_a_cancellation(self, gateway: GatewayFactory, hook: str) -> None:
        """However far the hook has come, ``CancelledError`` goes through it, and the next exchange works."""
        provider = ScriptedProvider()
        async with self._running(gateway, provider=provider) as running:
            if not getattr(running.gateway.chain, hook):
                return
            services = running.gateway.pipeline.services
            for answer in (openai_chat.answer(), openai_chat.error(503)):
                for kind in ("chat", "chat, streamed"):
                    for steps in STEPS:
                        provider.default = answer
                        caller = InterruptingCaller([self._name], hook, steps)
                        running.gateway.pipeline.services = replace(services, caller=caller)
                        with suppress(NoAnswer):
                            await self._ask(running, kind)
                        running.gateway.pipeline.services = services
                        assert not caller.swallowed, f"{hook} swallowed a cancellation ({kind}, step {steps})"
                        if not caller.interrupted:
                            break
            provider.default = openai_chat.answer()
            self._is_answered(await self._ask(running, "chat"))

    @pytest.mark.asyncio
    @pytest.mark.parametrize("hook", REQUEST_HOOKS)
    async def test_it_lives_with_neighbours_that_fail(self, gateway: GatewayFactory, hook: str) -> None:
        """A fault or a refusal in any other plugin, outside or inside, is not its own; afterwards all is as before."""
        plan = Plan()
        names = {"outer-open": "open", "outer-closed": "closed", "inner-closed": "closed", "inner-open": "open"}
        items: list[Any] = [{"neighbour": {"name": name, "on_failure": mode}} for name, mode in names.items()]
        items[2:2] = [self._item]
        provider = ScriptedProvider()
        async with self._running(gateway, plugins=items, neighbours=plan, provider=provider) as running:
            provider.default = openai_chat.error(503) if hook == "on_error" else openai_chat.answer()
            for kind in ("chat", "chat, streamed"):
                usual = await self._ask(running, kind)
                for name, mode in names.items():
                    for how in ("fault", "refusal"):
                        plan.who, plan.hook, plan.how, plan.happened = name, hook, how, False  # type: ignore[assignment]
                        reply = await self._ask(running, kind)
                        if mode == "open" and how == "fault" and not self.changes_answers:
                            assert (reply.status, reply.body) == (usual.status, usual.body)
                        plan.who = ""
                assert (await self._ask(running, kind)).status == usual.status

    @pytest.mark.asyncio
    async def test_it_lets_go_of_an_exchange_that_ended(self, gateway: GatewayFactory) -> None:
        """``on_finish`` settles: whatever the plugin keeps of an exchange, it is not the exchange."""
        provider = ScriptedProvider(default=openai_chat.answer())
        async with self._running(gateway, provider=provider) as running:
            await self._exchanges(running)
            canaries: list[weakref.ref[Canary]] = []
            for exchange in running.exchanges:
                exchange.stash[_CANARY] = canary = Canary()
                canaries.append(weakref.ref(canary))
            del exchange, canary
            running.exchanges.clear()
            for _ in range(40):
                gc.collect()
                if all(canary() is None for canary in canaries):
                    break
                await asyncio.sleep(0.05)
            held = sum(canary() is not None for canary in canaries)
            assert not held, f"{held} of {len(canaries)} exchanges are still held after they ended"

    @pytest.mark.asyncio
    async def test_no_secret_gets_into_the_log(
        self, gateway: GatewayFactory, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """Keys, other headers and what people wrote are not in anything that is logged or printed."""
        secrets = {
            "authorization": "Bearer sk-planted-as-a-bearer-0123456789",
            "cookie": "session=planted-cookie-0123456789",
            "x-custom": "planted-header-0123456789",
        }
        text = "planted-words-0123456789"
        with recorded_log() as log:
            async with self._running(gateway, log=log) as running:
                await self._exchanges(running, text=text, headers=secrets)
        printed = "".join([*capfd.readouterr(), log.text])
        planted = [value.rpartition(" ")[2].rpartition("=")[2] for value in (*secrets.values(), *self.headers.values())]
        for secret in (*planted, text, *PROVIDER_KEYS.values()):
            assert secret not in printed, f"the log holds {secret!r}:\n{printed}"

    # What it offers beside exchanges

    @pytest.mark.asyncio
    async def test_its_routes_answer(self, gateway: GatewayFactory) -> None:
        """Every page that needs no argument answers, and not with a fault."""
        async with gateway() as without:
            own = {rule.rule for rule in without.app.url_map.iter_rules()}
        async with self._running(gateway) as running:
            for rule in running.app.url_map.iter_rules():
                if rule.rule not in own and not rule.arguments and "GET" in (rule.methods or ()):
                    reply = await running.request("GET", rule.rule, headers=self.headers)
                    assert reply.status < 500, f"{rule.rule} answers {reply.status}: {reply.body!r:.500}"

    def test_its_commands_explain_themselves(self) -> None:
        """They are added without ``startup``, and every one has a ``--help``."""
        commands.check_commands(self._instance())

    # How all that is done

    @property
    def _name(self) -> str:
        if self.name:
            return self.name
        words = self.plugin.__name__.removesuffix("Plugin") or self.plugin.__name__
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", words).lower()

    @property
    def _item(self) -> dict[str, Any]:
        return {self._name: dict(self.config)}

    def _instance(self) -> Plugin:
        return self.plugin(self.plugin.Config.model_validate(dict(self.config)), self._name)

    @asynccontextmanager
    async def _running(
        self,
        gateway: GatewayFactory,
        *,
        plugins: Sequence[Any] | None = None,
        provider: ScriptedProvider | None = None,
        config: Mapping[str, Any] | None = None,
        neighbours: Plan | None = None,
        log: RecordedLog | None = None,
    ) -> AsyncIterator[RunningGateway]:
        """A gateway with the plugin; afterwards it must not have been at fault, and every exchange have ended."""
        classes = {self._name: self.plugin, "neighbour": neighbour(neighbours or Plan())}
        items = [self._item] if plugins is None else plugins
        with recorded_log() as recorded:
            async with gateway(plugins=items, provider=provider, config=config, classes=classes) as running:
                yield running
                mine = {where: count for where, count in running.faults.items() if where[0] in (self._name, "another-one")}
        if log is not None:
            log.events += recorded.events
            log.records += recorded.records
        assert not mine, f"faults of the plugin, by hook: {mine}\n{recorded.text}"
        assert running.gateway.active == 0, "an exchange never ended"
        assert all(exchange.outcome is not None for exchange in running.exchanges)
        complaints = [line for line in recorded.complaints if neighbours is None or "a neighbour failed" not in line]
        unexpected = [line for line in complaints if "exchange failed" not in line]
        assert not unexpected, "errors in the log:\n" + "\n".join(unexpected)

    async def _ask(self, running: RunningGateway, kind: str, text: str = "Hello!", **headers: str) -> Reply:
        path, fields = EXCHANGES[kind]
        body = {**fields, "messages": [{"role": "user", "content": text}]}
        return await running.request("POST", path, json=body, headers={**headers, **self.headers})

    async def _exchanges(
        self, running: RunningGateway, *, text: str = "Hello!", headers: Mapping[str, str] | None = None
    ) -> None:
        """One of every kind: answered, failed, broken, left."""
        provider = running.provider
        for kind in EXCHANGES:
            provider.default = None
            provider.enqueue()
            provider.default = _usual
            await self._ask(running, kind, text, **(headers or {}))
        for answer in (
            openai_chat.error(503, f"The server failed at {text!r}"),
            openai_chat.reply().cut("before_head"),
            openai_chat.stream("One two three").cut(events=3),
        ):
            provider.default = answer
            await self._ask(running, "chat, streamed", text, **(headers or {}))
        provider.default = openai_chat.stream("One two three four five").cut(events=4, how="hang")
        await self._leave_early(running, text, headers)
        provider.default = _usual

    async def _leave_early(
        self, running: RunningGateway, text: str = "Hello!", headers: Mapping[str, str] | None = None
    ) -> None:
        """A streamed chat whose client leaves as soon as nothing more comes."""
        path, fields = EXCHANGES["chat, streamed"]
        body = {**fields, "messages": [{"role": "user", "content": text}]}
        before = len(running.provider.requests)
        async with running.stream("POST", path, json=body, headers={**(headers or {}), **self.headers}) as live:
            reading = asyncio.ensure_future(live.read())
            while not (reading.done() or _asked(running.provider, before)):
                await asyncio.sleep(0.005)
            for _ in range(20):  # what the provider has sent comes up to the client
                await asyncio.sleep(0)
            await live.leave()
            await reading

    async def _everything(self, gateway: GatewayFactory) -> None:
        async with self._running(gateway) as running:
            await self._exchanges(running)

    async def _start_and_stop(self, gateway: GatewayFactory) -> None:
        with recorded_log():
            async with gateway(plugins=[self._item], classes={self._name: self.plugin}):
                pass

    def _is_answered(self, reply: Reply) -> None:
        assert self.changes_answers or reply.status == 200, f"answered {reply.status}: {reply.body!r:.500}"
        assert self.changes_answers or not reply.aborted


def _asked(provider: ScriptedProvider, before: int) -> bool:
    """Whether the provider got a request of late and has nothing more to say for now."""
    return any(request.received.is_set() for request in provider.requests[before:])
