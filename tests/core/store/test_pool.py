"""The pool of a store: bounded, waited for, and not spoilt by connections that were given back half used."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from helicone_gw.store.guard import Lost
from helicone_gw.store.pool import Pool
from helicone_gw.testing import VirtualClock

pytestmark = pytest.mark.virtual_time


class Scripted:
    """A connection. ``takes``: seconds to connect; ``problem``: what that raises; ``pending``: something to read."""

    made: list[Scripted]

    def __init__(self, takes: float = 0.0, problem: Exception | None = None) -> None:
        self.takes = takes
        self.problem = problem
        self.is_connected = False
        self.pending = False
        self.made.append(self)

    async def connect(self) -> None:
        await asyncio.sleep(self.takes)
        if self.problem is not None:
            raise self.problem
        self.is_connected = True

    async def disconnect(self, nowait: bool = False) -> None:
        self.is_connected = False

    async def can_read(self) -> bool:
        if not self.is_connected:
            raise OSError
        return self.pending


@pytest.fixture(autouse=True)
def _made() -> Iterator[None]:
    Scripted.made = []
    yield
    assert not [one for one in Scripted.made if one.is_connected], "every test closes what it opened"


def open_connections() -> int:
    return sum(one.is_connected for one in Scripted.made)


async def test_a_connection_is_used_again() -> None:
    pool = Pool(Scripted, size=3, connect_timeout=1)
    first = await pool.acquire()
    await pool.release(first)
    assert await pool.acquire() is first
    await pool.release(first)
    assert len(Scripted.made) == 1
    await pool.close()


async def test_no_more_than_its_size_and_the_others_wait_in_turn() -> None:
    pool = Pool(lambda: Scripted(0.01), size=2, connect_timeout=1)
    order: list[int] = []

    async def use(number: int) -> None:
        connection = await pool.acquire()
        assert open_connections() <= 2
        order.append(number)
        await asyncio.sleep(0.1)
        await pool.release(connection)

    await asyncio.gather(*(use(number) for number in range(6)))
    assert order == list(range(6))
    assert len(Scripted.made) == 2
    await pool.close()


async def test_a_late_reply_goes_to_nobody() -> None:
    pool = Pool(Scripted, size=1, connect_timeout=1)
    first = await pool.acquire()
    await pool.release(first, clean=False)
    assert not first.is_connected
    second = await pool.acquire()
    assert second is not first
    await pool.release(second)
    second.pending = True
    third = await pool.acquire()
    assert third is not second
    assert not second.is_connected
    await pool.release(third)
    await pool.close()


async def test_a_connection_that_ended_while_it_was_idle_is_not_used() -> None:
    pool = Pool(Scripted, size=1, connect_timeout=1)
    first = await pool.acquire()
    await pool.release(first)
    first.is_connected = False
    second = await pool.acquire()
    assert second is not first
    await pool.release(second)
    assert len(pool) == 1
    await pool.close()


async def test_connecting_goes_on_when_the_call_that_wanted_it_has_given_up(virtual_time: VirtualClock) -> None:
    pool = Pool(lambda: Scripted(0.08), size=4, connect_timeout=1)
    for _ in range(2):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.03):
                await pool.acquire()
    connection = await pool.acquire()
    assert virtual_time.monotonic() == pytest.approx(0.08), "the first attempt was not in vain"
    await pool.release(connection)
    await asyncio.sleep(1)
    assert open_connections() <= 2
    await pool.close()


async def test_who_waits_gets_the_first_that_is_free() -> None:
    takes = iter([0.0, 60.0])
    pool = Pool(lambda: Scripted(next(takes)), size=2, connect_timeout=100)
    first = await pool.acquire()
    waiting = asyncio.ensure_future(pool.acquire())
    await asyncio.sleep(0.01)
    await pool.release(first)
    assert await waiting is first
    await pool.release(first)
    await pool.close()


async def test_a_connection_handed_to_a_call_that_is_just_cancelled_is_not_lost() -> None:
    pool = Pool(Scripted, size=1, connect_timeout=1)
    first = await pool.acquire()
    waiting = asyncio.ensure_future(pool.acquire())
    await asyncio.sleep(0)
    await pool.release(first)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await pool.acquire() is first
    await pool.release(first)
    await pool.close()


async def test_who_waits_hears_that_there_is_no_connection() -> None:
    pool = Pool(lambda: Scripted(0.01, ConnectionRefusedError()), size=4, connect_timeout=1)
    results = await asyncio.gather(*(pool.acquire() for _ in range(10)), return_exceptions=True)
    assert {type(result) for result in results} == {ConnectionRefusedError}
    assert len(pool) == 0


async def test_a_connection_that_cannot_be_made_in_time_is_given_up() -> None:
    pool = Pool(lambda: Scripted(60), size=1, connect_timeout=1)
    with pytest.raises(TimeoutError):
        await pool.acquire()
    assert len(pool) == 0


async def test_while_another_serves_a_failed_connection_is_nobody_s_error() -> None:
    problems = iter([None, ConnectionRefusedError()])
    pool = Pool(lambda: Scripted(0.01, next(problems)), size=2, connect_timeout=1)
    first = await pool.acquire()
    waiting = asyncio.ensure_future(pool.acquire())
    await asyncio.sleep(0.1)
    assert not waiting.done()
    await pool.release(first)
    assert await waiting is first
    await pool.release(first)
    await pool.close()


async def test_one_that_is_dropped_makes_room_for_those_who_wait() -> None:
    pool = Pool(lambda: Scripted(0.01), size=1, connect_timeout=1)
    first = await pool.acquire()
    waiting = asyncio.ensure_future(pool.acquire())
    await asyncio.sleep(0.05)
    await pool.release(first, clean=False)
    second = await waiting
    assert second is not first
    await pool.release(second)
    await pool.close()


async def test_a_reset_drops_all_and_tells_those_who_wait() -> None:
    takes = iter([0.0, 0.0, 60.0, 0.0])
    pool = Pool(lambda: Scripted(next(takes)), size=3, connect_timeout=100)
    idle, busy = await pool.acquire(), await pool.acquire()
    await pool.release(idle)
    again = await pool.acquire()
    waiting = asyncio.ensure_future(pool.acquire())
    await asyncio.sleep(0.01)
    await pool.release(again)
    assert await waiting is again
    await pool.release(again)
    waiting = asyncio.ensure_future(pool.acquire())
    await asyncio.sleep(0)
    other = asyncio.ensure_future(pool.acquire())
    await asyncio.sleep(0)
    await pool.reset()
    with pytest.raises(Lost):
        await other
    await pool.release(await waiting)
    await pool.release(busy)
    assert open_connections() == 0
    assert len(pool) == 0
    fresh = await pool.acquire()
    assert fresh not in (idle, busy)
    await pool.release(fresh)
    assert open_connections() == 1
    await pool.close()


async def test_a_closed_pool_gives_nothing_and_takes_back() -> None:
    pool = Pool(Scripted, size=2, connect_timeout=1)
    idle, busy = await pool.acquire(), await pool.acquire()
    await pool.release(idle)
    await pool.close()
    with pytest.raises(Lost):
        await pool.acquire()
    await pool.release(busy)
    assert open_connections() == 0
