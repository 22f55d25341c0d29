"""A bound on a wait: the same task, the same value, the same exceptions, and no timer where nothing waits."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from helicone_gw.waiting import Deadline, within


async def value(given: Any) -> Any:
    return given


async def after(seconds: float, given: Any) -> Any:
    await asyncio.sleep(seconds)
    await asyncio.sleep(seconds)
    return given


async def test_what_does_not_wait_makes_no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio, "timeout", lambda seconds: pytest.fail("a timer was made"))
    assert await within(1, value(7)) == 7


@pytest.mark.virtual_time
async def test_what_waits_is_waited_for_in_the_same_task() -> None:
    async def tasks() -> set[Any]:
        seen = {asyncio.current_task()}
        await asyncio.sleep(1)
        return seen | {asyncio.current_task()}

    assert await within(5, tasks()) == {asyncio.current_task()}
    assert await within(5, after(1, "late")) == "late"


@pytest.mark.virtual_time
async def test_too_long_a_wait_ends() -> None:
    loop = asyncio.get_running_loop()
    with pytest.raises(TimeoutError):
        await within(3, after(2, None))
    assert loop.time() == pytest.approx(3)


@pytest.mark.parametrize("seconds", [0, 1])
@pytest.mark.virtual_time
async def test_exceptions_pass(seconds: float) -> None:
    async def failing() -> None:
        if seconds:
            await asyncio.sleep(seconds)
        raise LookupError("none")

    with pytest.raises(LookupError, match="none"):
        await within(5, failing())


@pytest.mark.virtual_time
async def test_a_cancellation_reaches_what_waits_and_may_be_answered() -> None:
    heard: list[str] = []

    async def stubborn() -> str:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            heard.append("cancelled")
            await asyncio.sleep(1)
            heard.append("settled")
            raise
        return "never"

    task = asyncio.ensure_future(within(60, stubborn()))
    await asyncio.sleep(0.5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert heard == ["cancelled", "settled"]


class Bare:
    """An awaitable whose steps are a plain iterator, as extension modules make them."""

    def __init__(self, future: asyncio.Future[str]) -> None:
        self._future = future

    def __await__(self) -> Any:
        return _Steps(self._future)


class _Steps:
    def __init__(self, future: asyncio.Future[str]) -> None:
        self._future = future

    def __iter__(self) -> _Steps:
        return self

    def __next__(self) -> Any:
        if not self._future.done():
            self._future._asyncio_future_blocking = True
            return self._future
        raise StopIteration(self._future.result())


@pytest.mark.virtual_time
async def test_awaitables_of_extension_modules() -> None:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[str] = loop.create_future()
    loop.call_later(1, future.set_result, "done")
    assert await within(5, Bare(future)) == "done"
    assert await within(5, Bare(future)) == "done"
    with pytest.raises(TimeoutError):
        await within(5, Bare(loop.create_future()))


@pytest.mark.parametrize("make", [lambda loop: loop.create_future(), lambda loop: asyncio.ensure_future(after(9, 1))])
@pytest.mark.virtual_time
async def test_futures_and_tasks(make: Callable[[Any], Awaitable[Any]]) -> None:
    with pytest.raises(TimeoutError):
        await within(5, make(asyncio.get_running_loop()))


@pytest.mark.virtual_time
async def test_a_deadline_cancels_its_task_and_tells_that_from_other_cancellations() -> None:
    loop = asyncio.get_running_loop()
    deadline = Deadline(3)
    deadline.watch()
    try:
        with pytest.raises(asyncio.CancelledError):
            await asyncio.sleep(10)
        assert deadline.reached()
    finally:
        deadline.close()
    assert loop.time() == deadline.when == pytest.approx(3)
    await asyncio.sleep(1)  # nothing is left of the cancellation


@pytest.mark.virtual_time
async def test_nothing_is_left_of_a_deadline_whose_cancellation_was_swallowed() -> None:
    task = asyncio.current_task()
    assert task is not None
    deadline = Deadline(3)
    deadline.watch()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(10)
    assert task.cancelling() == 1
    deadline.close()
    assert task.cancelling() == 0
    assert not deadline.reached()


@pytest.mark.virtual_time
async def test_a_deadline_that_was_closed_never_comes() -> None:
    deadline = Deadline(3)
    deadline.watch()
    deadline.close()
    await asyncio.sleep(10)
    assert not deadline.expired


@pytest.mark.virtual_time
async def test_a_deadline_comes_when_it_was_said_to_however_late_it_is_watched() -> None:
    loop = asyncio.get_running_loop()
    deadline = Deadline(3)
    await asyncio.sleep(2)
    deadline.watch()
    deadline.watch()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.sleep(10)
    assert loop.time() == pytest.approx(3)
    assert deadline.reached()
    deadline.close()


@pytest.mark.virtual_time
async def test_a_cancellation_of_somebody_else_is_not_the_deadlines() -> None:
    async def bounded() -> None:
        deadline = Deadline(3)
        deadline.watch()
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            assert not deadline.reached()
            raise
        finally:
            deadline.close()

    task = asyncio.ensure_future(bounded())
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
