"""What the tests of records and of the journal share: rows, and journals in a directory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Table

from helicone_gw.exchange import Exchange
from helicone_gw_logging.columns import columns
from helicone_gw_logging.config import JournalConfig
from helicone_gw_logging.insert import Rows, prepare
from helicone_gw_logging.journal.format import rows_payload
from helicone_gw_logging.journal.journal import Journal
from helicone_gw_logging.record import record
from helicone_gw_logging.statements import Values

Build = Callable[..., Exchange]


def rows_of(exchange: Exchange) -> Rows:
    """An exchange's rows."""
    return prepare(record(exchange), (), 1 << 20)


def payload(exchange: Exchange) -> bytes:
    """An exchange as it is in a journal."""
    return rows_payload(rows_of(exchange))


def named(table: Table, values: Values) -> dict[str, Any]:
    """The values of a row, or of its beginning, by column."""
    return dict(zip(columns(table), values, strict=False))


def opened(root: Path, log: Any, **config: Any) -> Journal:
    """A new journal in ``root``."""
    return Journal.open(root, JournalConfig(**config), log)


def die(journal: Journal) -> None:
    """What the operating system does when the process dies: it lets go of files and locks, and nothing else."""
    import os

    for segment in journal._segments:
        segment.close()
    os.close(journal._lock)
    journal._lock = -1
