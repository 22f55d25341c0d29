"""Rollups: they say what the rows say, whenever and in whatever order these came."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import pytest
from sqlalchemy import case, func, select

from helicone_gw.database import Database
from helicone_gw.exchange import Exchange
from helicone_gw.model import Cost, Usage
from helicone_gw_logging import vocabulary as vocabulary_module
from helicone_gw_logging.insert import Knowledge, prepare, write
from helicone_gw_logging.record import record
from helicone_gw_logging.tables import REQUEST
from helicone_gw_logging.totals import DIMENSION, EVERY, OTHER, PROPERTY_KEY, ROLLUP, USER
from helicone_gw_logging.vocabulary import Vocabulary
from tests.plugins.logging.sums import HOUR, START, check, many

Build = Callable[..., Exchange]
OF_USERS = DIMENSION.c.dimension == "user"


@pytest.fixture
def database(any_database: Database) -> Database:
    return any_database


async def log(database: Database, exchanges: Iterable[Exchange], vocabulary: Vocabulary | None = None) -> None:
    knowledge = Knowledge(vocabulary or Vocabulary())
    await write(database, [prepare(record(one, bodies=False), (), 1000) for one in exchanges], knowledge)


async def test_sums_say_what_the_rows_say(database: Database, exchange: Build) -> None:
    vocabulary = Vocabulary()
    made = many(exchange, 300)
    for start in range(0, 300, 70):
        await log(database, made[start : start + 70], vocabulary)
    await check(database)


async def test_figures_beyond_belief_spoil_nobodys_sums(database: Database, exchange: Build) -> None:
    """On Postgres the sum of two of them would refuse every later row of the hour, on SQLite it would be a fraction."""
    absurd = {"usage": Usage(input_tokens=2**62, output_tokens=2**63 - 1), "cost": Cost(2**63 - 1)}
    made = [exchange(), *(exchange(**absurd) for _ in range(3)), exchange()]
    for one in made:
        await log(database, [one])
    await log(database, [exchange(**absurd) for _ in range(3)])
    await check(database)
    async with database.connect() as connection:
        (tokens, cost), *others = (
            await connection.execute(select(ROLLUP.c.prompt_tokens, ROLLUP.c.cost_nano_usd))
        ).all()
    assert not others
    first = made[0]
    assert first.usage is not None
    assert first.cost is not None
    assert (tokens, cost) == (2 * (first.usage.input_tokens or 0), 2 * first.cost.nano_usd)


async def test_a_row_that_comes_late_counts_in_the_hour_in_which_it_was_received(
    database: Database, exchange: Build
) -> None:
    await log(database, [exchange(received_at=START + 5 * HOUR)])
    await log(database, [exchange(received_at=START + 10)])
    async with database.connect() as connection:
        hours = (await connection.execute(select(ROLLUP.c.hour, ROLLUP.c.requests).order_by(ROLLUP.c.hour))).all()
    first = int(START // HOUR)
    assert hours == [(first, 1), (first + 5, 1)]


async def test_what_is_written_again_is_not_counted_again(database: Database, exchange: Build) -> None:
    rows = [prepare(record(one), (), 1000) for one in many(exchange, 20)]
    assert await write(database, rows[:15]) == 15
    assert await write(database, rows, again=True) == 5
    await check(database)


async def test_values_beyond_the_bound_are_summed_up_together(database: Database, exchange: Build) -> None:
    vocabulary = Vocabulary(3)
    for user in ("a", "b", "c", "d", "e", "a"):
        await log(database, [exchange(user=user, model=f"m-{user}", attempts=[], provider=None)], vocabulary)
    async with database.connect() as connection:
        sums = dict((await connection.execute(select(DIMENSION.c.value, DIMENSION.c.requests).where(OF_USERS))).all())
        users = await connection.scalar(select(func.count()).select_from(USER))
    assert sums == {"a": 2, "b": 1, "c": 1, OTHER: 2}
    assert vocabulary.folded == 2
    assert users == 5


async def test_a_new_process_folds_what_the_last_one_folded(database: Database, exchange: Build) -> None:
    for user in ("a", "b", "c", "a"):
        await log(database, [exchange(user=user)], Vocabulary(2))
    async with database.connect() as connection:
        sums = dict((await connection.execute(select(DIMENSION.c.value, DIMENSION.c.requests).where(OF_USERS))).all())
    assert sums == {"a": 2, "b": 1, OTHER: 1}


async def test_models_and_keys_of_properties_are_bounded_too(database: Database, exchange: Build) -> None:
    vocabulary = Vocabulary(2)
    for n in range(4):
        done = exchange(headers={f"Helicone-Property-Key-{n}": "value"})
        done.model = f"model-{n}"
        await log(database, [done], vocabulary)
    async with database.connect() as connection:
        models = dict((await connection.execute(select(ROLLUP.c.model, ROLLUP.c.requests))).all())
        keys = set(await connection.scalars(select(DIMENSION.c.dimension)))
        known = set(await connection.scalars(select(PROPERTY_KEY.c.key)))
    assert models == {"model-0": 1, "model-1": 1, OTHER: 2}
    assert keys == {EVERY, "property:key-0", "property:key-1", f"property:{OTHER}"}
    assert known == {"key-0", "key-1"}


@pytest.mark.parametrize("size", [1, 7, 2000])
async def test_batches_of_any_size_come_to_the_same(database: Database, exchange: Build, size: int) -> None:
    made = many(exchange, 30, seed=size)
    for start in range(0, 30, size):
        await log(database, made[start : start + size])
    await check(database)
    async with database.connect() as connection:
        numbers = list(await connection.scalars(select(REQUEST.c.seq).order_by(REQUEST.c.seq)))
        errors = await connection.scalar(select(func.sum(case((REQUEST.c.outcome != "ok", 1), else_=0))))
        summed = await connection.scalar(select(func.sum(ROLLUP.c.errors)))
    assert numbers == list(range(1, 31))
    assert summed == errors


async def test_several_writers_at_once(database: Database, exchange: Build) -> None:
    made = many(exchange, 120)

    async def writer(mine: list[Exchange]) -> None:
        knowledge = Knowledge()
        for start in range(0, len(mine), 5):
            rows = [prepare(record(one, bodies=False), (), 1000) for one in mine[start : start + 5]]
            await write(database, rows, knowledge)

    await asyncio.gather(*(writer(made[at::4]) for at in range(4)))
    await check(database)
    async with database.connect() as connection:
        numbers = list(await connection.scalars(select(REQUEST.c.seq).order_by(REQUEST.c.seq)))
    assert numbers == list(range(1, 121))


async def test_more_places_than_are_remembered(
    database: Database, exchange: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vocabulary_module, "MAX_PLACES", 3)
    knowledge = Knowledge(Vocabulary(2))
    for hour in (0, 1, 2, 0, 1, 2):
        for user in "abc":
            done = exchange(user=user, received_at=START + hour * HOUR)
            await write(database, [prepare(record(done, bodies=False), (), 1000)], knowledge)
    async with database.connect() as connection:
        found = await connection.execute(
            select(DIMENSION.c.hour, DIMENSION.c.value, DIMENSION.c.requests).where(OF_USERS)
        )
        sums = {(row[0] - int(START // HOUR), row[1]): row[2] for row in found}
    assert sums == {(hour, value): 2 for hour in range(3) for value in ("a", "b", OTHER)}
