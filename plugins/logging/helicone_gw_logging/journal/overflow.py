"""Overflow: records that wait in the journal alone, because the queue of the writer is full, and are read back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Container
from pathlib import Path
from typing import TYPE_CHECKING

from helicone_gw_logging.journal.format import AT_A_TIME, HEADER_BYTES, RECORD, Damage, Reading, frames
from helicone_gw_logging.journal.segment import read

if TYPE_CHECKING:
    from helicone_gw_logging.insert import Rows
    from helicone_gw_logging.journal.journal import Journal


class Overflow:
    """From ``next`` (a sequence, 0: nothing waits) on, every record whose exchange is over waits in the journal."""

    def __init__(self, journal: Journal) -> None:
        self.next = 0
        self._journal = journal
        self._place: tuple[Path, int] | None = None

    def take(self, sequence: int) -> bool:
        """Let the record ``sequence`` wait here; no, where it has been passed by already."""
        if not self.next:
            self.next, self._place = sequence, None
        return sequence >= self.next

    async def read(self, most: int, held: Container[int]) -> list[tuple[int, Rows]]:
        """The next records, but for those ``held`` in memory; empty when nothing waits here any more."""
        journal = self._journal
        while self.next:
            segment = None if self.next > journal.last else journal.holding(self.next)
            if segment is None:
                self.next, self._place = 0, None
                break
            start = self._place[1] if self._place is not None and self._place[0] == segment.path else HEADER_BYTES
            first, last = self.next, min(segment.last, journal.last)
            try:
                part = await asyncio.to_thread(_records, segment.path, start, first, last, most)
            except OSError:
                part = _Part(last + 1, damaged=1)
            journal.counters.damaged += part.damaged
            # Everything that was looked at and is not given back here is waited for by somebody else, from now on.
            records = [(sequence, rows) for sequence, rows in part.found if sequence not in held]
            self.next, self._place = part.next, (segment.path, part.at)
            if records:
                return records
        return []


class _Part:
    """What was read of a segment: records, the sequence and the offset to go on from, how many could not be read."""

    def __init__(self, first: int, damaged: int = 0) -> None:
        self.found: list[tuple[int, Rows]] = []
        self.next = first
        self.at = 0
        self.damaged = damaged


def _records(path: Path, start: int, first: int, last: int, most: int) -> _Part:
    """Up to ``most`` records from ``first`` to ``last``, all of which are in the file."""
    part, reading = _Part(first), Reading()
    for number, each in enumerate(frames(read(path, start), 0), 1):
        if number % AT_A_TIME == 0:
            time.sleep(0)
        if isinstance(each, Damage):
            part.damaged += 1
            if each.torn:
                part.next = last + 1
                break
            continue
        if each.sequence > last or len(part.found) >= most:
            break
        if each.kind == RECORD and each.sequence >= first:
            try:
                part.found.append((each.sequence, reading.rows(each.payload)))
            except ValueError:
                part.damaged += 1
        part.next, part.at = max(first, each.sequence) + 1, each.end
    else:
        part.next = last + 1
    part.at += start
    return part
