"""A virtual clock moves only when it is moved."""

import asyncio

import pytest

from helicone_gw.testing.clock import EPOCH, VirtualClock


def test_both_times_move_together() -> None:
    clock = VirtualClock()
    assert (clock.monotonic(), clock.now()) == (0, EPOCH)
    clock.advance(2.5)
    assert (clock.monotonic(), clock.now()) == (2.5, EPOCH + 2.5)


def test_the_wall_clock_may_be_set_back_but_monotonic_time_never_goes_back() -> None:
    clock = VirtualClock()
    clock.advance(10)
    clock.set_wall_clock(1000)
    assert (clock.monotonic(), clock.now()) == (10, 1000)
    clock.advance(1)
    assert (clock.monotonic(), clock.now()) == (11, 1001)
    with pytest.raises(ValueError, match="go back"):
        clock.advance(-1)


async def test_sleepers_wake_in_the_order_of_their_times() -> None:
    clock = VirtualClock()
    woken: list[str] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(name)

    tasks = [asyncio.create_task(sleeper(*each)) for each in (("late", 3), ("early", 1), ("same time", 3))]
    await asyncio.sleep(0)
    clock.advance(0.5)
    await asyncio.sleep(0)
    assert woken == []
    clock.advance(0.5)
    await tasks[1]
    assert woken == ["early"]
    clock.advance(60)
    await asyncio.gather(*tasks)
    assert woken == ["early", "late", "same time"]


async def test_a_cancelled_sleeper_is_no_trouble() -> None:
    clock = VirtualClock()
    task = asyncio.create_task(clock.sleep(1))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    clock.advance(2)


async def test_sleeping_no_time_lets_others_run() -> None:
    ran: list[str] = []
    asyncio.get_running_loop().call_soon(ran.append, "other")
    await VirtualClock().sleep(0)
    assert ran == ["other"]
