"""Corrections: what is said afterwards is in the rows and in the sums, once, whoever asks for it how often."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from helicone_gw.database import Database
from helicone_gw.exchange import Exchange
from helicone_gw_logging import get_request
from helicone_gw_logging.corrections import FEEDBACK_SCORE, set_feedback, set_property, set_scores
from helicone_gw_logging.insert import prepare, write
from helicone_gw_logging.record import record
from helicone_gw_logging.tables import FEEDBACK, SCORE
from helicone_gw_logging.totals import DIMENSION, EVERY, PROPERTY_KEY, ROLLUP, USER

Build = Callable[..., Exchange]
NOW = 1_767_225_700_000


@pytest.fixture
def database(any_database: Database) -> Database:
    return any_database


async def log(database: Database, done: Exchange) -> str:
    await write(database, [prepare(record(done), (), 1000)])
    return done.id


async def everything(database: Database, table: Any) -> list[Any]:
    async with database.connect() as connection:
        return list(await connection.execute(select(table)))


async def requests_of(database: Database) -> dict[tuple[str, str], tuple[int, int]]:
    rows = await everything(database, DIMENSION)
    return {(row.dimension, row.value): (row.requests, row.cost_nano_usd) for row in rows if row.dimension != EVERY}


async def test_a_property_that_comes_late_has_its_sums(database: Database, exchange: Build) -> None:
    logged = await log(database, exchange(user="u"))
    assert await set_property(database, "default", logged, "Env", "prod")
    assert await requests_of(database) == {("user", "u"): (1, 7500), ("property:env", "prod"): (1, 7500)}
    detail = await get_request(database, logged)
    assert detail is not None
    assert dict(detail.request.properties) == {"Env": "prod"}
    (key,) = await everything(database, PROPERTY_KEY)
    assert (key.key, key.requests) == ("Env", 1)


async def test_another_value_takes_the_place_of_the_first(database: Database, exchange: Build) -> None:
    logged = await log(database, exchange(headers={"Helicone-Property-Env": "dev"}))
    await set_property(database, "default", logged, "ENV", "prod")
    await set_property(database, "default", logged, "env", "prod")
    assert await requests_of(database) == {("property:env", "dev"): (0, 0), ("property:env", "prod"): (1, 7500)}
    (rollup,) = await everything(database, ROLLUP)
    assert (rollup.requests, rollup.cost_nano_usd, rollup.latency_sum) == (1, 7500, 1234)
    (key,) = await everything(database, PROPERTY_KEY)
    assert key.requests == 1


async def test_sums_of_others_stay_as_they_are(database: Database, exchange: Build) -> None:
    logged = await log(database, exchange(user="u"))
    await log(database, exchange(user="u"))
    await set_property(database, "default", logged, "env", "prod")
    (user,) = await everything(database, USER)
    assert (user.requests, user.cost_nano_usd, user.first_at, user.last_at) == (2, 15_000, *[1_767_225_600_000] * 2)


async def test_scores_are_numbers_and_the_last_one_counts(database: Database, exchange: Build) -> None:
    logged = await log(database, exchange())
    assert await set_scores(database, "default", logged, {"quality": 0.5, "ok": True}, now=NOW)
    assert await set_scores(database, "default", logged, {"quality": 7}, now=NOW + 1)
    rows = {row.name: (row.value, row.is_boolean, row.created_at) for row in await everything(database, SCORE)}
    assert rows == {"quality": (7.0, False, NOW + 1), "ok": (1.0, True, NOW)}


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
async def test_what_is_no_number_is_no_score(database: Database, exchange: Build, wrong: float) -> None:
    logged = await log(database, exchange())
    with pytest.raises(ValueError, match="finite"):
        await set_scores(database, "default", logged, {"quality": 1, "odd": wrong}, now=NOW)
    assert await everything(database, SCORE) == []


async def test_a_rating_is_a_score_too(database: Database, exchange: Build) -> None:
    logged = await log(database, exchange())
    for rating in (False, True):
        assert await set_feedback(database, "default", logged, rating=rating, now=NOW)
    (feedback,) = await everything(database, FEEDBACK)
    (score,) = await everything(database, SCORE)
    assert (feedback.rating, feedback.name) == (True, "rating")
    assert (score.name, score.value, score.is_boolean) == (FEEDBACK_SCORE, 1.0, True)


async def test_feedback_of_another_kind_is_none_of_the_scores(database: Database, exchange: Build) -> None:
    logged = await log(database, exchange())
    await set_feedback(database, "default", logged, name="mood", value="fine", data_type="categorical", now=NOW)
    (feedback,) = await everything(database, FEEDBACK)
    assert (feedback.name, feedback.value, feedback.rating, feedback.data_type) == ("mood", "fine", None, "categorical")
    assert await everything(database, SCORE) == []


async def test_the_newest_of_several_is_meant(database: Database, exchange: Build) -> None:
    headers = {"Helicone-Request-Id": "5f0c9a3e-8f57-4a6e-9d4e-0d6a1c9b7a11"}
    first, second = await log(database, exchange(headers=headers)), await log(database, exchange(headers=headers))
    await set_property(database, "default", headers["Helicone-Request-Id"], "env", "prod")
    for one, properties in ((first, {}), (second, {"env": "prod"})):
        detail = await get_request(database, one)
        assert detail is not None
        assert dict(detail.request.properties) == properties


async def test_nobody_speaks_of_requests_of_others(database: Database, exchange: Build) -> None:
    logged = await log(database, exchange(organization="acme"))
    assert not await set_property(database, "default", logged, "env", "prod")
    assert not await set_scores(database, "default", logged, {"quality": 1}, now=NOW)
    assert not await set_feedback(database, "default", "no-such-id", rating=True, now=NOW)
    assert await everything(database, SCORE) == await everything(database, FEEDBACK) == []


async def test_credentials_are_not_kept(database: Database, exchange: Build) -> None:
    planted = "sk-proj-" + "Xy9_" * 12
    logged = await log(database, exchange())
    await set_property(database, "default", logged, "note", f"key {planted}")
    await set_feedback(database, "default", logged, name="why", value=planted, now=NOW)
    detail = await get_request(database, logged)
    assert detail is not None
    assert dict(detail.request.properties) == {"note": "key [redacted]"}
    (feedback,) = await everything(database, FEEDBACK)
    assert feedback.value == "[redacted]"
