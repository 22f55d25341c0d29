"""What the conformance suite looks with: a log that is kept, hooks that are interrupted, neighbours that fail, leaks."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import traceback
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from structlog.testing import capture_logs

from helicone_gw.chain import Hook
from helicone_gw.errors import BadRequest
from helicone_gw.hookspecs import hookimpl
from helicone_gw.model import Attempt, Chunk, Exchange, Response
from helicone_gw.pipeline.hooks import HookCaller
from helicone_gw.plugin import Plugin

GRACE = 5.0
"""Seconds that something which was cancelled may take to clean up."""


@dataclass
class RecordedLog:
    """What was logged, through structlog and through the standard library."""

    events: list[Any]
    records: list[logging.LogRecord] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All of it, stack traces included."""
        formatter = logging.Formatter()
        lines = [_rendered(event) for event in self.events]
        return "\n".join([*lines, *(formatter.format(record) for record in self.records)])

    @property
    def complaints(self) -> list[str]:
        """The errors among it."""
        lines = [_rendered(event) for event in self.events if event.get("log_level") in ("error", "critical")]
        ours = [record for record in self.records if record.levelno >= logging.ERROR]
        return [*lines, *(logging.Formatter().format(record) for record in ours)]


def _rendered(event: dict[str, Any]) -> str:
    fault = event.get("exc_info")
    trace = "".join(traceback.format_exception(fault)) if isinstance(fault, BaseException) else ""
    return f"{event!r}\n{trace}"


@contextmanager
def recorded_log() -> Iterator[RecordedLog]:
    """Keep whatever is logged in the block, down to DEBUG; nothing of it is printed."""
    root = logging.getLogger()
    level = root.level
    with capture_logs() as events:
        log = RecordedLog(events)
        handler = _Keeper(log.records)
        root.addHandler(handler)
        root.setLevel(logging.DEBUG)
        try:
            yield log
        finally:
            root.removeHandler(handler)
            root.setLevel(level)


class _Keeper(logging.Handler):
    def __init__(self, records: list[logging.LogRecord]) -> None:
        super().__init__(logging.DEBUG)
        self._records = records

    def emit(self, record: logging.LogRecord) -> None:
        # asyncio's and the database driver's debugging is not the plugin's, and would hold every statement.
        if record.levelno > logging.DEBUG or not record.name.startswith(("asyncio", "aiosqlite")):
            self._records.append(record)


class InterruptingCaller(HookCaller):
    """Cancels one plugin's ``hook`` the first time that it is still waiting after ``steps`` turns of the event loop.

    ``interrupted`` says whether it came to that, ``swallowed`` whether the hook then did anything but end cancelled.
    """

    def __init__(self, plugins: Sequence[str], hook: str, steps: int) -> None:
        super().__init__()
        self._plugins = plugins
        self._hook = hook
        self._steps = steps
        self.interrupted = False
        self.swallowed = False

    async def call(self, hook: Hook, exchange: Exchange, *arguments: Any) -> Any:
        """As ever, unless it is the one."""
        return await super().call(self._watched(hook), exchange, *arguments)

    async def tell(self, hook: Hook, exchange: Exchange, *arguments: Any) -> None:
        """As ever, unless it is the one."""
        await super().tell(self._watched(hook), exchange, *arguments)

    def _watched(self, hook: Hook) -> Hook:
        if self.interrupted or hook.name != self._hook or hook.plugin not in self._plugins:
            return hook
        function: Callable[..., Awaitable[Any]] = hook.call

        async def call(*arguments: Any) -> Any:
            task = asyncio.ensure_future(function(*arguments))
            for _ in range(self._steps):
                if task.done():
                    break
                await asyncio.sleep(0)
            if not task.cancel():
                return task.result()
            self.interrupted = True
            await asyncio.wait({task}, timeout=GRACE)
            self.swallowed = not task.cancelled()
            raise asyncio.CancelledError

        return replace(hook, call=call)


Misbehaviour = Literal["fault", "refusal"]


@dataclass
class Plan:
    """Which neighbour misbehaves next, in which hook and how."""

    who: str = ""
    hook: str = ""
    how: Misbehaviour = "fault"
    happened: bool = False


def neighbour(plan: Plan) -> type[Plugin]:
    """A plugin that has every hook, does nothing in any, and fails when ``plan`` says that it is its turn."""

    def now(plugin: Plugin, hook: str) -> None:
        if plan.who == plugin.name and plan.hook == hook:
            plan.happened = True
            raise BadRequest("refused by a neighbour") if plan.how == "refusal" else RuntimeError("a neighbour failed")

    class Neighbour(Plugin):
        @hookimpl
        async def pre_request(self, exchange: Exchange) -> None:
            now(self, "pre_request")

        @hookimpl
        async def route_model(self, exchange: Exchange) -> None:
            now(self, "route_model")

        @hookimpl
        async def on_attempt(self, exchange: Exchange, attempt: Attempt) -> None:
            now(self, "on_attempt")

        @hookimpl
        def on_stream_chunk(self, exchange: Exchange, chunk: Chunk) -> None:
            now(self, "on_stream_chunk")

        @hookimpl
        async def on_response(self, exchange: Exchange, response: Response) -> None:
            now(self, "on_response")

        @hookimpl
        async def on_error(self, exchange: Exchange, error: Exception) -> None:
            now(self, "on_error")

        @hookimpl
        async def on_finish(self, exchange: Exchange) -> None:
            now(self, "on_finish")

    return Neighbour


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

    def beyond(self, before: Footprint) -> list[str]:
        """What is there now and was not there ``before``, in words."""
        found = [f"task {task.get_name()}" for task in self.tasks - before.tasks]
        found += [f"thread {thread.name}" for thread in self.threads - before.threads]
        if self.files is not None and before.files is not None and self.files > before.files:
            found.append(f"{self.files - before.files} open files or sockets")
        return found
