"""Replay: the journals of processes that are dead, written to the database by whoever starts next."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helicone_gw_logging.insert import AT_A_TIME, Rows
from helicone_gw_logging.journal.format import (
    AMENDED,
    COLUMNS,
    FRAME_BYTES,
    OPENED,
    RECORD,
    REPLACED,
    Damage,
    Frame,
    Reading,
    amended,
    frames,
    read_changes,
    read_header,
)
from helicone_gw_logging.journal.locking import LOCK, locked
from helicone_gw_logging.journal.position import forget, position
from helicone_gw_logging.journal.segment import read, segments

if TYPE_CHECKING:
    from helicone_gw import Database
    from helicone_gw_logging.journal.journal import JournalCounters

Write = Callable[[Sequence["Rows"]], Awaitable[None]]
"""Writes rows, those that exist already left out; returns when they are in the database."""

_AT_ONCE = 500
DAMAGED = ".damaged"
"""The suffix of a segment that could not be read to its end: it is kept for people to look at."""


async def replay(root: Path, database: Database, write: Write, log: Any, counters: JournalCounters) -> None:
    """Write what journals in ``root`` hold whose processes are dead, and delete them. Raises what the database does."""
    for directory in await asyncio.to_thread(journals, root):
        lock = await asyncio.to_thread(_taken, directory)
        if lock is None:
            continue
        try:
            reached = await position(database, directory.name)
            try:
                dead = await asyncio.to_thread(Dead, directory, reached)
            except OSError as problem:  # the others must not suffer for it
                name = type(problem).__name__
                log.error("a journal cannot be read; it is left as it is", journal=directory.name, problem=name)
                continue
            before, batches = counters.replayed, dead.batches()
            while rows := await asyncio.to_thread(next, batches, None):
                await write(rows)
                counters.replayed += len(rows)
            interrupted = list(dead.opened.values())
            for start in range(0, len(interrupted), _AT_ONCE):
                await write(interrupted[start : start + _AT_ONCE])
            counters.replayed += len(interrupted)
            counters.interrupted += len(interrupted)
            counters.damaged += dead.damaged
            await asyncio.to_thread(_remove, directory, dead.broken)
            await forget(database, directory.name)
            log.info(
                "the journal of a process that died was taken over",
                rows=counters.replayed - before,
                interrupted=len(interrupted),
                damaged=dead.damaged,
            )
        finally:
            os.close(lock)


def journals(root: Path) -> list[Path]:
    """The directories of ``root`` that are journals."""
    if not root.is_dir():
        return []
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def _taken(directory: Path) -> int | None:
    """The descriptor that holds a journal from now on; ``None``: its process lives, or somebody else took it over."""
    try:
        return locked(directory / LOCK)
    except OSError:
        return None


class Dead:
    """What a journal that nobody writes any more holds beyond ``position``.

    ``opened`` are the streams that began and did not end, by id. ``damaged`` counts what could not be read; ``broken``
    are the segments with such, unless it is the last one's tail, which was torn when its process died. Both are final
    only behind `batches`.
    """

    def __init__(self, directory: Path, position: int) -> None:
        self._paths = segments(directory)
        self._position = position
        self._changes: dict[str, dict[str, Any]] = {}
        self._replaced: dict[str, int] = {}
        self._damage: set[tuple[Path, Damage]] = set()
        self.opened: dict[str, Rows] = {}
        self.broken: list[Path] = []
        begun: dict[str, tuple[Path, Frame, Reading]] = {}
        for path in self._paths:
            self._look_through(path, begun)
        for identifier, (path, frame, reading) in begun.items():
            try:
                self.opened[identifier] = reading.rows(frame.payload)
            except ValueError:
                self._note(path, _unread(frame))

    @property
    def damaged(self) -> int:
        """How much could not be read."""
        return len(self._damage)

    def batches(self) -> Iterator[list[Rows]]:
        """The rows of the exchanges that ended, as they turned out, some hundred at a time. Meant for a thread."""
        some: list[Rows] = []
        for path in self._paths:
            for found in _frames(path):
                if isinstance(found, Damage):  # noted already
                    continue
                frame, reading = found
                if frame.sequence <= self._position or frame.kind not in (RECORD, REPLACED):
                    continue
                try:
                    identifier = reading.id(frame.payload)
                    last = self._replaced.get(identifier)
                    if last is not None if frame.kind == RECORD else last != frame.sequence:
                        continue
                    rows = reading.rows(frame.payload)
                except ValueError:
                    self._note(path, _unread(frame))
                    continue
                changes = self._changes.get(identifier)
                some.append(rows if changes is None else amended(rows, changes))
                if len(some) >= _AT_ONCE:
                    yield some
                    some = []
        if some:
            yield some

    def _look_through(self, path: Path, begun: dict[str, tuple[Path, Frame, Reading]]) -> None:
        """Learn what there is, and of whom; rows are made of it later, and only of what is to be written."""
        for found in _frames(path):
            if isinstance(found, Damage):
                self._note(path, found)
                continue
            frame, reading = found
            try:
                if frame.kind == AMENDED:
                    identifier, changes = read_changes(frame.payload)
                    self._changes.setdefault(identifier, {}).update(changes)
                    continue
                identifier = reading.id(frame.payload)
            except ValueError:
                self._note(path, _unread(frame))
                continue
            if frame.kind == OPENED:
                if frame.sequence > self._position:
                    begun[identifier] = path, frame, reading
                continue
            begun.pop(identifier, None)
            if frame.kind == REPLACED:
                self._replaced[identifier] = frame.sequence
                self._changes.pop(identifier, None)

    def _note(self, path: Path, damage: Damage) -> None:
        self._damage.add((path, damage))
        if path not in self.broken and (path != self._paths[-1] or not damage.torn):
            self.broken.append(path)


def _frames(path: Path) -> Iterator[tuple[Frame, Reading] | Damage]:
    """The records of a segment with what reads them, but for the names of columns; and what cannot be read."""
    data = read(path)
    reading = Reading()
    try:
        read_header(data)
    except ValueError:
        # Of a later version, or damaged: what can be read counts, and the file is kept.
        if data:
            yield Damage(0, torn=False)
    for number, each in enumerate(frames(data), 1):
        if number % AT_A_TIME == 0:
            time.sleep(0)
        if isinstance(each, Damage):
            yield each
        elif each.kind == COLUMNS:
            try:
                reading = Reading(each.payload)
            except ValueError:
                yield _unread(each)
        elif each.kind in (OPENED, RECORD, AMENDED, REPLACED):
            yield each, reading
        else:
            yield _unread(each)  # of a later version


def _unread(frame: Frame) -> Damage:
    """A whole record that says nothing to us."""
    return Damage(frame.end - len(frame.payload) - FRAME_BYTES, torn=False)


def _remove(directory: Path, broken: Sequence[Path]) -> None:
    for path in segments(directory):
        if path in broken:
            path.rename(directory.parent / f"{directory.name}-{path.name}{DAMAGED}")
        else:
            path.unlink()
    (directory / LOCK).unlink(missing_ok=True)
    directory.rmdir()
