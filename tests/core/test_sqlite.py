"""How connections of SQLite are made: whole, or not at all."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helicone_gw.database import Database


class Opened(sqlite3.Connection):
    """A connection that tells whether it was closed, and not merely forgotten."""

    closed = False

    def close(self) -> None:
        super().close()
        self.closed = True


class SlowOpening:
    """In place of ``sqlite3.connect``: it is in the middle of opening from ``begun`` until ``finish``."""

    def __init__(self, connect: Callable[..., Any]) -> None:
        self.begun, self.finish = threading.Event(), threading.Event()
        self.opened: list[Opened] = []
        self._connect = connect

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        self.begun.set()
        self.finish.wait()
        connection = self._connect(*arguments, **options, factory=Opened)
        self.opened.append(connection)
        return connection


async def connect(database: Database) -> None:
    async with database.connect():
        pass


@pytest.fixture
def opening(monkeypatch: pytest.MonkeyPatch) -> SlowOpening:
    slow = SlowOpening(sqlite3.connect)
    monkeypatch.setattr(sqlite3, "connect", slow)
    return slow


async def test_who_is_cancelled_while_a_file_is_opened_leaves_no_connection_open(
    tmp_path: Path, opening: SlowOpening
) -> None:
    database = Database(f"sqlite:///{tmp_path}/gateway.db")
    task = asyncio.create_task(connect(database))
    await asyncio.to_thread(opening.begun.wait)
    task.cancel()
    opening.finish.set()
    await asyncio.wait([task])
    assert task.cancelled()
    assert [connection.closed for connection in opening.opened] == [True]

    await connect(database)
    await database.close()
    assert [connection.closed for connection in opening.opened] == [True, True]


async def test_who_is_cancelled_twice_waits_no_longer(tmp_path: Path, opening: SlowOpening) -> None:
    database = Database(f"sqlite:///{tmp_path}/gateway.db")
    before = asyncio.all_tasks()
    task = asyncio.create_task(connect(database))
    await asyncio.to_thread(opening.begun.wait)
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    task.cancel()
    await asyncio.wait([task])
    assert (task.cancelled(), opening.opened) == (True, [])

    opening.finish.set()
    await asyncio.wait(asyncio.all_tasks() - before)
    assert [connection.closed for connection in opening.opened] == [True]
    await database.close()


async def test_who_is_cancelled_while_a_file_cannot_be_opened_is_cancelled_and_no_more(
    tmp_path: Path, opening: SlowOpening, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database(f"sqlite:///{tmp_path}/nowhere/gateway.db")
    task = asyncio.create_task(connect(database))
    await asyncio.to_thread(opening.begun.wait)
    task.cancel()
    opening.finish.set()
    await asyncio.wait([task])
    await database.close()
    assert (task.cancelled(), opening.opened, caplog.messages) == (True, [], [])
