"""CPU time and memory of a program with everything that it started, from Linux's ``/proc``.

CPU time of the whole process tree is what a benchmark can compare: wall-clock figures on a shared machine are noise.
Elsewhere than on Linux neither figure is available, and `None` says so.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
MIB = 1 << 20


def available() -> bool:
    """Whether this system tells what `cpu_seconds` and `rss_mib` need."""
    return (PROC / "self" / "schedstat").exists()


def tree(pid: int) -> list[int]:
    """``pid`` and its living descendants."""
    children: dict[int, list[int]] = {}
    for child, parent in _parents():
        children.setdefault(parent, []).append(child)
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def cpu_seconds(pid: int) -> float | None:
    """CPU time, user and system, that ``pid`` and its living descendants have used; ``None`` where it is not known.

    What the scheduler counted in nanoseconds for each living thread. Where threads have ended meanwhile the kernel's
    own sum for the process is larger and counts instead, in clock ticks.
    """
    if not available():
        return None
    return sum(max(_threads(one), _process(one)) for one in tree(pid))


def rss_mib(pid: int) -> float | None:
    """Resident memory of ``pid`` and its living descendants, in MiB; shared pages count in each of them."""
    if not available():
        return None
    page, pages = os.sysconf("SC_PAGESIZE"), 0
    for one in tree(pid):
        with suppress(OSError, IndexError):
            pages += int((PROC / str(one) / "statm").read_text().split()[1])
    return pages * page / MIB


def _threads(pid: int) -> float:
    nanoseconds = 0
    with suppress(OSError):
        for thread in (PROC / str(pid) / "task").iterdir():
            with suppress(OSError, IndexError):
                nanoseconds += int((thread / "schedstat").read_text().split()[0])
    return nanoseconds / 1e9


def _process(pid: int) -> float:
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def _parents() -> Iterator[tuple[int, int]]:
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            yield int(entry.name), int(fields[1])


def _stat(pid: int) -> list[str]:
    """The fields of ``/proc/PID/stat`` after the command's name, which may itself hold spaces and brackets."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
