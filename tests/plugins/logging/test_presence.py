"""Presence: the users of days that are over, noted as bits; whatever is asked, they are as many as the rows say."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, update

from helicone_gw.database import Database
from helicone_gw.exchange import Exchange
from helicone_gw_logging.insert import Knowledge, prepare, write
from helicone_gw_logging.presence import HOURS, bits_of, note, pack_bits, unpack_bits
from helicone_gw_logging.query.active import active
from helicone_gw_logging.query.cuts import cuts, zone
from helicone_gw_logging.query.plan import Question
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.spans import Span
from helicone_gw_logging.record import record
from helicone_gw_logging.tables import REQUEST
from helicone_gw_logging.totals import USER_NUMBER, USER_PRESENCE
from helicone_gw_logging.vocabulary import Vocabulary
from tests.plugins.logging.asking import START

Build = Callable[..., Exchange]
AT, HOUR, DAY = round(START * 1000), 3_600_000, 86_400_000
DAYS, OVER = 4, START + 3 * 86_400 + 7200
"""Requests are of four days, of which three are over then."""


def some(exchange: Build, count: int, seed: int = 1) -> Iterator[Exchange]:
    dice = random.Random(seed)
    for _ in range(count):
        user = dice.choice((None, f"u{int(dice.expovariate(0.1))}"))
        at = START + dice.randrange(DAYS * DAY) / 1000
        yield exchange(user=user, received_at=at, organization=dice.choice(("default", "default", "acme")))


async def log(database: Database, exchanges: Iterator[Exchange], most: int = 1000) -> None:
    await write(database, [prepare(record(one), (), 0) for one in exchanges], Knowledge(Vocabulary(most)))


async def noted(database: Database, now: float = OVER) -> int:
    return len([done async for done in note(database, now)])


def questions() -> Iterator[Question]:
    spans = [Span(AT, AT + DAYS * DAY), Span(AT + 5, AT + 2 * DAY - 7), Span(AT + 3 * HOUR, AT + 3 * DAY + 30 * 60_000)]
    spans += [Span(AT + HOUR // 2, AT + HOUR), Span(AT - 9 * DAY, AT + 90 * DAY), Span(AT + DAY, AT + DAY)]
    yield Question(Scope(), Span(-(2**62), 2**62))
    for span in spans:
        yield Question(Scope(), span)
        for increment in ("hour", "day", "week"):
            for where in ("UTC", "Europe/Berlin", "Asia/Kolkata"):
                if span.end - span.start < 10 * DAY or increment == "week":
                    yield Question(Scope(), span, cuts=tuple(cuts(span, increment, zone(where))))  # type: ignore[arg-type]


async def check(database: Database, every: int = 6) -> int:
    """Questions, one of so many, against the rows; returns how many buckets there were."""
    seen = 0
    async with database.connect() as connection:
        rows = [*await connection.execute(select(REQUEST.c.organization_id, REQUEST.c.received_at, REQUEST.c.user_id))]
        for question in islice(questions(), 0, None, every):
            there: dict[int, set[str]] = {}
            for organization, at, user in rows:
                if organization == "default" and user and question.span.start <= at < question.span.end:
                    bucket = max(0, sum(cut <= at for cut in question.cuts) - 1)
                    there.setdefault(bucket, set()).add(user)
            expected = {bucket: len(users) for bucket, users in there.items()}
            assert await active(connection, question) == expected, question
            seen += len(there)
    return seen


async def test_users_are_counted_by_what_is_noted_and_what_lies_beside(any_database: Database, exchange: Build) -> None:
    await log(any_database, some(exchange, 250))
    assert await check(any_database) > 10
    assert await noted(any_database, START + DAY / 1000) == 0, "it may still go on for an hour"
    assert await noted(any_database) == 3 * 2, "three days of two organizations"
    assert await noted(any_database) == 0
    assert await check(any_database, every=1) > 100


async def test_what_comes_later_is_counted_at_once_and_noted_in_its_turn(
    any_database: Database, exchange: Build
) -> None:
    await log(any_database, some(exchange, 80))
    await noted(any_database)
    late = AT / 1000 + 90_000
    await log(any_database, iter([exchange(user="late", received_at=late), exchange(user="u1", received_at=late)]))
    await check(any_database)
    assert await noted(any_database) == 1
    await check(any_database)


async def test_it_is_what_is_noted_that_is_read(database: Database, exchange: Build) -> None:
    await log(database, some(exchange, 80))
    await noted(database)
    async with database.begin() as connection:
        everybody = pack_bits([bits_of(range(1000))])
        await connection.execute(update(USER_PRESENCE).values(whole=everybody))
        assert await active(connection, Question(Scope(), Span(AT, AT + DAY))) == {0: 1000}


async def test_users_beyond_those_that_sums_tell_apart_are_noted_by_their_rows(
    any_database: Database, exchange: Build
) -> None:
    await log(any_database, some(exchange, 250), most=1)
    await noted(any_database)
    await check(any_database)


async def test_where_neither_sums_nor_rows_know_them_nothing_is_noted(any_database: Database, exchange: Build) -> None:
    await log(any_database, iter([exchange(user=f"u{number}", received_at=START) for number in range(3)]), most=1)
    async with any_database.begin() as connection:
        await connection.execute(REQUEST.delete().where(REQUEST.c.user_id == "u0"))
    assert await noted(any_database) == 1
    assert await noted(any_database) == 0
    async with any_database.connect() as connection:
        assert [*await connection.scalars(select(USER_PRESENCE.c.whole))] == [None]
    await check(any_database)


async def test_a_number_is_given_once(database: Database, exchange: Build) -> None:
    await log(database, some(exchange, 80))
    await noted(database)
    async with database.begin() as connection:
        last = await connection.scalar(select(func.max(USER_NUMBER.c.number)))
        await connection.execute(USER_NUMBER.delete())
        await connection.execute(USER_PRESENCE.delete())
    await noted(database)
    async with database.connect() as connection:
        numbers = select(USER_NUMBER.c.number).where(USER_NUMBER.c.organization_id == "default")
        again = [*await connection.scalars(numbers)]
    assert again
    assert len(set(again)) == len(again)
    assert min(again) >= len(again)
    assert last is not None


@given(st.lists(st.sets(st.integers(0, 5000), max_size=30), min_size=HOURS, max_size=HOURS))
@settings(max_examples=20, deadline=None)
def test_bits_are_packed_without_loss(several: list[set[int]]) -> None:
    bits = [bits_of(each) for each in several]
    assert [each.bit_count() for each in bits] == [len(each) for each in several]
    assert unpack_bits(pack_bits(bits), HOURS) == bits


@pytest.mark.parametrize("data", [pack_bits([0])])
def test_nobody_is_no_bit(data: Any) -> None:
    assert unpack_bits(data, 1) == [0]
