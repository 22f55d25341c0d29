"""Codes are held against filters: only requests that can match are read, and what is uncertain is not taken for it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import update

from helicone_gw.database import Database
from helicone_gw.exchange import Exchange
from helicone_gw_logging import zone_codes, zone_notes
from helicone_gw_logging import zones as module
from helicone_gw_logging.corrections import set_property, set_scores
from helicone_gw_logging.query import beside, coding, counting, noting, ranking, zoning
from helicone_gw_logging.query.filters import read_filter
from helicone_gw_logging.query.nodes import both
from helicone_gw_logging.query.requests import find
from helicone_gw_logging.query.scope import Scope
from helicone_gw_logging.query.sorts import Order
from helicone_gw_logging.query.wanted import Wanted
from helicone_gw_logging.query.zoning import zoned
from helicone_gw_logging.tables import REQUEST
from tests.plugins.logging.asking import START, log_all
from tests.plugins.logging.zoning import SIZE, among, noted, numbers, pieces, rmt

Build = Callable[..., Exchange]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Zones of few requests, of all of which codes are noted."""
    for each in (module, zoning, noting, ranking, counting):
        monkeypatch.setattr(each, "SIZE", SIZE)
    monkeypatch.setattr(zone_notes, "SMALL", 0)


async def test_of_what_many_have_of_two_columns_only_those_with_both_are_read(
    any_database: Database, exchange: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zone_notes, "RARE", 1)
    for each in (zoning, noting):
        monkeypatch.setattr(each, "SINGLE", 1)
    done = []
    for number in range(4 * SIZE):
        headers = {"Helicone-Session-Id": "s", "Helicone-Session-Name": "even" if number % 2 else "odd"}
        if number % 3:
            headers["Helicone-Property-App"] = "shop" if number % 2 or number == 40 else "desk"
        done.append(exchange(headers=headers, received_at=START + number))
    await log_all(any_database, done)
    await noted(any_database)
    app = {"properties": {"app": {"contains": "SHOP"}}}
    odd, other_app = rmt("session_name", "not-equals", "even"), {"properties": {"app": {"not-contains": "SHOP"}}}
    no_app = {"properties": {"app": {"equals": "null"}}}
    for asked, found in (
        ([rmt("session_name", "equals", "odd"), app], [40]),
        ([odd, app], [40]),
        ([odd, no_app], [*range(0, 63, 6)]),
        ([odd, no_app, other_app, rmt("user_id", "equals", "null")], [*range(0, 63, 6)]),
        ([odd, other_app, rmt("user_id", "not-equals", "null")], []),
        ([odd, rmt("latency", "equals", "null")], []),
        ([rmt("model", "equals", "null"), rmt("session_name", "equals", "odd")], []),
    ):
        told = await pieces(any_database, asked)
        assert told is not None
        # Numbers are from 1.
        read = [place - 1 for piece in told[:-1] for first, last in piece.ranges for place in range(first, last)]
        assert sorted(read) == found, asked


async def test_what_is_only_perhaps_there_is_not_taken_for_common(
    any_database: Database, exchange: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each, name, few in (
        (zone_notes, "RARE", 1),
        (zone_notes, "MOST", 4),
        (beside, "MOST", 3),
        (zoning, "MOST", 4),
        (zoning, "SINGLE", 2),
        (noting, "SINGLE", 2),
    ):
        monkeypatch.setattr(each, name, few)
    done = []
    for number in range(4 * SIZE):
        name = "one of five" if number % 5 == 0 else "other"
        headers = {"Helicone-Session-Id": f"session-{number}", "Helicone-Session-Name": name}
        done.append(exchange(headers=headers, received_at=START + number))
    await log_all(any_database, done)
    await noted(any_database)
    one_of_five, session = rmt("session_name", "equals", "one of five"), rmt("session_id", "contains", "ession-")
    assert await pieces(any_database, one_of_five) is None
    # Of what ids many sessions have it is not noted which requests have them.
    told = await pieces(any_database, [one_of_five, session])
    assert told is not None
    read = [place - 1 for piece in told[:-1] for first, last in piece.ranges for place in range(first, last)]
    assert sorted(read) == [*range(0, 63, 5)]
    assert await pieces(any_database, [rmt("session_name", "equals", "other"), session]) is None


async def test_a_number_between_others_is_not_taken_for_common(
    any_database: Database, exchange: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each, name, few in (
        (zone_notes, "FEW_NUMBERS", 2),
        (zone_notes, "EDGE", 1),
        (zone_codes, "MOST", 4),
        (zoning, "MOST", 4),
        (zoning, "SINGLE", 2),
        (noting, "SINGLE", 2),
    ):
        monkeypatch.setattr(each, name, few)
    await log_all(any_database, [exchange(received_at=START + number) for number in range(4 * SIZE)])
    async with any_database.begin() as connection:
        for seq in range(1, 4 * SIZE):
            values = {"prompt_tokens": seq * 37 % 64, "completion_tokens": seq % 4}
            await connection.execute(update(REQUEST).where(REQUEST.c.seq == seq).values(values))
    await noted(any_database)
    # A quarter of each zone has its code, or is one of those that have the number itself.
    told = await pieces(any_database, rmt("prompt_tokens", "equals", 21))
    assert told is not None
    read = [place for piece in told[:-1] for first, last in piece.ranges for place in range(first, last)]
    assert next(seq for seq in range(64) if seq * 37 % 64 == 21) in read
    assert len(read) <= 16
    assert await pieces(any_database, rmt("completion_tokens", "equals", 1)) is None


async def test_of_very_many_conditions_codes_are_not_asked(
    database: Database, exchange: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    await log_all(database, [exchange(received_at=START + number) for number in range(2 * SIZE)])
    await noted(database)
    asked = [rmt("provider", "not-equals", "openai"), *(rmt("method", "not-equals", "x") for _ in range(coding.MOST))]
    assert await pieces(database, asked[:-1]) is not None
    assert await pieces(database, asked) is None


async def test_only_what_is_scored_is_read(any_database: Database, exchange: Build) -> None:
    done = [exchange(received_at=START + number) for number in range(4 * SIZE)]
    await log_all(any_database, done)
    await noted(any_database)
    assert await set_scores(any_database, "default", done[20].id, {"good": 1}, now=1)
    async with any_database.connect() as connection:
        told = (await zoned(connection, Scope(), Wanted(both("and", []), scored=True))).among
        assert told is not None
        assert told[0].ranges == ((21, 22),)
        # A score may lead there itself.
        wanted = Wanted(read_filter({"scores": {"good": {"gt": 0}}}), scored=True)
        for each in (wanted, await zoned(connection, Scope(), wanted)):
            assert [one.row["seq"] for one in await find(connection, Scope(), each, Order(), limit=5)] == [21]


async def test_what_is_not_another_one_any_more_is_found(
    any_database: Database, exchange: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zone_notes, "RARE", 1)
    headers = {"Helicone-Property-App": "shop"}
    done = [exchange(headers=headers, received_at=START + number) for number in range(4 * SIZE)]
    await log_all(any_database, done)
    await noted(any_database)
    other, rest = {"properties": {"app": {"not-equals": "shop"}}}, (4 * SIZE, 2**63 - 1)
    assert await among(any_database, other) == (rest,)
    assert await set_property(any_database, "default", done[2 * SIZE].id, "App", "desk")
    assert await among(any_database, other) == (numbers(2, 3), rest)
    assert await noted(any_database) == 1
    told = await pieces(any_database, other)
    assert told is not None
    assert told[0].ranges == ((2 * SIZE + 1, 2 * SIZE + 2),)


async def test_a_part_of_an_id_is_looked_for_in_what_is_noted(
    any_database: Database, exchange: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {1: "0198f00d-beef-7000-8000-000000000001", 20: "order-Ö-20", 33: "0198F00D-BEEF-7000-8000-000000000033"}
    done = [exchange(received_at=START + n) for n in range(4 * SIZE)]
    for n, one in given.items():
        done[n].request_id = one
    await log_all(any_database, done)
    await noted(any_database)
    ids = {n: one.request_id for n, one in enumerate(done)}
    for asked, found in (
        (rmt("request_id", "contains", "f00d-BEEF-7"), [1, 33]),
        (rmt("request_id", "ilike", "%00D-beef%33"), [1, 33]),  # the longest piece of the two is in both
        (rmt("request_id", "contains", "-ö-2"), [20]),
        (rmt("request_id", "contains", ids[50][5:]), [50]),
        (rmt("id", "contains", done[1].id[5:]), [1]),
        (rmt("id", "contains", "nobody"), []),
        ([rmt("request_id", "contains", "beef"), rmt("time_to_first_token", "gt", 10**9)], []),
    ):
        told = await pieces(any_database, asked)
        assert told is not None
        read = [place - 1 for piece in told[:-1] for first, last in piece.ranges for place in range(first, last)]
        assert sorted(read) == found, asked
    # Hardly any zone is without so short a one.
    assert await among(any_database, rmt("request_id", "contains", "0")) == (numbers(0, 4), (4 * SIZE, 2**63 - 1))
