"""Threads: where foreign functions run, of which some may never return: the process ends without them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")


class Threads(Executor):
    """At most ``most`` threads, made when they are needed.

    The standard library's pool waits at the end of the process for whatever still runs in it. This one does not.
    Calls wait without a bound of their own: callers cancel those that wait too long, and these are forgotten.
    """

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._started = 0
        self._waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._ready = threading.Condition()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have ``fn`` called in one of the threads."""
        future: Future[T] = Future()
        with self._ready:
            self._waiting = deque(each for each in self._waiting if not each[0].cancelled())
            self._waiting.append((future, lambda: fn(*args, **kwargs)))
            if self._started < self._most:
                threading.Thread(target=self._work, name=self._name, daemon=True).start()
                self._started += 1
            self._ready.notify()
        return future

    def _work(self) -> None:
        while True:
            with self._ready:
                self._ready.wait_for(lambda: self._waiting)
                future, call = self._waiting.popleft()
            if future.set_running_or_notify_cancel():
                _run(future, call)
            del future, call  # while this thread waits, nothing of the last call stays in memory


def _run(future: Future[Any], call: Callable[[], Any]) -> None:
    try:
        result = call()
    except BaseException as problem:
        future.set_exception(problem if isinstance(problem, Exception) else RuntimeError(type(problem).__name__))
    else:
        future.set_result(result)
