"""Formats: records as CSV, JSON lines or Parquet, a piece at a time."""

from __future__ import annotations

import asyncio
import csv
import importlib
import io
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Any, Final, Literal

import msgspec

from helicone_gw_logging.query.export import COLUMNS, Record
from helicone_gw_logging.query.nodes import FilterError

Format = Literal["csv", "jsonl", "parquet"]
CONTENT_TYPES: Final[dict[Format, str]] = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def checked(format: Format) -> None:
    """Raises `FilterError` where a format cannot be written here, naming what is lacking."""
    if format == "parquet":
        try:
            importlib.import_module("pyarrow.parquet")
        except ImportError:
            raise FilterError(
                "format: Parquet needs the extra 'parquet' of helicone-gw (pip install 'helicone-gw[parquet]')"
            ) from None


async def written(pieces: AsyncIterable[list[Record]], columns: Sequence[str], format: Format) -> AsyncIterator[bytes]:
    """The bytes of a file with these ``columns``.

    In CSV, objects are JSON, unknown values empty, and a text that a spreadsheet would take for a formula has an
    apostrophe before it. In Parquet, objects are JSON and times are timestamps in UTC.
    """
    if format == "parquet":
        checked(format)
        parquet = await asyncio.to_thread(_Parquet, columns)
        async for piece in pieces:
            yield await asyncio.to_thread(parquet.piece, piece)
        yield await asyncio.to_thread(parquet.end)
        return
    make: Callable[[list[Record]], bytes] = _lines if format == "jsonl" else _Rows(columns)
    if format == "csv":
        yield _csv([columns])
    async for piece in pieces:
        yield await asyncio.to_thread(make, piece)


def _lines(piece: list[Record]) -> bytes:
    return b"".join(msgspec.json.encode(record) + b"\n" for record in piece)


class _Rows:
    """Rows of CSV."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns

    def __call__(self, piece: list[Record]) -> bytes:
        return _csv([[_cell(record[name]) for name in self._columns] for record in piece])


def _cell(value: Any) -> Any:
    if isinstance(value, dict):
        return msgspec.json.encode(value).decode()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


def _csv(rows: Sequence[Sequence[Any]]) -> bytes:
    sheet = io.StringIO()
    csv.writer(sheet).writerows(rows)
    return sheet.getvalue().encode()


class _Parquet:
    """A Parquet file: a row group for each piece."""

    def __init__(self, columns: Sequence[str]) -> None:
        # It takes a while to load, and has no types.
        pyarrow: Any = importlib.import_module("pyarrow")
        parquet: Any = importlib.import_module("pyarrow.parquet")
        types = {
            "integer": pyarrow.int64(),
            "number": pyarrow.float64(),
            "boolean": pyarrow.bool_(),
            "time": pyarrow.timestamp("ms", tz="UTC"),
        }
        self._columns = columns
        self._table: Any = pyarrow.table
        self._schema: Any = pyarrow.schema([(name, types.get(COLUMNS[name], pyarrow.string())) for name in columns])
        self._sink = _Sink()
        self._writer: Any = parquet.ParquetWriter(self._sink, self._schema, compression="zstd")

    def piece(self, records: list[Record]) -> bytes:
        columns = {name: [_value(record[name], COLUMNS[name]) for record in records] for name in self._columns}
        self._writer.write_table(self._table(columns, schema=self._schema))
        return self._sink.taken()

    def end(self) -> bytes:
        self._writer.close()
        return self._sink.taken()


def _value(value: Any, kind: str) -> Any:
    if kind == "object":
        return msgspec.json.encode(value).decode()
    return datetime.fromisoformat(value) if kind == "time" and value is not None else value


class _Sink(io.RawIOBase):
    """Keeps what is written until it is taken."""

    def __init__(self) -> None:
        self._kept = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._kept += data
        return len(data)

    def taken(self) -> bytes:
        kept = bytes(self._kept)
        self._kept.clear()
        return kept
