"""Zones: which texts the requests of each eight thousand have, so that a text is looked for only where it can be.

A zone is the requests whose numbers (``seq``) divided by `SIZE` are the same. Once all of its numbers are given, none
comes to it any more, and what is noted of it stays true: texts of requests do not change, and who changes a property
says so (`unnote`). Paths, messages of errors, names and values of properties come again and again, so that a zone has
few different ones; what nearly every request has another one of, as ids, is not noted at all.
"""

from __future__ import annotations

import unicodedata
import zlib
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import ColumnElement, and_, delete, func, select, update

from helicone_gw_logging.insert import take_numbers
from helicone_gw_logging.noted import TEXT_ZONE
from helicone_gw_logging.statements import Values, put
from helicone_gw_logging.tables import PROPERTY, REQUEST
from helicone_gw_logging.totals import SEQUENCE

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from helicone_gw import Database

SIZE: Final = 8192
"""Requests of a zone, of all organizations together."""
MOST: Final = 1000
"""Different texts of a zone that are noted at most."""
MOST_TEXT: Final = 32_768
"""Characters of all of them together."""
NAMES: Final = (
    *("path", "target_url", "operation", "provider", "model", "request_model", "error_code", "error_message"),
    *("stop_reason", "session_name", "prompt_id", "country_code", "key_name", "key_owner"),
)
"""Columns of a request whose texts are noted; a change of these needs a migration that forgets what is noted."""
PROPERTY_NAME: Final = "property:"
"""What the key of a property (in lower case) follows in the name of its texts."""
ANY_PROPERTY: Final = "property"
"""The name whose texts are unknown where a zone has more keys than are noted."""
MOST_KEYS: Final = 200
"""Keys of properties of a zone and an organization that are noted at most."""
_AT_ONCE: Final = 1000
_PLACE: Final = "texts"


async def note_zones(database: Database) -> AsyncIterator[int]:
    """Note the zones that are complete; yields how many that were so far.

    Every zone is a transaction of its own, so that it may be broken off and begun again at any time, by several
    processes at once. Raises what SQLAlchemy raises.
    """
    done = 0
    while True:
        async with database.connect() as connection:
            zone, complete = await noted_until(connection), await _given(connection) // SIZE
            first = await connection.scalar(select(func.min(REQUEST.c.seq)))
            oldest = complete if first is None else first // SIZE
            zone = max(zone, oldest)
            if zone >= complete:
                break
            rows = await _rows(connection, zone)
        async with database.begin() as connection:
            # Whoever else notes zones waits from here to the commit.
            await connection.run_sync(take_numbers, 0)
            if await noted_until(connection) <= zone:
                # What was changed meanwhile, or before, is known to be unknown.
                columns = TEXT_ZONE.c
                query = select(columns.organization_id, columns.name).where(columns.zone == zone)
                there = {tuple(row) for row in await connection.execute(query)}
                await connection.run_sync(put, TEXT_ZONE, [row for row in rows if row[:2] not in there])
                await _note_until(connection, zone + 1)
        done += 1
        yield done
    # What retention has left nothing of.
    async with database.begin() as connection:
        await connection.execute(delete(TEXT_ZONE).where(TEXT_ZONE.c.zone < oldest))


async def noted_until(connection: AsyncConnection) -> int:
    """The first zone of which nothing is noted: all before it are, or have no requests."""
    return await connection.scalar(select(SEQUENCE.c.value).where(SEQUENCE.c.name == _PLACE)) or 0


async def unnote(connection: AsyncConnection, organization: str, name: str, seq: int) -> None:
    """Say that nobody knows which texts the zone of the request ``seq`` has under ``name``: one of them has changed.

    Belongs into the transaction that changes it, behind `insert.take_numbers`.
    """
    columns, zone = TEXT_ZONE.c, seq // SIZE
    own = and_(columns.organization_id == organization, columns.name == name, columns.zone == zone)
    await connection.execute(delete(TEXT_ZONE).where(own))
    await connection.run_sync(put, TEXT_ZONE, [(organization, name, zone, None)])


async def zones_with(
    connection: AsyncConnection, organization: str, name: str, parts: Iterable[str]
) -> tuple[set[int], int]:
    """The zones in which a request may have one of ``parts`` in a text of column ``name``, in any case and with any
    accents, and the first zone of which nothing is known."""
    until, wanted, found = await noted_until(connection), [folded(part) for part in parts], set[int]()
    columns = TEXT_ZONE.c
    query = select(columns.zone, columns.texts).where(
        columns.organization_id == organization, columns.name == name, columns.zone < until
    )
    known: dict[bytes | None, bool] = {None: True}
    for zone, texts in await connection.execute(query):
        there = known.get(texts)
        if there is None:
            there = known[texts] = any(part in each for each in _unpacked(texts) for part in wanted)
        if there:
            found.add(zone)
    return found, until


def folded(said: str) -> str:
    """A text without cases and accents: what any database takes for alike becomes the same, character by character."""
    if said.isascii():
        return said.lower()
    plain = unicodedata.normalize("NFD", unicodedata.normalize("NFD", said).casefold())
    return "".join(each for each in plain if not unicodedata.combining(each))


@lru_cache(maxsize=256)
def _unpacked(texts: bytes) -> tuple[str, ...]:
    return tuple(map(folded, msgspec.json.decode(zlib.decompress(texts), type=list[str])))


async def _given(connection: AsyncConnection) -> int:
    """The last number that was given to a request; all up to it are in the database, or never will be."""
    # One more than that is the first that is yet to come.
    last = await connection.scalar(select(SEQUENCE.c.value).where(SEQUENCE.c.name == REQUEST.name)) or 0
    return last + 1


def _text(name: str) -> ColumnElement[Any]:
    return REQUEST.c[name]


async def _rows(connection: AsyncConnection, zone: int) -> list[Values]:
    """The rows of `TEXT_ZONE` for one zone."""
    own = and_(REQUEST.c.seq >= zone * SIZE, REQUEST.c.seq < (zone + 1) * SIZE)
    texts: dict[str, list[set[str | None]]] = defaultdict(lambda: [set() for _ in NAMES])
    async with connection.stream(select(REQUEST.c.organization_id, *map(_text, NAMES)).where(own)) as result:
        async for some in result.partitions(_AT_ONCE):
            organizations = {row[0] for row in some}
            for organization in organizations:
                mine = some if len(organizations) == 1 else [row for row in some if row[0] == organization]
                for there, column in zip(texts[organization], [*zip(*mine, strict=True)][1:], strict=True):
                    there.update(column)
    rows = [
        (organization, name, zone, _packed({each for each in there if each is not None}))
        for organization, columns in texts.items()
        for name, there in zip(NAMES, columns, strict=True)
        if there != {None}
    ]
    return rows + await _of_properties(connection, zone)


async def _of_properties(connection: AsyncConnection, zone: int) -> list[Values]:
    columns, found = PROPERTY.c, defaultdict[str, dict[str, set[str]]](lambda: defaultdict(set))
    own = and_(columns.seq >= zone * SIZE, columns.seq < (zone + 1) * SIZE)
    async with connection.stream(
        select(columns.organization_id, columns.key_lower, columns.value).where(own).distinct()
    ) as result:
        async for some in result.partitions(_AT_ONCE):
            for organization, key, value in some:
                found[organization][key].add(value)
    rows: list[Values] = []
    for organization, keys in found.items():
        if len(keys) > MOST_KEYS:
            rows.append((organization, ANY_PROPERTY, zone, None))
        else:
            rows += [(organization, PROPERTY_NAME + key, zone, _packed(values)) for key, values in keys.items()]
    return rows


def _packed(texts: set[str]) -> bytes | None:
    if len(texts) > MOST or sum(map(len, texts)) > MOST_TEXT:
        return None
    return zlib.compress(msgspec.json.encode(sorted(texts)), 1)


async def _note_until(connection: AsyncConnection, zone: int) -> None:
    own = SEQUENCE.c.name == _PLACE
    if not (await connection.execute(update(SEQUENCE).where(own).values(value=zone))).rowcount:
        await connection.run_sync(put, SEQUENCE, [(_PLACE, "", zone)])
