"""Format: what is in a segment of a journal, as bytes and back.

A segment is a header and then records, one behind the other. Numbers are little-endian::

    header   magic "HGWJ1\\n"  journal (16 bytes)  first sequence (8)  CRC-32 of all that (4)
    record   length of the payload (4)  CRC-32 of the payload, begun with (8 * sequence + kind) mod 4294967291 (4)
             sequence (8)  kind (1)  payload (MessagePack)

Sequences count the records of a journal, without a gap, from one segment to the next. The first record of a segment
names the columns and facts of the others, so that a later version of the program can read them.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar
from zlib import crc32

import msgspec
from msgspec import Struct
from msgspec.structs import astuple
from sqlalchemy import Table

from helicone_gw import Cost, Usage
from helicone_gw_logging.columns import changed, columns
from helicone_gw_logging.facts import AS_IN_ALL, KNOWN, KNOWN_OF_ATTEMPT, AttemptFacts, Facts, PlainFacts
from helicone_gw_logging.insert import Rows, prepare
from helicone_gw_logging.record import LogRecord, PlainBody, RawBody
from helicone_gw_logging.statements import Values
from helicone_gw_logging.tables import ATTEMPT, BODY, PROPERTY, REQUEST

T = TypeVar("T", bound=Struct)

COLUMNS, OPENED, RECORD, AMENDED, REPLACED = range(5)
"""Kinds of records: names of columns; a stream that has begun; an exchange that is about to end; values of its request
that turned out differently; all of it anew."""

_MAGIC = b"HGWJ1\n"
_HEADER = struct.Struct("<6s16sQ")
_HEADER_CRC = struct.Struct("<I")
HEADER_BYTES = _HEADER.size + _HEADER_CRC.size
_FRAME = struct.Struct("<IIQB")
FRAME_BYTES = _FRAME.size
_pack = _FRAME.pack
_PRIME = 0xFFFFFFFB  # the largest of 32 bits: a sequence that is wrong in one bit makes another checksum
MAX_PAYLOAD = 1 << 28
"""Bytes of the largest payload; what says that it is larger is damaged."""

_BEHIND_SEQUENCE = re.compile(rb"(?=(?!\x00{5}).{5}\x00{3}[\x00-\x04])", re.DOTALL)
"""Where the sequence and the kind of a record may be, as long as there were fewer than 2**40 of them."""

_encode = msgspec.msgpack.Encoder().encode
_TABLES = (REQUEST, ATTEMPT, PROPERTY, BODY)
NAMES: dict[str, list[str]] = {table.name: list(columns(table)) for table in _TABLES}
"""The columns of each table, in the order in which their values are written."""
_FACTS, _ATTEMPT_FACTS = "facts", "attempt facts"
_KNOWN = {_FACTS: (KNOWN, REQUEST), _ATTEMPT_FACTS: (KNOWN_OF_ATTEMPT, ATTEMPT)}
"""What is known at once of a request and of an attempt, and whose columns these are."""
_FIELDS: dict[str, Sequence[str]] = {kind.__name__: kind.__struct_fields__ for kind in (Usage, Cost)}
"""What stands where in the usage and in the cost of a request or an attempt."""


class _Stored(Struct, array_like=True):
    id: str
    request: Values
    attempts: list[Values]
    properties: list[Values]
    body: Values | None


class _Begin(Struct, array_like=True):
    first: Any  # the id of rows, or the facts of a record that was taken down as it is


_Bodies = tuple[RawBody, RawBody]
_AS_IT_IS = _encode((None, None))[:1]
"""What the payload of a record that was taken down as it is begins with; those of rows have more elements."""
_decode_record = msgspec.msgpack.Decoder(tuple[Facts, _Bodies | None]).decode
_decode_rows = msgspec.msgpack.Decoder(_Stored).decode
_decode_begin = msgspec.msgpack.Decoder(_Begin).decode
_decode_names = msgspec.msgpack.Decoder(dict[str, list[str]]).decode
_decode_changes = msgspec.msgpack.Decoder(tuple[str, dict[str, Any]]).decode


class Frame(Struct, frozen=True):
    """A record as it was read. ``end`` is the offset in its file behind it."""

    sequence: int
    kind: int
    payload: bytes
    end: int


class Damage(Struct, frozen=True):
    """Bytes in place of a record: ``start`` is their offset. ``torn``: nothing follows that could be read."""

    start: int
    torn: bool


def header(journal: bytes, first: int) -> bytes:
    """The header of a segment of ``journal`` (16 bytes) whose first record has the sequence ``first``."""
    data = _HEADER.pack(_MAGIC, journal, first)
    return data + _HEADER_CRC.pack(crc32(data))


def read_header(data: bytes) -> int:
    """The first sequence of the segment that begins with ``data``. Raises `ValueError` for anything else."""
    if len(data) < HEADER_BYTES or _HEADER_CRC.unpack_from(data, _HEADER.size)[0] != crc32(data[: _HEADER.size]):
        raise ValueError("not a segment of a journal")
    magic, _, first = _HEADER.unpack_from(data)
    if magic != _MAGIC:
        raise ValueError("a segment of another version")
    return int(first)


def frame(sequence: int, kind: int, payload: bytes) -> bytes:
    """A record."""
    return _pack(len(payload), crc32(payload, (sequence << 3 | kind) % _PRIME), sequence, kind) + payload


def frames(data: bytes, start: int = HEADER_BYTES, begin: int = 0) -> Iterator[Frame | Damage]:
    """What is in a segment's bytes from the offset ``start`` on. Behind one that is damaged it goes on if it can.

    ``begin`` is the offset in the file at which ``data`` begins.
    """
    at, end, last = start, len(data), 0
    while at < end:
        found = frame_at(data, at, begin)
        if found is None:
            behind = _next_frame(data, at, last)
            yield Damage(begin + at, torn=behind == end)
            at = behind
        else:
            yield found
            at, last = found.end - begin, found.sequence


def frame_at(data: bytes, at: int, begin: int = 0) -> Frame | None:
    """The record at the offset ``at`` of ``data``, if there is one and it is whole. ``begin`` is as for `frames`."""
    if len(data) - at < FRAME_BYTES:
        return None
    length, check, sequence, kind = _FRAME.unpack_from(data, at)
    behind = at + FRAME_BYTES + length
    # Bytes that are all zero, which a machine that died may leave, have the right checksum.
    if not sequence or length > MAX_PAYLOAD or behind > len(data):
        return None
    payload = data[at + FRAME_BYTES : behind]
    if crc32(payload, (sequence << 3 | kind) % _PRIME) != check:
        return None
    return Frame(sequence, kind, payload, begin + behind)


def frame_bytes(data: bytes, at: int) -> int:
    """How many bytes the record at the offset ``at`` has, or has at least, where ``data`` does not say."""
    if len(data) - at < FRAME_BYTES:
        return FRAME_BYTES
    length: int = _FRAME.unpack_from(data, at)[0]
    return FRAME_BYTES + length


def _next_frame(data: bytes, damaged: int, last: int) -> int:
    """The offset of the next whole record behind one that is damaged, whose number is above ``last``; else the end."""
    before = FRAME_BYTES - 9  # what precedes a record's sequence
    looked_at = 0
    for found in _BEHIND_SEQUENCE.finditer(data, damaged + 1 + before):
        at = found.start() - before
        following = frame_at(data, at)
        if following is not None and following.sequence > last:
            return at
        # What only looks like records must not take minutes: each may claim to be as long as everything that follows.
        length = int.from_bytes(data[at : at + 4], "little")
        looked_at += 1000 + (length if length <= len(data) - at else 0)
        if looked_at > MAX_PAYLOAD:
            break
    return len(data)


def names_payload() -> bytes:
    """The payload that names the columns, and what is known at once."""
    return _encode({**NAMES, **{name: known for name, (known, _) in _KNOWN.items()}, **_FIELDS})


def rows_payload(rows: Rows) -> bytes:
    """The payload of an exchange's rows. Raises what MessagePack cannot hold: `OverflowError`, `TypeError`."""
    return _encode((rows.id, rows.request, rows.attempts, rows.properties, rows.body))


def record_payload(record: LogRecord) -> bytes:
    """The payload of a record in which nothing is to be redacted. Raises like `plain_payload`."""
    known, times, usage, cost, *rest = astuple(record.facts)
    # Their values without the names, which `names_payload` has once for all.
    used, cost = None if usage is None else astuple(usage), None if cost is None else astuple(cost)
    return _encode(((known, times, used, cost, *rest), record.bodies))


def plain_payload(facts: PlainFacts, bodies: tuple[PlainBody, PlainBody] | None) -> bytes:
    """The same of facts and bodies of which no objects were made.

    Raises what MessagePack cannot hold: `OverflowError`, `TypeError`, `ValueError` (text that is none).
    """
    return _encode((facts, bodies))


def changes_payload(id: str, changes: Mapping[str, Any]) -> bytes:
    """The payload of an amendment: values of the request ``id`` by column."""
    return _encode((id, changes))


def read_changes(payload: bytes) -> tuple[str, dict[str, Any]]:
    """The reverse. Raises `ValueError`."""
    return _decode_changes(payload)


class Reading:
    """Reads rows whose columns may be those of another version: what it did not know has its default."""

    def __init__(self, names: bytes | None = None) -> None:
        self._picks: dict[str, list[tuple[int | None, Any]]] = {}
        written = NAMES if names is None else _decode_names(names)
        for table in _TABLES:
            self._pick(table.name, written.get(table.name, ()), NAMES[table.name], table)
        for name, (known, table) in _KNOWN.items():
            self._pick(name, written.get(name, known), known, table)
        self._id = list(written.get(_FACTS, KNOWN)).index("id")
        self._fields = {name: tuple(written.get(name, fields)) for name, fields in _FIELDS.items()}

    def _pick(self, name: str, written: Sequence[str], wanted: Sequence[str], table: Table) -> None:
        """Note where to find what is ``wanted`` in what was ``written`` under ``name``, unless that is the same."""
        there = {column: index for index, column in enumerate(written)}
        if list(there) == list(wanted):
            return
        defaults = {column.name: getattr(column.default, "arg", None) for column in table.columns}
        picks = [(there.get(column), defaults[column]) for column in wanted]
        self._picks[name] = [(at, None if callable(default) else default) for at, default in picks]

    def id(self, payload: bytes) -> str:
        """Whose rows are in a payload, none of which are made. Raises `ValueError`."""
        first = _decode_begin(payload).first
        try:
            return str(first[0][self._id] if payload.startswith(_AS_IT_IS) else first)
        except (TypeError, LookupError) as problem:
            raise ValueError("not a record") from problem

    def rows(self, payload: bytes, *, clean: bool = False) -> Rows:
        """The rows of a payload. ``clean``: it was searched for credentials as they are now. Raises `ValueError`."""
        if payload.startswith(_AS_IT_IS):
            return self._restored(payload, clean=clean)
        stored = _decode_rows(payload)
        return Rows(
            stored.id,
            self._picked(REQUEST.name, stored.request, len(NAMES[REQUEST.name])),
            [self._picked(ATTEMPT.name, row) for row in stored.attempts],
            [self._picked(PROPERTY.name, row) for row in stored.properties],
            None if stored.body is None else self._picked(BODY.name, stored.body),
        )

    def _picked(self, name: str, values: Values, expected: int = 0) -> Values:
        """``values`` in their places. Raises `ValueError` where these are not the ``expected`` number, if there is."""
        picks = self._picks.get(name)
        if picks is None:
            if expected and len(values) != expected:
                raise ValueError("columns that are not known")
            return values
        return tuple([default if at is None or at >= len(values) else values[at] for at, default in picks])

    def _restored(self, payload: bytes, *, clean: bool) -> Rows:
        """The rows of a record that was taken down as it is."""
        facts, bodies = _decode_record(payload)
        try:
            usage, cost = self._known(Usage, facts.usage), self._known(Cost, facts.cost)
            facts = Facts(
                self._picked(_FACTS, facts.known, len(KNOWN)),
                facts.times,
                usage,
                cost,
                [self._attempt(attempt, usage, cost) for attempt in facts.attempts],
                facts.properties,
                facts.annotations,
            )
            return prepare(LogRecord(facts, bodies, ()), (), MAX_PAYLOAD, clean=clean)
        except (TypeError, AttributeError) as problem:
            raise ValueError("not a record") from problem

    def _attempt(self, said: AttemptFacts, usage: Usage | None, cost: Cost | None) -> AttemptFacts:
        return AttemptFacts(
            self._picked(_ATTEMPT_FACTS, said.known, len(KNOWN_OF_ATTEMPT)),
            said.times,
            usage if said.usage is AS_IN_ALL else self._known(Usage, said.usage),
            cost if said.cost is AS_IN_ALL else self._known(Cost, said.cost),
        )

    def _known(self, kind: type[T], said: Any) -> T | None:
        """An object as it was: what is in it is not checked, as it was not before."""
        if isinstance(said, list):
            fields = self._fields[kind.__name__]
            if fields == kind.__struct_fields__ and len(said) == len(fields):
                return kind(*said)
            said = dict(zip(fields, said, strict=False))
        if not isinstance(said, dict):  # those of an attempt have their names
            return None
        return kind(**{name: said[name] for name in kind.__struct_fields__ if name in said})


def amended(rows: Rows, changes: Mapping[str, Any]) -> Rows:
    """``rows`` with these values of the request; columns that are not known any more are left out."""
    return Rows(rows.id, changed(REQUEST, rows.request, changes), rows.attempts, rows.properties, rows.body)


def differences(before: Rows, after: Rows) -> dict[str, Any] | None:
    """Values of the request that are others in ``after``, by column; ``None`` where more than those are."""
    if (before.attempts, before.properties, before.body) != (after.attempts, after.properties, after.body):
        return None
    pairs = zip(NAMES[REQUEST.name], before.request, after.request, strict=True)
    return {name: new for name, old, new in pairs if old != new}
