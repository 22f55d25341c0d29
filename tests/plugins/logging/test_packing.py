"""Packing: a day that is over becomes a value for each histogram; what comes later is added, and packed in its turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from helicone_gw.database import Database
from helicone_gw.exchange import Exchange
from helicone_gw_logging import packing
from helicone_gw_logging.packing import pack, packed, unpacked
from helicone_gw_logging.query.percentiles import counted
from helicone_gw_logging.query.plan import Group, Question
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.spans import Span
from helicone_gw_logging.rebuild import rebuild
from helicone_gw_logging.totals import HISTOGRAM_DAY, HISTOGRAM_PACKED
from helicone_gw_logging.vocabulary import Vocabulary
from tests.plugins.logging.asking import START, log_all, many
from tests.plugins.logging.sums import check

Build = Callable[..., Exchange]
DAY = 86_400.0
AT = round(START * 1000)
COUNTS = st.dictionaries(st.integers(-1, 2300), st.integers(-(2**63), 2**63 - 1), max_size=50)


@given(COUNTS)
@settings(max_examples=50)
def test_counts_are_packed_without_loss(counts: Mapping[int, int]) -> None:
    assert dict(zip(*unpacked(packed(counts)), strict=True)) == counts


async def rows(database: Database) -> tuple[int, int]:
    """How many rows of days there are, and how many are packed."""
    async with database.connect() as connection:
        days, values = [
            await connection.scalar(select(func.count()).select_from(table))
            for table in (HISTOGRAM_DAY, HISTOGRAM_PACKED)
        ]
    return days or 0, values or 0


async def answers(database: Database) -> list[Any]:
    found = []
    async with database.connect() as connection:
        for group in (None, Group("model"), Group("provider")):
            for organization in ("default", "acme"):
                question = Question(Scope(organization), Span(AT - 5, AT + 3 * 86_400_000), group=group)
                found += [await counted(connection, question, name) for name in ("latency", "total_tokens")]
    return found


async def test_a_day_is_packed_when_it_is_over_and_what_comes_later_is_added(
    any_database: Database, exchange: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = any_database
    monkeypatch.setattr(packing, "AT_ONCE", 5)
    some = many(exchange, 60)
    await log_all(database, some[:40])
    before, there = await answers(database), await rows(database)
    assert [done async for done in pack(database, START + DAY)] == []  # it may still go on for an hour
    assert await rows(database) == there == (there[0], 0)
    steps = [done async for done in pack(database, START + DAY + 3700)]
    assert len(steps) > 1
    assert steps[0] == 5
    assert await rows(database) == (0, steps[-1])
    assert await answers(database) == before
    await log_all(database, some[40:])
    later = await answers(database)
    assert later != before
    assert (await rows(database))[0]
    assert [done async for done in pack(database, START + DAY + 3700)]
    assert await answers(database) == later
    assert (await rows(database))[0] == 0
    async for _ in rebuild(database, Vocabulary()):
        pass
    assert (await rows(database))[1] == 0
    assert await answers(database) == later
    await check(database)


async def test_what_is_taken_away_again_leaves_nothing(database: Database) -> None:
    key = "default", "latency", "openai", "gpt", AT // 86_400_000
    for count in (1, -1):
        async with database.begin() as connection:
            await connection.execute(HISTOGRAM_DAY.insert().values((*key, 7, count)))
        assert [done async for done in pack(database, START + 2 * DAY)] == [1]
        assert await rows(database) == (0, 1 if count > 0 else 0)


@pytest.mark.parametrize("data", [b"", packed({})])
def test_nothing_is_packed_as_nothing(data: bytes) -> None:
    assert unpacked(data) == ((), ())
