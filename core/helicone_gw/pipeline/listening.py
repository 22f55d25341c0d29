"""Listening: the next bytes of a live answer, while ticks are given and `Exchange.end_stream` is heard."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from helicone_gw.chain import Hook
from helicone_gw.exchange import Exchange
from helicone_gw.pipeline.answer import LiveStream


class Listening:
    """Reads ``live`` for ``exchange``, in the task that makes it.

    ``give_tick`` is awaited for each of ``ticks`` (hooks) whose time has come.
    """

    __slots__ = ("_due", "_exchange", "_give_tick", "_live", "_task", "_ticks", "_woken")

    def __init__(
        self,
        live: LiveStream,
        exchange: Exchange,
        ticks: Sequence[Hook],
        give_tick: Callable[[Hook], Awaitable[None]],
    ) -> None:
        self._live = live
        self._exchange = exchange
        self._ticks = ticks
        self._give_tick = give_tick
        self._due: dict[int, float] = {}
        self._task = asyncio.current_task()
        self._woken = False

    async def read(self) -> bytes | None:
        """The next bytes; ``None`` at their end, and as soon as somebody ends the stream."""
        exchange = self._exchange
        if exchange._end_stream is not None:
            return None
        if self._ticks:
            return await self._read_ticking()
        exchange._wake = self._wake
        try:
            return await self._live.read()
        except asyncio.CancelledError:
            # Ours only if nobody else cancelled this task meanwhile.
            if self._woken and self._task is not None and self._task.uncancel() == 0:
                return None
            raise
        finally:
            exchange._wake = None

    def _wake(self) -> None:
        self._woken = True
        if self._task is not None:
            self._task.cancel()

    async def _read_ticking(self) -> bytes | None:
        loop = asyncio.get_running_loop()
        # Kept from one read to the next: events that come quickly do not put a tick off.
        due = self._due = self._due or {hook.index: loop.time() + (hook.tick or 0) for hook in self._ticks}
        ended = asyncio.Event()
        self._exchange._wake = ended.set
        stop = asyncio.ensure_future(ended.wait())
        try:
            while True:
                read = self._live.start_reading()
                timeout = max(0.0, min(due.values()) - loop.time())
                done, _ = await asyncio.wait({read, stop}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
                for hook in self._ticks:
                    if stop not in done and due[hook.index] <= loop.time():
                        due[hook.index] = loop.time() + (hook.tick or 0)
                        await self._give_tick(hook)
                if read in done:
                    return self._live.taken_up()
                if stop in done:
                    return None
        finally:
            self._exchange._wake = None
            stop.cancel()
