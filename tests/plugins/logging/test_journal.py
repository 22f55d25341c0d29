"""Journal: it holds what the database has not, within its bounds, and goes when nothing is left in it."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from helicone_gw.model import Capture
from helicone_gw_logging.journal import backlog
from helicone_gw_logging.journal import journal as module
from helicone_gw_logging.journal.format import AMENDED, OPENED, RECORD, Frame, frame, frames
from helicone_gw_logging.journal.journal import Journal
from helicone_gw_logging.journal.locking import LOCK, locked
from helicone_gw_logging.journal.segment import Segment, segments
from tests.plugins.logging.journaling import Build, die, opened, payload, rows_of


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of a few records."""
    monkeypatch.setattr(module, "SEGMENT_BYTES", 12_000)


def kinds(journal: Journal) -> list[int]:
    """The kinds of all records but the names of columns."""
    found = [each for path in segments(journal.directory) for each in frames(path.read_bytes())]
    return [each.kind for each in found if isinstance(each, Frame) and each.kind]


def test_a_record_is_in_the_file_as_soon_as_it_is_kept(tmp_path: Path, log: Any, exchange: Build) -> None:
    journal = opened(tmp_path, log)
    one = exchange()
    ticket = journal.keep(payload(one))
    assert ticket is not None
    assert kinds(journal) == [RECORD]
    assert journal.watermark() == ticket.sequence - 1
    assert journal.watermark([ticket.sequence]) == journal.last
    journal.settled([ticket.sequence])
    assert journal.watermark() == journal.last
    assert journal.counters.lag == 0
    assert journal.close()
    assert list(tmp_path.iterdir()) == []


def test_a_stream_is_held_from_its_beginning_to_its_end(tmp_path: Path, log: Any, exchange: Build) -> None:
    journal = opened(tmp_path, log)
    ticket = journal.announce(payload(exchange()))
    assert ticket is not None
    first = ticket.sequence
    other = journal.keep(payload(exchange()))
    assert other is not None
    journal.settled([other.sequence])
    assert journal.watermark() == first - 1
    assert journal.keep(payload(exchange()), ticket) is ticket
    assert ticket.sequence > other.sequence
    assert journal.watermark() == ticket.sequence - 1
    journal.amend(AMENDED, b"")
    assert kinds(journal) == [OPENED, RECORD, RECORD, AMENDED]
    assert not journal.close()
    assert journal.directory.exists()


@pytest.mark.usefixtures("small")
def test_segments_go_when_nothing_in_them_is_waited_for(tmp_path: Path, log: Any, exchange: Build) -> None:
    journal = opened(tmp_path, log)
    tickets = [journal.keep(payload(exchange())) for _ in range(60)]
    held = [each for each in tickets if each is not None]
    files = len(segments(journal.directory))
    assert files > 2
    on_disk = sum(path.stat().st_size for path in segments(journal.directory))
    assert journal.counters.bytes == on_disk
    journal.settled([each.sequence for each in held[1:]])
    assert len(segments(journal.directory)) == files  # the oldest is waited for
    journal.settled([held[0].sequence])
    assert len(segments(journal.directory)) == 1
    assert journal.counters.bytes == sum(path.stat().st_size for path in segments(journal.directory))


@pytest.mark.usefixtures("small")
def test_a_stream_that_goes_on_for_long_keeps_no_old_segment(tmp_path: Path, log: Any, exchange: Build) -> None:
    journal = opened(tmp_path, log)
    ticket = journal.announce(payload(exchange()))
    assert ticket is not None
    for _ in range(100):
        kept = journal.keep(payload(exchange()))
        assert kept is not None
        journal.settled([kept.sequence])
    assert journal.counters.carried > 0
    assert len(segments(journal.directory)) <= 3
    assert journal.watermark() == ticket.sequence - 1


@pytest.mark.usefixtures("small")
def test_more_streams_than_a_segment_holds_are_carried_on(tmp_path: Path, log: Any, exchange: Build) -> None:
    journal = opened(tmp_path, log)
    streams = [journal.announce(payload(exchange())) for _ in range(40)]
    for _ in range(40):
        kept = journal.keep(payload(exchange()))
        assert kept is not None
        journal.settled([kept.sequence])
    assert journal.counters.failures == 0
    assert journal.counters.carried > 0
    held = [each.sequence for each in streams if each is not None]
    assert len(set(held)) == 40
    assert journal.watermark() == min(held) - 1
    for stream in streams:
        assert stream is not None
        assert journal.keep(payload(exchange()), stream) is stream
    journal.settled([each.sequence for each in streams if each is not None])
    assert journal.watermark() == journal.last
    assert journal.close()


def test_a_full_journal_does_without_or_refuses(tmp_path: Path, log: Any, exchange: Build) -> None:
    dropping = opened(tmp_path / "drop", log, max_bytes=6000)
    while dropping.keep(payload(exchange())) is not None:
        assert dropping.counters.bytes < 10_000
    assert dropping.full
    assert not dropping.refuses
    assert dropping.keep(payload(exchange())) is None
    assert dropping.counters.without == 2
    said = [event for event, _ in log.events]
    assert said == ["the journal is full: records wait in memory alone"]
    refusing = opened(tmp_path / "refuse", log, max_bytes=6000, on_full="refuse")
    held = []
    while not refusing.refuses:
        held.append(refusing.keep(payload(exchange())))
    assert refusing.refuses
    assert [event for event, _ in log.events[1:]] == ["the journal is full: requests are refused"]
    assert refusing.keep(payload(exchange())) is not None  # it was admitted before
    for _ in range(10):
        refusing.keep(payload(exchange()))
    assert refusing.counters.bytes < 10_000
    for journal in (dropping, refusing):
        die(journal)


def test_a_disk_that_takes_half_a_record_has_none_of_it(
    tmp_path: Path, log: Any, exchange: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = opened(tmp_path, log, on_full="refuse")
    first = journal.keep(payload(exchange()))
    assert first is not None
    real = os.write
    monkeypatch.setattr(os, "write", lambda file, data: real(file, data[: len(data) // 2]))
    assert journal.keep(payload(exchange())) is None
    assert journal.refuses
    assert journal.counters.failures == 1
    assert [event for event, _ in log.events] == ["the journal cannot be written"]
    monkeypatch.undo()
    assert not journal.refuses
    assert journal.keep(payload(exchange())) is not None
    assert kinds(journal) == [RECORD, RECORD]
    die(journal)


def test_a_disk_that_refuses_costs_no_answer(
    tmp_path: Path, log: Any, exchange: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = opened(tmp_path, log)

    def refuse(*_: Any) -> int:
        raise OSError(errno.EROFS, "read-only")

    begun = journal.announce(payload(exchange()))
    monkeypatch.setattr(os, "write", refuse)
    assert journal.announce(payload(exchange())) is None
    assert journal.keep(payload(exchange()), begun) is begun  # that it began is still there
    monkeypatch.undo()
    assert begun is not None
    journal.settled([begun.sequence])
    assert journal.close()


def test_a_full_disk_has_the_room_again_that_is_not_needed_any_more(
    tmp_path: Path, log: Any, exchange: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = opened(tmp_path, log)
    ticket = journal.keep(payload(exchange()))
    assert ticket is not None
    monkeypatch.setattr(os, "write", lambda file, data: 0)
    assert journal.keep(payload(exchange())) is None
    assert len(segments(journal.directory)) == 1
    journal.settled([ticket.sequence])
    assert segments(journal.directory) == []
    assert journal.counters.bytes == 0
    monkeypatch.undo()
    assert journal.keep(payload(exchange())) is not None
    assert kinds(journal) == [RECORD]
    die(journal)


def test_what_is_always_forced_onto_the_disk_is_so_before_it_is_kept(
    tmp_path: Path, log: Any, exchange: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(Segment, "sync", lambda self: synced.append(self.last))
    journal = opened(tmp_path, log, fsync="always")
    ticket = journal.keep(payload(exchange()))
    assert ticket is not None
    assert synced == [ticket.sequence]
    die(journal)


@pytest.mark.usefixtures("small")
async def test_records_wait_in_the_journal_alone_and_are_given_back(tmp_path: Path, log: Any, exchange: Build) -> None:
    journal = opened(tmp_path, log)
    exchanges = [exchange() for _ in range(30)]
    tickets = [journal.keep(payload(one)) for one in exchanges]
    held = [each for each in tickets if each is not None]
    early, running, rest = held[0], held[10], [each for each in held[1:] if each is not held[10]]
    for ticket in rest:
        assert journal.leave(ticket)
    assert not journal.leave(early)  # others that came after it wait already
    assert journal.backlog.count == 28
    journal.settled([early.sequence])
    assert journal.watermark() == rest[0].sequence - 1
    given: list[Any] = []
    while found := await journal.returned(8):
        assert len(found) <= 8
        given += found
        assert journal.backlog.count == 28 - len(given)
        assert journal.watermark() < found[0][0]
        journal.settled([sequence for sequence, _ in found])
    assert journal.backlog.next == 0
    expected = [one.id for one in exchanges[1:] if one is not exchanges[10]]
    assert [rows.id for _, rows in given] == expected
    assert given[0][1] == rows_of(exchanges[1])
    assert not journal.leave(running)  # it was passed by
    journal.settled([running.sequence])
    later = journal.keep(payload(exchanges[0]))
    assert later is not None
    assert journal.leave(later)
    assert [sequence for sequence, _ in await journal.returned(8)] == [later.sequence]
    journal.settled([later.sequence])
    assert journal.watermark() == journal.last
    assert journal.close()


async def test_records_longer_than_what_is_read_at_once_are_given_back(
    tmp_path: Path, log: Any, exchange: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "_READ_BYTES", 100)
    journal = opened(tmp_path, log)
    for _ in range(5):
        ticket = journal.keep(payload(exchange()))
        assert ticket is not None
        assert journal.leave(ticket)
    assert len(await journal.returned(3)) == 3
    assert len(await journal.returned(3)) == 2
    assert journal.counters.damaged == 0
    die(journal)


async def test_what_looks_like_a_record_in_a_body_is_none(tmp_path: Path, log: Any, exchange: Build) -> None:
    journal = opened(tmp_path, log)
    forged = frame(journal.last + 2, RECORD, payload(exchange(user="mallory")))
    body = b"x" * (1 << 18) + forged + b"x" * 1000
    ticket = journal.keep(payload(exchange(body=body, request_capture=Capture(body, False, len(body)))))
    assert ticket is not None
    assert journal.leave(ticket)
    [(_, rows)] = await journal.returned(8)
    assert "mallory" not in rows.request
    die(journal)


async def test_a_damaged_record_costs_itself_alone(tmp_path: Path, log: Any, exchange: Build) -> None:
    journal = opened(tmp_path, log)
    exchanges = [exchange() for _ in range(3)]
    starts = []
    for one in exchanges:
        [path] = segments(journal.directory)
        starts.append(path.stat().st_size)
        ticket = journal.keep(payload(one))
        assert ticket is not None
        assert journal.leave(ticket)
    with path.open("r+b") as file:
        file.seek(starts[1] + 100)
        file.write(b"\0\1\2\3")
    found = await journal.returned(8)
    assert [rows.id for _, rows in found] == [exchanges[0].id, exchanges[2].id]
    assert journal.counters.damaged == 1
    assert ("records in the journal are damaged", {"journal": journal.id, "records": 1}) in log.events
    journal.settled([sequence for sequence, _ in found])
    assert journal.backlog.next == 0
    die(journal)


async def test_a_journal_that_cannot_be_read_is_tried_again(
    tmp_path: Path, log: Any, exchange: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = opened(tmp_path, log)
    ticket = journal.keep(payload(exchange()))
    assert ticket is not None
    assert journal.leave(ticket)

    def fails(self: Segment, start: int, size: int) -> bytes:
        raise OSError(errno.EIO, "the disk is away")

    with monkeypatch.context() as patched:
        patched.setattr(Segment, "read", fails)
        with pytest.raises(OSError, match="away"):
            await journal.returned(8)
    assert journal.backlog.count == 1
    assert [sequence for sequence, _ in await journal.returned(8)] == [ticket.sequence]
    die(journal)


def test_a_journal_is_its_processs_alone(tmp_path: Path, log: Any) -> None:
    journal = opened(tmp_path, log)
    assert locked(journal.directory / LOCK) is None
    die(journal)
    lock = locked(journal.directory / LOCK)
    assert lock is not None
    os.close(lock)
