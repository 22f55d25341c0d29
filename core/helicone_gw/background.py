"""Background: supervised tasks, drained at shutdown."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

log = structlog.get_logger("helicone_gw.background")


class Background:
    """Runs coroutines beside the requests. A task that fails is logged with its name, never lost.

    At most ``limit`` tasks run at once; one more is refused (its coroutine closed) with `RuntimeError`, so that a leak
    shows as an error where it happens instead of as memory.
    """

    def __init__(self, limit: int = 10_000) -> None:
        self._limit = limit
        self._tasks: set[asyncio.Task[Any]] = set()
        self.failures = 0
        """How many tasks ended with an exception."""

    def __len__(self) -> int:
        return len(self._tasks)

    def spawn(self, coroutine: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Start ``coroutine`` as a supervised task."""
        if len(self._tasks) >= self._limit:
            coroutine.close()
            raise RuntimeError(f"{self._limit} background tasks are running already; {name!r} was not started")
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (problem := task.exception()) is not None:
            self.failures += 1
            log.error("background task failed", task=task.get_name(), exc_info=problem)

    async def drain(self, timeout: float) -> None:
        """Wait up to ``timeout`` seconds for all tasks, those that they start included, then cancel what is left."""
        loop = asyncio.get_running_loop()
        give_up = loop.time() + timeout
        while self._tasks:
            _, running = await asyncio.wait(set(self._tasks), timeout=max(0.0, give_up - loop.time()))
            if running or loop.time() >= give_up:
                break
        left = set(self._tasks)
        for task in left:
            task.cancel()
        if left:
            log.warning("background tasks cancelled at shutdown", tasks=sorted(task.get_name() for task in left))
            await asyncio.wait(left, timeout=5)
