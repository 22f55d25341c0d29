"""A log that is kept instead of printed."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from structlog.testing import capture_logs

NOISY = ("asyncio", "aiosqlite")
"""Loggers whose debugging is not the plugin's: of every statement with its parameters, and of the event loop."""


@dataclass
class RecordedLog:
    """What was logged, through structlog and through the standard library."""

    events: list[Any] = field(default_factory=list)
    records: list[logging.LogRecord] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All of it, stack traces included."""
        formatter = logging.Formatter()
        lines = [_rendered(event) for event in self.events]
        return "\n".join([*lines, *(formatter.format(record) for record in self.records)])

    @property
    def complaints(self) -> list[str]:
        """The errors among it."""
        lines = [_rendered(event) for event in self.events if event.get("log_level") in ("error", "critical")]
        ours = [record for record in self.records if record.levelno >= logging.ERROR]
        return [*lines, *(logging.Formatter().format(record) for record in ours)]


def _rendered(event: dict[str, Any]) -> str:
    fault = event.get("exc_info")
    trace = "".join(traceback.format_exception(fault)) if isinstance(fault, BaseException) else ""
    return f"{event!r}\n{trace}"


@contextmanager
def recorded_log(log: RecordedLog | None = None) -> Iterator[RecordedLog]:
    """Keep, in ``log``, whatever is logged in the block, down to DEBUG; nothing that goes to structlog is printed."""
    log = log or RecordedLog()
    root = logging.getLogger()
    levels = {logger: logger.level for logger in (root, *map(logging.getLogger, NOISY))}
    handler = _Keeper(log.records)
    root.addHandler(handler)
    for logger in levels:
        logger.setLevel(logging.DEBUG if logger is root else logging.INFO)
    try:
        with capture_logs() as events:
            try:
                yield log
            finally:
                log.events += events
    finally:
        root.removeHandler(handler)
        for logger, level in levels.items():
            logger.setLevel(level)


class _Keeper(logging.Handler):
    def __init__(self, records: list[logging.LogRecord]) -> None:
        super().__init__(logging.DEBUG)
        self._records = records

    def emit(self, record: logging.LogRecord) -> None:
        self._records.append(record)
