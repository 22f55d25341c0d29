"""Waiting: the judges of a streamed answer, asked while it runs; how far it may leave meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from helicone_gw import GatewayError
from helicone_gw_moderation.plan import Hit

Ask = Callable[[list[str]], Coroutine[Any, Any, list[Hit]]]


class Verdicts:
    """Asks about what came so far, once in ``every`` characters and at the end, one question at a time.

    ``closed``: nothing leaves without a verdict; otherwise it does ``hold`` seconds after it came. Positions are
    characters of all channels together, in the order in which they came.
    """

    def __init__(self, ask: Ask, *, every: int, hold: float, closed: bool) -> None:
        self.received = 0
        self.covered = 0
        """How far there is a verdict, and nothing is against it."""
        self.error: GatewayError | None = None
        """There is no verdict, and it fails closed."""
        self.closed = closed
        self._ask = ask
        self._every = every
        self._hold = hold
        self._asked = 0
        self._texts: dict[object, list[str]] = {}
        self._task: asyncio.Task[list[Hit]] | None = None

    def receive(self, channel: object, text: str) -> None:
        """Take in what follows in ``channel``."""
        self.received += len(text)
        self._texts.setdefault(channel, []).append(text)

    def poll(self) -> list[Hit]:
        """What came of the question that was asked; the next one is asked if it is time."""
        hits: list[Hit] = []
        if self._task is not None and self._task.done():
            task, self._task = self._task, None
            try:
                hits = task.result()
                self.covered = self._asked
            except GatewayError as error:
                self.error = error
        if self._task is None and self.error is None and self.received - self._asked >= self._every:
            self._start()
        return hits

    def last(self) -> asyncio.Future[Any] | None:
        """Ask about the rest, after the question that is under way; what there is to wait for."""
        if self.error is None and self.received > self._asked:
            if self._task is None:
                self._start()
            else:
                self._task = asyncio.ensure_future(self._after(self._task))
                self._asked = self.received
        return self._task

    def allows(self, position: int, age: float) -> bool:
        """Whether what came up to ``position``, ``age`` seconds ago, may leave."""
        return position <= self.covered or (not self.closed and age >= self._hold)

    def close(self) -> None:
        """Nobody wants to know any more."""
        if self._task is not None:
            self._task.cancel()

    def _start(self) -> None:
        self._asked = self.received
        self._task = asyncio.ensure_future(self._ask(self._said()))

    async def _after(self, before: asyncio.Task[list[Hit]]) -> list[Hit]:
        texts = self._said()
        try:
            hits = await before
        finally:
            before.cancel()
        return hits or await self._ask(texts)

    def _said(self) -> list[str]:
        for pieces in self._texts.values():
            pieces[:] = ["".join(pieces)]
        return [pieces[0] for pieces in self._texts.values()]
