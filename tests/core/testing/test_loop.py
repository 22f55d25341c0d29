"""In a virtual-time loop waiting costs nothing, threads are waited for, and sockets are refused."""

import asyncio
import socket
import threading
import time
from pathlib import Path

import aiosqlite
import pytest
from sqlalchemy import text

from helicone_gw.database import Database
from helicone_gw.testing import Stalled, VirtualClock, VirtualTimeLoop, loop, run_virtual

HOUR = 3600


def test_a_sleep_of_a_day_takes_a_virtual_day_and_no_real_one() -> None:
    async def sleep() -> tuple[float, float]:
        before = asyncio.get_running_loop().time()
        real = time.monotonic()
        await asyncio.sleep(24 * HOUR)
        return asyncio.get_running_loop().time() - before, time.monotonic() - real

    virtual, real = run_virtual(sleep())
    assert virtual == 24 * HOUR
    assert real < 24 * HOUR


def test_timers_fire_in_the_order_of_their_times() -> None:
    async def three() -> list[int]:
        order: list[int] = []

        async def after(seconds: int) -> None:
            await asyncio.sleep(seconds)
            order.append(seconds)

        await asyncio.gather(after(30), after(10), after(20))
        return order

    assert run_virtual(three()) == [10, 20, 30]


def test_timeouts_fire_at_their_time() -> None:
    async def wait() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.Event().wait()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.sleep(100), 2)
        return asyncio.get_running_loop().time()

    assert run_virtual(wait()) == 7


def test_what_is_ready_comes_before_time_moves() -> None:
    async def race() -> str:
        queue: asyncio.Queue[str] = asyncio.Queue()

        async def work() -> None:
            for _ in range(1000):
                await asyncio.sleep(0)
            await queue.put("work")

        task = asyncio.create_task(work())
        async with asyncio.timeout(0.001):
            result = await queue.get()
        await task
        return result

    assert run_virtual(race()) == "work"


def test_the_clock_may_be_given_and_moved_by_hand() -> None:
    clock = VirtualClock()
    clock.advance(100)

    async def sleep() -> float:
        await clock.sleep(1)
        clock.advance(0.25)
        return asyncio.get_running_loop().time()

    assert run_virtual(sleep(), clock) == 101.25
    assert clock.monotonic() == 101.25


def test_time_stands_still_while_a_thread_of_the_executor_works() -> None:
    async def in_thread() -> float:
        release = threading.Event()
        started = threading.Event()

        def work() -> str:
            started.set()
            release.wait(30)
            return "done"

        async def watch() -> None:
            await asyncio.to_thread(started.wait, 30)
            release.set()

        watching = asyncio.create_task(watch())
        async with asyncio.timeout(0.001):
            assert await asyncio.to_thread(work) == "done"
        await watching
        return asyncio.get_running_loop().time()

    assert run_virtual(in_thread()) == 0


def test_time_stands_still_during_a_query() -> None:
    async def query() -> float:
        connection = await aiosqlite.connect(":memory:")
        async with asyncio.timeout(1e-9):
            rows = await connection.execute_fetchall(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) "
                "SELECT count(*) FROM n"
            )
        await connection.close()
        assert [tuple(row) for row in rows] == [(200000,)]
        return asyncio.get_running_loop().time()

    assert run_virtual(query()) == 0


def test_time_stands_still_while_the_gateways_database_works(tmp_path: Path) -> None:
    async def work() -> float:
        database = Database(f"sqlite:///{tmp_path}/test.db")
        async with asyncio.timeout(1e-9):
            async with database.begin() as connection:
                await connection.execute(text("CREATE TABLE t (n INTEGER)"))
                await connection.execute(text("INSERT INTO t VALUES (1), (2)"))
            async with database.connect() as connection:
                total = (await connection.execute(text("SELECT sum(n) FROM t"))).scalar_one()
        await database.close()
        assert total == 3
        return asyncio.get_running_loop().time()

    assert run_virtual(work()) == 0


def test_a_test_that_can_never_end_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "STALL", 0.01)

    async def never() -> None:
        asyncio.current_task().set_name("the waiting one")  # type: ignore[union-attr]
        await asyncio.Event().wait()

    with pytest.raises(Stalled, match="the waiting one"):
        run_virtual(never())


def test_a_thread_that_nobody_knows_of_may_still_wake_the_loop() -> None:
    async def wait() -> str:
        running = asyncio.get_running_loop()
        done: asyncio.Future[str] = running.create_future()
        thread = threading.Thread(target=lambda: running.call_soon_threadsafe(done.set_result, "woken"))
        thread.start()
        result = await done
        thread.join()
        return result

    assert run_virtual(wait()) == "woken"


def test_sockets_are_refused() -> None:
    async def connect() -> None:
        with pytest.raises(RuntimeError, match=r"create_connection\(\) was called"):
            await asyncio.open_connection("127.0.0.1", 9)
        with pytest.raises(RuntimeError, match=r"create_server\(\) was called"):
            await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
        with socket.socket() as raw, pytest.raises(RuntimeError, match="do not mix"):
            await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", 9))

    run_virtual(connect())


def test_an_exception_comes_out_as_it_is() -> None:
    async def fail() -> None:
        await asyncio.sleep(1)
        raise KeyError("this one")

    with pytest.raises(KeyError, match="this one"):
        run_virtual(fail())


def test_the_loop_leaves_nothing_open() -> None:
    virtual = VirtualTimeLoop()
    virtual.run_until_complete(asyncio.sleep(5))
    virtual.close()
    assert virtual.is_closed()
