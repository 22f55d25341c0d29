"""Runs a coroutine on the fastest event loop that is installed: uvloop's, or else asyncio's own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_new_event_loop: Callable[[], asyncio.AbstractEventLoop]
try:
    import uvloop
except ImportError:
    _new_event_loop = asyncio.new_event_loop
else:
    _new_event_loop = uvloop.new_event_loop


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run ``main`` to its end in a loop of its own; what it returns."""
    with asyncio.Runner(loop_factory=_new_event_loop) as runner:
        return runner.run(main)
