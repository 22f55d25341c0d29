"""Insert: records into rows, and rows into the database, a batch per transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import Table, insert, select

from helicone_gw_logging.bodies import StoredBody, pack
from helicone_gw_logging.record import LogRecord
from helicone_gw_logging.redact import holds_credential, redact, redact_text
from helicone_gw_logging.tables import ATTEMPT, BODY, PROPERTY, REQUEST

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect
    from sqlalchemy.ext.asyncio import AsyncConnection

    from helicone_gw import Database

# Columns of ours, in which no client and no provider can put a credential.
_PLAIN = frozenset({"id", "row_id", "number", "outcome", "method", "dialect", "operation"})

GLANCE = 16 << 10
"""Bytes of a body up to which all of a record is searched at once."""

_GROUPS = (512, 256, 128, 64, 32, 16, 8, 4, 2, 1)
"""Rows of one statement: any number of rows in few statements, and few enough that the driver keeps all prepared."""

_MAX_VARIABLES = 32_766 if sqlite3.sqlite_version_info >= (3, 32) else 999


@dataclass(slots=True)
class Rows:
    """The rows of one record."""

    request: dict[str, Any]
    attempts: list[dict[str, Any]] = field(default_factory=list)
    properties: list[dict[str, Any]] = field(default_factory=list)
    body: dict[str, Any] | None = None


def prepare(record: LogRecord, secrets: Sequence[bytes], max_body: int) -> Rows:
    """The rows of ``record``, redacted, bodies compressed. ``secrets`` are the gateway's own; meant for a thread."""
    known = (*secrets, *(secret.encode("utf-8", "ignore") for secret in record.secrets))
    rows = (record.request, *record.attempts, *record.properties)
    # One pass over everything together first: credentials are rare.
    texts = "\n".join([value for row in rows for name, value in row.items() if _is_text(name, value)]).encode()
    clean = _is_clean(record, texts, known)
    if clean or redact(texts, known) == texts:
        request, attempts, properties = record.request, record.attempts, record.properties
    else:
        request, *others = (_clean(row, known) for row in rows)
        attempts = others[: len(record.attempts)]
        # Redaction may have made two keys the same.
        properties = list({row["key_lower"]: row for row in others[len(record.attempts) :]}.values())
    return Rows(
        request={**request, "annotations": _annotations(record, known)},
        attempts=attempts,
        properties=properties,
        body=_body(record, known, max_body, clean=clean),
    )


def _is_clean(record: LogRecord, texts: bytes, secrets: Sequence[bytes]) -> bool:
    """Whether no credential can be in ``record``; False where that cannot be told at a glance."""
    together = texts
    for body in record.bodies or ():
        if body.cut or body.content_encoding or len(body.data) > GLANCE:
            return False
        together = b"%b\n%b" % (together, body.data)
    return not holds_credential(together, secrets)


def request_only(rows: Rows) -> Rows:
    """What remains when the rest cannot be stored."""
    return Rows(rows.request)


async def write(database: Database, batch: Sequence[Rows], *, again: bool) -> int:
    """Insert ``batch`` in one transaction; returns how many were new.

    ``again``: a former attempt may have been committed although it seemed to fail, so rows that exist are left out.
    Raises whatever SQLAlchemy raises; nothing was written then.
    """
    async with database.begin() as connection:
        if again:
            existing = await _existing(connection, batch)
            batch = [rows for rows in batch if rows.request["id"] not in existing]
        await _insert(connection, REQUEST, (rows.request for rows in batch))
        await _insert(connection, ATTEMPT, (row for rows in batch for row in rows.attempts))
        await _insert(connection, PROPERTY, (row for rows in batch for row in rows.properties))
        await _insert(connection, BODY, (rows.body for rows in batch if rows.body is not None))
    return len(batch)


async def _existing(connection: AsyncConnection, batch: Sequence[Rows]) -> set[str]:
    wanted = [rows.request["id"] for rows in batch]
    found: set[str] = set()
    for start in range(0, len(wanted), 500):
        some = wanted[start : start + 500]
        found.update(await connection.scalars(select(REQUEST.c.id).where(REQUEST.c.id.in_(some))))
    return found


async def _insert(connection: AsyncConnection, table: Table, rows: Iterable[dict[str, Any]]) -> None:
    left = list(rows)
    if not left:
        return
    # Past SQLAlchemy's own handling of parameters, which costs several times what the database does.
    statement, names = _statement(table, connection.dialect)
    values = list(map(itemgetter(*names), left))
    if connection.dialect.name != "sqlite":
        await connection.exec_driver_sql(statement, values)
        return
    # Every step of SQLite gives the interpreter lock away and has to wait to get it back: few steps are taken.
    at = 0
    for size in _GROUPS:
        while len(values) - at >= size and size * len(names) <= _MAX_VARIABLES:
            group = chain.from_iterable(values[at : at + size])
            await connection.exec_driver_sql(_of_rows(statement, len(names), size), tuple(group))
            at += size


@lru_cache(maxsize=64)
def _statement(table: Table, dialect: Dialect) -> tuple[str, tuple[str, ...]]:
    """The insert of one row, and the columns of its parameters in their order."""
    columns = [column.name for column in table.columns if column.name != "seq"]
    compiled = insert(table).compile(dialect=dialect, column_keys=columns)
    return str(compiled), tuple(compiled.positiontup or ())


@lru_cache(maxsize=64)
def _of_rows(statement: str, columns: int, size: int) -> str:
    """The insert of one row as one of ``size`` rows."""
    row = f"({', '.join('?' * columns)})"
    assert statement.endswith(row)
    return statement + f", {row}" * (size - 1)


def _is_text(name: str, value: object) -> bool:
    return value.__class__ is str and name not in _PLAIN


def _clean(row: dict[str, Any], secrets: Sequence[bytes]) -> dict[str, Any]:
    return row | {name: redact_text(value, secrets) for name, value in row.items() if _is_text(name, value)}


def _annotations(record: LogRecord, secrets: Sequence[bytes]) -> str:
    if record.annotations == b"{}":
        return "{}"
    # Postgres has no NUL, not even an escaped one.
    data = redact(record.annotations, secrets).replace(b"\\u0000", b"\\ufffd")
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
    except msgspec.DecodeError:
        # A known secret that is part of the syntax ("{}: ...") took it along.
        return '{"logging.unreadable_annotations":"redaction"}'
    return data.decode("utf-8", "replace")


def _body(record: LogRecord, secrets: Sequence[bytes], max_body: int, *, clean: bool) -> dict[str, Any] | None:
    if record.bodies is None:
        return None
    request, response = (
        StoredBody(None, "dropped") if record.dropped else pack(body, secrets, max_body, clean=clean)
        for body in record.bodies
    )
    return {
        "row_id": record.request["id"],
        "organization_id": record.request["organization_id"],
        "request": request.data,
        "request_state": request.state,
        "request_type": record.bodies[0].content_type,
        "response": response.data,
        "response_state": response.state,
        "response_type": record.bodies[1].content_type,
    }
