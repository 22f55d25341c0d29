"""Calling hooks: timeouts, failure modes, and where in the onion an error came from."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Iterator, Sequence
from math import ceil
from typing import Any, Final

import structlog

from helicone_gw.chain import Hook
from helicone_gw.clock import Clock, SystemClock
from helicone_gw.errors import GatewayError, PluginFault, StoreUnavailable, Unavailable
from helicone_gw.exchange import Exchange
from helicone_gw.model import Chunk, Request, Response, Route

log = structlog.get_logger("helicone_gw.pipeline")

_CHECK = "before_commit"
"""What stands for the name of a hook where a check before commit failed."""


_VALUES = (Request, Response, Route)
"""What hooks say as a rule, so that it need not be asked whether it can be awaited."""


class Raised(Exception):
    """A `GatewayError` and the layer it came from: only layers outside it are asked about it."""

    def __init__(self, error: GatewayError, layer: int) -> None:
        super().__init__(error.message)
        self.error = error
        self.layer = layer


NOTHING: Final = object()
"""In place of a second argument of a hook that has none: a list of arguments would be made at every call."""


class HookCaller:
    """Calls hooks as their plugins' failure modes say, and counts faults per plugin and hook.

    That the store cannot be reached is a fault like another, but one that every request would have: it is logged once
    per plugin and window, without a traceback, and is a 503 where the plugin fails closed.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or SystemClock()
        self._told: dict[str, float] = {}
        self.faults: dict[tuple[str, str], int] = {}
        """How often a plugin's hook raised something that is not a `GatewayError`."""

    def next_word(self, hooks: Iterator[Hook], exchange: Exchange, argument: Any = NOTHING) -> tuple[Hook, Any] | None:
        """Call ``hooks`` until one says something: that hook, and what it says or the coroutine that comes to it.

        ``None`` when they are through: most have nothing to say of most exchanges.
        """
        for hook in hooks:
            said = self.begin(hook, exchange, argument)
            if said is not None:
                return hook, said
        return None

    def begin(self, hook: Hook, exchange: Exchange, argument: Any = NOTHING) -> Any:
        """What `call` comes to, where the hook says that at once; else a coroutine that comes to it."""
        if not hook.at_once:
            return self.call(hook, exchange, argument)
        exchange._layer = hook.index
        try:
            said = hook.call(exchange) if argument is NOTHING else hook.call(exchange, argument)
        except GatewayError as error:
            raise Raised(error, hook.index) from error
        except Exception as fault:
            return self._fault(hook, exchange, fault)
        if said is None or isinstance(said, _VALUES) or not inspect.isawaitable(said):
            return said
        return self._waited(hook, exchange, said)

    async def call(self, hook: Hook, exchange: Exchange, argument: Any = NOTHING) -> Any:
        """The hook's value; a fault counts as ``None`` (open) or raises `Raised` with a `PluginFault` (closed)."""
        if hook.at_once:
            said = self.begin(hook, exchange, argument)
            return await said if inspect.isawaitable(said) else said
        exchange._layer = hook.index
        saying = hook.call(exchange) if argument is NOTHING else hook.call(exchange, argument)
        return await self._waited(hook, exchange, saying)

    async def _waited(self, hook: Hook, exchange: Exchange, saying: Awaitable[Any]) -> Any:
        try:
            if hook.timeout is None:
                return await saying
            async with asyncio.timeout(hook.timeout):
                return await saying
        except GatewayError as error:
            raise Raised(error, hook.index) from error
        except Exception as fault:
            return self._fault(hook, exchange, fault)

    def tell_plainly(self, hook: Hook, exchange: Exchange) -> None:
        """`tell` for a hook that is a plain function."""
        exchange._layer = hook.index
        try:
            returned = hook.call(exchange)
            if returned is not None and inspect.iscoroutine(returned):
                # A plain function around an asynchronous one: nobody would ever run that.
                returned.close()
                raise TypeError(f"{hook.name} must be an 'async def' to wait for anything")
        except Exception as fault:
            self._count(hook, exchange, fault)

    async def tell(self, hook: Hook, exchange: Exchange, argument: Any = NOTHING) -> None:
        """Call a hook that has nothing to say any more: whatever it raises is logged."""
        if hook.plain:
            self.tell_plainly(hook, exchange)
            return
        exchange._layer = hook.index
        try:
            said = hook.call(exchange) if argument is NOTHING else hook.call(exchange, argument)
            if hook.at_once and not inspect.isawaitable(said):
                return
            if hook.timeout is None:
                await said
            else:
                async with asyncio.timeout(hook.timeout):
                    await said
        except Exception as fault:
            self._count(hook, exchange, fault)

    def check_failed(self, plugin: str, layer: int, exchange: Exchange, fault: BaseException, *, closed: bool) -> None:
        """Count what a check before commit raised in place of a verdict; raises `Raised` where it fails closed."""
        self.faults[plugin, _CHECK] = self.faults.get((plugin, _CHECK), 0) + 1
        away = fault if isinstance(fault, StoreUnavailable) else None
        if away is not None:
            self._tell_store_away(plugin, _CHECK, away, closed=closed)
        else:
            log.error(
                "check before commit failed",
                plugin=plugin,
                mode="closed" if closed else "open",
                request_id=exchange.request_id,
                fault=type(fault).__name__,
                exc_info=fault,
            )
        if closed:
            failed = f"A check of plugin {plugin!r} failed, and it fails closed."
            raise Raised(Unavailable(failed) if away is None else _store_away(plugin, away), layer) from fault

    def chunk(self, hooks: Sequence[Hook], exchange: Exchange, chunk: Chunk) -> list[Chunk]:
        """What is left of ``chunk`` after ``hooks``, innermost first. An "end" chunk always arrives at every one."""
        passing = [chunk]
        for hook in hooks:
            passed: list[Chunk] = []
            for each in passing:
                result = self._one(hook, exchange, each)
                if result is None:
                    passed.append(each)
                    continue
                emitted = (result,) if isinstance(result, Chunk) else result
                passed.extend(piece for piece in emitted if piece.kind == "event")
                if each.kind == "end":
                    passed.append(each)
            passing = passed
            if not passing:
                break
        return passing

    def _one(self, hook: Hook, exchange: Exchange, chunk: Chunk) -> Any:
        try:
            result = hook.call(exchange, chunk)
            if result is None or isinstance(result, Chunk):
                return result
            if isinstance(result, (list, tuple)) and all(isinstance(piece, Chunk) for piece in result):
                return result
            raise TypeError(
                f"on_stream_chunk must return a Chunk, a list or tuple of them, or None, not {result!r:.80}"
            )
        except GatewayError as error:
            raise Raised(error, hook.index) from error
        except Exception as fault:
            return self._fault(hook, exchange, fault)

    def _fault(self, hook: Hook, exchange: Exchange, fault: Exception) -> None:
        self._count(hook, exchange, fault)
        if hook.closed:
            error = _store_away(hook.plugin, fault) if isinstance(fault, StoreUnavailable) else None
            raise Raised(error or PluginFault(hook.plugin, hook.name), hook.index) from fault

    def _count(self, hook: Hook, exchange: Exchange, fault: Exception) -> None:
        self.faults[hook.plugin, hook.name] = self.faults.get((hook.plugin, hook.name), 0) + 1
        if isinstance(fault, StoreUnavailable):
            self._tell_store_away(hook.plugin, hook.name, fault, closed=hook.closed)
            return
        log.error(
            "plugin fault",
            plugin=hook.plugin,
            hook=hook.name,
            request_id=exchange.request_id,
            fault=type(fault).__name__,
            exc_info=fault,
        )

    def _tell_store_away(self, plugin: str, hook: str, fault: StoreUnavailable, *, closed: bool) -> None:
        now = self.clock.monotonic()
        if now < self._told.get(plugin, now):
            return
        self._told[plugin] = now + fault.retry_after
        does = "refuses requests" if closed else "has no opinion"
        log.warning(f"a plugin {does}: the shared store cannot be reached", plugin=plugin, hook=hook)


def _store_away(plugin: str, fault: StoreUnavailable) -> Unavailable:
    return Unavailable(
        f"The gateway's shared store cannot be reached, and plugin {plugin!r} is configured to fail closed. "
        "Please try again.",
        code="store_unavailable",
        headers={"Retry-After": str(max(1, ceil(fault.retry_after)))},
    )
