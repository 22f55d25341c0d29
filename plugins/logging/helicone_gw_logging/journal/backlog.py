"""Backlog: records of exchanges that are over, which wait in the journal alone until the writer takes them from there.

Nothing of them is kept in memory. What a process wrote a moment ago the operating system still has in its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Container, Iterator
from typing import TYPE_CHECKING

from helicone_gw_logging.insert import AT_A_TIME
from helicone_gw_logging.journal.format import (
    HEADER_BYTES,
    RECORD,
    Damage,
    Frame,
    Reading,
    frame_at,
    frame_bytes,
    frames,
)

if TYPE_CHECKING:
    from helicone_gw_logging.insert import Rows
    from helicone_gw_logging.journal.journal import Journal
    from helicone_gw_logging.journal.segment import Segment

_READ_BYTES = 1 << 18
_MOST_BYTES = 8 << 20
"""Bytes of records that are taken together."""


class Backlog:
    """From ``next`` (a sequence, 0: nothing waits) on, records whose exchange is over wait here: ``count`` of them."""

    def __init__(self, journal: Journal) -> None:
        self.next = 0
        self.count = 0
        self._journal = journal
        self._passed = 0
        """The sequence up to which all was looked at."""
        self._segment: Segment | None = None
        self._at = 0
        """The offset in the segment behind what was looked at."""

    def take(self, sequence: int) -> bool:
        """Let the record ``sequence`` wait here; no, where it was passed by, or others wait that came after it."""
        if sequence < self.next or sequence <= self._passed:
            return False
        if not self.next:
            self.next = sequence
        self.count += 1
        return True

    async def read(self, most: int, held: Container[int]) -> list[tuple[int, Rows]]:
        """The next up to ``most``, but for those ``held`` in memory; empty when nothing waits here any more.

        Everything that was looked at and is not given back is waited for by somebody else from then on.
        """
        journal = self._journal
        while self.next:
            segment = None if self.next > journal.last else journal.holding(self.next)
            if segment is None:
                self.next = self.count = 0
                break
            if segment is not self._segment:
                self._segment, self._at = segment, HEADER_BYTES
            part = _Part(self.next, self._at)
            await asyncio.to_thread(part.read, segment, segment.size, min(segment.last, journal.last), most)
            self._passed, self._at = part.next - 1, part.at
            self.next = part.next if part.next <= journal.last else 0
            if part.damaged:
                journal.unreadable(part.damaged)
            found = [each for each in part.found if each[0] not in held]
            self.count = max(0, self.count - len(found)) if self.next else 0
            if found:
                return found
        return []


class _Part:
    """Records of a segment from the sequence ``next`` on, looked for from the offset ``at`` on."""

    def __init__(self, next: int, at: int) -> None:
        self.found: list[tuple[int, Rows]] = []
        self.next = next
        self.at = at
        self.damaged = 0

    def read(self, segment: Segment, end: int, last: int, most: int) -> None:
        """Read up to ``most``, and nothing beyond the sequence ``last`` and the offset ``end``. Meant for a thread.

        Raises `OSError`: nothing is read then.
        """
        first, reading, size = self.next, Reading(), 0
        for number, each in enumerate(_frames(segment, self.at, end), 1):
            if number % AT_A_TIME == 0:
                time.sleep(0)
            if isinstance(each, Damage):
                self.damaged += 1
                continue
            if each.sequence > last or len(self.found) >= most or size > _MOST_BYTES:
                return
            if each.kind == RECORD and each.sequence >= first:
                try:
                    self.found.append((each.sequence, reading.rows(each.payload, clean=True)))
                    size += len(each.payload)
                except ValueError:
                    self.damaged += 1
            self.next, self.at = max(first, each.sequence + 1), each.end
        self.next, self.at = last + 1, end


def _frames(segment: Segment, at: int, end: int) -> Iterator[Frame | Damage]:
    """What is in ``segment`` between two offsets, some of it read at a time. Raises `OSError`."""
    data, begin = b"", at
    while at < end:
        found = frame_at(data, at - begin, begin)
        if found is None:
            wanted = frame_bytes(data, at - begin)
            if at - begin + wanted <= len(data) or at + wanted > end:  # not cut, but damaged
                yield from frames(segment.read(at, end - at), 0, at)
                return
            data, begin = segment.read(at, min(max(_READ_BYTES, wanted), end - at)), at
            if len(data) < wanted:
                raise OSError("a journal is shorter than what was written to it")
            continue
        yield found
        at = found.end
