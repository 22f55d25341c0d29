"""Segment: one file of a journal, written at its end and never changed, and read while it is there."""

from __future__ import annotations

import os
from pathlib import Path

from helicone_gw_logging.journal.format import COLUMNS, frame, header, names_payload

SUFFIX = ".segment"
_sync = getattr(os, "fdatasync", os.fsync)  # not every system has the former


class Segment:
    """A file that holds the records from ``first`` to ``last``. A record is written whole or not at all."""

    __slots__ = ("_file", "first", "last", "path", "size")

    def __init__(self, path: Path, file: int, first: int) -> None:
        self.path = path
        self.first = first
        self.last = first
        self.size = 0
        self._file = file

    @classmethod
    def create(cls, directory: Path, journal: bytes, first: int) -> Segment:
        """A new file in ``directory``, whose first record names the columns. Raises `OSError`."""
        path = directory / f"{first:016x}{SUFFIX}"
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        segment = cls(path, file, first)
        try:
            segment.append(header(journal, first) + frame(first, COLUMNS, names_payload()), first)
        except BaseException:
            segment.close()
            path.unlink(missing_ok=True)
            raise
        return segment

    def append(self, data: bytes, sequence: int) -> int:
        """Write the record ``sequence`` in one call; returns its bytes. Raises `OSError`: nothing is there then."""
        written = os.write(self._file, data)
        if written != len(data):
            # A full disk takes part of it. What is left would end all reading here.
            os.ftruncate(self._file, self.size)
            raise OSError(28, "no space left for a record")
        self.size += written
        self.last = sequence
        return written

    def read(self, start: int, size: int) -> bytes:
        """Up to ``size`` bytes from the offset ``start`` on. Raises `OSError`."""
        return os.pread(self._file, size, start)

    def sync(self) -> None:
        """Have everything that was written on the disk itself, not only with the operating system. Raises `OSError`."""
        _sync(self._file)

    def close(self) -> None:
        """Write no more. May be called twice."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def unlink(self) -> int:
        """Delete the file; returns how many bytes it had."""
        self.close()
        self.path.unlink(missing_ok=True)
        return self.size


def segments(directory: Path) -> list[Path]:
    """The files of a journal, in their order."""
    return sorted(path for path in directory.iterdir() if path.suffix == SUFFIX)


def read(path: Path, start: int = 0) -> bytes:
    """The bytes of a segment, from the offset ``start`` on."""
    with path.open("rb") as file:
        file.seek(start)
        return file.read()
