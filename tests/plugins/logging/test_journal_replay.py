"""What a process that died left in its journal becomes rows, exactly once; and what verify finds wrong."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec.msgpack import encode
from sqlalchemy import delete, func, select

from helicone_gw.database import Database
from helicone_gw_logging import get_request
from helicone_gw_logging.insert import Rows, write
from helicone_gw_logging.journal import journal as module
from helicone_gw_logging.journal.format import AMENDED, REPLACED, Reading, changes_payload, rows_payload
from helicone_gw_logging.journal.journal import Journal, JournalCounters
from helicone_gw_logging.journal.position import note, position
from helicone_gw_logging.journal.replay import replay
from helicone_gw_logging.journal.segment import segments
from helicone_gw_logging.journal.verify import Report, verify
from helicone_gw_logging.tables import REQUEST
from tests.plugins.logging.journaling import Build, die, opened, payload, rows_of


class Replaying:
    """Takes over what is in a directory, into a database."""

    def __init__(self, root: Path, database: Database, log: Any) -> None:
        self.root, self.database, self.log = root, database, log
        self.counters = JournalCounters()

    async def write(self, rows: Sequence[Rows]) -> None:
        await write(self.database, list(rows), again=True)

    async def run(self) -> list[str]:
        """Do it; the ids of all rows that there are then, in the order of writing."""
        await replay(self.root, self.database, self.write, self.log, self.counters)
        async with self.database.connect() as connection:
            return list(await connection.scalars(select(REQUEST.c.id).order_by(REQUEST.c.seq)))

    async def verify(self) -> Report:
        return await verify(self.database, self.root)


@pytest.fixture
def replaying(tmp_path: Path, database: Database, log: Any) -> Replaying:
    return Replaying(tmp_path / "journals", database, log)


@pytest.fixture
def dead(replaying: Replaying, log: Any) -> Journal:
    """The journal of a process that will die."""
    return opened(replaying.root, log)


async def test_every_record_becomes_one_row(replaying: Replaying, dead: Journal, exchange: Build) -> None:
    exchanges = [exchange() for _ in range(5)]
    for one in exchanges:
        dead.keep(payload(one))
    async with replaying.database.begin() as connection:
        await connection.run_sync(partial(note, journal=dead.id, sequence=0, now=1.0))
    await write(replaying.database, [rows_of(exchanges[2])])  # committed, but not noted
    die(dead)
    found = await replaying.run()
    assert sorted(found) == sorted(one.id for one in exchanges)
    assert replaying.counters.replayed == 5
    assert list(replaying.root.iterdir()) == []
    assert await position(replaying.database, dead.id) == 0
    assert sorted(await replaying.run()) == sorted(found)  # there is nothing left to do
    report = await replaying.verify()
    assert report.problems() == []
    assert report.rows == 5


async def test_rows_are_made_once_and_beside_the_event_loop(
    replaying: Replaying, dead: Journal, exchange: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []

    def rows(reading: Reading, payload: bytes, made: Any = Reading.rows) -> Rows:
        threads.append(threading.current_thread())
        found: Rows = made(reading, payload)
        return found

    monkeypatch.setattr(Reading, "rows", rows)
    for _ in range(3):
        dead.keep(payload(exchange()))
    dead.announce(payload(exchange()))
    die(dead)
    assert len(await replaying.run()) == 4
    assert len(threads) == 4
    assert threading.current_thread() not in threads


async def test_what_was_noted_is_not_written_again(replaying: Replaying, dead: Journal, exchange: Build) -> None:
    done, left = exchange(), exchange()
    ticket = dead.keep(payload(done))
    assert ticket is not None
    dead.keep(payload(left))
    async with replaying.database.begin() as connection:
        await connection.run_sync(partial(note, journal=dead.id, sequence=ticket.sequence, now=1.0))
    die(dead)
    assert await replaying.run() == [left.id]  # the other was deleted since, by retention


async def test_a_stream_that_never_ended_was_interrupted(replaying: Replaying, dead: Journal, exchange: Build) -> None:
    from helicone_gw.model import Outcome

    begun = exchange(outcome=Outcome("interrupted", 200, 0), usage=None, cost=None)
    whole = exchange()
    dead.announce(payload(begun))
    ticket = dead.announce(rows_payload(Rows(whole.id, rows_of(begun).request)))
    dead.keep(payload(whole), ticket)
    die(dead)
    assert sorted(await replaying.run()) == sorted([begun.id, whole.id])
    assert replaying.counters.interrupted == 1
    detail = await get_request(replaying.database, begun.id)
    assert detail is not None
    row = detail.request.row
    assert (row.outcome, row.status, row.cost_nano_usd) == ("interrupted", 200, None)


async def test_what_turned_out_differently_is_so_in_the_row(
    replaying: Replaying, dead: Journal, exchange: Build
) -> None:
    left, other = exchange(), exchange()
    for one in (left, other):
        dead.keep(payload(one))
    dead.amend(AMENDED, changes_payload(left.id, {"outcome": "client_disconnected"}))
    replaced = rows_of(other)
    replaced.attempts = []
    dead.amend(REPLACED, rows_payload(replaced))
    dead.amend(AMENDED, changes_payload(other.id, {"stop_reason": "length"}))
    die(dead)
    assert len(await replaying.run()) == 2
    details = [await get_request(replaying.database, one.id) for one in (left, other)]
    first, second = [each for each in details if each is not None]
    assert first.request.row.outcome == "client_disconnected"
    assert second.request.row.stop_reason == "length"
    assert (len(first.attempts), len(second.attempts)) == (1, 0)


async def test_a_living_journal_is_left_alone(replaying: Replaying, dead: Journal, exchange: Build) -> None:
    dead.keep(payload(exchange()))
    assert await replaying.run() == []
    report = await replaying.verify()
    assert [(one.alive, one.records, one.waiting) for one in report.journals] == [(True, 1, 1)]
    die(dead)
    report = await replaying.verify()
    assert [(one.alive, one.waiting) for one in report.journals] == [(False, 1)]
    assert report.problems() == []


async def test_a_torn_end_is_cut_and_counted(replaying: Replaying, dead: Journal, exchange: Build) -> None:
    kept = exchange()
    dead.keep(payload(kept))
    dead.keep(payload(exchange()))
    die(dead)
    [file] = segments(dead.directory)
    os.truncate(file, file.stat().st_size - 10)
    assert any("torn" in line for line in (await replaying.verify()).problems())
    assert await replaying.run() == [kept.id]
    assert replaying.counters.damaged == 1
    assert (await replaying.verify()).problems() == []


async def test_a_record_that_is_damaged_costs_no_other(replaying: Replaying, dead: Journal, exchange: Build) -> None:
    first, second, third = exchange(), exchange(), exchange()
    for one in (first, second, third):
        dead.keep(payload(one))
    die(dead)
    [file] = segments(dead.directory)
    data = bytearray(file.read_bytes())
    data[data.index(second.id.encode())] ^= 1
    file.write_bytes(data)
    assert [line.split(": ")[1] for line in (await replaying.verify()).problems()] == [
        "1 damaged records",
        "1 gaps",
    ]
    assert sorted(await replaying.run()) == sorted([first.id, third.id])
    [line] = (await replaying.verify()).problems()
    assert "set aside" in line


async def test_a_segment_that_is_gone_is_a_gap(
    replaying: Replaying, dead: Journal, exchange: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SEGMENT_BYTES", 5000)
    for _ in range(20):
        dead.keep(payload(exchange()))
    die(dead)
    segments(dead.directory)[1].unlink()
    assert [line.split(": ")[1] for line in (await replaying.verify()).problems()] == ["1 gaps"]


async def test_rows_that_are_missing_or_there_twice_are_told(
    replaying: Replaying, dead: Journal, exchange: Build
) -> None:
    one, other = exchange(), exchange()
    ticket = dead.keep(payload(one))
    assert ticket is not None
    await write(replaying.database, [rows_of(one), rows_of(other)])
    async with replaying.database.begin() as connection:
        await connection.run_sync(partial(note, journal=dead.id, sequence=ticket.sequence, now=1.0))
    assert (await replaying.verify()).problems() == []
    other.received_at += 1.0
    await write(replaying.database, [rows_of(other)])
    async with replaying.database.begin() as connection:
        await connection.execute(delete(REQUEST).where(REQUEST.c.id == one.id))
    problems = (await replaying.verify()).problems()
    assert [line.partition(other.id)[0] for line in problems[:1]] == ["1 requests have several rows: "]
    assert any(f"missing in the database: {one.id}" in line for line in problems)
    report = await verify(replaying.database, replaying.root, kept_from=round(one.received_at * 1000) + 1)
    assert not any("missing" in line for line in report.problems())  # retention may have deleted it
    die(dead)


async def test_a_database_that_is_away_leaves_the_journal_where_it_is(
    replaying: Replaying, dead: Journal, exchange: Build
) -> None:
    dead.keep(payload(exchange()))
    die(dead)

    async def refuse(rows: Sequence[Rows]) -> None:
        raise ConnectionError("away")

    with pytest.raises(ConnectionError):
        await replay(replaying.root, replaying.database, refuse, replaying.log, replaying.counters)
    assert len(segments(dead.directory)) == 1
    assert len(await replaying.run()) == 1
    async with replaying.database.connect() as connection:
        assert await connection.scalar(select(func.count()).select_from(REQUEST)) == 1


async def test_a_page_that_was_zeroed_costs_what_was_in_it_and_no_other_journal(
    replaying: Replaying, dead: Journal, exchange: Build, log: Any
) -> None:
    exchanges = [exchange() for _ in range(3)]
    tickets = [dead.keep(payload(one)) for one in exchanges]
    assert all(tickets)
    path = segments(dead.directory)[0]
    data = path.read_bytes()
    at = data.index(exchanges[1].id.encode())
    path.write_bytes(data[:at] + bytes(40) + data[at + 40 :] + bytes(4096))
    others = [opened(replaying.root, log) for _ in range(2)]
    kept = [exchange(), exchange()]
    for other, one in zip(others, kept, strict=True):
        other.keep(payload(one))
        die(other)
    die(dead)
    report = await replaying.verify()
    assert [(one.records, one.damaged, one.torn) for one in report.journals if one.journal == dead.id] == [(2, 1, 1)]
    expected = sorted(one.id for one in (exchanges[0], exchanges[2], *kept))
    assert sorted(await replaying.run()) == expected
    assert [each.suffix for each in replaying.root.iterdir()] == [".damaged"]  # for people to look at


async def test_whole_records_that_say_nothing_are_counted_and_kept(
    replaying: Replaying, dead: Journal, exchange: Build
) -> None:
    kept = exchange()
    for wrong in (b"", encode([]), encode(["an id", "no row"]), encode([[[]], None])):
        dead.keep(wrong)
    dead.announce(encode(["another id", "no row"]))
    dead.keep(payload(kept))
    die(dead)
    assert await replaying.run() == [kept.id]
    assert (replaying.counters.damaged, replaying.counters.interrupted) == (5, 0)
    assert [each.suffix for each in replaying.root.iterdir()] == [".damaged"]


@pytest.mark.parametrize("wrong", [b"HGWJ9\n", bytes(6)])
async def test_a_segment_whose_header_is_not_known_is_kept(
    replaying: Replaying, dead: Journal, exchange: Build, wrong: bytes
) -> None:
    kept = exchange()
    dead.keep(payload(kept))
    die(dead)
    path = segments(dead.directory)[0]
    path.write_bytes(wrong + path.read_bytes()[6:])
    assert len((await replaying.verify()).problems()) == 1
    assert await replaying.run() == [kept.id]
    assert [each.suffix for each in replaying.root.iterdir()] == [".damaged"]
    assert "set aside" in (await replaying.verify()).problems()[0]
