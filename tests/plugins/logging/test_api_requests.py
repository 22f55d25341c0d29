"""Requests over HTTP: queries, ids, counts, bodies, pages; and who sees what."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import ProgrammingError

from helicone_gw.exchange import Exchange
from helicone_gw.testing import GatewayFactory, RunningGateway
from helicone_gw_logging.query import searching
from helicone_gw_logging.tables import MOST
from tests.plugins.logging.asking import log_all, many
from tests.plugins.logging.calling import ALICE, BOB, EVE, KEYS, answer, ask, flush

Build = Callable[..., Exchange]
QUERY = "/v1/request/query-clickhouse"
HOST = "127.0.0.1:8787"


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[RunningGateway]:
    async with GatewayFactory(tmp_path)(["logging"]) as running:
        yield running


@pytest.fixture
async def filled(running: RunningGateway, exchange: Build) -> RunningGateway:
    """A gateway with sixty requests, of which twelve are another organization's."""
    await log_all(running.gateway.database, many(exchange, 60))
    return running


async def query(running: RunningGateway, **asked: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await ask(running, "POST", QUERY, {"filter": "all", **asked})
    return found


async def test_bodies_may_be_compressed(filled: RunningGateway) -> None:
    async def counted(content: bytes, coding: str, status: int) -> Any:
        headers = {"Content-Type": "application/json", "Content-Encoding": coding}
        reply = await filled.request("POST", "/v1/request/count/query", content=content, headers=headers)
        assert reply.status == status
        return reply.json()["data" if status == 200 else "error"]

    plain = b'{"filter": "all"}'
    assert await counted(gzip.compress(plain), "gzip", 200) == await counted(plain, "identity", 200) == 48
    assert "content coding" in await counted(plain, "br", 400)
    assert "content coding" in await counted(plain, "gzip", 400)
    assert await counted(gzip.compress(b" " * (11 << 20)), "gzip", 413) == "The body is too large."


async def test_a_slash_at_the_end_leads_to_no_provider(filled: RunningGateway) -> None:
    assert await ask(filled, "POST", "/v1/request/count/query/", {"filter": "all"}) == 48
    assert (await filled.request("PUT", "/v1/request/query/")).status == 405
    assert filled.provider.requests == []


async def test_a_request_as_the_contract_shows_it(running: RunningGateway) -> None:
    headers = {"Helicone-User-Id": "ann", "Helicone-Property-App": "shop", "Helicone-Session-Id": "s"}
    sent = await running.chat(headers=headers)
    await flush(running)
    (row,) = await query(running)
    assert row["request_id"] == sent.headers.get("helicone-id")
    assert (row["request_user_id"], row["response_status"], row["request_model"]) == ("ann", 200, "gpt-4o-mini")
    assert row["request_properties"]["app"] == row["properties"]["app"] == "shop"
    assert (row["request_path"], row["provider"]) == ("/v1/chat/completions", "openai")
    assert row["request_created_at"].endswith("+00:00")
    assert row["signed_body_url"] == f"http://{HOST}/v1/request/{row['id']}/body"
    assert row["request_body"] is None
    assert row["target_url"] == "https://api.openai.com/v1/chat/completions"


async def test_where_a_request_went_is_said_without_the_key_in_its_query(running: RunningGateway) -> None:
    path = "/v1beta/models/gemini-2.0-flash:generateContent?key=AIza-a-key-of-the-client"
    sent = await running.request("POST", path, json={"contents": [{"role": "user", "parts": [{"text": "Hi!"}]}]})
    assert sent.status == 200
    await flush(running)
    (row,) = await query(running)
    assert (
        row["target_url"] == "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.0-flash:generateContent"
    )


async def test_the_version_of_a_prompt_is_what_the_plugin_prompts_noted(
    running: RunningGateway, exchange: Build
) -> None:
    expanded = exchange(headers={"helicone-prompt-id": "greeting"})
    expanded.annotate("prompts.version_id", "0199-of-the-version")
    await log_all(running.gateway.database, [expanded, exchange()])
    rows = {row["prompt_id"]: row["prompt_version"] for row in await query(running)}
    assert rows == {"greeting": "0199-of-the-version", None: None}


async def test_bodies_are_where_the_url_says_or_beside_the_request(running: RunningGateway) -> None:
    await running.chat("Hi!", stream=True)
    await flush(running)
    (row,) = await query(running)
    path = row["signed_body_url"].split("/", 3)[3]
    reply = await running.request("GET", f"/{path}")
    assert reply.status == 200
    bodies = reply.json()
    assert bodies["request"]["messages"][0]["content"] == "Hi!"
    assert bodies["response"].startswith("data: ")
    whole = await ask(running, "GET", f"/v1/request/{row['request_id']}?includeBody=true")
    assert (whole["request_body"], whole["response_body"]) == (bodies["request"], bodies["response"])


async def test_ids(filled: RunningGateway) -> None:
    ids = [row["request_id"] for row in await query(filled, limit=5)]
    found = await ask(filled, "POST", "/v1/request/query-ids", {"requestIds": [*reversed(ids), "nothing", "\0"]})
    assert {row["request_id"] for row in found} == set(ids)
    assert (await ask(filled, "GET", f"/v1/request/{ids[0]}"))["request_id"] == ids[0]
    assert await ask(filled, "GET", "/v1/request/nothing", status=404) == "Request not found"


async def test_of_a_repeated_id_the_newest_is_found(running: RunningGateway) -> None:
    repeated = "0b5aa6d7-6b60-4b53-9b3e-94c2a1a3b1ee"
    for text in ("one", "two"):
        await running.chat(text, headers={"Helicone-Request-Id": repeated})
    await flush(running)
    (found,) = await ask(running, "POST", "/v1/request/query-ids", {"requestIds": [repeated]})
    whole = await ask(running, "GET", f"/v1/request/{repeated}?includeBody=true")
    assert found["id"] == whole["id"]
    assert whole["request_body"]["messages"][0]["content"] == "two"


@pytest.mark.parametrize("direction", ["asc", "desc"])
async def test_pages_by_offset_and_by_cursor_are_the_same(filled: RunningGateway, direction: str) -> None:
    sort = {"created_at": direction}
    everything = [row["id"] for row in await query(filled, limit=1000, sort=sort)]
    assert len(everything) == 48
    by_offset: list[str] = []
    while page := await query(filled, limit=7, offset=len(by_offset), sort=sort):
        by_offset += [row["id"] for row in page]
    by_cursor: list[str] = []
    cursor = None
    while True:
        body = {"filter": "all", "limit": 7, "sort": sort, "cursor": cursor}
        page = await answer(filled, "POST", QUERY, body)
        by_cursor += [row["id"] for row in page["data"]]
        cursor = page["cursor"]
        if cursor is None:
            break
    assert by_offset == by_cursor == everything


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("created_at", "request_created_at"),
        ("latency", "delay_ms"),
        ("total_tokens", "total_tokens"),
        ("prompt_tokens", "prompt_tokens"),
        ("completion_tokens", "completion_tokens"),
        ("user_id", "request_user_id"),
        ("body_model", "model"),
        ("cost", "cost"),
        ("time_to_first_token", "time_to_first_token"),
        ("status", "response_status"),
    ],
)
@pytest.mark.parametrize("direction", ["asc", "desc"])
async def test_sorts(filled: RunningGateway, name: str, column: str, direction: str) -> None:
    values = [row[column] for row in await query(filled, limit=1000, sort={name: direction})]
    known = [value for value in values if value is not None]
    assert known == sorted(known, reverse=direction == "desc")
    assert values == known + [None] * (len(values) - len(known)), "the unknown comes last"


@pytest.mark.parametrize(
    ("name", "column", "held"), [("latency", "delay_ms", "latency"), ("cost", "cost", "cost_nano_usd")]
)
async def test_those_that_have_most_are_found_by_their_index_and_the_others_follow(
    filled: RunningGateway, monkeypatch: pytest.MonkeyPatch, name: str, column: str, held: str
) -> None:
    monkeypatch.setitem(MOST, held, 10**18)
    filters: list[Any] = ["all", {"request_response_rmt": {name: {"gte": 0.0001}}}]
    pages = [{"limit": limit, "offset": offset} for limit, offset in ((5, 0), (7, 9), (1000, 0))]
    expected = [await query(filled, filter=one, sort={name: "desc"}, **page) for one in filters for page in pages]
    newest = [await query(filled, filter=filters[1], **page) for page in pages]
    values = sorted(row[column] for row in expected[2] if row[column])
    scale = 10**9 if name == "cost" else 1
    monkeypatch.setitem(MOST, held, 0)
    for least in (0, round(values[len(values) // 2] * scale)):
        monkeypatch.setitem(MOST, held, least)
        assert expected == [
            await query(filled, filter=one, sort={name: "desc"}, **page) for one in filters for page in pages
        ]
        assert newest == [await query(filled, filter=filters[1], **page) for page in pages]


async def test_sorts_by_a_property(filled: RunningGateway) -> None:
    rows = await query(filled, limit=1000, sort={"properties": {"STAGE": "desc"}})
    stages = [row["properties"].get("Stage", "") for row in rows]
    assert stages == sorted(stages, reverse=True)
    for sort in ({"values": {"x": "asc"}}, {"random": True}, {"is_cached": "desc"}, {"last_active": "asc"}, {}):
        assert len(await query(filled, limit=1000, sort=sort)) == 48


async def test_of_several_sorts_the_first_of_the_list_counts(filled: RunningGateway) -> None:
    both = await query(filled, sort={"user_id": "asc", "latency": "asc", "created_at": "asc"})
    assert both == await query(filled, sort={"created_at": "asc"})


async def test_filters_and_counts(filled: RunningGateway) -> None:
    failed = {"request_response_rmt": {"status": {"gte": 400}}}
    rows = await query(filled, filter=failed, limit=1000)
    assert rows
    assert {row["response_status"] for row in rows} == {429, 500}
    assert await ask(filled, "POST", "/v1/request/count/query", {"filter": failed}) == len(rows)
    assert await ask(filled, "POST", "/v1/request/count/query", {"filter": "all"}) == 48
    never = {"type": "condition", "field": {"column": "status"}, "operator": "lt", "value": 0}
    assert {row["response_status"] for row in await query(filled, filter=never)} <= {-2, -3, -100}


async def test_what_is_asked_beside_the_filter(running: RunningGateway, exchange: Build) -> None:
    hit, miss = exchange(), exchange()
    hit.annotate("cache.status", "hit")
    await log_all(running.gateway.database, [hit, miss])
    await ask(running, "POST", f"/v1/request/{miss.id}/score", {"scores": {"good": 1}}, status=201)
    assert [row["id"] for row in await query(running, isCached=True)] == [hit.id]
    assert [row["id"] for row in await query(running, isCached=False)] == [miss.id]
    assert [row["id"] for row in await query(running, isScored=True)] == [miss.id]
    assert [row["id"] for row in await query(running, isScored=False)] == [hit.id]
    assert await query(running, isPartOfExperiment=True) == []
    assert len(await query(running, isPartOfExperiment=False, includeInputs=True)) == 2


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({}, "filter"),
        ({"filter": {"request_response_rmt": {"colour": {"equals": "red"}}}}, "colour"),
        ({"filter": {"somewhere": {"status": {"equals": 200}}}}, "somewhere"),
        ({"filter": {"request_response_rmt": {"status": {"like": 200}}}}, "like"),
        ({"filter": {"request_response_rmt": {"request_body": {"contains": "x"}}}}, "request_body"),
        ({"filter": "all", "fitler": "all"}, "fitler"),
        ({"filter": "all", "limit": 1001}, "limit"),
        ({"filter": "all", "limit": 0}, "limit"),
        ({"filter": "all", "offset": -1}, "offset"),
        ({"filter": "all", "offset": 10**30}, "offset"),
        ({"filter": "all", "sort": {"colour": "asc"}}, "colour"),
        ({"filter": "all", "sort": {"latency": "up"}}, "latency"),
        ({"filter": "all", "sort": {"request_prompt": "asc"}}, "request_prompt"),
        ({"filter": "all", "cursor": "?"}, "cursor"),
        ({"filter": "all", "cursor": "MTIz"}, "cursor"),
        ({"filter": "all", "cursor": "MS4x", "sort": {"latency": "asc"}}, "cursor"),
    ],
)
async def test_what_does_not_exist_is_refused_by_name(running: RunningGateway, asked: Any, named: str) -> None:
    assert named in await ask(running, "POST", QUERY, asked, status=400)


@pytest.mark.parametrize("content", [b"", b"{", b"null", b"[" * 100_000, b'{"filter":"\\ud800"}', b"\xff"])
async def test_what_is_no_query_is_refused(running: RunningGateway, content: bytes) -> None:
    headers = {"content-type": "application/json"}
    reply = await running.request("POST", QUERY, content=content, headers=headers)
    assert (reply.status, reply.json()["data"]) == (400, None)


async def test_what_goes_wrong_inside_has_the_envelope_and_no_details(
    running: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*arguments: object, **named: object) -> None:
        raise ZeroDivisionError("of a secret")

    monkeypatch.setattr("helicone_gw_logging.api.requests.find", broken)
    assert "secret" not in await ask(running, "POST", QUERY, {"filter": "all"}, status=500)


async def test_a_question_that_the_database_does_not_understand_is_no_absence_of_it(
    running: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Postgres answers what only SQLite takes: whoever waits for a 503 to pass waits for ever."""

    async def misunderstood(*arguments: object, **named: object) -> None:
        raise ProgrammingError("ORDER BY NULL", {}, Exception("non-integer constant"))

    monkeypatch.setattr("helicone_gw_logging.api.requests.find", misunderstood)
    assert "ORDER" not in await ask(running, "POST", QUERY, {"filter": "all"}, status=500)


async def test_a_database_that_is_away_is_said_to_be(running: RunningGateway) -> None:
    async with running.gateway.database.begin() as connection:
        await connection.exec_driver_sql("ALTER TABLE request RENAME TO gone")
    try:
        assert "cannot be reached" in await ask(running, "POST", QUERY, {"filter": "all"}, status=503)
    finally:
        async with running.gateway.database.begin() as connection:
            await connection.exec_driver_sql("ALTER TABLE gone RENAME TO request")


async def test_a_body_beyond_ten_megabytes_is_refused(running: RunningGateway) -> None:
    reply = await running.request("POST", QUERY, content=b" " * (10 << 20) + b'{"filter":"all"}')
    assert reply.status == 413


async def test_parameters_that_do_not_exist_are_refused(filled: RunningGateway) -> None:
    (row,) = await query(filled, limit=1)
    for parameters in ("includeBodies=true", "includeBody=maybe", "includeBody=true&includeBody=true"):
        assert "nclude" in await ask(filled, "GET", f"/v1/request/{row['id']}?{parameters}", status=400)


async def test_everybody_sees_what_is_their_organizations(tmp_path: Path, exchange: Build) -> None:
    async with GatewayFactory(tmp_path)([{"security": {"keys": KEYS}}, "logging"]) as running:
        assert (await running.request("POST", QUERY, json={"filter": "all"})).status == 401
        await log_all(running.gateway.database, many(exchange, 50))
        every = {"filter": "all", "limit": 1000}
        ours = await ask(running, "POST", QUERY, every, headers=ALICE)
        theirs = await ask(running, "POST", QUERY, every, headers=EVE)
        assert (len(ours), len(theirs)) == (40, 10)
        assert await ask(running, "POST", QUERY, every, headers=BOB) == ours
        for path in ("count/query", "query"):
            body = {"filter": {"request_response_rmt": {"user_id": {"not-equals": "nobody"}}}}
            found = await ask(running, "POST", f"/v1/request/{path}", body, headers=EVE)
            assert (found if isinstance(found, int) else len(found)) == 10
        own = ours[0]["id"]
        for path in (f"/v1/request/{own}", f"/v1/request/{own}/body"):
            await ask(running, "GET", path, status=404, headers=EVE)
        assert await ask(running, "POST", "/v1/request/query-ids", {"requestIds": [own]}, headers=EVE) == []


@pytest.mark.usefixtures("virtual_time")
async def test_nobody_writes_what_is_anothers(tmp_path: Path, exchange: Build) -> None:
    async with GatewayFactory(tmp_path)([{"security": {"keys": KEYS}}, "logging"]) as running:
        one = exchange()
        await log_all(running.gateway.database, [one])
        for method, path, body in (
            ("POST", f"/v1/request/{one.id}/feedback", {"rating": True}),
            ("POST", f"/v1/request/{one.id}/score", {"scores": {"a": 1}}),
            ("PUT", f"/v1/request/{one.id}/property", {"key": "a", "value": "b"}),
            ("POST", "/v1/feedback", {"helicone-id": one.id, "rating": True}),
        ):
            assert await ask(running, method, path, body, status=404, headers=EVE) == "Request not found"
        (row,) = await ask(running, "POST", QUERY, {"filter": "all"}, headers=ALICE)
        assert (row["scores"], row["properties"], row["feedback_rating"]) == ({}, {}, None)


@pytest.mark.parametrize("direction", ["asc", "desc"])
async def test_a_search_ends_in_time_and_goes_on_from_there(
    filled: RunningGateway, monkeypatch: pytest.MonkeyPatch, direction: str
) -> None:
    monkeypatch.setattr(searching, "FIRST", 3)
    monkeypatch.setattr(searching, "MOST", 5)
    ticking = iter(range(10_000))
    monkeypatch.setattr(filled.gateway.clock, "monotonic", lambda: float(next(ticking)))
    # Of what is not unknown nothing is noted that leads to it.
    known = {name: {"not-equals": "null"} for name in ("user_id", "session_id")}
    asked = {"filter": {"request_response_rmt": known}, "sort": {"created_at": direction}}
    whole = await query(filled, limit=1000, **asked)
    assert 2 < len(whole) < 40
    found, cursor, pages = [], None, 0
    while True:
        body = {**asked, "limit": 4, "within": 1, **({} if cursor is None else {"cursor": cursor})}
        reply = await filled.request("POST", QUERY, json=body)
        answer = reply.json()
        found += answer["data"]
        pages += 1
        cursor, back_to = answer["cursor"], answer["searchedBackTo"]
        assert len(answer["data"]) <= 4
        assert (back_to is not None) == (cursor is not None and len(answer["data"]) < 4)
        if cursor is None:
            break
    assert found == whole
    assert pages > len(whole) / 4 + 1  # pieces of five, of which some hold nothing
    # Nothing is looked through beside the time that is asked about.
    at = sorted(whole, key=lambda one: one["request_created_at"])[len(whole) // 2]["request_created_at"]
    there = {"request_response_rmt": {"request_created_at": {"gte": at, "lte": at}}}
    reply = await filled.request("POST", QUERY, json={**asked, "filter": [asked["filter"], there], "within": 1})
    answer = reply.json()
    assert [one["request_created_at"] for one in answer["data"]] == [at]
    assert (answer["cursor"], answer["searchedBackTo"]) == (None, None)
    # ... nor where a cursor is from beside it, or from within.
    first = (await filled.request("POST", QUERY, json={"filter": "all", "limit": 1, "sort": asked["sort"]})).json()
    times = sorted(one["request_created_at"] for one in whole)
    part = {"request_response_rmt": {"request_created_at": {"gte": times[1], "lt": times[-1]}}}
    body = {**asked, "filter": [asked["filter"], part], "within": 30_000, "limit": 1000}
    expected = [one for one in whole if times[1] <= one["request_created_at"] < times[-1]]
    one = (await filled.request("POST", QUERY, json={**body, "limit": 1})).json()
    for cursor, left in ((first["cursor"], expected), (one["cursor"], expected[1:])):
        reply = await filled.request("POST", QUERY, json={**body, "cursor": cursor})
        assert reply.json()["data"] == left


@pytest.mark.parametrize("more", [{"offset": 3}, {"sort": {"latency": "desc"}}])
async def test_what_is_looked_for_piece_by_piece_has_a_place_to_go_on_from(
    filled: RunningGateway, more: dict[str, Any]
) -> None:
    reply = await filled.request("POST", QUERY, json={"filter": "all", "within": 100, **more})
    assert reply.status == 400
    assert b"within" in reply.body
