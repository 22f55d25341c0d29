"""Compiling baselines: a plugin's revisions are run in an empty SQLite database, and what they made is written down."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from shutil import copytree

from helicone_gw import registry
from helicone_gw.baseline import Baseline, baseline_file, digest
from helicone_gw.database import Database

_BLOB = re.compile(r"X'((?:[0-9A-F]{2})+)'")

Row = tuple[str, Sequence[str]]
"""A table, and the SQL literals of one of its rows."""


def compile_baselines() -> None:
    """Compile those of every installed plugin, and write each beside its revisions: `make tables`. Raises as below."""
    for name in registry.installed():
        for branch, versions in registry.load(name).migrations.items():
            made = asyncio.run(compile_baseline(branch, versions))
            baseline_file(versions).write_text(made, encoding="utf-8")


async def compile_baseline(branch: str, versions: Path) -> str:
    """The content of `baseline_file`, of the revisions as they are now.

    They are run twice: a BLOB that differs was drawn at random. Raises `ValueError` where anything else differs, and
    `helicone_gw.MigrationError`.
    """
    with tempfile.TemporaryDirectory(prefix="helicone-gw-") as folder:
        # Beside a copy there is no baseline that would be taken for them.
        copied = copytree(versions, Path(folder) / "migrations" / "versions", ignore=lambda *_: ["__pycache__"])
        one, other = [await _made(branch, copied, Path(folder) / f"{number}.db") for number in range(2)]
    (tables, rows, rest), (others, other_rows, other_rest) = one, other
    if (tables, rest, len(rows)) != (others, other_rest, len(other_rows)):
        raise ValueError(f"the revisions of {branch!r} make something else each time")
    inserted = [_inserted(row, again) for row, again in zip(rows, other_rows, strict=True)]
    made = Baseline(branch, digest(versions), [*tables, *inserted, *rest])
    return json.dumps(asdict(made), ensure_ascii=False, indent=1) + "\n"


def _inserted(row: Row, again: Row) -> str:
    (table, values), (other, others) = row, again
    if table != other or len(values) != len(others):
        raise ValueError(f"the rows of {table!r} are others each time")
    literals = ", ".join(_literal(table, *pair) for pair in zip(values, others, strict=True))
    return f'INSERT INTO "{table}" VALUES ({literals})'  # noqa: S608 - what the database said itself


def _literal(table: str, value: str, again: str) -> str:
    if value == again:
        return value
    found, other = _BLOB.fullmatch(value), _BLOB.fullmatch(again)
    if found is None or other is None or len(value) != len(again):
        raise ValueError(f"a value in {table!r} is another one each time, and no bytes drawn at random")
    return f"random_bytes({len(found[1]) // 2})"


async def _made(branch: str, versions: Path, file: Path) -> tuple[list[str], list[Row], list[str]]:
    """What the revisions made in the database ``file``: statements for tables, rows, and statements for the rest."""
    database = Database(f"sqlite:///{file}")
    try:
        await database.migrate(branch, versions)
    finally:
        await database.close()
    with closing(sqlite3.connect(file)) as connection:
        found = connection.execute(
            "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND substr(name, 1, 7) != 'sqlite_'"
            " ORDER BY rowid"
        ).fetchall()
        tables = [(name, sql) for kind, name, sql in found if kind == "table"]
        rows = [(name, row) for name, _ in tables for row in _rows(connection, name)]
    return [sql for _, sql in tables], rows, [sql for kind, _, sql in found if kind != "table"]


def _rows(connection: sqlite3.Connection, table: str) -> list[Sequence[str]]:
    columns = [name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?)", (table,))]
    quoted = ", ".join(f'quote("{column}")' for column in columns)
    return connection.execute(f'SELECT {quoted} FROM "{table}"').fetchall()  # noqa: S608 - names that the database gave
