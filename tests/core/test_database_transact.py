"""`Database.transact`: a whole transaction at once, whatever the database, and all or nothing of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from helicone_gw.database import Database


@pytest.fixture(params=["file", "memory"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    database = Database("sqlite://" if request.param == "memory" else f"sqlite:///{tmp_path}/gateway.db")
    await database.transact(lambda connection: connection.execute(text("CREATE TABLE here (id INTEGER PRIMARY KEY)")))
    yield database
    await database.close()


def insert(*numbers: int) -> Callable[[Connection], int]:
    def work(connection: Connection) -> int:
        for number in numbers:
            connection.execute(text("INSERT INTO here VALUES (:number)"), {"number": number})
        return len(numbers)

    return work


async def there(database: Database) -> list[int]:
    async with database.connect() as connection:
        return list(await connection.scalars(text("SELECT id FROM here ORDER BY id")))


async def test_gives_what_the_work_gives_and_commits(database: Database) -> None:
    assert await database.transact(insert(1, 2)) == 2
    assert await there(database) == [1, 2]


async def test_a_fault_leaves_nothing_and_the_next_one_works(database: Database) -> None:
    with pytest.raises(IntegrityError) as caught:
        await database.transact(insert(1, 1))
    assert "INSERT" in str(caught.value)
    assert await there(database) == []
    assert await database.transact(insert(3)) == 1
    assert await there(database) == [3]


async def test_writers_of_both_kinds_take_turns(database: Database) -> None:
    def add_one(connection: Connection) -> None:
        last = connection.execute(text("SELECT coalesce(max(id), 0) FROM here")).scalar_one()
        connection.execute(text("INSERT INTO here VALUES (:number)"), {"number": last + 1})

    async def add_one_step_by_step() -> None:
        async with database.begin() as connection:
            await connection.run_sync(add_one)

    await asyncio.gather(*(database.transact(add_one) if n % 2 else add_one_step_by_step() for n in range(20)))
    assert await there(database) == list(range(1, 21))


async def test_a_file_is_written_beside_the_event_loop(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/gateway.db")
    threads = {await database.transact(lambda connection: threading.current_thread()) for _ in range(3)}
    assert len(threads) == 1
    assert threads != {threading.current_thread()}
    await database.close()
    assert not threads.pop().is_alive()


async def test_closing_waits_for_what_a_cancelled_caller_began(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/gateway.db")
    await database.transact(lambda connection: connection.execute(text("CREATE TABLE here (id INTEGER)")))
    begun, go_on = threading.Event(), threading.Event()

    def work(connection: Connection) -> None:
        begun.set()
        go_on.wait(10)
        insert(1)(connection)

    caller = asyncio.ensure_future(database.transact(work))
    await asyncio.to_thread(begun.wait, 10)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    closing = asyncio.ensure_future(database.close())
    await asyncio.sleep(0)
    assert not closing.done()
    go_on.set()
    await closing
    assert await there(database) == [1]
    await database.close()
