"""Largest: the users with most of something are the right ones, told by those ahead or by everybody."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from helicone_gw.database import Database
from helicone_gw.exchange import Exchange
from helicone_gw.model import Cost, Usage
from helicone_gw_logging.presence import note
from helicone_gw_logging.query import largest as module
from helicone_gw_logging.query.largest import largest, ranked
from helicone_gw_logging.query.plan import By, Group, Question, planned
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.spans import Span
from helicone_gw_logging.query.sums import answered
from helicone_gw_logging.tables import REQUEST
from helicone_gw_logging.totals import USER, USER_NUMBER
from tests.plugins.logging.asking import START, log_all, many

Build = Callable[..., Exchange]
AT, HOUR, DAY = round(START * 1000), 3_600_000, 86_400_000
MONTH, LATE = Span(AT + 5, AT + 20 * DAY - 7), Span(AT + 12 * DAY, AT + 19 * DAY)


def some(exchange: Build, count: int = 300) -> list[Exchange]:
    """Requests of twenty days, most of them of few users, and those of one user all on the first of these days."""
    dice = random.Random(3)
    made = [exchange(user="early", received_at=START + 60 + number, cost=Cost(10**11)) for number in range(9)]
    for _ in range(count):
        user = dice.choice((None, f"u{int(dice.expovariate(0.2))}"))
        cost, usage = (
            dice.choice((None, Cost(dice.randrange(10**9)))),
            dice.choice((None, Usage(dice.randrange(99), 5))),
        )
        at = START + dice.randrange(20 * DAY) / 1000
        made.append(exchange(user=user, received_at=at, cost=cost, usage=usage))
    return made


async def noted(database: Database) -> None:
    async for _ in note(database, START + 30 * 86_400):
        pass


async def asked(database: Database, span: Span, name: str, limit: int, offset: int) -> list[Any]:
    question = Question(Scope(), span, group=Group("user"))
    async with database.connect() as connection:
        return await largest(connection, question, await planned(connection, question), (name, None), limit, offset)


@pytest.mark.parametrize("span", [MONTH, LATE], ids=["all", "late"])
async def test_they_are_those_of_the_rows(any_database: Database, exchange: Build, span: Span) -> None:
    await log_all(any_database, some(exchange))
    await noted(any_database)
    async with any_database.connect() as connection:
        rows = [row._asdict() for row in await connection.execute(select(REQUEST).where(span.whole()))]
    for name in ("requests", "cost_nano_usd") if span is MONTH else ("total_tokens",):
        sums: dict[str, int] = {}
        for row in rows:
            if row["user_id"]:
                sums[row["user_id"]] = sums.get(row["user_id"], 0) + (1 if name == "requests" else row[name] or 0)
        expected = [user for user, _ in sorted(sums.items(), key=lambda each: (-each[1], each[0]))]
        for limit, offset in ((1, 0), (3, 2), (50, 0), (5, 100)):
            assert await asked(any_database, span, name, limit, offset) == expected[offset : offset + limit], name


async def test_what_has_few_values_is_summed_up_at_once(database: Database, exchange: Build) -> None:
    await log_all(database, many(exchange, 100))
    asked: list[By] = ["model", "status", "cached", "user"]
    measures = ("requests", None), ("first_token_sum", "first_token_count")
    async with database.connect() as connection:
        for by in asked:
            for span in (Span(AT - 5, AT + 3 * HOUR), Span(AT + 7, AT + 90 * 60_000)):
                question = Question(Scope(), span, group=Group(by))
                plan = await planned(connection, question)
                for measure in measures:
                    for limit, offset in ((10, 0), (1, 1)):
                        values, found = await ranked(connection, question, plan, measure, ["requests"], limit, offset)
                        assert values == await largest(connection, question, plan, measure, limit, offset)
                        told = await answered(connection, question, plan, ["requests"], values)
                        shown = {value: found[0, value]["requests"] for value in values}
                        assert shown == {value: sums["requests"] for (_, value), sums in told.items()}


async def test_those_ahead_are_enough(database: Database, exchange: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    await log_all(database, some(exchange))
    await noted(database)
    # Not to be asked for.
    monkeypatch.setattr(module, "union_all", None)
    assert (await asked(database, MONTH, "cost_nano_usd", 1, 0))[0] == "early"
    with pytest.raises(TypeError):
        await asked(database, Span(AT, AT + DAY), "cost_nano_usd", 1, 0)


async def test_everybody_is_asked_where_a_user_was_forgotten(database: Database, exchange: Build) -> None:
    await log_all(database, some(exchange))
    await noted(database)
    async with database.begin() as connection:
        for table in (USER, USER_NUMBER):
            await connection.execute(delete(table).where(table.c.user_id == "early"))
    assert (await asked(database, MONTH, "cost_nano_usd", 1, 0)) == ["early"], "sums of its days are left"
    async with database.begin() as connection:
        await connection.execute(update(USER).values(cost_nano_usd=0))
    assert (await asked(database, MONTH, "cost_nano_usd", 1, 0)) == ["early"]
