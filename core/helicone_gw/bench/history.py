"""A small history of reports, and what has become dearer since the last one of the same machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from helicone_gw.bench.report import BASES, OURS, Machine, Report

KEPT = 50
"""Entries that a history keeps; the oldest go first."""

TOLERATED = 1.15
"""A case that costs more than so many times what it did is a regression."""

YARDSTICK = "nginx"
"""The peer that tells how fast the machine was: a program that does not change between two entries."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """CPU microseconds of one report: by ``"case / subject"``, per event for streams and per request otherwise."""

    date: str
    machine: Machine
    versions: dict[str, str]
    quick: bool = False
    cpu_us: dict[str, float]


@dataclass(frozen=True, slots=True)
class Regression:
    """A case of this gateway that became dearer, in microseconds; ``against`` says how the two were compared."""

    case: str
    subject: str
    before: float
    now: float
    times: float
    against: str

    def __str__(self) -> str:
        return (
            f"REGRESSION {self.case}, {self.subject}: {self.before:.1f} -> {self.now:.1f} us, "
            f"{self.times:.2f} times as much, {self.against}"
        )


def entry(report: Report) -> Entry:
    """What a history keeps of a report."""
    return Entry(
        date=report.date,
        machine=report.machine,
        versions=report.versions,
        quick=report.quick,
        cpu_us={
            key(row.case, row.subject): row.cpu_us_event or row.cpu_us_request
            for row in report.rows
            if row.cpu_us_request is not None and not row.bad
        },
    )


def key(case: str, subject: str) -> str:
    """The name of a figure in an entry."""
    return f"{case} / {subject}"


def regressions(history: list[Entry], new: Entry) -> list[Regression]:
    """What costs over `TOLERATED` times what it did in the newest comparable entry of ``history``.

    Comparable: of the same machine, Python and size. Where both entries have the yardstick's figure for the case, costs
    are compared as multiples of it, so that a machine which is slower today raises no alarm; otherwise as they are.
    """
    last = next((old for old in reversed(history) if _comparable(old, new)), None)
    found: list[Regression] = []
    for name, now in new.cpu_us.items() if last is not None else ():
        case, _, subject = name.partition(" / ")
        assert last is not None
        before = last.cpu_us.get(name)
        if before is None or not subject.startswith(OURS):
            continue
        measure = key(BASES.get(case, case), YARDSTICK)
        base_before, base_now = last.cpu_us.get(measure), new.cpu_us.get(measure)
        times, against = now / before, "as measured"
        if base_before and base_now:
            times, against = times / (base_now / base_before), f"relative to {YARDSTICK} in the same run"
        if times > TOLERATED:
            found.append(Regression(case, subject, before, now, times, against))
    return found


def _comparable(old: Entry, new: Entry) -> bool:
    return (old.machine, old.quick) == (new.machine, new.quick)


def read(file: Path) -> list[Entry]:
    """The entries of a history file, oldest first; none when there is no file. Raises `msgspec.DecodeError`."""
    return msgspec.json.decode(file.read_bytes(), type=list[Entry]) if file.exists() else []


def write(file: Path, history: list[Entry], new: Entry) -> None:
    """Write ``history`` with ``new`` at its end, the last `KEPT` of it."""
    kept = [*history, new][-KEPT:]
    file.write_bytes(msgspec.json.format(msgspec.json.encode(kept), indent=1) + b"\n")
