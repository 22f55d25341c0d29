"""Presence: which users there were in each hour of a day that is over, as bits, so that those of any time are counted.

Every user of an organization has a number. A day has one bit for each number, and so has each of its hours: users of
several days are all the bits that are set in one of them. What is noted says of how many requests it is; where a day
has others by now, its sums are read until it is noted anew.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Select, and_, delete, func, or_, select, update

from helicone_gw_logging.insert import take_numbers
from helicone_gw_logging.measures import HOUR_MS, days_over
from helicone_gw_logging.statements import put
from helicone_gw_logging.tables import REQUEST
from helicone_gw_logging.totals import DIMENSION, DIMENSION_DAY, EVERY, OTHER, SEQUENCE, USER_NUMBER, USER_PRESENCE

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from helicone_gw import Database

HOURS: Final = 24
_CHUNK: Final = 500


def bits_of(numbers: Iterable[int]) -> int:
    """A bit for each number."""
    known = {*numbers}
    if not known:
        return 0
    made = bytearray(max(known) // 8 + 1)
    for number in known:
        made[number >> 3] |= 1 << (number & 7)
    return int.from_bytes(made, "little")


def pack_bits(several: Sequence[int]) -> bytes:
    """Bits of each of the `HOURS`, or of one day, as bytes: how long each is, and then all of them, compressed."""
    pieces = [each.to_bytes((each.bit_length() + 7) // 8, "little") for each in several]
    lengths = struct.pack(f"<{len(pieces)}I", *map(len, pieces))
    return zlib.compress(lengths + b"".join(pieces), 1)


def unpack_bits(data: bytes, count: int) -> list[int]:
    """The bits again, ``count`` of them."""
    plain = zlib.decompress(data)
    lengths, at, found = struct.unpack_from(f"<{count}I", plain), 4 * count, []
    for length in lengths:
        found.append(int.from_bytes(plain[at : at + length], "little"))
        at += length
    return found


async def note(database: Database, now: float) -> AsyncIterator[int]:
    """Note the days that are over at ``now`` (epoch seconds); yields how many that were so far.

    Every day is a transaction of its own, so that it may be broken off and begun again at any time, by several
    processes at once. Raises what SQLAlchemy raises.
    """
    before, done = days_over(now), 0
    async with database.connect() as connection:
        organizations = await _organizations(connection)
    for organization in organizations:
        while True:
            async with database.connect() as connection:
                if (await connection.execute(_over(organization, before).limit(1))).first() is None:
                    break
            async with database.begin() as connection:
                # Nobody writes from here to the commit, so that what is read is all of the day.
                await connection.run_sync(take_numbers, 0)
                day = (await connection.execute(_over(organization, before).limit(1))).first()
                if day is not None:
                    await _note(connection, organization, day[0], day[1])
            done += 1
            yield done


async def noted(
    connection: AsyncConnection, organization: str, days: Collection[int], *, by_hour: bool
) -> Mapping[int, list[int]]:
    """The bits of those of ``days`` of which it is known which users there were: one each, or one for each hour."""
    column, count = (USER_PRESENCE.c.hours, HOURS) if by_hour else (USER_PRESENCE.c.whole, 1)
    wanted, found = sorted(days), dict[int, list[int]]()
    for start in range(0, len(wanted), _CHUNK):
        query = _with_requests(select(USER_PRESENCE.c.day, column)).where(
            USER_PRESENCE.c.organization_id == organization,
            USER_PRESENCE.c.day.in_(wanted[start : start + _CHUNK]),
            column.is_not(None),
            USER_PRESENCE.c.requests == DIMENSION_DAY.c.requests,
        )
        for day, data in await connection.execute(query):
            found[day] = unpack_bits(data, count)
    return found


async def all_users_are_kept(connection: AsyncConnection, organization: str) -> bool:
    """Whether retention has forgotten none, so that their sums tell of all there ever were: as many are left as were
    given a number."""
    given = select(SEQUENCE.c.value).where(SEQUENCE.c.name == f"user:{organization}")
    number = select(func.count()).select_from(USER_NUMBER).where(USER_NUMBER.c.organization_id == organization)
    told: int | None = await connection.scalar(given)
    return told is not None and told == await connection.scalar(number)


def _with_requests(query: Select[Any]) -> Select[Any]:
    """With how many requests there are of each day by now."""
    same = and_(
        DIMENSION_DAY.c.organization_id == USER_PRESENCE.c.organization_id,
        DIMENSION_DAY.c.dimension == EVERY,
        DIMENSION_DAY.c.day == USER_PRESENCE.c.day,
    )
    return query.select_from(USER_PRESENCE.join(DIMENSION_DAY, same))


async def _organizations(connection: AsyncConnection) -> list[str]:
    column, found = DIMENSION_DAY.c.organization_id, list[str]()
    while True:
        behind = [column > found[-1]] if found else []
        following = await connection.scalar(select(func.min(column)).where(*behind))
        if following is None:
            return found
        found.append(following)


def _over(organization: str, before: int) -> Select[Any]:
    """Days that are over and not noted, or not all of them, with how many requests they have."""
    same = and_(
        USER_PRESENCE.c.organization_id == DIMENSION_DAY.c.organization_id, USER_PRESENCE.c.day == DIMENSION_DAY.c.day
    )
    columns = DIMENSION_DAY.c
    own = and_(columns.organization_id == organization, columns.dimension == EVERY, columns.day < before)
    missing = or_(USER_PRESENCE.c.requests.is_(None), USER_PRESENCE.c.requests != columns.requests)
    return (
        select(columns.day, columns.requests)
        .select_from(DIMENSION_DAY.outerjoin(USER_PRESENCE, same))
        .where(own, missing)
    )


async def _note(connection: AsyncConnection, organization: str, day: int, requests: int) -> None:
    whole = hours = None
    users = await _users(connection, organization, day)
    if users is not None:
        numbers = await _numbers(connection, organization, {user for some in users for user in some})
        bits = [bits_of(numbers[user] for user in some) for some in users]
        every = 0
        for each in bits:
            every |= each
        whole, hours = pack_bits([every]), pack_bits(bits)
    own = and_(USER_PRESENCE.c.organization_id == organization, USER_PRESENCE.c.day == day)
    await connection.execute(delete(USER_PRESENCE).where(own))
    await connection.run_sync(put, USER_PRESENCE, [(organization, day, requests, whole, hours)])


async def _users(connection: AsyncConnection, organization: str, day: int) -> list[set[str]] | None:
    """The users of each hour; ``None`` where neither sums nor rows know all of them."""
    found: list[set[str]] = [set() for _ in range(HOURS)]
    columns, first = DIMENSION.c, day * HOURS
    own = and_(columns.organization_id == organization, columns.hour >= first, columns.hour < first + HOURS)
    users = select(columns.hour, columns.value).where(own, columns.dimension == "user", columns.requests > 0)
    for hour, user in await connection.execute(users):
        found[hour - first].add(user)
    for number, there in enumerate(found):
        if OTHER not in there:
            continue
        # More than sums tell apart: the rows do, as long as all of them are there.
        at = REQUEST.c.received_at
        start = (first + number) * HOUR_MS
        inside = and_(REQUEST.c.organization_id == organization, at >= start, at < start + HOUR_MS)
        rows = await connection.scalar(select(func.count()).select_from(REQUEST).where(inside))
        every = select(columns.requests).where(own, columns.dimension == EVERY, columns.hour == first + number)
        if rows != await connection.scalar(every):
            return None
        distinct = select(REQUEST.c.user_id).where(inside, REQUEST.c.user_id != "").distinct()
        found[number] = {*await connection.scalars(distinct)}
    return found


async def _numbers(connection: AsyncConnection, organization: str, users: Collection[str]) -> dict[str, int]:
    """The number of each of ``users``; those that have none are given one."""
    columns, wanted, found = USER_NUMBER.c, sorted(users), dict[str, int]()
    own = columns.organization_id == organization
    for start in range(0, len(wanted), _CHUNK):
        some = columns.user_id.in_(wanted[start : start + _CHUNK])
        for user, number in await connection.execute(select(columns.user_id, columns.number).where(own, some)):
            found[user] = number
    new = [user for user in wanted if user not in found]
    if new:
        begin = await _take(connection, organization, len(new))
        given = dict(zip(new, range(begin, begin + len(new)), strict=True))
        await connection.run_sync(put, USER_NUMBER, [(organization, user, number) for user, number in given.items()])
        found |= given
    return found


async def _take(connection: AsyncConnection, organization: str, count: int) -> int:
    """The first of ``count`` numbers. Those of users that retention has deleted are not given again."""
    name = SEQUENCE.c.name == f"user:{organization}"
    last = await connection.scalar(select(SEQUENCE.c.value).where(name))
    if last is None:
        last = 0
        await connection.run_sync(put, SEQUENCE, [(f"user:{organization}", organization, count)])
    else:
        await connection.execute(update(SEQUENCE).where(name).values(value=last + count))
    return last
