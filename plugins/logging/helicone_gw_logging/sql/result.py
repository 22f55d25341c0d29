"""Result: what a statement answers, within the limits of rows, bytes and time."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from typing import Any

import msgspec

from helicone_gw_logging.sql.guard import SqlError


@dataclass(frozen=True, slots=True)
class Limits:
    """What one statement may take: ``seconds``, ``rows`` (further ones are cut off), ``bytes`` of the result."""

    seconds: float = 10.0
    rows: int = 1000
    bytes: int = 16 << 20


DOWNLOAD = Limits(seconds=30.0, rows=100_000)
"""For files."""


@dataclass(slots=True)
class Result:
    """The rows of an answer. ``truncated``: there were more. ``size`` is what the values take, in bytes, about."""

    columns: list[str]
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    size: int = 0
    truncated: bool = False

    def take(self, rows: Iterable[Sequence[Any]], limits: Limits) -> bool:
        """Add rows until there are enough; whether there may be more. Raises `SqlError` when they are too large."""
        for row in rows:
            if len(self.rows) >= limits.rows:
                self.truncated = True
                return False
            values = tuple([_plain(value) for value in row])
            self.size += sum(len(value) + 8 if isinstance(value, str) else 8 for value in values)
            if self.size > limits.bytes:
                raise SqlError("RESULT_TOO_LARGE", f"The result is larger than {limits.bytes >> 20} MiB.")
            self.rows.append(values)
        return True

    def as_objects(self) -> list[dict[str, Any]]:
        """The rows by column; of columns with one name the later ones get a number that no other column has."""
        names: list[str] = []
        taken = set(self.columns)
        for name in self.columns:
            if name in names:
                numbered = (f"{name}_{number}" for number in count(2))
                name = next(one for one in numbered if one not in taken)
                taken.add(name)
            names.append(name)
        return [dict(zip(names, row, strict=True)) for row in self.rows]

    def as_csv(self) -> str:
        """The rows as CSV (RFC 4180), with a line of names."""
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(self.columns)
        writer.writerows([_cell(value) for value in row] for row in self.rows)
        return text.getvalue()


def _plain(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, Decimal):  # what PostgreSQL makes of a sum
        return int(value) if value.is_finite() and value == value.to_integral_value() else _plain(float(value))
    if isinstance(value, dict | list):  # PostgreSQL's JSON; SQLite has text already
        return msgspec.json.encode(value).decode()
    isoformat = getattr(value, "isoformat", None)
    return isoformat() if isoformat is not None else str(value)


def _cell(value: Any) -> Any:
    # What a spreadsheet would take for a formula is told to be text.
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
