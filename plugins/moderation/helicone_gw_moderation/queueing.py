"""Queueing: what a WebSocket's client says while judges are asked about it, message by message and in its order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

from helicone_gw import GatewayError
from helicone_gw_moderation.judging import no_verdict
from helicone_gw_moderation.plan import Hit
from helicone_gw_moderation.waiting import told

MOST_AT_ONCE: Final = 8
"""Messages of one session that judges are asked about at once; further ones wait for their turn."""
Ask = Callable[[Sequence[str]], Coroutine[Any, Any, list[Hit]]]


class Queued:
    """A message; ``texts`` are those that a verdict is awaited of, and ``said`` is what the client said before
    anything was redacted."""

    __slots__ = ("error", "hits", "message", "said", "task", "texts")

    def __init__(self, message: str | bytes, said: bytes, texts: Sequence[str]) -> None:
        self.message = message
        self.said = said
        self.texts = texts
        self.task: asyncio.Task[list[Hit]] | None = None
        self.hits: Sequence[Hit] = ()
        """What judges have against it, when it leaves the queue."""
        self.error: GatewayError | None = None
        """There is no verdict, and one is needed."""


class Queue:
    """Messages in their order, ``most`` bytes of them; each leaves after those before it, when its verdict is there."""

    def __init__(self, ask: Ask, most: int) -> None:
        self._ask = ask
        self._most = most
        self._size = 0
        self._queue: deque[Queued] = deque()
        self._beside: set[asyncio.Task[list[Hit]]] = set()
        self.noted: list[Hit] = []
        """What was found in texts that nobody waited for."""
        self.failed: GatewayError | None = None
        """There was no verdict on one of them, and one is needed."""

    def __bool__(self) -> bool:
        return bool(self._queue)

    def put(self, queued: Queued) -> bool:
        """Take a message in, unless too much waits."""
        size = len(queued.said)
        if self._size + size > self._most:
            return False
        self._size += size
        self._queue.append(queued)
        self._start()
        return True

    def ask_beside(self, texts: Sequence[str]) -> bool:
        """Ask about texts that nothing waits for, unless too many are asked about; what comes of it is in ``noted``."""
        if len(self._beside) >= MOST_AT_ONCE:
            return False
        task = told(self._ask(texts))
        self._beside.add(task)
        task.add_done_callback(self._note)
        return True

    def leaving(self) -> list[Queued]:
        """What leaves now."""
        left: list[Queued] = []
        while self._queue:
            first = self._queue[0]
            if first.texts:
                if first.task is None or not first.task.done():
                    break
                problem = no_verdict() if first.task.cancelled() else first.task.exception()
                if problem is None:
                    first.hits = first.task.result()
                else:
                    first.error = problem if isinstance(problem, GatewayError) else no_verdict()
            self._queue.popleft()
            self._size -= len(first.said)
            left.append(first)
        if left:
            self._start()
        return left

    def close(self) -> None:
        """The session is over."""
        for task in (*self._beside, *(each.task for each in self._queue if each.task is not None)):
            task.cancel()
        self._queue.clear()
        self._size = 0

    def _start(self) -> None:
        waiting = [each for each in self._queue if each.texts and (each.task is None or not each.task.done())]
        for each in waiting[:MOST_AT_ONCE]:
            if each.task is None:
                each.task = told(self._ask(each.texts))

    def _note(self, task: asyncio.Task[list[Hit]]) -> None:
        self._beside.discard(task)
        if task.cancelled():
            return
        problem = task.exception()
        if problem is None:
            self.noted += task.result()
        else:
            self.failed = problem if isinstance(problem, GatewayError) else no_verdict()
