"""Insert: records into rows, and rows into the database, a batch per transaction."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from operator import methodcaller
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct, field
from sqlalchemy import Table, select, update

from helicone_gw_logging.bodies import StoredBody, pack
from helicone_gw_logging.columns import columns
from helicone_gw_logging.partitions import Partitions
from helicone_gw_logging.record import LogRecord
from helicone_gw_logging.redact import holds_credential, redact, redact_text
from helicone_gw_logging.rollups import gather
from helicone_gw_logging.statements import Values, put
from helicone_gw_logging.tables import ATTEMPT, BODY, PROPERTY, REQUEST
from helicone_gw_logging.totals import SEQUENCE
from helicone_gw_logging.values import arranged, text_places
from helicone_gw_logging.vocabulary import Vocabulary

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from helicone_gw import Database

# Columns of text in which no client and no provider can put a credential.
_PLAIN = frozenset({"id", "outcome", "method", "dialect", "operation", "source"})

GLANCE = 16 << 10
"""Bytes of a body up to which all of a record is searched at once."""

AT_A_TIME = 128
"""Rows that a thread makes before the event loop gets its turn: about four milliseconds. Each time costs both."""


def _exposed(table: Table) -> frozenset[int]:
    """Where in a row a credential may be: in its texts, but for the annotations, which come on their own."""
    names = columns(table)
    return frozenset(place for place in text_places(table) if names[place] not in _PLAIN)


_REQUEST_TEXTS, _ATTEMPT_TEXTS, _PROPERTY_TEXTS = _exposed(REQUEST), _exposed(ATTEMPT), _exposed(PROPERTY)
encoded = methodcaller("encode", "utf-8", "ignore")
"""A credential as bytes, as it would stand in a body."""
_ORGANIZATION, _RECEIVED_AT = (columns(REQUEST).index(name) for name in ("organization_id", "received_at"))
_KEY_LOWER, _KEY = (columns(PROPERTY).index(name) for name in ("key_lower", "key"))


class Knowledge(Struct):
    """What a writer knows from what it has written before, and the clock that it goes by (epoch seconds)."""

    vocabulary: Vocabulary = field(default_factory=Vocabulary)
    partitions: Partitions = field(default_factory=Partitions)
    now: Callable[[], float] = time.time


class Rows(Struct):
    """The rows of one record, each without ``seq``, the first of its values, which they share."""

    id: str
    request: Values
    attempts: list[Values] = []
    properties: list[Values] = []
    body: Values | None = None

    @property
    def received_at(self) -> int:
        """When the request was received, in epoch milliseconds."""
        at: int = self.request[_RECEIVED_AT]
        return at


def prepare(record: LogRecord, secrets: Sequence[bytes], max_body: int, *, clean: bool = False) -> Rows:
    """The rows of ``record``, redacted, bodies compressed. ``secrets`` are the gateway's own; meant for a thread.

    ``clean``: all of it was searched already, and has no credentials.
    """
    found = arranged(record.facts)
    request, attempts, properties = found.request, found.attempts, found.properties
    known: tuple[bytes, ...] = ()
    annotations = record.facts.annotations
    if not clean:
        known = known_secrets(record, secrets)
        annotations = redact(annotations, known)
        # One pass over everything else together first: credentials are rare.
        texts = found.texts.encode()
        clean = _is_clean(record, texts, known)
    if not clean and redact(texts, known) != texts:
        request = _clean(request, _REQUEST_TEXTS, known)
        attempts = [_clean(row, _ATTEMPT_TEXTS, known) for row in attempts]
        cleaned = [_clean_property(row, known) for row in properties]
        # Redaction may have made two keys the same.
        properties = list({row[_KEY_LOWER]: row for row in cleaned}.values())
    return Rows(
        record.id,
        (*request, _readable(annotations)),
        attempts,
        properties,
        _body(record, request, known, max_body, clean=clean),
    )


def known_secrets(record: LogRecord, secrets: Sequence[bytes]) -> tuple[bytes, ...]:
    """What must not be stored of ``record``: ``secrets``, the gateway's own, and those that came with the exchange."""
    return (*secrets, *map(encoded, record.secrets))


def _is_clean(record: LogRecord, texts: bytes, secrets: Sequence[bytes]) -> bool:
    """Whether no credential can be in ``texts`` and bodies; False where that cannot be told at a glance."""
    together = texts
    for body in record.bodies or ():
        if body.cut or body.content_encoding or len(body.data) > GLANCE:
            return False
        together = b"%b\n%b\n%b" % (together, (body.content_type or "").encode(), body.data)
    return not holds_credential(together, secrets)


def request_only(rows: Rows) -> Rows:
    """What remains when the rest cannot be stored."""
    return Rows(rows.id, rows.request)


async def write(
    database: Database,
    batch: Sequence[Rows],
    knowledge: Knowledge | None = None,
    *,
    again: bool = False,
    beside: Callable[[Connection], None] | None = None,
) -> int:
    """Insert ``batch``, and add it to all sums, in one transaction; returns how many were new.

    ``again``: a former attempt may have been committed although it seemed to fail, so rows that exist are left out.
    Whoever writes more than once keeps ``knowledge``. ``beside`` is done in the same transaction. Raises whatever
    SQLAlchemy raises; nothing was written then.
    """
    knowledge = knowledge or Knowledge()
    written = await database.transact(partial(_write, batch=batch, knowledge=knowledge, again=again, beside=beside))
    knowledge.partitions.committed()
    return written


def _write(
    connection: Connection,
    batch: Sequence[Rows],
    knowledge: Knowledge,
    again: bool,
    beside: Callable[[Connection], None] | None,
) -> int:
    times, now = {rows.received_at for rows in batch}, round(knowledge.now() * 1000)
    first = take_numbers(connection, len(batch))
    knowledge.partitions.ensure(connection, times, now)
    if again:
        existing = _existing(connection, batch)
        batch = [rows for rows in {rows.id: rows for rows in batch}.values() if rows.id not in existing]
    numbered = [*enumerate(batch, first)]
    put(connection, REQUEST, [(seq, *rows.request) for seq, rows in numbered])
    put(connection, ATTEMPT, [(seq, *row) for seq, rows in numbered for row in rows.attempts])
    put(connection, PROPERTY, [(seq, *row) for seq, rows in numbered for row in rows.properties])
    put(connection, BODY, [(seq, *rows.body) for seq, rows in numbered if rows.body is not None])
    gather(connection, knowledge.vocabulary, [(rows.request, rows.properties, 1) for rows in batch]).write(connection)
    if beside is not None:
        beside(connection)
    return len(batch)


def take_numbers(connection: Connection, count: int) -> int:
    """The first of ``count`` numbers for requests. Whoever else writes to the log waits from here to the commit."""
    last = SEQUENCE.c.value
    own = SEQUENCE.c.name == REQUEST.name
    connection.execute(update(SEQUENCE).where(own).values(value=last + count))
    value: int = connection.execute(select(last).where(own)).scalar_one()
    return value - count + 1


def _existing(connection: Connection, batch: Sequence[Rows]) -> set[str]:
    wanted = [rows.id for rows in batch]
    found: set[str] = set()
    for start in range(0, len(wanted), 500):
        some = wanted[start : start + 500]
        found.update(connection.scalars(select(REQUEST.c.id).where(REQUEST.c.id.in_(some))))
    return found


def _clean(row: Values, exposed: frozenset[int], secrets: Sequence[bytes]) -> Values:
    return tuple(
        [
            redact_text(value, secrets) if place in exposed and isinstance(value, str) else value
            for place, value in enumerate(row)
        ]
    )


def _clean_property(row: Values, secrets: Sequence[bytes]) -> Values:
    cleaned = _clean(row, _PROPERTY_TEXTS, secrets)
    if cleaned[_KEY_LOWER] == row[_KEY_LOWER]:
        return cleaned
    # As it was spelled, which a server on the way may have changed, nobody might know it again.
    return (*cleaned[:_KEY], cleaned[_KEY_LOWER], *cleaned[_KEY + 1 :])


def _readable(annotations: bytes) -> str:
    """Annotations as text that any database takes as JSON."""
    if annotations == b"{}":
        return "{}"
    # Postgres has no NUL, not even an escaped one.
    data = annotations.replace(b"\\u0000", b"\\ufffd")
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
    except msgspec.DecodeError:
        # A known secret that is part of the syntax ("{}: ...") took it along.
        return '{"logging.unreadable_annotations":"redaction"}'
    return data.decode("utf-8", "replace")


def _body(record: LogRecord, row: Values, secrets: Sequence[bytes], max_body: int, *, clean: bool) -> Values | None:
    if record.bodies is None:
        return None
    request, response = record.bodies
    kinds = [each.content_type for each in (request, response)]
    if not clean:
        kinds = [kind and redact_text(kind, secrets) for kind in kinds]
    if record.dropped:
        asked = answered = StoredBody(None, "dropped")
    else:
        asked = pack(request, secrets, max_body, clean=clean)
        answered = pack(response, secrets, max_body, clean=clean)
    return (
        row[_ORGANIZATION],
        row[_RECEIVED_AT],
        asked.data,
        asked.state,
        kinds[0],
        answered.data,
        answered.state,
        kinds[1],
        None,
    )
