"""CPU time and memory of a program with everything that it started, from Linux's ``/proc``.

CPU time of the whole process tree is what a benchmark can compare: wall-clock figures on a shared machine are noise.
Elsewhere than on Linux neither figure is available, and `None` says so.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
MIB = 1 << 20


def available() -> bool:
    """Whether this system tells what `cpu_time` and `rss_mib` need."""
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


class CpuTime(NamedTuple):
    """CPU time, user and system, that a process tree had used at one moment, in seconds.

    ``threads`` are the living ones by process and thread id, counted by the scheduler in nanoseconds; ``processes`` is
    the kernel's own sum for each process, which knows threads that ended and counts in clock ticks.
    """

    threads: dict[tuple[int, int], float]
    processes: dict[int, float]

    def since(self, before: CpuTime) -> float:
        """Seconds used since ``before``. Of a process that has ended meanwhile nothing is known, nor counted."""
        used = dict.fromkeys(self.processes, 0.0)
        for (pid, thread), seconds in self.threads.items():
            used[pid] += seconds - before.threads.get((pid, thread), 0.0)
        for pid, seconds in self.processes.items():
            by_ticks = seconds - before.processes.get(pid, 0.0)
            # User and system time are each rounded: only what is beyond that was used by threads that ended.
            if by_ticks - used[pid] > 2 / os.sysconf("SC_CLK_TCK"):
                used[pid] = by_ticks
        return sum(used.values())


NO_TIME = CpuTime({}, {})
"""Before anything ran."""


def cpu_time(pid: int) -> CpuTime | None:
    """What ``pid`` and its living descendants have used until now; ``None`` where it is not known."""
    if not available():
        return None
    time = CpuTime({}, {})
    for one in tree(pid):
        time.threads.update(_threads(one))
        time.processes[one] = _process(one)
    return time


def rss_mib(pid: int) -> float | None:
    """Resident memory of ``pid`` and its living descendants, in MiB; shared pages count in each of them."""
    if not available():
        return None
    page, pages = os.sysconf("SC_PAGESIZE"), 0
    for one in tree(pid):
        with suppress(OSError, IndexError):
            pages += int((PROC / str(one) / "statm").read_text().split()[1])
    return pages * page / MIB


def _threads(pid: int) -> Iterator[tuple[tuple[int, int], float]]:
    with suppress(OSError):
        for thread in (PROC / str(pid) / "task").iterdir():
            with suppress(OSError, IndexError):
                yield (pid, int(thread.name)), int((thread / "schedstat").read_text().split()[0]) / 1e9


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
