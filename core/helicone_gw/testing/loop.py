"""Virtual time: an asyncio event loop that moves its clock on instead of waiting."""

from __future__ import annotations

import asyncio
import selectors
import sys
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, NoReturn, TypeVar, TypeVarTuple, Unpack

from helicone_gw.testing.clock import VirtualClock

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

STALL = 10.0
"""Real seconds after which a loop in which nothing can happen any more says so instead of hanging."""

_THREADED = ("aiosqlite", "sqlalchemy.dialects.sqlite.aiosqlite")
"""Packages and modules that hand work to threads of their own and make the futures that these resolve."""


class Stalled(RuntimeError):
    """Nothing is ready, nothing is scheduled, and no thread has anything under way: the test would hang for ever."""


class _JumpingSelector(selectors.DefaultSelector):
    """A selector that, where it would wait for a timer, moves the clock to it instead."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock
        self.busy_threads: Callable[[], bool] = lambda: False
        self.tasks: Callable[[], list[str]] = list

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready, without waiting. When nothing is, the clock jumps ``timeout`` seconds.

        While a thread works for the loop time stands still: a query of two real milliseconds must not look as if it
        had outlasted a timeout of a minute.
        """
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if self.busy_threads():
            return super().select(None)
        if timeout is None:
            ready = super().select(STALL)
            if not ready:
                raise Stalled("virtual time: all tasks wait for what nobody will do: " + ", ".join(self.tasks()))
            return ready
        self._clock.advance(timeout)
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose time jumps forward when nothing is ready: sleeping and timing out cost nothing.

    ``clock`` tells the loop's time. Threads of the default executor and of aiosqlite are waited for while time stands
    still. Sockets are refused with `RuntimeError`: their bytes travel in real time, so what a test sees would depend on
    the machine. Raises `Stalled` out of ``run_until_complete`` where another loop would hang.
    """

    def __init__(self, clock: VirtualClock | None = None) -> None:
        self.clock = clock or VirtualClock()
        self._in_threads = 0
        selector = _JumpingSelector(self.clock)
        selector.busy_threads = lambda: self._in_threads > 0
        selector.tasks = lambda: sorted(_where(task) for task in asyncio.all_tasks(self))
        super().__init__(selector)

    def time(self) -> float:
        """Virtual seconds since the clock was made."""
        return self.clock.monotonic()

    def create_future(self) -> asyncio.Future[Any]:
        """A future; counted while it is pending if a library that works in threads asked for it."""
        future = super().create_future()
        caller = sys._getframe(1).f_globals.get("__name__", "")
        if caller.startswith(_THREADED):
            self._count(future)
        return future

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """As usual; time stands still until the function is done."""
        future = super().run_in_executor(executor, func, *args)
        self._count(future)
        return future

    async def shutdown_default_executor(self, *args: Any, **kwargs: Any) -> None:
        """As usual, which includes a timeout (Python 3.12): time stands still until the threads are gone."""
        self._in_threads += 1
        try:
            await super().shutdown_default_executor(*args, **kwargs)
        finally:
            self._in_threads -= 1

    def _count(self, future: asyncio.Future[Any]) -> None:
        self._in_threads += 1
        future.add_done_callback(self._uncount)

    def _uncount(self, _: asyncio.Future[Any]) -> None:
        self._in_threads -= 1


def _where(task: asyncio.Task[Any]) -> str:
    frames = task.get_stack(limit=1)
    return f"{task.get_name()} ({frames[0].f_code.co_filename}:{frames[0].f_lineno})" if frames else task.get_name()


def _refuse(name: str) -> Callable[..., NoReturn]:
    def refused(self: VirtualTimeLoop, *args: Any, **kwargs: Any) -> NoReturn:
        raise RuntimeError(f"virtual time and real I/O do not mix: {name}() was called in a test with virtual time")

    return refused


for _name in (
    "create_connection",
    "create_server",
    "create_unix_connection",
    "create_unix_server",
    "create_datagram_endpoint",
    "subprocess_exec",
    "subprocess_shell",
    "add_reader",
    "add_writer",
    "sock_recv",
    "sock_sendall",
    "sock_connect",
    "sock_accept",
):
    setattr(VirtualTimeLoop, _name, _refuse(_name))


def run_virtual(coroutine: Coroutine[Any, Any, T], clock: VirtualClock | None = None) -> T:
    """Run ``coroutine`` in a `VirtualTimeLoop` of its own and return its result.

    For tests that are plain functions, such as property tests which run one coroutine per example.
    """
    with asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(clock)) as runner:
        return runner.run(coroutine)
