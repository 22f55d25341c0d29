"""The cache's file: it outlives the process, is shared, is private, and a damaged one costs its entries alone."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import structlog

from helicone_gw import ConfigError
from helicone_gw.clock import SystemClock
from helicone_gw.testing import VirtualClock
from helicone_gw.testing.clock import EPOCH
from helicone_gw_cache.backends import Selection, Unreachable
from helicone_gw_cache.backends import disk as disk_module
from helicone_gw_cache.backends.disk import DiskBackend
from tests.fixtures.processes import PROCESSES
from tests.plugins.cache.making import an_entry
from tests.plugins.cache.places import disk

EVERYTHING = Selection()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache.db"


@pytest.fixture
async def backend(path: Path, clock: VirtualClock) -> AsyncIterator[DiskBackend]:
    opened = disk(path, clock)
    await opened.start()
    yield opened
    await opened.close()


@pytest.fixture
def lines() -> Iterator[list[dict[str, object]]]:
    with structlog.testing.capture_logs() as captured:
        yield captured


async def reopened(path: Path, clock: VirtualClock, work: Callable[[DiskBackend], object]) -> None:
    again = disk(path, clock)
    await again.start()
    try:
        await work(again)  # type: ignore[misc]
    finally:
        await again.close()


async def test_entries_outlive_the_process(backend: DiskBackend, path: Path, clock: VirtualClock) -> None:
    await backend.put(an_entry("a"))
    await backend.close()

    async def look(again: DiskBackend) -> None:
        assert await again.get_many(["a"]) == [an_entry("a")]
        assert (await again.stats(EVERYTHING)).entries == 1

    await reopened(path, clock, look)


async def test_workers_share_the_file(backend: DiskBackend, path: Path, clock: VirtualClock) -> None:
    async def look(other: DiskBackend) -> None:
        await backend.put(an_entry("a"))
        assert await other.get_many(["a"]) == [an_entry("a")]
        assert await other.clear(EVERYTHING) == 1
        assert await backend.get_many(["a"]) == [None]

    await reopened(path, clock, look)


def write(path: Path, name: str) -> None:
    async def writing() -> None:
        backend = disk(path, SystemClock(), max_bytes=300_000)
        await backend.start()
        for number in range(60):
            entry = an_entry(f"{name}-{number}", frames=(b"x" * 4000,), stale_until=1e11)
            assert await backend.put(entry), backend.counters
        assert backend.counters.unavailable == 0
        await backend.close()

    asyncio.run(writing())


async def test_processes_that_begin_together_keep_to_one_bound(path: Path, clock: VirtualClock) -> None:
    writers = [PROCESSES.Process(target=write, args=(path, name)) for name in "xyz"]
    for writer in writers:
        writer.start()
    for writer in writers:
        await asyncio.to_thread(writer.join)
    assert [writer.exitcode for writer in writers] == [0, 0, 0]

    async def look(again: DiskBackend) -> None:
        stats = await again.stats(EVERYTHING)
        assert 60 < stats.entries <= 300_000 // 4000
        assert stats.bytes <= 300_000

    await reopened(path, clock, look)
    assert not (path.parent / "cache.db.damaged").exists()


async def test_only_its_owner_may_read_the_files(backend: DiskBackend, path: Path) -> None:
    await backend.put(an_entry("a"))
    files = list(path.parent.iterdir())
    assert {file.name for file in files} == {"cache.db", "cache.db-wal", "cache.db-shm"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def damaged_head(path: Path) -> None:
    path.write_bytes(b"this is not a database any more" * 300)


def damaged_pages(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:] = bytes(b ^ 0xA5 for b in data[4096:])
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [damaged_head, damaged_pages])
async def test_a_damaged_file_is_set_aside_at_the_start(
    backend: DiskBackend,
    path: Path,
    clock: VirtualClock,
    damage: Callable[[Path], None],
    lines: list[dict[str, object]],
) -> None:
    for number in range(50):
        await backend.put(an_entry(f"key-{number}", frames=(b"x" * 2000,)))
    await backend.close()
    damage(path)
    was = path.read_bytes()

    async def look(again: DiskBackend) -> None:
        assert await again.get_many(["key-1"]) == [None]
        assert await again.put(an_entry("new"))
        assert await again.get_many(["new"]) == [an_entry("new")]
        assert again.counters.unavailable == 0

    await reopened(path, clock, look)
    assert (path.parent / "cache.db.damaged").read_bytes() == was
    assert [line["event"] for line in lines] == ["the cache's file is damaged; it was set aside and begun anew"]


async def test_a_file_that_is_damaged_while_it_is_open_is_set_aside(
    backend: DiskBackend, path: Path, clock: VirtualClock, lines: list[dict[str, object]]
) -> None:
    for number in range(50):
        await backend.put(an_entry(f"key-{number}", frames=(b"x" * 2000,)))
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    damaged_pages(path)
    # Both threads come across it; one of them sets it aside, and both go on with the new one.
    assert await asyncio.gather(*(backend.get_many([f"key-{n}"]) for n in range(50))) == [[None]] * 50
    assert await backend.put(an_entry("new"))
    assert await backend.get_many(["new"]) == [an_entry("new")]
    assert [line["event"] for line in lines] == ["the cache's file is damaged; it was set aside and begun anew"]


async def test_workers_set_a_damaged_file_aside_once(backend: DiskBackend, path: Path, clock: VirtualClock) -> None:
    for number in range(50):
        await backend.put(an_entry(f"key-{number}", frames=(b"x" * 2000,)))

    async def look(other: DiskBackend) -> None:
        await other.get_many(["key-1"])
        with closing(sqlite3.connect(path)) as third:
            third.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        damaged_pages(path)
        assert await backend.get_many(["key-7"]) == [None]
        assert await backend.put(an_entry("new"))
        # The other one still has the old file open. It notices, at the latest when it sweeps.
        await other.get_many(["key-7"])
        await other.sweep()
        assert await other.get_many(["new"]) == [an_entry("new")]
        assert await backend.get_many(["new"]) == [an_entry("new")]

    await reopened(path, clock, look)


async def test_a_deleted_file_is_begun_anew_at_the_next_sweep(backend: DiskBackend, path: Path) -> None:
    await backend.put(an_entry("a"))
    for file in path.parent.iterdir():
        file.unlink()
    await backend.sweep()
    assert await backend.get_many(["a"]) == [None]
    assert await backend.put(an_entry("a"))
    assert path.exists()


async def test_another_databases_file_is_left_alone(path: Path, clock: VirtualClock) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE request (id TEXT)")
    was = path.read_bytes()
    backend = disk(path, clock)
    with pytest.raises(ConfigError, match="the database of something else"):
        await backend.start()
    await backend.close()
    assert path.read_bytes() == was


async def test_a_file_that_becomes_another_databases_is_a_miss(
    backend: DiskBackend, path: Path, clock: VirtualClock
) -> None:
    await backend.put(an_entry("a"))
    for file in path.parent.iterdir():
        file.unlink()
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE request (id TEXT)")
    with pytest.raises(Unreachable):
        await backend.sweep()
    assert await backend.get_many(["a"]) == [None]
    assert not await backend.put(an_entry("a"))
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("request",)]


async def test_a_total_that_is_wrong_ends_no_worse_than_in_an_empty_cache(backend: DiskBackend, path: Path) -> None:
    await backend.put(an_entry("a"))
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("UPDATE total SET bytes = 1 << 40")
    assert await backend.put(an_entry("b"))
    assert await backend.get_many(["a", "b"]) == [None, an_entry("b")]


async def test_tables_of_another_version_are_begun_anew(backend: DiskBackend, path: Path, clock: VirtualClock) -> None:
    await backend.put(an_entry("a"))
    await backend.close()
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA user_version = 99")

    async def look(again: DiskBackend) -> None:
        assert await again.get_many(["a"]) == [None]
        assert (await again.stats(EVERYTHING)).bytes == 0
        assert await again.put(an_entry("a"))

    await reopened(path, clock, look)


async def test_a_place_that_cannot_be_written_is_told_at_the_start(tmp_path: Path, clock: VirtualClock) -> None:
    backend = disk(tmp_path / "missing" / "cache.db", clock)
    with pytest.raises(ConfigError, match=r"backend\.url: cannot use .*missing"):
        await backend.start()
    await backend.close()


async def test_an_unreadable_value_is_a_counted_miss(backend: DiskBackend, path: Path) -> None:
    await backend.put(an_entry("a"))
    await backend.put(an_entry("b"))
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("UPDATE entry SET value = substr(value, 1, 40) WHERE key = 'a'")
        other.execute("UPDATE entry SET value = (SELECT value FROM entry WHERE key = 'a') WHERE key = 'missing'")
    assert await backend.get_many(["a", "b"]) == [None, an_entry("b")]
    assert backend.counters.unreadable == 1


async def test_a_value_under_another_key_is_not_taken_for_its_own(backend: DiskBackend, path: Path) -> None:
    await backend.put(an_entry("a"))
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("UPDATE entry SET key = 'b'")
    assert await backend.get_many(["b"]) == [None]
    assert backend.counters.unreadable == 1


class Held:
    """The writer's or reader's thread, held until it is let go."""

    def __init__(self, backend: DiskBackend, thread: str) -> None:
        self._event = threading.Event()
        executor = backend._reading if thread == "reading" else backend._writing
        executor.submit(self._event.wait, 30)

    def let_go(self) -> None:
        self._event.set()


async def test_a_look_that_takes_too_long_is_a_miss_and_costs_one_deadline(
    path: Path, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = disk(path, clock, deadline=0.05)
    await backend.start()
    await backend.put(an_entry("a"))
    held = Held(backend, "reading")
    assert await backend.get_many(["a", "b"]) == [None, None]
    looks = 0

    def look(connection: object) -> None:
        nonlocal looks
        looks += 1

    monkeypatch.setattr(backend, "_read", look)
    assert await asyncio.gather(*(backend.get_many(["a"]) for _ in range(50))) == [[None]] * 50
    assert (looks, backend.counters.unavailable) == (0, 51)
    monkeypatch.undo()
    held.let_go()
    assert backend._stuck is not None
    await backend._stuck
    backend._deadline = 60
    assert await backend.get_many(["a"]) == [an_entry("a")]
    await backend.close()


async def test_a_hit_does_not_wait_for_writes(backend: DiskBackend) -> None:
    await backend.put(an_entry("a"))
    held = Held(backend, "writing")
    writing = asyncio.create_task(backend.put(an_entry("b")))
    assert await backend.get_many(["a", "b"]) == [an_entry("a"), None]
    held.let_go()
    assert await writing


async def test_what_waits_to_be_written_is_bounded(backend: DiskBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_module, "MAX_WAITING", 3 * an_entry("a").size)
    held = Held(backend, "writing")
    writing = [asyncio.create_task(backend.put(an_entry(f"key-{number}"))) for number in range(5)]
    await asyncio.sleep(0)
    held.let_go()
    assert sorted(await asyncio.gather(*writing)) == [False, False, True, True, True]
    assert backend.counters.busy == 2
    assert await backend.put(an_entry("later"))


async def test_a_locked_file_costs_entries_and_no_errors(
    backend: DiskBackend, path: Path, lines: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    await backend.put(an_entry("a"))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert not await backend.put(an_entry("b"))
        assert await backend.get_many(["a"]) == [an_entry("a")]
        assert not await backend.delete("a")
        with pytest.raises(Unreachable):
            await backend.clear(EVERYTHING)
        other.execute("ROLLBACK")
    assert backend.counters.unavailable == 3
    assert [line["event"] for line in lines] == ["the cache's file does not answer"]  # once, not once per call
    assert await backend.put(an_entry("b"))


async def test_after_its_end_it_stores_and_finds_nothing(backend: DiskBackend) -> None:
    await backend.put(an_entry("a"))
    await backend.close()
    assert await backend.get_many(["a"]) == [None]
    assert not await backend.put(an_entry("b"))
    assert not await backend.delete("a")


async def test_it_is_swept_all_the_while(backend: DiskBackend, path: Path, clock: VirtualClock) -> None:
    for number in range(700):
        await backend.put(an_entry(f"key-{number}", frames=(b"x" * 3000,), stale_until=EPOCH + 30))
    await backend.put(an_entry("stays", stale_until=EPOCH + 3600))
    await asyncio.sleep(0)  # the sweep begins to wait
    clock.advance(61)
    for _ in range(2000):
        if backend.counters.expired == 700:
            break
        await asyncio.sleep(0.005)
    assert backend.counters.expired == 700
    await backend.sweep()
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT key FROM entry").fetchall() == [("stays",)]
        assert other.execute("PRAGMA freelist_count").fetchone()[0] < 100


async def test_use_is_remembered_over_a_restart(path: Path, clock: VirtualClock) -> None:
    big = b"x" * 20_000
    bounds = {"max_bytes": 70_000, "compress_above": 1 << 20}
    first = disk(path, clock, **bounds)
    await first.start()
    for key in "abc":
        await first.put(an_entry(key, frames=(big,)))
        clock.advance(1)
    await first.get_many(["a"])
    await first.sweep()
    await first.close()
    again = disk(path, clock, **bounds)
    await again.start()
    await again.put(an_entry("d", frames=(big,)))
    assert [entry is not None for entry in await again.get_many(list("abcd"))] == [True, False, True, True]
    await again.close()


async def test_no_more_uses_are_remembered_than_the_bound(
    backend: DiskBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_module, "MAX_TOUCHED", 10)
    for number in range(30):
        await backend.put(an_entry(f"key-{number}"))
    for number in range(30):
        await backend.get_many([f"key-{number}"])
        assert len(backend._touched) <= 10
