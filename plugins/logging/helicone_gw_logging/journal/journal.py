"""Journal: what a process must not take along when it dies, in files of its own, until the database has it.

A journal is a directory that one worker writes, and that it holds locked (flock(2)) for as long as it lives. It holds
every record from before its client could have the whole answer until its row is committed. Segments go, the oldest
first, when nothing in them is waited for; a stream that outlives them is carried into the newest.
"""

from __future__ import annotations

import os
import uuid
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import filterfalse, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from helicone_gw_logging.journal.backlog import Backlog
from helicone_gw_logging.journal.format import OPENED, RECORD, frame
from helicone_gw_logging.journal.locking import LOCK, locked
from helicone_gw_logging.journal.segment import Segment

if TYPE_CHECKING:
    from helicone_gw_logging.config import JournalConfig
    from helicone_gw_logging.insert import Rows

SEGMENT_BYTES = 16 << 20
"""Bytes at which a new segment is begun."""


@dataclass(slots=True)
class JournalCounters:
    """What a journal went through since the start.

    ``records``: what was written; ``carried``: streams taken from old segments into a new one; ``failures``: writes
    that the disk refused; ``without``: records that had to do without, because it was full; ``replayed``: rows of dead
    processes that were written; ``interrupted``: those of them that had begun to answer and did not end; ``damaged``:
    records that could not be read; ``bytes``: what is on the disk now; ``lag``: records that are not yet known to be in
    the database.
    """

    records: int = 0
    carried: int = 0
    failures: int = 0
    without: int = 0
    replayed: int = 0
    interrupted: int = 0
    damaged: int = 0
    bytes: int = 0
    lag: int = 0


class Ticket(Struct, gc=False):
    """Where a journal holds what became of one exchange. ``opened``: what it said when its answer began."""

    sequence: int
    opened: bytes | None = None


class Journal:
    """One worker's journal. Nothing here waits for anything but the operating system, and nothing raises.

    ``directory`` is its own, ``lock`` the file descriptor that says so.
    """

    def __init__(
        self, directory: Path, lock: int, config: JournalConfig, log: Any, counters: JournalCounters | None = None
    ) -> None:
        self.id = directory.name
        self.counters = counters or JournalCounters()
        self.directory = directory
        self.failing = False
        """Whether the disk refused the last record."""
        self.last = 0
        """The sequence of the last record."""
        self._lock = lock
        self._config = config
        # Where new requests are refused, those that are under way have some room left.
        self._most = config.max_bytes * (5 if config.on_full == "refuse" else 4) // 4
        self._syncs_all = config.fsync == "always"
        self._log = log
        self._segments: list[Segment] = []
        self._segment: Segment | None = None
        self._held: dict[int, Ticket] = {}
        self._returned: dict[int, None] = {}
        """What was given back and is being written."""
        self.backlog = Backlog(self)
        """What waits here alone."""
        self._told_full = False
        self._unsynced = False
        self._rolled: list[Segment] = []
        """Former segments that were written since `sync`."""

    @classmethod
    def open(cls, root: Path, config: JournalConfig, log: Any, counters: JournalCounters | None = None) -> Journal:
        """A new journal in a new directory of ``root``. Raises `OSError`."""
        name = uuid.uuid4().hex
        fresh = root / f".{name}"
        fresh.mkdir(mode=0o700, parents=True)
        # Locked before it has its name, so that nobody takes it for a dead one.
        lock = locked(fresh / LOCK, create=True)
        if lock is None:
            raise OSError("the new directory is locked by somebody else")
        directory = fresh.rename(root / name)
        journal = cls(directory, lock, config, log, counters)
        try:
            journal._roll()
        except BaseException:
            journal.close()
            raise
        return journal

    @property
    def full(self) -> bool:
        """Whether it is as large as it may be."""
        return self.counters.bytes >= self._config.max_bytes

    @property
    def refuses(self) -> bool:
        """Whether requests are to be refused, because what becomes of them could not be kept."""
        if self._config.on_full != "refuse":
            return False
        if self.failing:
            self._try_again()
        if self.full:
            self._tell_full("requests are refused")
            return True
        return self.failing

    # What becomes of exchanges

    def announce(self, payload: bytes) -> Ticket | None:
        """Note that an answer begins, whose end will be told to `keep`. ``None``: it could not be noted."""
        sequence = self._append(OPENED, payload)
        if not sequence:
            return None
        ticket = self._held[sequence] = Ticket(sequence, payload)
        return ticket

    def keep(self, payload: bytes, ticket: Ticket | None = None) -> Ticket | None:
        """Note the record of an exchange, of which ``ticket`` was the beginning. ``None``: nothing is held of it."""
        sequence = self._append(RECORD, payload)
        if not sequence:
            return ticket
        if ticket is None:
            ticket = Ticket(sequence)
        else:
            self._held.pop(ticket.sequence, None)
            ticket.sequence, ticket.opened = sequence, None
        self._held[sequence] = ticket
        return ticket

    def amend(self, kind: int, payload: bytes) -> None:
        """Note that something held turned out differently: ``kind`` is `AMENDED` or `REPLACED`."""
        self._append(kind, payload)

    def settled(self, sequences: Sequence[int]) -> None:
        """What these records stood for is in the database, or never will be."""
        for held in (self._held, self._returned):
            if held:
                deque(map(held.pop, sequences, repeat(None)), 0)
        self._prune(self.watermark())

    def watermark(self, sequences: Iterable[int] = ()) -> int:
        """The sequence up to which everything is in the database once these records are."""
        without = frozenset(sequences)
        firsts = [next(filterfalse(without.__contains__, held), 0) for held in (self._held, self._returned)]
        firsts.append(self.backlog.next)
        return min((first for first in firsts if first), default=self.last + 1) - 1

    # Records that wait here alone

    def leave(self, ticket: Ticket) -> bool:
        """Have a record whose exchange is over wait here alone; whether it can. `returned` gives its rows back."""
        if ticket.opened is not None or not self.backlog.take(ticket.sequence):
            return False
        self._held.pop(ticket.sequence, None)
        return True

    async def returned(self, most: int) -> list[tuple[int, Rows]]:
        """The next up to ``most`` of the records that wait here alone: sequences and rows. None: there are no more.

        Raises `OSError` where they cannot be read now.
        """
        found = await self.backlog.read(most, self._held)
        self._returned.update(dict.fromkeys([sequence for sequence, _ in found]))
        return found

    def holding(self, sequence: int) -> Segment | None:
        """The segment in which the record ``sequence`` is, or the first one behind it."""
        return next((each for each in self._segments if sequence <= each.last), None)

    def unreadable(self, records: int) -> None:
        """This many records were damaged after they were written: they are lost."""
        self.counters.damaged += records
        self._log.error("records in the journal are damaged", journal=self.id, records=records)

    # Files

    def sync(self) -> None:
        """Have everything on the disk itself. Meant for a thread."""
        rolled, self._rolled, self._unsynced = self._rolled, [], False
        for segment in filter(None, (*rolled, self._segment)):
            with suppress(OSError):  # done with meanwhile, and gone; or the disk will say so at the next write
                segment.sync()

    @property
    def unsynced(self) -> bool:
        """Whether something was written since `sync`."""
        return self._unsynced

    def close(self) -> bool:
        """Write no more; the directory goes, if nothing in it is waited for. Returns whether it did."""
        for segment in self._segments:
            segment.close()
        empty = not (self._held or self._returned or self.backlog.next)
        if empty:
            for segment in self._segments:
                segment.unlink()
            (self.directory / LOCK).unlink(missing_ok=True)
            try:
                self.directory.rmdir()
            except OSError:
                empty = False
        self._segments, self._segment = [], None
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
        return empty

    def _append(self, kind: int, payload: bytes) -> int:
        """The sequence under which it was written; 0 where it was not."""
        counters = self.counters
        if counters.bytes >= self._most:
            counters.without += 1
            self._tell_full("records wait in memory alone")
            return 0
        try:
            segment = self._segment
            if segment is None or segment.size + len(payload) > SEGMENT_BYTES:
                segment = self._roll()
            sequence = self.last + 1
            written = segment.append(frame(sequence, kind, payload), sequence)
            if self._syncs_all:
                segment.sync()
        except (OSError, ValueError) as problem:
            self._failed(problem)
            return 0
        self.last = sequence
        self.failing = False
        self._unsynced = True
        counters.records += 1
        counters.bytes += written
        counters.lag += 1
        return sequence

    def _roll(self) -> Segment:
        """Begin a new segment. Raises `OSError`."""
        before = self._segment
        segment = Segment.create(self.directory, bytes.fromhex(self.id), self.last + 1)
        self._segments.append(segment)
        self._segment = segment
        self.last = segment.last
        self.counters.bytes += segment.size
        if before is not None:
            if self._config.fsync == "interval":
                self._rolled.append(before)
            self._carry(before.first)
        return segment

    def _carry(self, before: int) -> None:
        """Take streams that began before the sequence ``before`` into the newest segment, of which half is for them."""
        for ticket in [each for sequence, each in self._held.items() if sequence < before and each.opened]:
            segment, opened = self._segment, ticket.opened or b""
            if segment is None or segment.size + len(opened) > SEGMENT_BYTES // 2:
                return
            if sequence := self._append(OPENED, opened):
                del self._held[ticket.sequence]
                ticket.sequence = sequence
                self._held[sequence] = ticket
                self.counters.carried += 1

    def _prune(self, watermark: int) -> None:
        self.counters.lag = self.last - watermark
        segments = self._segments
        while len(segments) > (self._segment is not None) and segments[0].last <= watermark:  # full: none is written
            self.counters.bytes -= segments.pop(0).unlink()
            self._told_full = False

    def _tell_full(self, so: str) -> None:
        """Log once, until there is room again."""
        if not self._told_full:
            self._told_full = True
            self._log.error(f"the journal is full: {so}", journal=self.id, records=self.counters.lag)

    def _failed(self, problem: Exception) -> None:
        self.counters.failures += 1
        if not self.failing:
            self._log.error("the journal cannot be written", problem=type(problem).__name__)
        self.failing = True
        self._segment = None  # not closed: what is in it may still be read

    def _try_again(self) -> None:
        with suppress(OSError):
            if self._segment is None:
                self._roll()
            self.failing = False
