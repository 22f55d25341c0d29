"""Timing: how long each plugin's hooks took for one exchange, told in ``Server-Timing`` where somebody asks.

Nobody asks as a rule, and then nothing here is run: an exchange that is timed gets a hook caller and a sink of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import structlog

from helicone_gw.chain import Hook
from helicone_gw.clock import Clock
from helicone_gw.exchange import Exchange
from helicone_gw.headers import RawHeaders
from helicone_gw.model import Chunk
from helicone_gw.pipeline.hooks import HookCaller
from helicone_gw.pipeline.services import Services
from helicone_gw.pipeline.sink import Sink

log = structlog.get_logger("helicone_gw.pipeline")


class Timing:
    """Which exchanges are timed: those for which ``when`` says so. ``None``: none are, at no cost."""

    def __init__(self) -> None:
        self.when: Callable[[Exchange], bool] | None = None

    def wanted(self, exchange: Exchange) -> bool:
        """Whether ``exchange`` is to be timed; no, where that cannot be told."""
        try:
            return self.when is not None and self.when(exchange)
        except Exception as fault:
            log.error("nobody can tell whether an exchange is to be timed", exc_info=fault)
            return False


def timed(services: Services, exchange: Exchange, sink: Sink) -> tuple[Services, Sink]:
    """``services`` and ``sink`` that time the hooks of ``exchange`` and tell the client with the head of the answer."""
    caller = TimedCaller(services.caller, services.clock)
    return replace(services, caller=caller), TimedSink(sink, exchange, caller, services.clock)


class TimedCaller(HookCaller):
    """A `HookCaller` for one exchange that counts seconds by plugin; faults are counted where ``inner`` counts them."""

    def __init__(self, inner: HookCaller, clock: Clock) -> None:
        super().__init__(clock)
        self.faults = inner.faults
        self._told = inner._told
        self.seconds: dict[str, float] = {}

    async def call(self, hook: Hook, exchange: Exchange, *arguments: Any) -> Any:
        """As the untimed one."""
        began = self._clock.monotonic()
        try:
            return await super().call(hook, exchange, *arguments)
        finally:
            self._took(hook, began)

    def tell_plainly(self, hook: Hook, exchange: Exchange) -> None:
        """As the untimed one."""
        began = self._clock.monotonic()
        super().tell_plainly(hook, exchange)
        self._took(hook, began)

    async def tell(self, hook: Hook, exchange: Exchange, *arguments: Any) -> None:
        """As the untimed one."""
        if hook.plain:
            self.tell_plainly(hook, exchange)
            return
        began = self._clock.monotonic()
        try:
            await super().tell(hook, exchange, *arguments)
        finally:
            self._took(hook, began)

    def _one(self, hook: Hook, exchange: Exchange, chunk: Chunk) -> Any:
        began = self._clock.monotonic()
        try:
            return super()._one(hook, exchange, chunk)
        finally:
            self._took(hook, began)

    def _took(self, hook: Hook, began: float) -> None:
        self.seconds[hook.plugin] = self.seconds.get(hook.plugin, 0.0) + self._clock.monotonic() - began


class TimedSink:
    """A sink that adds ``Server-Timing`` (https://www.w3.org/TR/server-timing) to the head of the answer.

    It tells what was over by then: of a stream, all that came before its first event.
    """

    def __init__(self, inner: Sink, exchange: Exchange, caller: TimedCaller, clock: Clock) -> None:
        self._inner = inner
        self._exchange = exchange
        self._caller = caller
        self._clock = clock
        self.send, self.finish, self.abort = inner.send, inner.finish, inner.abort

    @property
    def disconnected(self) -> bool:
        """Whether the client left."""
        return self._inner.disconnected

    async def start(self, status: int, headers: RawHeaders) -> None:
        """Send the head."""
        field = (b"server-timing", self._told())
        await self._inner.start(status, (*headers, field))

    def _told(self) -> bytes:
        # Names of plugins are plain enough to stand here as they are.
        exchange, now = self._exchange, self._clock.now()
        upstream = sum((attempt.ended_at or now) - attempt.started_at for attempt in exchange.attempts)
        entries = [*self._caller.seconds.items(), ("upstream", upstream), ("total", now - exchange.received_at)]
        return ", ".join(f"{name};dur={max(0.0, seconds) * 1000:.3f}" for name, seconds in entries).encode()
