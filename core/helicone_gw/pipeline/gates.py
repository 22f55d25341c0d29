"""Gates: what `Exchange.before_commit` registered, watched beside the call and settled before the first byte."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from helicone_gw.errors import GatewayError
from helicone_gw.exchange import Exchange, Gate
from helicone_gw.pipeline.answer import Answer
from helicone_gw.pipeline.hooks import HookCaller, Raised

WAITS: Final = "pipeline.waits"
"""What is annotated where an answer was there and checks were not: ``[plugins, start, took]``, the plugins' names with
commas and milliseconds after the exchange was received; as often as it waited, `MOST_WAITS` times at most."""

SHORT: Final = 0.001
"""Seconds that nobody would call waiting."""

MOST_WAITS: Final = 20


class Gates:
    """The gates of one exchange. ``layers`` are the plugins' names, for messages; ``caller`` counts those that fail."""

    def __init__(self, exchange: Exchange, layers: tuple[str, ...], caller: HookCaller) -> None:
        self._exchange = exchange
        self._gates = exchange._before_commit
        self._layers = layers
        self._caller = caller

    def __bool__(self) -> bool:
        return bool(self._gates)

    async def beside(self, work: Coroutine[Any, Any, Answer], discard: Callable[[Answer], Awaitable[None]]) -> Answer:
        """Do ``work`` while watching: a refusal cancels it, whatever it waits for. Raises `Raised`.

        An answer that it came to all the same is given to ``discard``.
        """
        if not self._gates:
            return await work
        working = asyncio.ensure_future(work)
        try:
            while not working.done() and (open_gates := self._open()):
                watched: set[asyncio.Future[Any]] = {working, *(gate.task for gate in open_gates)}
                await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
                self._settle_done()
            return await working
        except BaseException:
            working.cancel()
            await asyncio.wait({working})
            if not working.cancelled() and working.exception() is None:
                await discard(working.result())
            raise

    async def settle(self) -> None:
        """Wait until all have agreed. Raises `Raised` with the first refusal."""
        while self._gates:
            self._settle_done()
            if open_gates := self._open():
                began = self._caller.clock.now()
                await asyncio.wait({gate.task for gate in open_gates}, return_when=asyncio.FIRST_COMPLETED)
                self._note(open_gates, began)

    async def cancel(self) -> None:
        """Stop those that are still at it."""
        tasks = {gate.task for gate in self._gates}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _note(self, waited_for: list[Gate], began: float) -> None:
        took = self._caller.clock.now() - began
        waits = self._exchange.annotations.get(WAITS, [])
        if took < SHORT or len(waits) >= MOST_WAITS:
            return
        names = ", ".join(sorted({self._layers[gate.layer] for gate in waited_for}))
        start = max(0.0, began - self._exchange.received_at)
        self._exchange.annotate(WAITS, [*waits, [names, round(start * 1000, 3), round(took * 1000, 3)]])

    def _open(self) -> list[Gate]:
        return [gate for gate in self._gates if not gate.task.done()]

    def _settle_done(self) -> None:
        """Raise the refusal of any gate that is done; forget those that agreed."""
        for gate in [gate for gate in self._gates if gate.task.done()]:
            self._gates.remove(gate)
            problem = None if gate.task.cancelled() else gate.task.exception()
            if problem is None:
                continue
            if isinstance(problem, GatewayError):
                raise Raised(problem, gate.layer) from problem
            closed = gate.on_failure == "closed"
            self._caller.check_failed(self._layers[gate.layer], gate.layer, self._exchange, problem, closed=closed)
