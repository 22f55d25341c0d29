"""Hooks that are cancelled while they wait."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from helicone_gw.chain import Hook
from helicone_gw.exchange import Exchange
from helicone_gw.pipeline.hooks import HookCaller

GRACE = 5.0
"""Seconds that a hook which was cancelled may take to clean up."""


class InterruptingCaller(HookCaller):
    """Cancels one plugin's ``hook`` the first time that it is still waiting after ``turns`` turns of the event loop.

    ``interrupted`` says whether it came to that, ``swallowed`` whether the hook then did anything but end cancelled.
    """

    def __init__(self, plugin: str, hook: str, turns: int) -> None:
        super().__init__()
        self._plugin = plugin
        self._hook = hook
        self._turns = turns
        self.interrupted = False
        self.swallowed = False

    async def call(self, hook: Hook, exchange: Exchange, *arguments: Any) -> Any:
        """As ever, unless it is the one."""
        if hook.at_once:
            said = self.begin(hook, exchange, *arguments)
            return await said if inspect.isawaitable(said) else said
        return await super().call(self._watched(hook), exchange, *arguments)

    def begin(self, hook: Hook, exchange: Exchange, *arguments: Any) -> Any:
        """As ever, unless it is the one."""
        return super().begin(self._watched(hook) if hook.at_once else hook, exchange, *arguments)

    async def tell(self, hook: Hook, exchange: Exchange, *arguments: Any) -> None:
        """As ever, unless it is the one."""
        await super().tell(self._watched(hook), exchange, *arguments)

    def _watched(self, hook: Hook) -> Hook:
        if self.interrupted or hook.name != self._hook or hook.plugin != self._plugin:
            return hook
        function: Callable[..., Any] = hook.call

        async def call(*arguments: Any) -> Any:
            waiting = function(*arguments)
            if not inspect.isawaitable(waiting):
                return waiting
            task = asyncio.ensure_future(waiting)
            for _ in range(self._turns):
                if task.done():
                    break
                await asyncio.sleep(0)
            if not task.cancel():
                return task.result()
            self.interrupted = True
            await asyncio.wait({task}, timeout=GRACE)
            self.swallowed = not task.cancelled()
            raise asyncio.CancelledError

        return replace(hook, call=call)
