"""Corrections: what is said of a request after it was logged, and what that changes of the sums, in one transaction."""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from sqlalchemy import Select, delete, or_, select

from helicone_gw_logging.columns import columns
from helicone_gw_logging.insert import Knowledge, take_numbers
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.redact import redact_text
from helicone_gw_logging.rollups import gather
from helicone_gw_logging.statements import Values, put
from helicone_gw_logging.tables import FEEDBACK, PROPERTY, REQUEST, SCORE
from helicone_gw_logging.texts import KEY_BYTES, NAME_BYTES, TEXT_BYTES, VALUE_START_BYTES, text
from helicone_gw_logging.zone_notes import PROPERTY_NAME
from helicone_gw_logging.zones import unnote

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from helicone_gw import Database

FEEDBACK_SCORE = "helicone-score-feedback"
"""The score under which a rating can be found, too: 1 is good."""
RATING = "rating"
"""The name of feedback that is a rating and nothing else."""


class Logged(Struct):
    """A request as it is in the database: its values and those of its properties, without ``seq``."""

    seq: int
    request: Values
    properties: list[Values]


async def set_property(
    database: Database, organization: str, id: str, key: str, value: str, knowledge: Knowledge | None = None
) -> bool:
    """Give a request a property, or another value of one; False when there is no such request."""
    kept = redact_text(text(value, TEXT_BYTES) or "", ())
    name = redact_text(text(key, KEY_BYTES) or "", ())
    async with database.begin() as connection:
        before = await _begin(connection, organization, id)
        if before is None:
            return False
        lower = text(name.lower(), KEY_BYTES) or ""
        row = (organization, before.request[_RECEIVED_AT], lower, name, kept, text(kept, VALUE_START_BYTES) or "")
        others = [each for each in before.properties if each[_KEY_LOWER] != lower]
        await connection.execute(delete(PROPERTY).where(PROPERTY.c.seq == before.seq, PROPERTY.c.key_lower == lower))
        await connection.run_sync(put, PROPERTY, [(before.seq, *row)])
        await unnote(connection, organization, [PROPERTY_NAME + lower], [before.seq])
        after = Logged(before.seq, before.request, [*others, row])
        await move(connection, [(before, after)], knowledge or Knowledge())
    return True


async def set_scores(database: Database, organization: str, id: str, scores: Mapping[str, float], *, now: int) -> bool:
    """Give a request scores (booleans count as 1 and 0), each in place of an older one of its name.

    ``now`` is epoch milliseconds. False when there is no such request. Raises `ValueError` for what is no number.
    """
    if not all(map(math.isfinite, scores.values())):
        raise ValueError("a score is a finite number")
    async with database.begin() as connection:
        found = await _begin(connection, organization, id)
        if found is None:
            return False
        await _score(connection, organization, found, scores, now)
    return True


async def set_feedback(
    database: Database,
    organization: str,
    id: str,
    *,
    now: int,
    rating: bool | None = None,
    name: str = RATING,
    value: str | None = None,
    data_type: str = "boolean",
) -> bool:
    """Note what somebody said of an answer, in place of what was said under that name; a ``rating`` is a score, too.

    ``now`` is epoch milliseconds. False when there is no such request.
    """
    called = redact_text(text(name, KEY_BYTES) or RATING, ())
    said = None if value is None else redact_text(text(value, TEXT_BYTES) or "", ())
    async with database.begin() as connection:
        found = await _begin(connection, organization, id)
        if found is None:
            return False
        await connection.execute(delete(FEEDBACK).where(FEEDBACK.c.seq == found.seq, FEEDBACK.c.name == called))
        at = found.request[_RECEIVED_AT]
        row = (found.seq, organization, at, called, str(uuid.uuid4()), rating, said, text(data_type, 32) or "", now)
        await connection.run_sync(put, FEEDBACK, [row])
        if rating is not None:
            await _score(connection, organization, found, {FEEDBACK_SCORE: rating}, now)
    return True


async def move(connection: AsyncConnection, changes: Sequence[tuple[Logged, Logged]], knowledge: Knowledge) -> None:
    """Correct the sums for requests that were changed, each (before, after); the rows themselves are the caller's.

    Belongs into the transaction that changes them, behind `insert.take_numbers`.
    """
    vocabulary = knowledge.vocabulary
    folded = vocabulary.folded
    away = [(before.request, before.properties, -1) for before, _ in changes]
    totals = await connection.run_sync(
        gather, vocabulary, [*away, *((new.request, new.properties, 1) for _, new in changes)]
    )
    vocabulary.folded = folded  # what is only moved was counted when it came
    await connection.run_sync(totals.write)


async def read(connection: AsyncConnection, requests: Select[Any]) -> list[Logged]:
    """What ``requests``, a query of whole rows of ``request``, finds, with its properties."""
    found = [Logged(row[0], tuple(row[1:]), []) for row in await connection.execute(requests)]
    by_seq = {each.seq: each for each in found}
    numbers = list(by_seq)
    for start in range(0, len(numbers), 500):
        some = select(PROPERTY).where(PROPERTY.c.seq.in_(numbers[start : start + 500]))
        for row in await connection.execute(some):
            by_seq[row[0]].properties.append(tuple(row[1:]))
    return found


async def _begin(connection: AsyncConnection, organization: str, id: str) -> Logged | None:
    """The request that ``id`` names, the newest of several, in the turn of this writer."""
    await connection.run_sync(take_numbers, 0)
    columns = REQUEST.c
    found = await read(
        connection,
        select(REQUEST)
        .where(Scope(organization).of_few(REQUEST), or_(columns.id == id, columns.request_id == id))
        .order_by(columns.seq.desc())
        .limit(1),
    )
    return found[0] if found else None


async def _score(
    connection: AsyncConnection, organization: str, request: Logged, scores: Mapping[str, float], now: int
) -> None:
    names = {redact_text(text(name, NAME_BYTES) or "", ()): value for name, value in scores.items()}
    await connection.execute(delete(SCORE).where(SCORE.c.seq == request.seq, SCORE.c.name.in_(names)))
    at = request.request[_RECEIVED_AT]
    rows = [
        (request.seq, organization, at, name, float(value), isinstance(value, bool), now)
        for name, value in names.items()
    ]
    await connection.run_sync(put, SCORE, rows)


_RECEIVED_AT = columns(REQUEST).index("received_at")
_KEY_LOWER = columns(PROPERTY).index("key_lower")
