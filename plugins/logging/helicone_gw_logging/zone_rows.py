"""Zone rows: what is read of a zone of the log, made rows of `noted.TEXT_ZONE` and `noted.NUMBER_ZONE`."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct
from sqlalchemy import ColumnElement, Integer, and_, func, select, type_coerce

from helicone_gw_logging.columns import columns
from helicone_gw_logging.query.columns import STATUS
from helicone_gw_logging.query.where import LOGGED_STATUS
from helicone_gw_logging.statements import Values
from helicone_gw_logging.tables import PROPERTY, REQUEST
from helicone_gw_logging.values import text_places
from helicone_gw_logging.zone_notes import ANY_PROPERTY, PROPERTY_NAME, Texts, pack_numbers, pack_texts

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

TEXTS: Final = tuple(
    name
    for name in (columns(REQUEST)[place] for place in text_places(REQUEST))
    if name not in ("id", "organization_id", "request_id", "user_id", "session_id")
)
"""Columns of a request whose texts are noted: all that have no index which finds them. A column more needs a migration
that forgets what is noted, as do others in `NUMBERS`."""
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
MOST_KEYS: Final = 200
"""Keys of properties of a zone and an organization that are noted at most."""
_AT_ONCE: Final = 500
_BEGIN: Final = 2  # of the columns that are read: the organization, the number


class Rows(Struct):
    """Rows of `noted.TEXT_ZONE` and of `noted.NUMBER_ZONE`."""

    texts: list[Values]
    numbers: list[Values]


async def read_zone(connection: AsyncConnection, zone: int, size: int) -> Rows:
    """The rows for one zone of ``size`` requests, of all organizations. What takes long is done in a thread."""
    first, own = zone * size, REQUEST.c
    wanted = select(own.organization_id, own.seq, *map(_text, TEXTS), *map(_number, NUMBERS))
    wanted = wanted.where(own.seq >= first, own.seq < first + size)
    there: dict[str, _There] = defaultdict(_There)
    async with connection.stream(wanted) as result:
        async for some in result.partitions(_AT_ONCE):
            await asyncio.to_thread(_add, there, some, first)
    properties = await _of_properties(connection, first, size)
    return await asyncio.to_thread(_rows, there, properties, zone)


class _There:
    """What an organization has in a zone."""

    def __init__(self) -> None:
        self.places: list[int] = []
        self.texts = [Texts() for _ in TEXTS]
        self.numbers: list[list[int | None]] = [[] for _ in NUMBERS]


def _add(there: dict[str, _There], rows: Sequence[Any], first: int) -> None:
    organizations = {row[0] for row in rows}
    for organization in organizations:
        mine = rows if len(organizations) == 1 else [row for row in rows if row[0] == organization]
        into, read = there[organization], [*zip(*mine, strict=True)]
        places = [seq - first for seq in read[1]]
        into.places += places
        behind = _BEGIN + len(TEXTS)
        for texts, column in zip(into.texts, read[_BEGIN:behind], strict=True):
            texts.add(column, places)
        for numbers, column in zip(into.numbers, read[behind:], strict=True):
            numbers += column


_Properties = dict[str, dict[str, dict[str, tuple[int, ...]]]]
"""By organization, key and value the places that have it; none where it is not known which."""


async def _of_properties(connection: AsyncConnection, first: int, size: int) -> _Properties:
    beside, found = PROPERTY.c, defaultdict[str, dict[str, dict[str, tuple[int, ...]]]](lambda: defaultdict(dict))
    named = beside.organization_id, beside.key_lower, beside.value
    figures = func.count(), func.min(beside.seq), func.max(beside.seq)
    own = and_(beside.seq >= first, beside.seq < first + size)
    async with connection.stream(select(*named, *figures).where(own).group_by(*named)) as result:
        async for some in result.partitions(_AT_ONCE):
            for organization, key, value, count, least, greatest in some:
                # Of two, the least and the greatest are both.
                places = (least - first,) if count == 1 else (least - first, greatest - first) if count == 2 else ()
                found[organization][key][value] = places
    return found


def _rows(there: dict[str, _There], properties: _Properties, zone: int) -> Rows:
    texts: list[Values] = []
    numbers: list[Values] = []
    for organization, each in there.items():
        for name, column in zip(TEXTS, each.texts, strict=True):
            packed = column.packed(len(each.places))
            if packed is not None:
                texts.append((organization, name, zone, *packed))
        known = dict(zip(NUMBERS, each.numbers, strict=True))
        times = [at for at in known["received_at"] if at is not None]
        noted = pack_numbers(known, each.places)
        numbers.append((organization, zone, len(times), min(times), max(times), 0, noted))
    for organization, keys in properties.items():
        if len(keys) > MOST_KEYS:
            texts.append((organization, ANY_PROPERTY, zone, None, None))
        else:
            texts += [(organization, PROPERTY_NAME + key, zone, *pack_texts(values)) for key, values in keys.items()]
    return Rows(texts, numbers)


def _text(name: str) -> ColumnElement[Any]:
    return REQUEST.c[name]


def _number(name: str) -> ColumnElement[Any]:
    # As the driver has it: truth is a number, too.
    return LOGGED_STATUS if name == STATUS else type_coerce(REQUEST.c[name], Integer)
