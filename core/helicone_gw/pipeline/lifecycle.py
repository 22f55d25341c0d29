"""Pipeline: runs exchanges, and tells every entered layer exactly once how each one ended."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from helicone_gw.background import Background
from helicone_gw.chain import Hook
from helicone_gw.errors import GatewayError, InternalError
from helicone_gw.exchange import Exchange
from helicone_gw.pipeline.run import Run
from helicone_gw.pipeline.services import MakeAttempt, Services
from helicone_gw.pipeline.sink import Sink
from helicone_gw.pipeline.timing import timed

log = structlog.get_logger("helicone_gw.pipeline")


class Pipeline:
    """Runs exchanges through a compiled chain. ``background`` finishes what a cancelled request leaves behind."""

    def __init__(self, services: Services, background: Background) -> None:
        self.services = services
        self._background = background

    async def handle(self, exchange: Exchange, sink: Sink, make: MakeAttempt | None = None) -> None:
        """Answer ``exchange`` into ``sink``. ``make`` replaces the ordinary HTTP attempt (WebSockets do)."""
        services = self.services
        timing = services.timing
        told = timing.when is not None and make is None and timing.wanted(exchange)
        timing.left -= 1
        if told or not timing.left:
            services, sink = timed(services, exchange, sink, told=told)
        run = Run(services, exchange, sink, make or services.attempts.make)
        await self._live(run, None)

    async def refuse(self, exchange: Exchange, error: GatewayError, sink: Sink) -> None:
        """Answer an exchange that never got as far as DOWN; every layer hears of its end, so that it is logged."""
        run = Run(self.services, exchange, sink, self.services.attempts.make)
        run.depth = self.services.chain.depth
        await self._live(run, error)

    async def _live(self, run: Run, refusal: GatewayError | None) -> None:
        try:
            if refusal is None:
                await run.answer()
            else:
                await run.send_error(refusal)
        except asyncio.CancelledError:
            run.cancelled = True
            raise
        except Exception as fault:
            # A fault of ours. The client gets an answer all the same, and the log a row.
            log.error("exchange failed", request_id=run.exchange.request_id, exc_info=fault)
            run.exchange.error = InternalError("The gateway failed to answer; its log says why.")
            if run.exchange.committed:
                await run.sink.abort()
            else:
                await run.send_error(run.exchange.error)
        finally:
            await self._finish(run)

    async def _finish(self, run: Run) -> None:
        """Settle what is open and tell every entered layer.

        In a task of its own where anything may wait: a client that left, or a server that gives up, stops none of it.
        """
        hooks = self.services.chain.finish_inside[run.depth]
        if run.unsettled or not self.services.chain.ends_plainly:
            await asyncio.shield(self._background.spawn(self._end(run, hooks), "finish"))
            return
        run.conclude()
        exchange, tell = run.exchange, run.services.caller.tell_plainly
        for hook in hooks:
            tell(hook, exchange)

    async def _end(self, run: Run, hooks: Sequence[Hook]) -> None:
        if run.unsettled:
            await run.settle()
        run.conclude()
        for hook in hooks:
            await run.services.caller.tell(hook, run.exchange)
