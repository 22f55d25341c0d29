"""What a process has open, before and after."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from dataclasses import dataclass
from typing import Any

PATIENCE = (0, 0.01, 0.03, 0.1, 0.3, 1)
"""Seconds between looks: a database driver's thread, for one, ends a moment after its connection."""


@dataclass(frozen=True)
class Footprint:
    """What is open in this process: tasks of the running loop, threads, files and sockets (where the system says)."""

    tasks: frozenset[asyncio.Task[Any]]
    threads: frozenset[threading.Thread]
    files: int | None

    @classmethod
    def now(cls) -> Footprint:
        """As it is at this moment. The event loop's own worker threads do not count: they wait for more work."""
        threads = (thread for thread in threading.enumerate() if not thread.name.startswith("asyncio_"))
        try:
            files: int | None = len(os.listdir("/dev/fd"))
        except OSError:
            files = None
        return cls(frozenset(asyncio.all_tasks()), frozenset(threads), files)

    @classmethod
    async def beyond(cls, before: Footprint) -> list[str]:
        """What is there and was not there ``before``, in words; what is just about to go is given time for it."""
        found: list[str] = []
        for seconds in PATIENCE:
            await asyncio.sleep(seconds)
            gc.collect()
            found = cls.now()._more_than(before)
            if not found:
                break
        return found

    def _more_than(self, before: Footprint) -> list[str]:
        found = [f"task {task.get_name()}" for task in self.tasks - before.tasks]
        found += [f"thread {thread.name}" for thread in self.threads - before.threads]
        if self.files is not None and before.files is not None and self.files > before.files:
            found.append(f"{self.files - before.files} open files or sockets")
        return found
