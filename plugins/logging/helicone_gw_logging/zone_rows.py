"""Zone rows: what is read of a zone of the log, made rows of `noted.TEXT_ZONE` and `noted.NUMBER_ZONE`."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct
from sqlalchemy import ColumnElement, Integer, and_, select, type_coerce

from helicone_gw_logging.columns import columns
from helicone_gw_logging.query.columns import STATUS
from helicone_gw_logging.query.patterns import Listed
from helicone_gw_logging.query.where import LOGGED_STATUS
from helicone_gw_logging.statements import Values
from helicone_gw_logging.tables import PROPERTY, REQUEST
from helicone_gw_logging.values import text_places
from helicone_gw_logging.zone_codes import CODES, Codes, code_numbers, everyone, pack_codes
from helicone_gw_logging.zone_ids import IDS, pack_ids
from helicone_gw_logging.zone_notes import ANY_PROPERTY, PROPERTY_NAME, Texts, is_small, pack_numbers

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

INDEXED: Final = ("user_id", "session_id")
"""Columns of which codes alone are noted: an index finds their texts."""
TEXTS: Final = tuple(
    name
    for name in (columns(REQUEST)[place] for place in text_places(REQUEST))
    if name not in ("id", "request_id", "organization_id", *INDEXED)
)
"""Columns of a request whose texts are noted: all that have no index which finds them. A column more needs another
`zones.NOTED`, as do others in `NUMBERS`."""
NUMBERS: Final = (
    *(
        column.name
        for column in REQUEST.columns
        if column.name not in ("seq", "hour") and column.type.python_type in (int, bool)
    ),
    STATUS,
)
"""Columns whose numbers are noted, truth being 1: all but those that follow from others, and what stands for a status
that was never sent."""
_ALL_TEXTS: Final = *TEXTS, *INDEXED
MOST_KEYS: Final = 200
"""Keys of properties of a zone and an organization that are noted at most."""
_AT_ONCE: Final = 500
_BEGIN: Final = 4  # of the columns that are read: the organization, the number, both ids


class Rows(Struct):
    """Rows of `noted.TEXT_ZONE` and of `noted.NUMBER_ZONE`."""

    texts: list[Values]
    numbers: list[Values]


async def read_zone(connection: AsyncConnection, zone: int, size: int) -> Rows:
    """The rows for one zone of ``size`` requests, of all organizations. What takes long is done in a thread."""
    first, own = zone * size, REQUEST.c
    first_ones = own.organization_id, own.seq, own.id, own.request_id
    wanted = select(*first_ones, *map(_text, _ALL_TEXTS), *map(_number, NUMBERS))
    wanted = wanted.where(own.seq >= first, own.seq < first + size).order_by(own.seq)
    there: dict[str, _There] = defaultdict(_There)
    async with connection.stream(wanted) as result:
        async for some in result.partitions(_AT_ONCE):
            await asyncio.to_thread(_add, there, some, first)
    await _add_properties(connection, there, first, size)
    return await asyncio.to_thread(_rows, there, zone)


class _There:
    """What an organization has in a zone."""

    def __init__(self) -> None:
        self.places: list[int] = []
        self.ids: list[str] = []
        self.request_ids: list[str] = []
        self.texts = [Texts() for _ in _ALL_TEXTS]
        self.numbers: list[list[int | None]] = [[] for _ in NUMBERS]
        self.properties = defaultdict[str, Texts](Texts)


def _add(there: dict[str, _There], rows: Sequence[Any], first: int) -> None:
    organizations = {row[0] for row in rows}
    for organization in organizations:
        mine = rows if len(organizations) == 1 else [row for row in rows if row[0] == organization]
        into, read = there[organization], [*zip(*mine, strict=True)]
        places = [seq - first for seq in read[1]]
        into.places += places
        into.ids += read[2]
        into.request_ids += read[3]
        behind = _BEGIN + len(_ALL_TEXTS)
        for texts, column in zip(into.texts, read[_BEGIN:behind], strict=True):
            texts.add(column, places)
        for numbers, column in zip(into.numbers, read[behind:], strict=True):
            numbers += column


async def _add_properties(connection: AsyncConnection, there: dict[str, _There], first: int, size: int) -> None:
    beside = PROPERTY.c
    named = beside.organization_id, beside.key_lower, beside.value
    own = and_(beside.seq >= first, beside.seq < first + size)
    async with connection.stream(select(*named, Listed(beside.seq)).where(own).group_by(*named)) as result:
        async for some in result.partitions(_AT_ONCE):
            for organization, key, value, numbers in some:
                if organization not in there:
                    continue  # retention is about to delete it
                places = [int(seq) - first for seq in numbers.split(",")]
                there[organization].properties[key].add((value,) * len(places), places)


def _rows(there: dict[str, _There], zone: int) -> Rows:
    texts: list[Values] = []
    numbers: list[Values] = []
    for organization, each in there.items():
        named, coded = dict(zip(_ALL_TEXTS, each.texts, strict=True)), dict[str, Codes]()
        if len(each.properties) > MOST_KEYS:
            texts.append((organization, ANY_PROPERTY, zone, None, None))
        else:
            named |= {PROPERTY_NAME + key: values for key, values in each.properties.items()}
        known = dict(zip(NUMBERS, each.numbers, strict=True))
        many = not is_small(len(each.places))
        unknown = everyone(each.places) if many else b""
        for name, column in named.items():
            packed = None if name in INDEXED else column.packed(len(each.places))
            if packed is not None:
                texts.append((organization, name, zone, *packed))
            if many and (packed is not None or name in INDEXED):
                coded[name] = column.coded(unknown)
        if many:
            same = each.ids == each.request_ids
            texts.append((organization, IDS + "request_id", zone, None, pack_ids(each.request_ids, each.places)))
            texts.append((organization, IDS + "id", zone, None, b"" if same else pack_ids(each.ids, each.places)))
            coded |= {name: code_numbers(known[name], each.places) for name in NUMBERS if name != "received_at"}
        texts += [(organization, CODES + name, zone, None, pack_codes(codes)) for name, codes in coded.items()]
        times = [at for at in known["received_at"] if at is not None]
        noted = pack_numbers(known, each.places)
        numbers.append((organization, zone, len(times), min(times), max(times), 0, noted))
    return Rows(texts, numbers)


def _text(name: str) -> ColumnElement[Any]:
    return REQUEST.c[name]


def _number(name: str) -> ColumnElement[Any]:
    # As the driver has it: truth is a number, too.
    return LOGGED_STATUS if name == STATUS else type_coerce(REQUEST.c[name], Integer)
