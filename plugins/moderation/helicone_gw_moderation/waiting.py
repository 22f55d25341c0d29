"""Waiting: the judges of a streamed answer, asked while it runs; how far it may leave meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from helicone_gw import GatewayError
from helicone_gw_moderation.plan import Hit

Ask = Callable[[list[str]], Coroutine[Any, Any, list[Hit]]]


MOST_CHANNELS = 256
"""Texts of one stream that are told apart; what comes in further ones is one text."""

MOST_QUESTIONS = 10
"""What came while a question was under way is asked about at once, up to so many times as much as one may have."""


class Verdicts:
    """Asks about what came so far, once in ``every`` characters and at the end, one question at a time.

    ``closed``: nothing leaves without a verdict; otherwise it does ``hold`` seconds after it came; at once, where no
    verdict is ``awaited``. Of each channel what is new is asked about, and what stands before it: ``keep`` characters
    of all together. Positions are characters of all channels together, in the order in which they came.
    """

    def __init__(self, ask: Ask, *, every: int, hold: float, closed: bool, awaited: bool, keep: int) -> None:
        self.received = 0
        self.covered = 0
        """How far there is a verdict, and nothing is against it."""
        self.error: GatewayError | None = None
        """There is no verdict, and it fails closed."""
        self.closed = closed
        self._ask = ask
        self._awaited = awaited
        self._keep = keep
        self._sizes: dict[object, int] = {}
        self._new: dict[object, int] = {}
        """Characters that nobody was asked about."""
        self._every = every
        self._hold = hold
        self._asked = 0
        self._texts: dict[object, list[str]] = {}
        self._task: asyncio.Task[list[Hit]] | None = None

    def receive(self, channel: object, text: str) -> None:
        """Take in what follows in ``channel``."""
        self.received += len(text)
        if channel not in self._texts and len(self._texts) >= MOST_CHANNELS:
            channel = None
        pieces = self._texts.setdefault(channel, [])
        pieces.append(text)
        size = self._sizes[channel] = self._sizes.get(channel, 0) + len(text)
        self._new[channel] = self._new.get(channel, 0) + len(text)
        if size > 2 * (most := self._most(channel)):
            pieces[:] = ["".join(pieces)[-most:]]
            self._sizes[channel] = most

    def poll(self) -> list[Hit]:
        """What came of the question that was asked; the next one is asked if it is time."""
        hits: list[Hit] = []
        if self._task is not None and self._task.done():
            task, self._task = self._task, None
            try:
                if not task.cancelled():  # which is no verdict
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
                self._task = told(self._after(self._task))
                self._asked = self.received
        return self._task

    def allows(self, position: int, age: float) -> bool:
        """Whether what came up to ``position``, ``age`` seconds ago, may leave."""
        return position <= self.covered or not self._awaited or (not self.closed and age >= self._hold)

    @property
    def missing(self) -> bool:
        """Whether a verdict that is awaited is missing for some of what came."""
        return self._awaited and self.covered < self.received

    def close(self) -> None:
        """Nobody wants to know any more."""
        if self._task is not None:
            self._task.cancel()

    def _start(self) -> None:
        self._asked = self.received
        self._task = told(self._ask(self._said()))

    async def _after(self, before: asyncio.Task[list[Hit]]) -> list[Hit]:
        texts = self._said()
        try:
            hits = await before
        finally:
            before.cancel()
        if any(hit.action == "block" for hit in hits):
            return hits
        return hits + await self._ask(texts)  # what was only flagged leaves the rest to be judged

    def _most(self, channel: object) -> int:
        """Characters of a channel that may be asked about: all new ones, with some before them."""
        return max(self._keep, min(self._new[channel] + self._keep // 10, MOST_QUESTIONS * self._keep))

    def _said(self) -> list[str]:
        said = list[str]()
        share = self._keep // max(1, len(self._texts))
        for channel, pieces in self._texts.items():
            text = "".join(pieces)[-self._most(channel) :]
            pieces[:], self._sizes[channel] = [text], len(text)
            new = self._new[channel]
            self._new[channel] = 0
            said.append(text[-max(share, new + self._keep // 10) :])
        return said


def told(ask: Coroutine[Any, Any, list[Hit]]) -> asyncio.Task[list[Hit]]:
    """``ask`` as a task whose failure nobody need hear of: the exchange may be over by then."""
    task = asyncio.ensure_future(ask)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    return task
