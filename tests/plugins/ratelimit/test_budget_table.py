"""What outlives a process: totals by period in the database, written in the background and read back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from helicone_gw.database import Database
from helicone_gw.testing import VirtualClock
from helicone_gw_ratelimit import backup as backup_module
from helicone_gw_ratelimit.backup import Backup
from helicone_gw_ratelimit.budget_table import KEPT, Place, SpendTable, Spent, newest_generation

PLACE = Place("default", "team", "month", "global")
OTHER = Place("default", "team", "month", "user:a")
NOW = 1_767_225_600.0


def total(
    spent: int, *, place: Place = PLACE, period: int = 0, generation: int = 0, ends: float | None = None
) -> Spent:
    return Spent(place, period, generation, spent, ends)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/db"
    found: str = request.getfixturevalue("postgres_url")
    return found


@pytest.fixture
async def table(url: str) -> AsyncIterator[SpendTable]:
    database = Database(url)
    found = SpendTable(database)
    await found.migrate()
    yield found
    await database.close()


async def test_a_total_is_read_as_it_was_written(table: SpendTable) -> None:
    written = total(2**60, period=1_767_225_600_000_000, ends=NOW + 5)
    await table.write([written], NOW)
    assert await table.at(PLACE, 0, 2**62) == [written]


async def test_writing_twice_or_late_changes_nothing(table: SpendTable) -> None:
    await table.write([total(5)], NOW)
    await table.write([total(5)], NOW)
    await table.write([total(3)], NOW)
    assert (await table.at(PLACE, 0, 0))[0].spent == 5
    await table.write([total(8)], NOW)
    assert (await table.at(PLACE, 0, 0))[0].spent == 8


async def test_a_newer_generation_goes_before_any_amount(table: SpendTable) -> None:
    await table.write([total(5)], NOW)
    await table.write([total(1, generation=1)], NOW)
    await table.write([total(9)], NOW)
    assert await table.at(PLACE, 0, 0) == [total(1, generation=1)]


async def test_only_the_periods_that_are_asked_for(table: SpendTable) -> None:
    await table.write([total(number, period=number) for number in range(1, 6)], NOW)
    assert [row.period for row in await table.at(PLACE, 2, 4)] == [2, 3, 4]


async def test_current_periods_the_largest_first(table: SpendTable) -> None:
    rows = [total(1), total(7, place=OTHER, ends=NOW + 1), total(9, place=OTHER, period=5, ends=NOW)]
    await table.write(rows, NOW)
    assert [row.spent for row in await table.current(NOW, 10)] == [7, 1]
    assert [row.spent for row in await table.current(NOW, 1)] == [7]
    assert await table.current(NOW, 10, "another") == []


async def test_a_reset_begins_a_generation_at_every_current_period(table: SpendTable) -> None:
    await table.write(
        [total(1, period=1), total(2, period=2), total(3, place=OTHER), total(4, period=3, ends=NOW)], NOW
    )
    assert await table.reset("team", None, NOW + 1) == 2
    generation, rows = newest_generation(await table.at(PLACE, 0, 9))
    assert (generation, [row.spent for row in rows]) == (1, [0, 0])
    assert {at for _, at in await table.resets(NOW, NOW)} == {NOW + 1}
    assert await table.resets(NOW + 2, NOW) == []


async def test_rows_are_read_again_by_place_and_period(table: SpendTable) -> None:
    rows = [total(1), total(2, period=5), total(3, place=OTHER)]
    await table.write(rows, NOW)
    await table.write([total(4), total(4, place=OTHER)], NOW, add=True)
    again = await table.again([total(0), total(0, place=OTHER)])
    assert sorted(row.spent for row in again) == [5, 7]


async def test_what_ended_long_ago_is_forgotten(table: SpendTable) -> None:
    await table.write([total(1, ends=NOW - KEPT - 1), total(2, period=1, ends=NOW - KEPT + 1), total(3, period=2)], NOW)
    await table.prune(NOW)
    assert sorted(row.spent for row in await table.at(PLACE, 0, 9)) == [2, 3]


async def test_more_rows_than_fit_into_one_transaction(table: SpendTable) -> None:
    await table.write([total(1, period=number) for number in range(1201)], NOW)
    assert len(await table.at(PLACE, 0, 5000)) == 1201


# Written behind


class Log:
    def __init__(self) -> None:
        self.said: list[str] = []

    def error(self, event: str, **_: Any) -> None:
        self.said.append(event)

    warning = info = error


class Flaky(SpendTable):
    """A table that is away for a while."""

    away = False

    async def write(self, rows: Any, now: float, *, add: bool = False) -> None:
        if self.away:
            raise OperationalError("", None, Exception("locked"))
        await super().write(rows, now, add=add)


@pytest.fixture
async def flaky(tmp_path: Path) -> AsyncIterator[Flaky]:
    database = Database(f"sqlite:///{tmp_path}/db")
    found = Flaky(database)
    await found.migrate()
    yield found
    await database.close()


def writer(
    table: SpendTable, clock: VirtualClock, log: Log, told: list[Spent] | None = None, *, shared: bool = True
) -> Backup:
    async def tell(row: Spent) -> None:
        (told if told is not None else []).append(row)

    return Backup(table, clock, log, shared=shared, write_every=1.0, on_reset=tell, on_total=tell)


async def test_what_is_put_is_written_within_its_interval(virtual_time: VirtualClock, flaky: Flaky) -> None:
    backup = writer(flaky, virtual_time, Log())
    backup.start()
    await asyncio.sleep(0.5)
    backup.put(total(5))
    backup.put(total(7))
    assert await flaky.at(PLACE, 0, 0) == []
    await asyncio.sleep(1)
    assert await flaky.at(PLACE, 0, 0) == [total(7)]
    assert (backup.written, len(backup)) == (1, 0)
    await backup.close()


async def test_the_newest_total_is_known_before_it_is_written(virtual_time: VirtualClock, flaky: Flaky) -> None:
    backup = writer(flaky, virtual_time, Log())
    await flaky.write([total(5)], NOW)
    backup.put(total(7))
    backup.put(total(2, period=3))
    assert sorted(row.spent for row in await backup.at(PLACE, 0, 3)) == [2, 7]
    backup.put(total(1, generation=1))
    assert (await backup.at(PLACE, 0, 0))[0] == total(1, generation=1)


async def test_processes_with_stores_of_their_own_add_up(virtual_time: VirtualClock, flaky: Flaky) -> None:
    one, other = (writer(flaky, virtual_time, Log(), shared=False) for _ in range(2))
    for backup in (one, other, one):
        backup.put(total(5))
        backup.put(total(2))
    assert [row.spent for row in await one.at(PLACE, 0, 0)] == [14]
    await one.flush()
    await other.flush()
    await one.flush()
    assert await flaky.at(PLACE, 0, 0) == [total(21)]
    flaky.away = True
    one.put(total(1))
    await one.flush()
    one.put(total(1))
    flaky.away = False
    await one.flush()
    assert await one.at(PLACE, 0, 0) == [total(23)]


async def test_who_writes_hears_what_others_wrote(virtual_time: VirtualClock, flaky: Flaky) -> None:
    told: list[Spent] = []
    one, other = (
        writer(flaky, virtual_time, Log(), told, shared=False),
        writer(flaky, virtual_time, Log(), shared=False),
    )
    other.put(total(7))
    await other.flush()
    one.put(total(5))
    one.put(total(2, place=OTHER, period=9))
    await one.flush()
    assert sorted(told, key=lambda row: row.spent) == [total(2, place=OTHER, period=9), total(12)]


async def test_what_was_spent_before_a_reset_is_not_added_to_what_came_after(
    virtual_time: VirtualClock, flaky: Flaky
) -> None:
    late, soon = (writer(flaky, virtual_time, Log(), shared=False) for _ in range(2))
    await flaky.write([total(9)], NOW)
    await flaky.reset("team", None, NOW)
    soon.put(total(3, generation=1))
    late.put(total(5))
    assert (await late.at(PLACE, 0, 0))[0].spent == 0
    await soon.flush()
    await late.flush()
    assert await flaky.at(PLACE, 0, 0) == [total(3, generation=1)]


async def test_what_the_database_does_not_take_goes_on_waiting(virtual_time: VirtualClock, flaky: Flaky) -> None:
    log = Log()
    backup = writer(flaky, virtual_time, log)
    backup.start()
    flaky.away = True
    backup.put(total(5))
    await asyncio.sleep(10)
    assert len(backup) == 1
    assert backup.failures > 5
    assert log.said == ["spending cannot be written; trying on"]
    flaky.away = False
    await asyncio.sleep(1.5)
    assert (await flaky.at(PLACE, 0, 0))[0].spent == 5
    assert log.said[-1] == "spending is written again"
    await backup.close()


async def test_closing_writes_the_rest_or_says_that_it_could_not(virtual_time: VirtualClock, flaky: Flaky) -> None:
    log = Log()
    backup = writer(flaky, virtual_time, log)
    backup.start()
    backup.put(total(5))
    await backup.close()
    assert (await flaky.at(PLACE, 0, 0))[0].spent == 5
    flaky.away = True
    backup.put(total(6))
    await backup.close()
    assert log.said[-1] == "spending was not written before the shutdown"


async def test_only_so_many_wait_and_the_others_are_counted(
    virtual_time: VirtualClock, flaky: Flaky, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup_module, "MAX_WAITING", 2)
    backup = writer(flaky, virtual_time, Log())
    for number in range(3):
        backup.put(total(1, period=number))
    backup.put(total(9, period=0))
    assert (len(backup), backup.dropped) == (2, 1)
    await backup.flush()
    assert sorted(row.spent for row in await flaky.at(PLACE, 0, 9)) == [1, 9]


async def test_resets_are_told_of_and_again_where_they_could_not_be_heard(
    virtual_time: VirtualClock, flaky: Flaky
) -> None:
    told: list[Spent] = []
    backup = writer(flaky, virtual_time, Log(), told)
    await flaky.write([total(5)], NOW)
    await flaky.reset("team", None, virtual_time.now())
    backup.start()
    await asyncio.sleep(0.5)
    assert {(row.place, row.generation, row.spent) for row in told} == {(PLACE, 1, 0)}
    await backup.close()
