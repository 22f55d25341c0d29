"""Zones: which texts and numbers the requests of each eight thousand have, so that what hardly any request has is
looked for only where it can be.

A zone is the requests whose numbers (``seq``) divided by `SIZE` are the same. Once all of its numbers are given, none
comes to it any more, and what is noted of it stays true; who changes something of a request says so (`unnote`), and the
zone is noted anew. What is noted, `helicone_gw_logging.zone_notes` says, and `helicone_gw_logging.zone_codes`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct
from sqlalchemy import ColumnElement, and_, delete, func, select, update

from helicone_gw_logging.insert import take_numbers
from helicone_gw_logging.noted import NUMBER_ZONE, TEXT_ZONE
from helicone_gw_logging.statements import put
from helicone_gw_logging.tables import REQUEST
from helicone_gw_logging.totals import SEQUENCE
from helicone_gw_logging.zone_codes import CODES, Codes, unpack_codes
from helicone_gw_logging.zone_ids import IDS, places_of_part
from helicone_gw_logging.zone_notes import Places, Wanted, pack_numbers, places_of_text, without

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from helicone_gw import Database
    from helicone_gw_logging.zone_rows import Rows

SIZE: Final = 8192
"""Requests of a zone, of all organizations together."""
ANEW: Final = 300
"""Zones that are noted anew at once at most, those that changed last first; the others wait for the next time."""
NOTED: Final = "codes"
"""What the number in `totals.SEQUENCE` is called that says how far is noted; another name, and all is noted anew."""


class Zone(Struct, frozen=True):
    """What is noted of an organization's requests in a zone: how many, when the first and the last were received (epoch
    milliseconds), and their numbers."""

    requests: int
    first_at: int
    last_at: int
    numbers: bytes


AT_ONCE: Final = 32
"""Zones whose ids are in memory together: some five megabytes."""


class Coded(Struct, frozen=True):
    """What is noted of a column in a zone: its codes, and ``texts`` and ``places`` of `noted.TEXT_ZONE`, which tell of
    texts that have no code."""

    codes: Codes
    texts: bytes | None
    places: bytes | None


async def note_zones(database: Database) -> AsyncIterator[int]:
    """Note the zones that are complete, and those in which something has changed; yields how many that were so far.

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
        done += await _note(database, zone, new=True)
        yield done
    columns = NUMBER_ZONE.c
    async with database.begin() as connection:
        # What retention has left nothing of.
        for table in (TEXT_ZONE, NUMBER_ZONE):
            await connection.execute(delete(table).where(table.c.zone < oldest))
        changed = select(columns.zone).where(columns.changes > 0, columns.zone < complete).distinct()
        again = [*await connection.scalars(changed.order_by(columns.zone.desc()).limit(ANEW))]
    for zone in again:
        done += await _note(database, zone, new=False)
        yield done


async def _note(database: Database, zone: int, *, new: bool) -> bool:
    """Note a zone; False where it changed meanwhile, or somebody else has noted it."""
    from helicone_gw_logging import zone_rows  # what reads filters is no business of a starting gateway

    async with database.connect() as connection:
        before = await _changes(connection, zone)
        rows = await zone_rows.read_zone(connection, zone, SIZE)
    async with database.begin() as connection:
        # Whoever else notes zones, or changes requests, waits from here to the commit.
        await connection.run_sync(take_numbers, 0)
        if (await noted_until(connection) > zone) == new or await _changes(connection, zone) != before:
            return False
        await _put(connection, zone, rows)
        if new:
            await _note_until(connection, zone + 1)
    return True


async def _put(connection: AsyncConnection, zone: int, rows: Rows) -> None:
    for table, some in ((TEXT_ZONE, rows.texts), (NUMBER_ZONE, rows.numbers)):
        await connection.execute(delete(table).where(table.c.zone == zone))
        await connection.run_sync(put, table, some)


async def _changes(connection: AsyncConnection, zone: int) -> dict[str, int]:
    columns = NUMBER_ZONE.c
    query = select(columns.organization_id, columns.changes).where(columns.zone == zone, columns.changes > 0)
    return {row[0]: row[1] for row in await connection.execute(query)}


async def noted_until(connection: AsyncConnection) -> int:
    """The first zone of which nothing is noted: all before it are, or have no requests."""
    return await connection.scalar(select(SEQUENCE.c.value).where(SEQUENCE.c.name == NOTED)) or 0


async def unnote(
    connection: AsyncConnection, organization: str, names: Collection[str], requests: Iterable[int]
) -> None:
    """Say that these ``requests`` (their ``seq``) have something else in the columns, or properties, ``names``.

    Belongs into the transaction that changes them, behind `insert.take_numbers`.
    """
    from helicone_gw_logging.zone_rows import NUMBERS

    texts, numbers = TEXT_ZONE.c, NUMBER_ZONE.c
    for zone in sorted({seq // SIZE for seq in requests}):
        told = [*names, *(CODES + name for name in names)]
        own = and_(texts.organization_id == organization, texts.name.in_(told), texts.zone == zone)
        await connection.execute(delete(TEXT_ZONE).where(own))
        unknown = [(organization, name, zone, None, None) for name in names if name not in NUMBERS]
        await connection.run_sync(put, TEXT_ZONE, unknown)
        mine = and_(numbers.organization_id == organization, numbers.zone == zone)
        noted = await connection.scalar(select(numbers.numbers).where(mine))
        if noted is None:
            # Not noted yet, and perhaps being read at this moment.
            row = (organization, zone, 0, 0, 0, 1, pack_numbers({}, ()))
            await connection.run_sync(put, NUMBER_ZONE, [row])
        else:
            left = without(noted, [name for name in names if name in NUMBERS])
            values = {"numbers": left, "changes": numbers.changes + 1}
            await connection.execute(update(NUMBER_ZONE).where(mine).values(values))


async def zones_with_text(
    connection: AsyncConnection, organization: str, name: str, wanted: Wanted, span: tuple[int, int]
) -> dict[int, Places]:
    """The zones of ``span`` (from, to) in which a request may have a text as it is ``wanted`` in column ``name``, and
    where in these."""
    columns = TEXT_ZONE.c
    own = and_(columns.organization_id == organization, columns.name == name, _inside(columns, span))
    found = dict[int, Places]()
    for zone, texts, places_of in await connection.execute(
        select(columns.zone, columns.texts, columns.places).where(own)
    ):
        places = places_of_text(texts, places_of, wanted)
        if places is None or places:
            found[zone] = places
    return found


async def zones_with_any(
    connection: AsyncConnection, organization: str, names: Collection[str], span: tuple[int, int]
) -> set[int]:
    """The zones of ``span`` (from, to) in which a request may have anything in one of the columns ``names``."""
    columns = TEXT_ZONE.c
    own = and_(columns.organization_id == organization, columns.name.in_(names), _inside(columns, span))
    return {*await connection.scalars(select(columns.zone).where(own))}


async def coded_zones(
    connection: AsyncConnection, organization: str, name: str, zones: Sequence[int]
) -> dict[int, Coded]:
    """What is noted of the column ``name`` in those of ``zones`` of which its codes are."""
    columns, coded = TEXT_ZONE.c, CODES + name
    # Both at once: between two statements it may be noted anew.
    own = and_(columns.organization_id == organization, columns.name.in_((name, coded)), columns.zone.in_(zones))
    rows = await connection.execute(select(columns.zone, columns.name, columns.texts, columns.places).where(own))
    found = {(zone, told): (texts, places) for zone, told, texts, places in rows}
    return {
        zone: Coded(unpack_codes(places), *found.get((zone, name), (None, None)))
        for (zone, told), (_, places) in found.items()
        if told == coded and places is not None
    }


async def zones_with_part_of_id(
    connection: AsyncConnection, organization: str, name: str, part: str, span: tuple[int, int]
) -> dict[int, Places]:
    """Where requests of ``span`` (from, to) can be whose id contains ``part``, by zone; none whose ids are not noted.

    ``name`` is "id" or "request_id".
    """
    columns, found = TEXT_ZONE.c, dict[int, Places]()
    for first in range(*span, AT_ONCE):
        for asked in dict.fromkeys((name, "request_id")):
            some = and_(columns.name == IDS + asked, _inside(columns, (first, min(span[1], first + AT_ONCE))))
            own = and_(columns.organization_id == organization, some, columns.zone.not_in(found))
            rows = await connection.execute(select(columns.zone, columns.places).where(own))
            # Where all are the same in both columns, they are noted of one.
            found |= {zone: places_of_part(ids, part) for zone, ids in rows if ids}
    return found


async def noted_zones(connection: AsyncConnection, organization: str, span: tuple[int, int]) -> dict[int, Zone]:
    """What is noted of the numbers of an organization's requests, by zone, in those of ``span`` (from, to)."""
    columns = NUMBER_ZONE.c
    noted = select(columns.zone, columns.requests, columns.first_at, columns.last_at, columns.numbers)
    own = and_(columns.organization_id == organization, _inside(columns, span))
    return {zone: Zone(*rest) for zone, *rest in await connection.execute(noted.where(own))}


def _inside(columns: Any, span: tuple[int, int]) -> ColumnElement[bool]:
    return and_(columns.zone >= span[0], columns.zone < span[1])


async def _given(connection: AsyncConnection) -> int:
    """The last number that was given to a request; all up to it are in the database, or never will be."""
    # One more than that is the first that is yet to come.
    last = await connection.scalar(select(SEQUENCE.c.value).where(SEQUENCE.c.name == REQUEST.name)) or 0
    return last + 1


async def _note_until(connection: AsyncConnection, zone: int) -> None:
    own = SEQUENCE.c.name == NOTED
    if not (await connection.execute(update(SEQUENCE).where(own).values(value=zone))).rowcount:
        await connection.run_sync(put, SEQUENCE, [(NOTED, "", zone)])
