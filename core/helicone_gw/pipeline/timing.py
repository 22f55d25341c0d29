"""Timing: how long each plugin's hooks took: noted for one exchange of so many, told to who asks.

An exchange that is timed gets a hook caller of its own, and a sink where its client is told; for all others nothing
here is run.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final

import structlog

from helicone_gw.chain import Hook
from helicone_gw.clock import Clock
from helicone_gw.exchange import Exchange
from helicone_gw.headers import RawHeaders
from helicone_gw.model import Chunk
from helicone_gw.pipeline.hooks import NOTHING, HookCaller
from helicone_gw.pipeline.services import Services
from helicone_gw.pipeline.sink import Sink

log = structlog.get_logger("helicone_gw.pipeline")


NOTE: Final = "pipeline.hooks"
"""What is annotated: a list of ``[plugin, hook, start, took, calls]``, microseconds after the exchange was received."""

MAX_NOTED: Final = 256
"""Hooks that are noted of one exchange; what further ones took is in the totals alone."""


class Timing:
    """Which exchanges are timed: one of ``every`` (0: none), and those for which ``when`` says so (``None``: none).

    The first one is timed, so that whoever has just begun sees what there is to see. ``noted``: what was timed stands
    on the exchange, too. ``totals`` are seconds and calls by plugin and hook, of all that were timed.
    """

    def __init__(self, every: int = 0, *, noted: bool = True) -> None:
        self.when: Callable[[Exchange], bool] | None = None
        self.every = every
        self.left = 1 if every else 0
        """Exchanges until one is timed. It counts down and never arrives where it begins with 0."""
        self.noted = noted
        self.timed = 0
        """Exchanges that were timed."""
        self.totals: dict[tuple[str, str], tuple[float, int]] = {}

    def wanted(self, exchange: Exchange) -> bool:
        """Whether the client of ``exchange`` is to be told; no, where that cannot be said."""
        try:
            return self.when is not None and self.when(exchange)
        except Exception as fault:
            log.error("nobody can tell whether an exchange is to be timed", exc_info=fault)
            return False


def timed(services: Services, exchange: Exchange, sink: Sink, *, told: bool) -> tuple[Services, Sink]:
    """``services`` that time the hooks of ``exchange``; ``told``: a sink that says so with the head of the answer."""
    timing = services.timing
    timing.timed += 1
    if not timing.left:
        timing.left = timing.every
    caller = TimedCaller(services.caller, services.clock, timing, exchange)
    return replace(services, caller=caller), TimedSink(sink, exchange, caller, services.clock) if told else sink


class TimedCaller(HookCaller):
    """A `HookCaller` for one exchange that counts seconds by plugin; faults are counted where ``inner`` counts them."""

    def __init__(self, inner: HookCaller, clock: Clock, timing: Timing, exchange: Exchange) -> None:
        super().__init__(clock)
        self.faults = inner.faults
        self._told = inner._told
        self.seconds: dict[str, float] = {}
        self._totals = timing.totals
        self._began = clock.monotonic() - max(0.0, clock.now() - exchange.received_at)
        self._entries: dict[tuple[str, str], list[Any]] = {}
        self._noted: list[list[Any]] = []
        if timing.noted:
            # It grows while the exchange lasts: whoever writes a row has what is over by then.
            exchange.annotate(NOTE, self._noted)

    def begin(self, hook: Hook, exchange: Exchange, argument: Any = NOTHING) -> Any:
        """As the untimed one."""
        if not hook.at_once:
            return self.call(hook, exchange, argument)
        began = self.clock.monotonic()
        waiting = False
        try:
            said = super().begin(hook, exchange, argument)
            waiting = inspect.isawaitable(said)
            return self._awaited(hook, said, began) if waiting else said
        finally:
            if not waiting:
                self._took(hook, began)

    async def _awaited(self, hook: Hook, saying: Awaitable[Any], began: float) -> Any:
        try:
            return await saying
        finally:
            self._took(hook, began)

    async def call(self, hook: Hook, exchange: Exchange, argument: Any = NOTHING) -> Any:
        """As the untimed one."""
        if hook.at_once:
            said = self.begin(hook, exchange, argument)
            return await said if inspect.isawaitable(said) else said
        began = self.clock.monotonic()
        try:
            return await super().call(hook, exchange, argument)
        finally:
            self._took(hook, began)

    def tell_plainly(self, hook: Hook, exchange: Exchange) -> None:
        """As the untimed one."""
        began = self.clock.monotonic()
        super().tell_plainly(hook, exchange)
        self._took(hook, began)

    async def tell(self, hook: Hook, exchange: Exchange, argument: Any = NOTHING) -> None:
        """As the untimed one."""
        if hook.plain:
            self.tell_plainly(hook, exchange)
            return
        began = self.clock.monotonic()
        try:
            await super().tell(hook, exchange, argument)
        finally:
            self._took(hook, began)

    def _one(self, hook: Hook, exchange: Exchange, chunk: Chunk) -> Any:
        began = self.clock.monotonic()
        try:
            return super()._one(hook, exchange, chunk)
        finally:
            self._took(hook, began)

    def _took(self, hook: Hook, began: float) -> None:
        took = self.clock.monotonic() - began
        self.seconds[hook.plugin] = self.seconds.get(hook.plugin, 0.0) + took
        which = hook.plugin, hook.name
        seconds, calls = self._totals.get(which, (0.0, 0))
        self._totals[which] = seconds + took, calls + 1
        entry = self._entries.get(which)
        if entry is None:
            if len(self._entries) >= MAX_NOTED:
                return
            entry = self._entries[which] = [*which, _micro(began - self._began), 0, 0]
            self._noted.append(entry)
        entry[3] += _micro(took)
        entry[4] += 1


def _micro(seconds: float) -> int:
    return max(0, round(seconds * 1e6))


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
