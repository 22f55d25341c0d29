"""Helicone's log calls: what they tell becomes a row like all others, with the statuses that its clients count on."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from helicone_gw.database import Database
from helicone_gw_logging.ingest.payload import MAX_PAYLOAD
from helicone_gw_logging.plugin import VERSIONS
from helicone_gw_logging.totals import ROLLUP, SESSION
from tests.plugins.logging.ingesting import ANSWER, CHAT, CHUNKS, COST, KEY, Ingesting, ingesting, lines

FOUR = ["/oai/v1/log", "/anthropic/v1/log", "/googleapis/v1/log", "/custom/v1/log"]
CUSTOM_TRACE = ["/v1/trace/custom/v1/log", "/v1/trace/custom/log", "/v1/trace/custom/log/typed"]
SECRET = "sk-helicone-abcdefghij"
CLAUDE = {"model": "claude-sonnet-4-5", "max_tokens": 100, "messages": CHAT["messages"]}
CLAUDE_ANSWER = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5-20250929",
    "content": [{"type": "text", "text": "Hello!"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 100},
}
GEMINI_ANSWER = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "Hello!"}]}, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15},
    "modelVersion": "gemini-2.5-flash",
}


@pytest.fixture
async def told(tmp_path: Path) -> AsyncIterator[Ingesting]:
    async with ingesting(tmp_path) as running:
        yield running


@pytest.mark.parametrize("path", FOUR)
async def test_good_is_200_ok_with_the_id_of_the_request(told: Ingesting, path: str) -> None:
    reply = await told.post(path, told.call())
    assert (reply.status, reply.body) == (200, b"ok")
    (row,) = await told.rows()
    assert reply.headers.get("helicone-id") == row["request_id"]
    assert (row["source"], row["outcome"], row["status"], row["stream"]) == ("async", "ok", 200, False)


@pytest.mark.parametrize("field", ["X-Request-Id", "request-id", "x-amzn-RequestId"])
async def test_the_provider_s_own_id_is_known_where_its_headers_are_told(told: Ingesting, field: str) -> None:
    body = told.call()
    body["providerResponse"]["headers"] = {"x-goog-request-id": 5, field: "req_1", "x-other": "y"}
    (row,) = [await told.log("/oai/v1/log", body)]
    assert row["provider_request_id"] == "req_1"


@pytest.mark.parametrize(
    ("said", "known"), [(1500, 1500), (2400, 2400), (2600, None), (1_790_000_000_000, None), (-5, None), ("soon", None)]
)
async def test_a_first_token_that_came_after_the_end_is_unknown(told: Ingesting, said: Any, known: int | None) -> None:
    """A client that tells a time in place of a duration would have waited for 56 years."""
    row = await told.log("/oai/v1/log", told.call({**CHAT, "stream": True}, timing=told.timing(timeToFirstToken=said)))
    assert (row["latency"], row["time_to_first_token"]) == (1500, known)


@pytest.mark.parametrize("path", CUSTOM_TRACE)
async def test_custom_traces_are_answered_with_nothing(told: Ingesting, path: str) -> None:
    reply = await told.post(path, told.call(provider="OPENAI"))
    assert (reply.status, reply.body) == (200, b"")
    (row,) = await told.rows()
    assert (row["provider"], row["path"], row["model"]) == ("openai", "async-unknown-path", "gpt-4o-2024-08-06")


@pytest.mark.parametrize(
    ("path", "request_", "answer", "provider", "dialect", "model", "prompt"),
    [
        ("/oai/v1/log", CHAT, ANSWER, "openai", "openai", "gpt-4o-2024-08-06", 10),
        ("/anthropic/v1/log", CLAUDE, CLAUDE_ANSWER, "anthropic", "anthropic", "claude-sonnet-4-5-20250929", 110),
        ("/googleapis/v1/log", {"contents": []}, GEMINI_ANSWER, "gemini", "gemini", "gemini-2.5-flash", 10),
        # litellm tells of Gemini in OpenAI's words.
        ("/custom/v1/log", CHAT, ANSWER, "custom", "openai", "gpt-4o-2024-08-06", 10),
    ],
)
async def test_tokens_and_cost_are_read_by_the_dialects_own_readers(
    told: Ingesting,
    path: str,
    request_: dict[str, Any],
    answer: dict[str, Any],
    provider: str,
    dialect: str,
    model: str,
    prompt: int,
) -> None:
    row = await told.log(path, told.call(request_, answer))
    assert (row["provider"], row["dialect"], row["model"]) == (provider, dialect, model)
    assert (row["prompt_tokens"], row["completion_tokens"]) == (prompt, 5)
    assert row["cost_nano_usd"] is not None
    assert json.loads((await told.bodies(row))[1]) == answer


async def test_it_costs_what_the_same_exchange_costs_through_the_gateway(told: Ingesting) -> None:
    row = await told.log("/oai/v1/log", told.call())
    assert row["cost_nano_usd"] == COST


@pytest.mark.parametrize(
    ("status", "answer", "text", "cost"),
    [
        (429, {"error": {"message": "Slow down"}}, None, (0, "no charge")),
        (500, {"error": {"message": "Sorry"}}, None, (0, "no charge")),
        (200, {}, None, (None, None)),  # an answer that says nothing of its usage
        (-3, {}, None, (None, None)),
        (500, {}, "Error: socket hang up", (None, None)),  # whoever hung up, it may have been billed
        (500, {"_type": "tool"}, None, (None, None)),
    ],
)
async def test_what_a_provider_refused_costs_nothing_as_it_does_through_the_gateway(
    told: Ingesting, status: int, answer: Any, text: str | None, cost: tuple[int | None, str | None]
) -> None:
    asked = {"_type": "tool", "toolName": "t"} if "_type" in answer else CHAT
    row = await told.log("/custom/v1/log", told.call(asked, answer, text=text, status=status))
    assert (row["cost_nano_usd"], row["cost_source"]) == cost


@pytest.mark.parametrize("way", ["streamed_data", "textBody", "events"])
async def test_a_stream_is_built_again_and_says_the_same_as_a_whole_answer(told: Ingesting, way: str) -> None:
    whole = await told.log("/oai/v1/log", told.call())
    timing = told.timing(timeToFirstToken=250.7)
    request = {**CHAT, "stream": True}
    if way == "streamed_data":
        body = told.call(request, {"streamed_data": CHUNKS}, timing=timing)
    else:
        text = lines(CHUNKS) if way == "textBody" else "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in CHUNKS)
        body = told.call(request, {}, text=text + ("data: [DONE]\n\n" if way == "events" else ""), timing=timing)
    row = await told.log("/custom/v1/log" if way == "textBody" else "/oai/v1/log", body)
    for same in ("model", "prompt_tokens", "completion_tokens", "cost_nano_usd", "stop_reason", "outcome", "status"):
        assert row[same] == whole[same], same
    assert (row["stream"], row["time_to_first_token"]) == (True, 251)
    events = (await told.bodies(row))[1]
    assert events.count(b"data: ") == len(CHUNKS) + 1
    assert events.endswith(b"data: [DONE]\n\n")


async def test_anthropics_stream_is_built_again_with_the_names_of_its_events(told: Ingesting) -> None:
    chunks: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**CLAUDE_ANSWER, "content": [], "usage": CLAUDE_ANSWER["usage"]}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello!"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}},
        {"type": "message_stop"},
    ]
    row = await told.log("/anthropic/v1/log", told.call({**CLAUDE, "stream": True}, {}, text=lines(chunks)))
    assert (row["prompt_tokens"], row["completion_tokens"], row["stop_reason"]) == (110, 7, "end_turn")
    assert b"event: message_delta\ndata: {" in (await told.bodies(row))[1]


@pytest.mark.parametrize("array", [True, False])
async def test_geminis_stream_may_be_an_array_and_its_address_says_that_it_is_one(told: Ingesting, array: bool) -> None:
    first = {"candidates": [{"content": {"role": "model", "parts": [{"text": "Hel"}]}}]}
    chunks = [first, GEMINI_ANSWER] if array else [GEMINI_ANSWER]
    url = "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash:streamGenerateContent"
    text = json.dumps(chunks) if array else json.dumps(GEMINI_ANSWER)
    row = await told.log("/googleapis/v1/log", told.call({"contents": []}, {}, url=url, text=text))
    assert (row["stream"], row["model"], row["stop_reason"]) == (True, "gemini-2.5-flash", "STOP")
    assert (row["prompt_tokens"], row["completion_tokens"]) == (10, 5)
    assert (await told.bodies(row))[1].count(b"data: {") == (2 if array else 0)


async def test_text_that_is_no_json_is_kept_as_text(told: Ingesting) -> None:
    row = await told.log("/custom/v1/log", told.call({"prompt": "hi"}, {}, text="Hello there.\nHow are you?"))
    assert (row["model"], row["prompt_tokens"], row["cost_nano_usd"]) == (None, None, None)
    assert (await told.bodies(row))[1] == b"Hello there.\nHow are you?"


async def test_what_the_client_left_is_no_failure_and_what_failed_says_why(told: Ingesting) -> None:
    failed = "Error: no answer\n    at main.js:1\n\n" + lines(CHUNKS[:1])
    left = await told.log("/custom/v1/log", told.call(CHAT, {}, text=lines(CHUNKS[:1]), status=-3))
    row = await told.log("/custom/v1/log", told.call(CHAT, {}, text=failed, status=500))
    assert (left["outcome"], left["status"], left["cost_nano_usd"]) == ("client_disconnected", None, None)
    assert (row["outcome"], row["status"]) == ("upstream_error", 500)
    assert row["error_message"].startswith("Error: no answer")
    bare = await told.log("/custom/v1/log", told.call(CHAT, {}, text="Error: no answer\n\n", status=500))
    assert (bare["outcome"], bare["error_message"]) == ("upstream_error", "Error: no answer\n\n")
    error = {"error": {"message": "Slow down", "type": "rate_limit_error"}}
    limited = await told.log("/oai/v1/log", told.call(CHAT, error, status=429))
    assert (limited["outcome"], limited["status"], limited["error_message"]) == ("upstream_error", 429, "Slow down")


async def test_headers_of_the_call_win_over_meta_which_counts_as_headers(told: Ingesting) -> None:
    meta = {
        "Helicone-Auth": f"Bearer {SECRET}",
        "Helicone-User-Id": "from meta",
        "Helicone-Session-Id": "s-1",
        "Helicone-Session-Path": "/plan/search",
        "Helicone-Session-Name": "Trip",
        "Helicone-Property-Tier": "gold",
        "Helicone-Property-Retries": 3,
        "user_api_key_alias": "not a header",
    }
    row = await told.log("/oai/v1/log", told.call(meta=meta), {"Helicone-User-Id": "from a header"})
    assert (row["user_id"], row["session_id"], row["session_path"]) == ("from a header", "s-1", "/plan/search")
    properties = await told.properties(row)
    assert properties["Tier"] == "gold"
    assert properties["Retries"] == "3"
    assert "user_api_key_alias" not in properties


async def test_the_client_picks_the_id(told: Ingesting) -> None:
    chosen = "6f9619ff-8b86-4d01-b42d-00c04fc964ff"
    for _ in range(2):
        reply = await told.post("/oai/v1/log", told.call(meta={"Helicone-Request-Id": chosen}))
        assert reply.headers.get("helicone-id") == chosen
    rows = await told.rows()
    assert [row["request_id"] for row in rows] == [chosen, chosen]
    assert len({row["id"] for row in rows}) == 2


async def test_credentials_in_meta_are_nowhere(told: Ingesting, tmp_path: Path) -> None:
    """Also where they were repeated: helicone's old package puts the provider's key into the request."""
    plain = "plain-provider-password"
    request = {**CHAT, "api_key": plain, "user": f"me {SECRET}"}
    meta = {"Helicone-Auth": f"Bearer {SECRET}", "Helicone-Property-Key": SECRET}
    answer = {**ANSWER, "id": f"{plain}/{SECRET}"}
    row = await told.log("/oai/v1/log", told.call(request, answer, meta=meta))
    kept = json.dumps(row).encode() + b"".join(await told.bodies(row)) + repr(await told.properties(row)).encode()
    assert SECRET.encode() not in kept
    assert plain.encode() not in kept


async def test_what_only_sounds_like_a_credential_stays(told: Ingesting) -> None:
    """litellm's proxy puts names beside its keys, which may be those of users."""
    meta = {
        "user_api_key_user_id": "ada-lovelace",
        "user_api_key_alias": "production",
        "Helicone-User-Id": "ada-lovelace",
    }
    row = await told.log(
        "/oai/v1/log", told.call({**CHAT, "user": "production", "max_tokens": "production"}, meta=meta)
    )
    assert row["user_id"] == "ada-lovelace"
    assert b"production" in (await told.bodies(row))[0]


async def test_what_becomes_of_calls_is_counted(told: Ingesting) -> None:
    for body in (told.call(), told.call(), {}):
        await told.post("/oai/v1/log", body)
    figures = {each.name: each.value for each in told.plugin.measurements()}
    assert (figures["logging_ingest_taken"], figures["logging_ingest_calls_refused"]) == (2, 1)
    assert figures["logging_ingest_spans_rejected"] == 0


@pytest.mark.parametrize(
    ("request_", "answer", "operation", "model", "outcome"),
    [
        ({"_type": "tool", "toolName": "weather"}, {"status": "success"}, "tool", "tool:weather", "ok"),
        ({"_type": "tool", "toolName": "x"}, {"status": "error", "message": "no"}, "tool", "tool:x", "upstream_error"),
        ({"_type": "vector_db", "operation": "search"}, {"status": "success"}, "vector_db", "vector_db", "ok"),
        ({"_type": "data", "name": "users"}, {}, "data", "data:users", "ok"),
    ],
)
async def test_tools_and_vector_databases_have_names_for_models(
    told: Ingesting, request_: dict[str, Any], answer: dict[str, Any], operation: str, model: str, outcome: str
) -> None:
    body = told.call(request_, answer, meta={"Helicone-Session-Id": "s", "Helicone-Session-Path": "/tools/x"})
    row = await told.log("/custom/v1/log", body)
    assert (row["dialect"], row["operation"], row["model"]) == ("helicone", operation, model)
    assert (row["outcome"], row["prompt_tokens"], row["session_path"]) == (outcome, None, "/tools/x")


async def test_old_rows_land_in_the_sums_of_their_own_hour(told: Ingesting) -> None:
    day = 86_400.0
    row = await told.log("/oai/v1/log", told.call(meta={"Helicone-Session-Id": "s"}, timing=told.timing(ago=40 * day)))
    assert row["hour"] == (told.now - 40 * day) // 3600
    async with told.gateway.database.connect() as connection:
        (sums,) = (await connection.execute(select(ROLLUP))).all()
        (session,) = (await connection.execute(select(SESSION))).all()
    assert (sums.hour, sums.source, sums.requests, sums.cost_nano_usd) == (row["hour"], "async", 1, COST)
    assert (session.first_at, session.cost_nano_usd) == (row["received_at"], COST)


async def test_on_postgres_what_is_told_late_has_its_month_too(tmp_path: Path, postgres_url: str) -> None:
    database = Database(postgres_url)
    await database.migrate("logging", VERSIONS)
    await database.close()
    async with ingesting(tmp_path, url=postgres_url) as told:
        request = {**CHAT, "user": "nul \0"}
        for days in (1, 40, 400, 3000):
            row = await told.log("/oai/v1/log", told.call(request, timing=told.timing(ago=days * 86_400.0)))
            assert (row["cost_nano_usd"], row["user_id"]) == (COST, "nul \ufffd")
            assert json.loads((await told.bodies(row))[1]) == ANSWER
        async with told.gateway.database.connect() as connection:
            assert len((await connection.execute(select(ROLLUP))).all()) == 4


@pytest.mark.parametrize(
    ("section", "field", "value", "named"),
    [
        ("providerRequest", None, None, "providerRequest"),
        ("providerRequest", "url", 5, "providerRequest.url"),
        ("providerRequest", "json", "text", "providerRequest.json"),
        ("providerRequest", "meta", [], "providerRequest.meta"),
        ("providerResponse", None, "x", "providerResponse"),
        ("providerResponse", "status", "200", "providerResponse.status"),
        ("providerResponse", "status", True, "providerResponse.status"),
        ("providerResponse", "headers", 1, "providerResponse.headers"),
        ("providerResponse", "json", None, "providerResponse"),
        ("timing", None, None, "timing"),
        ("timing", "startTime", {"seconds": "x"}, "timing.startTime"),
        ("timing", "startTime", {"seconds": -5, "milliseconds": 0}, "timing.startTime"),
        ("timing", "endTime", None, "timing.endTime"),
        ("timing", "endTime", {"seconds": 1, "milliseconds": 0}, "timing.startTime"),
        ("timing", "endTime", {"seconds": 32503680000, "milliseconds": 0}, "timing.startTime"),
    ],
)
async def test_what_is_wrong_is_400_and_named(
    told: Ingesting, section: str, field: str | None, value: Any, named: str
) -> None:
    body = told.call()
    if field is None:
        body[section] = value
    else:
        body[section][field] = value
    for path in FOUR:
        reply = await told.post(path, body)
        assert reply.status == 400
        assert reply.json()["error"].startswith(f"{named}: ")
    typed = await told.post("/v1/trace/custom/log/typed", body)
    if section == "timing" and field is None:
        assert typed.status == 200
    else:
        assert (typed.status, typed.json()["isValid"]) == (400, False)
        assert [error["field"] for error in typed.json()["errors"]] == [named]
        assert len(await told.rows()) == 0


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"[" * 100_000, b"\xff\xfe", b'{"providerRequest":NaN}'])
@pytest.mark.parametrize("path", [*FOUR, *CUSTOM_TRACE, "/v1/log/request", "/v1/trace/log"])
async def test_what_is_no_json_object_is_400(told: Ingesting, path: str, body: bytes) -> None:
    assert (await told.post(path, body)).status == 400


async def test_a_lone_surrogate_costs_no_row(told: Ingesting) -> None:
    body = json.dumps(told.call({**CHAT, "user": "\ud800!"})).encode()
    row = await told.log("/oai/v1/log", body)
    assert row["user_id"] == "\ufffd!"


async def test_too_large_is_400_however_it_is_packed(told: Ingesting) -> None:
    body = json.dumps(told.call({**CHAT, "padding": "x" * MAX_PAYLOAD})).encode()
    for content, headers in ((body, {}), (gzip.compress(body), {"content-encoding": "gzip"})):
        reply = await told.post("/oai/v1/log", content, headers)
        assert (reply.status, reply.json()) == (400, {"error": "Payload too large"})
    escaped = json.dumps(told.call({**CHAT, "padding": "é" * (MAX_PAYLOAD // 4)})).encode()
    assert len(escaped) > MAX_PAYLOAD
    assert (await told.post("/oai/v1/log", escaped)).status == 200


async def test_bodies_may_be_compressed_and_damage_is_told(told: Ingesting) -> None:
    body = json.dumps(told.call()).encode()
    assert (await told.post("/oai/v1/log", gzip.compress(body), {"content-encoding": "gzip"})).status == 200
    for content, coding in ((gzip.compress(body)[:-20], "gzip"), (body, "zstd"), (body, "br")):
        assert (await told.post("/oai/v1/log", content, {"content-encoding": coding})).status == 400


async def test_a_full_log_is_200_with_an_error_where_clients_know_nothing_else(tmp_path: Path) -> None:
    # With a journal there would be room for them yet.
    bounds = {"queue_max_rows": 1, "batch_ms": 60_000, "journal": {"enabled": False}}
    async with ingesting(tmp_path, logging=bounds) as told:
        assert (await told.post("/oai/v1/log", told.call())).body == b"ok"
        full = await told.post("/oai/v1/log", told.call())
        assert (full.status, list(full.json())) == (200, ["error"])
        assert (await told.post("/v1/trace/custom/log", told.call())).status == 500
        assert (await told.post("/v1/trace/custom/log/typed", told.call())).json()["isValid"] is False


async def test_keys_are_asked_for_and_rows_are_their_owners(tmp_path: Path) -> None:
    async with ingesting(tmp_path, {"security": {"keys": {"alice": KEY}}}) as told:
        for path in [*FOUR, *CUSTOM_TRACE, "/v1/log/request", "/v1/trace/log", "/v1/trace/log-python"]:
            assert (await told.post(path, told.call())).status == 401
            assert (await told.post(path, told.call(), {"authorization": "Bearer wrong"})).status == 401
        row = await told.log("/oai/v1/log", told.call(), {"authorization": f"Bearer {KEY}"})
        assert (row["key_name"], row["organization_id"]) == ("alice", "default")
        assert row["key_id"] is not None


async def test_bodies_are_left_out_where_asked(told: Ingesting, tmp_path: Path) -> None:
    row = await told.log("/oai/v1/log", told.call(meta={"Helicone-Omit-Request": "true"}))
    request, response = await told.bodies(row)
    assert (json.loads(request), json.loads(response)["id"]) == ({"model": "gpt-4o"}, "chatcmpl-1")


async def test_a_message_of_helicones_own_gateway(told: Ingesting) -> None:
    message = {
        "authorization": f"Bearer {SECRET}",
        "heliconeMeta": {"modelOverride": "gpt-4o", "omitRequestLog": False, "omitResponseLog": False},
        "log": {
            "request": {
                "id": "6f9619ff-8b86-4d01-b42d-00c04fc964ff",
                "userId": "ada",
                "properties": {"helicone-property-tier": "gold", "App": "x", "Helicone-Session-Id": "s-1"},
                "targetUrl": f"https://api.openai.com/v1/chat/completions?key={SECRET}",
                "provider": "OPENAI",
                "path": "/v1/chat/completions",
                "requestCreatedAt": round((told.now - 60) * 1000),
                "isStream": True,
                "countryCode": "CH",
            },
            "response": {"id": "r", "status": 200, "delayMs": 1200, "timeToFirstToken": 300, "cost": 0.000123456},
        },
    }
    row = await told.log("/v1/log/request", message)
    assert (row["request_id"], row["user_id"], row["session_id"]) == (message["log"]["request"]["id"], "ada", "s-1")  # type: ignore[index]
    assert (row["latency"], row["time_to_first_token"], row["cost_nano_usd"]) == (1200, 300, 123_456)
    assert (row["provider"], row["country_code"], row["model_override"]) == ("openai", "CH", "gpt-4o")
    assert row["target_url"] == "https://api.openai.com/v1/chat/completions"
    assert {"tier": "gold", "App": "x"}.items() <= (await told.properties(row)).items()


@pytest.mark.parametrize("reference", ["6f9619ff-8b86-4d01-b42d-00c04fc964ff", "00000000-0000-0000-0000-000000000000"])
async def test_what_a_message_says_of_caches_threats_and_prompts(told: Ingesting, reference: str) -> None:
    asked = {
        "requestCreatedAt": round((told.now - 60) * 1000),
        "cacheEnabled": True,
        "cacheReferenceId": reference,
        "threat": True,
    }
    response = {"status": 200, "delayMs": 5, "cachedLatency": 812}
    message = {"heliconeMeta": {"promptVersionId": "v-7"}, "log": {"request": asked, "response": response}}
    row = await told.log("/v1/log/request", message)
    assert (row["cache_enabled"], row["threat"]) == (True, True)
    assert row["annotations"]["prompts.version_id"] == "v-7"
    columns = ("cache_status", "cache_reference_id", "saved_ms", "cost_nano_usd", "cost_source", "prompt_tokens")
    hit = ("hit", reference, 812, 0, "cache", 0)
    assert tuple(row[name] for name in columns) == (hit if reference.startswith("6") else (None,) * 6)


@pytest.mark.parametrize("part", ["heliconeMeta", "request", "response", "requestCreatedAt", "status"])
async def test_a_message_with_something_missing_is_400(told: Ingesting, part: str) -> None:
    log: dict[str, Any] = {"request": {"requestCreatedAt": round(told.now)}, "response": {"status": 200}}
    message: dict[str, Any] = {"heliconeMeta": {}, "log": log}
    for place in (message, log, log["request"], log["response"]):
        if part in place:
            place[part] = None
    reply = await told.post("/v1/log/request", message)
    assert reply.status == 400
    assert part in reply.json()["error"]


@pytest.mark.parametrize("answered", [{"delayMs": 1e14}, {"responseCreatedAt": "9999-01-01T00:00:00Z"}])
async def test_a_message_of_an_answer_that_is_yet_to_come_is_400(told: Ingesting, answered: dict[str, Any]) -> None:
    log = {"request": {"requestCreatedAt": round(told.now)}, "response": {"status": 200, **answered}}
    reply = await told.post("/v1/log/request", {"heliconeMeta": {}, "log": log})
    assert (reply.status, reply.json()["error"]) == (400, "log.response: It must not have come ahead of now.")
    assert await told.rows() == []
