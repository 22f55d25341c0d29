"""Verify: whether anything is missing, twice or torn, in the journals and in the database."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from sqlalchemy import func, select, text

from helicone_gw_logging.journal.format import COLUMNS, OPENED, RECORD, Damage, Reading, frames, read_header
from helicone_gw_logging.journal.locking import LOCK, locked
from helicone_gw_logging.journal.position import position
from helicone_gw_logging.journal.replay import DAMAGED, journals
from helicone_gw_logging.journal.segment import read, segments
from helicone_gw_logging.tables import ATTEMPT, REQUEST
from helicone_gw_logging.totals import ROLLUP

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from helicone_gw import Database


class JournalReport(Struct):
    """One journal. ``alive``: a process writes it. ``waiting``: records that are not noted as being in the database.

    ``begun`` are streams among them that have not ended. What follows is wrong: ``torn`` ends, records that are
    ``damaged``, ``gaps`` in their numbers, ids that were recorded ``twice``, and ids that are ``missing`` in the
    database although it was noted to have them.
    """

    journal: str
    alive: bool
    records: int = 0
    waiting: int = 0
    begun: int = 0
    torn: int = 0
    damaged: int = 0
    gaps: int = 0
    twice: list[str] = []
    missing: list[str] = []


class Report(Struct):
    """Everything. ``rows`` counts requests; ``twice`` are ids with several rows, ``incomplete`` counts requests without
    all of their attempts, ``unsummed`` those that no sum knows; ``broken`` is what SQLite says of a damaged file;
    ``set_aside`` are segments that could not be read when they were taken over."""

    journals: list[JournalReport]
    rows: int = 0
    twice: list[str] = []
    incomplete: int = 0
    unsummed: int = 0
    broken: list[str] = []
    set_aside: list[str] = []

    def problems(self) -> list[str]:
        """What is wrong, a line each."""
        lines = [f"{len(self.twice):,} requests have several rows: {_some(self.twice)}"] if self.twice else []
        if self.incomplete:
            lines.append(f"{self.incomplete:,} requests are without all of their attempts")
        if self.unsummed:
            lines.append(f"{self.unsummed:,} requests are in no sum (helicone-gw db rebuild makes them anew)")
        lines += [f"the database is damaged: {each}" for each in self.broken]
        lines += [f"a segment could not be read and was set aside: {each}" for each in self.set_aside]
        for one in self.journals:
            where = f"journal {one.journal[:8]}"
            for number, what in ((one.torn, "torn ends"), (one.damaged, "damaged records"), (one.gaps, "gaps")):
                if number:
                    lines.append(f"{where}: {number:,} {what}")
            for ids, what in ((one.twice, "recorded twice"), (one.missing, "missing in the database")):
                if ids:
                    lines.append(f"{where}: {len(ids):,} requests are {what}: {_some(ids)}")
        return lines


def _some(ids: Sequence[str]) -> str:
    return ", ".join(ids[:3]) + (", ..." if len(ids) > 3 else "")


async def verify(database: Database, root: Path | None, *, kept_from: int = 0) -> Report:
    """Look at every journal in ``root``, and at the database, whose requests from before ``kept_from`` (epoch
    milliseconds) may have been deleted. Changes nothing; a gateway may run meanwhile. Raises what SQLAlchemy raises."""
    report = Report([])
    directories, report.set_aside = await asyncio.to_thread(_listed, root)
    for directory in directories:
        reached = await position(database, directory.name)
        one, noted = await asyncio.to_thread(_looked_through, directory, reached)
        wanted = [identifier for identifier, received_at in noted.items() if received_at >= kept_from]
        async with database.connect() as connection:
            there = await _existing(connection, wanted)
        one.missing = [identifier for identifier in wanted if identifier not in there]
        report.journals.append(one)
    async with database.connect() as connection:
        await _look_at(connection, report, sqlite=database.sqlite)
    return report


def _listed(root: Path | None) -> tuple[list[Path], list[str]]:
    if root is None or not root.is_dir():
        return [], []
    return journals(root), sorted(path.name for path in root.iterdir() if path.suffix == DAMAGED)


async def _look_at(connection: AsyncConnection, report: Report, *, sqlite: bool) -> None:
    report.rows = (await connection.scalar(select(func.count()).select_from(REQUEST))) or 0
    several = select(REQUEST.c.id).group_by(REQUEST.c.id).having(func.count() > 1).limit(1000)
    report.twice = list(await connection.scalars(several))
    attempts = select(func.count()).where(ATTEMPT.c.seq == REQUEST.c.seq).scalar_subquery()
    lacking = select(func.count()).select_from(REQUEST).where(REQUEST.c.attempt_count != attempts)
    report.incomplete = (await connection.scalar(lacking)) or 0
    summed = (await connection.scalar(select(func.sum(ROLLUP.c.requests)))) or 0
    report.unsummed = max(0, report.rows - int(summed))
    if sqlite:
        said = [str(line) for line in await connection.scalars(text("PRAGMA quick_check(10)"))]
        report.broken = [line for line in said if line != "ok"]


async def _existing(connection: AsyncConnection, ids: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for start in range(0, len(ids), 500):
        some = ids[start : start + 500]
        found.update(await connection.scalars(select(REQUEST.c.id).where(REQUEST.c.id.in_(some))))
    return found


def _looked_through(directory: Path, reached: int) -> tuple[JournalReport, dict[str, int]]:
    """What is in a journal, and the ids (with the time of receipt) of what the database was noted to have."""
    one = JournalReport(directory.name, alive=_alive(directory))
    received = [column.name for column in REQUEST.columns if column.name != "seq"].index("received_at")
    noted: dict[str, int] = {}
    times: Counter[str] = Counter()
    begun: set[str] = set()
    expected = 0
    for path in _segments(directory):
        try:
            data = read(path)
        except FileNotFoundError:  # everything in it was written meanwhile
            continue
        try:
            read_header(data)
        except ValueError:
            one.damaged += bool(data)
        reading = Reading()
        for each in frames(data):
            if isinstance(each, Damage):
                one.damaged += not each.torn
                one.torn += each.torn and not one.alive
                continue
            one.gaps += bool(expected) and each.sequence != expected
            expected = each.sequence + 1
            try:
                if each.kind == COLUMNS:
                    reading = Reading(each.payload)
                    continue
                if each.kind not in (OPENED, RECORD):
                    continue
                rows = reading.rows(each.payload)
            except ValueError:
                one.damaged += 1
                continue
            if each.kind == OPENED:
                begun.add(rows.id)
                continue
            begun.discard(rows.id)
            one.records += 1
            times[rows.id] += 1
            if each.sequence <= reached:
                noted[rows.id] = rows.request[received]
            else:
                one.waiting += 1
    one.begun = len(begun)
    one.twice = [identifier for identifier, number in times.items() if number > 1]
    return one, noted


def _segments(directory: Path) -> list[Path]:
    try:
        return segments(directory)
    except FileNotFoundError:  # its process has ended meanwhile, with everything written
        return []


def _alive(directory: Path) -> bool:
    try:
        lock = locked(directory / LOCK)
    except OSError:
        return False
    if lock is None:
        return True
    os.close(lock)
    return False
