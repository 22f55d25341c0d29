"""What a plugin is, how it is configured, and how it starts and stops."""

from __future__ import annotations

import asyncio
import gc
import inspect
from pathlib import Path

import pytest
from pydantic import ValidationError

from helicone_gw import hookspecs, registry
from helicone_gw.chain import MAY_ANSWER_AT_ONCE, MAY_BE_PLAIN
from helicone_gw.errors import ConfigError
from helicone_gw.testing.conformance.footprint import Footprint
from helicone_gw.testing.conformance.log import recorded_log
from helicone_gw.testing.conformance.suite import EXCHANGES, SECOND, Suite
from helicone_gw.testing.provider import ScriptedProvider
from helicone_gw.testing.running import GatewayFactory


class Lifecycle(Suite):
    """The part of the suite that needs no exchange, or only to see that there can be one."""

    def test_the_registry_accepts_it(self) -> None:
        """It is a subclass of `Plugin`, its hooks exist, its ``Config`` keeps the rules."""
        registry.check(self.plugin, self._name)

    def test_its_hooks_are_of_the_right_kind(self) -> None:
        """Asynchronous where the specification is, plain where it is not."""
        manager = registry.new_manager()
        manager.register(self._instance())
        for hook, caller in vars(manager.hook).items():
            wanted = inspect.iscoroutinefunction(getattr(hookspecs, hook))
            for implementation in caller.get_hookimpls():
                kind = inspect.iscoroutinefunction(implementation.function)
                right = kind is wanted or hook in MAY_BE_PLAIN | MAY_ANSWER_AT_ONCE
                assert right, f"{hook} should be {'async def' if wanted else 'a plain def'}"

    def test_its_configuration_is_frozen(self) -> None:
        """Nobody changes a setting behind the plugin's back."""
        config = self._instance().config
        assert config.model_config.get("frozen")
        for field in type(config).model_fields:
            with pytest.raises(ValidationError, match="frozen"):
                setattr(config, field, getattr(config, field))

    @pytest.mark.asyncio
    async def test_an_unknown_key_is_refused(self, gateway: GatewayFactory) -> None:
        """A typing error in the YAML is told, not ignored."""
        with pytest.raises(ConfigError, match="no_such_key"):
            async with self._running(gateway, plugins=[{self._name: {**self.config, "no_such_key": 1}}]):
                pass

    @pytest.mark.asyncio
    async def test_it_starts_and_stops_twice_in_a_row(self, gateway: GatewayFactory, tmp_path: Path) -> None:
        """The second time on the database that it left behind the first time."""
        config = {"database": {"url": f"sqlite:///{tmp_path / 'gateway.db'}"}}
        for _ in range(2):
            async with self._running(gateway, config=config) as running:
                self._assert_answered(await self._ask(running, "chat"))

    @pytest.mark.asyncio
    async def test_two_instances_live_side_by_side(self, gateway: GatewayFactory) -> None:
        """The same plugin twice, under two names."""
        twice = [self._item, {self._name: {**self.config, "name": SECOND}}]
        async with self._running(gateway, plugins=twice) as running:
            for kind in EXCHANGES:
                self._assert_answered(await self._ask(running, kind))

    @pytest.mark.asyncio
    @pytest.mark.parametrize("turns", [1, 2, 4, 8, 16, 32])
    async def test_it_can_be_interrupted_while_it_starts(self, gateway: GatewayFactory, turns: int) -> None:
        """Somebody presses Ctrl-C early, so many turns of the event loop on: the cancellation goes through."""
        before = Footprint.now()
        unstarted = gateway.build(
            [self._item], provider=ScriptedProvider(), http=ScriptedProvider(), classes={self._name: self.plugin}
        )
        with recorded_log():
            task = asyncio.ensure_future(unstarted.start())
            for _ in range(turns):
                await asyncio.sleep(0)
            interrupted = task.cancel()
            await asyncio.wait({task})
            await unstarted.stop()
        assert task.cancelled() is interrupted, "startup swallowed a cancellation"
        await Footprint.beyond(before)  # what its threads have begun ends before the event loop does
        del unstarted, task
        gc.collect()  # what was left open is told here, and not in whichever test comes next

    @pytest.mark.asyncio
    async def test_it_leaves_nothing_behind(self, gateway: GatewayFactory) -> None:
        """No task, no thread, no connection, once the gateway has stopped."""
        async with self._running(gateway) as running:
            await self._one_of_every_kind(running)  # what is opened once per process is open from here on
        gc.collect()
        before = Footprint.now()
        async with self._running(gateway) as running:
            await self._one_of_every_kind(running)
        left = await Footprint.beyond(before)
        assert not left, f"left behind: {', '.join(left)}"
