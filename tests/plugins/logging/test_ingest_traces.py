"""OpenTelemetry's traces: every span a row, every trace a session, in the words of all three conventions."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList

from helicone_gw_logging.ingest.spans import MAX_SPANS
from tests.plugins.logging.ingesting import COST, KEY, Ingesting, ingesting

TRACE = "0af7651916cd43dd8448eb211c80319c"
OPENLLMETRY: dict[str, Any] = {
    "llm.request.type": "chat",
    "gen_ai.system": "OpenAI",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.request.temperature": 0.5,
    "gen_ai.prompt.0.role": "user",
    "gen_ai.prompt.0.content": "Say hello.",
    "gen_ai.completion.0.role": "assistant",
    "gen_ai.completion.0.content": "Hello!",
    "gen_ai.completion.0.finish_reason": "stop",
    "gen_ai.usage.prompt_tokens": 10,
    "gen_ai.usage.completion_tokens": 5,
    "llm.usage.total_tokens": 15,
}
OPENINFERENCE: dict[str, Any] = {
    "openinference.span.kind": "LLM",
    "llm.system": "openai",
    "llm.model_name": "gpt-4o-2024-08-06",
    "llm.input_messages.0.message.role": "user",
    "llm.input_messages.0.message.contents.0.message_content.type": "text",
    "llm.input_messages.0.message.contents.0.message_content.text": "Say hello.",
    "llm.output_messages.0.message.role": "assistant",
    "llm.output_messages.0.message.content": "Hello!",
    "llm.token_count.prompt": 10,
    "llm.token_count.completion": 5,
    "llm.token_count.prompt_details.cache_read": 0,
}
GENAI: dict[str, Any] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.response.id": "chatcmpl-1",
    "gen_ai.response.finish_reasons": ["stop"],
    "gen_ai.usage.input_tokens": 10,
    "gen_ai.usage.output_tokens": 5,
    "gen_ai.input.messages": json.dumps([{"role": "user", "parts": [{"type": "text", "content": "Say hello."}]}]),
    "gen_ai.output.messages": json.dumps(
        [{"role": "assistant", "parts": [{"type": "text", "content": "Hello!"}], "finish_reason": "stop"}]
    ),
}
CONVENTIONS = {"openllmetry": OPENLLMETRY, "openinference": OPENINFERENCE, "genai": GENAI}


@pytest.fixture
async def told(tmp_path: Path) -> AsyncIterator[Ingesting]:
    async with ingesting(tmp_path) as running:
        yield running


def value(given: Any) -> dict[str, Any]:
    """An ``AnyValue`` in JSON."""
    if isinstance(given, bool):
        return {"boolValue": given}
    if isinstance(given, int):
        return {"intValue": str(given)}
    if isinstance(given, float):
        return {"doubleValue": given}
    if isinstance(given, list):
        return {"arrayValue": {"values": [value(each) for each in given]}}
    if isinstance(given, dict):
        return {"kvlistValue": {"values": attributes(given)}}
    return {"stringValue": given}


def attributes(given: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": value(each)} for key, each in given.items()]


def span(told: Ingesting, given: dict[str, Any], *, name: str = "openai.chat", number: int = 1, **more: Any) -> Any:
    """A span in JSON; the parent is a number too."""
    start = round((told.now - 5) * 1000) * 1_000_000
    made = {
        "traceId": TRACE,
        "spanId": f"{number:016x}",
        "name": name,
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start + 1_500_000_000),
        "attributes": attributes(given),
    }
    if (parent := more.pop("parent", None)) is not None:
        made["parentSpanId"] = f"{parent:016x}"
    return {**made, **more}


def payload(*spans: Any, service: str = "planner") -> dict[str, Any]:
    resource = {"attributes": attributes({"service.name": service})}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": list(spans)}]}]}


def as_protobuf(body: dict[str, Any]) -> bytes:
    """The same payload, encoded by OpenTelemetry's own classes."""
    request = ExportTraceServiceRequest()
    for group in body["resourceSpans"]:
        resource_spans = request.resource_spans.add()
        resource_spans.resource.attributes.extend(map(_pair, group["resource"]["attributes"]))
        for raw in group["scopeSpans"][0]["spans"]:
            if not resource_spans.scope_spans:
                resource_spans.scope_spans.add()
            made = resource_spans.scope_spans[0].spans.add()
            made.trace_id, made.span_id = bytes.fromhex(raw["traceId"]), bytes.fromhex(raw["spanId"])
            made.parent_span_id = bytes.fromhex(raw.get("parentSpanId", ""))
            made.name = raw["name"]
            made.start_time_unix_nano = int(raw.get("startTimeUnixNano", 0))
            made.end_time_unix_nano = int(raw["endTimeUnixNano"])
            made.attributes.extend(map(_pair, raw["attributes"]))
            made.status.code = raw.get("status", {}).get("code", 0)
            made.status.message = raw.get("status", {}).get("message", "")
            for each in raw.get("events", []):
                event = made.events.add()
                event.name, event.time_unix_nano = each["name"], int(each["timeUnixNano"])
                event.attributes.extend(map(_pair, each.get("attributes", [])))
    return request.SerializeToString()


def _pair(raw: dict[str, Any]) -> KeyValue:
    return KeyValue(key=raw["key"], value=_any(raw["value"]))


def _any(raw: dict[str, Any]) -> AnyValue:
    ((kind, given),) = raw.items()
    if kind == "arrayValue":
        return AnyValue(array_value=ArrayValue(values=map(_any, given["values"])))
    if kind == "kvlistValue":
        return AnyValue(kvlist_value=KeyValueList(values=map(_pair, given["values"])))
    if kind == "intValue":
        return AnyValue(int_value=int(given))
    names = {"boolValue": "bool_value", "doubleValue": "double_value", "stringValue": "string_value"}
    return AnyValue(**{names[kind]: given})


async def send(told: Ingesting, body: dict[str, Any], encoding: str, headers: dict[str, str] | None = None) -> None:
    """Send it in JSON or protobuf; it must be taken."""
    if encoding == "json":
        reply = await told.post("/v1/trace/log", body, headers)
        assert (reply.status, reply.json()) == (200, {})
    else:
        fields = {"content-type": "application/x-protobuf", **(headers or {})}
        reply = await told.post("/v1/trace/log-python", as_protobuf(body), fields)
        assert (reply.status, reply.body) == (200, b"")
        assert reply.headers.get("content-type") == "application/x-protobuf"


@pytest.mark.parametrize("encoding", ["json", "protobuf"])
@pytest.mark.parametrize("convention", CONVENTIONS)
async def test_a_call_of_a_model_is_a_row_like_all_others(told: Ingesting, convention: str, encoding: str) -> None:
    await send(told, payload(span(told, CONVENTIONS[convention])), encoding)
    (row,) = await told.rows()
    assert (row["source"], row["provider"], row["model"]) == ("trace", "openai", "gpt-4o-2024-08-06")
    assert (row["prompt_tokens"], row["completion_tokens"], row["cost_nano_usd"]) == (10, 5, COST)
    assert (row["latency"], row["status"], row["outcome"]) == (1500, 200, "ok")
    assert (row["trace_id"], row["span_id"], row["parent_span_id"]) == (TRACE, f"{1:016x}", None)
    request, response = map(json.loads, await told.bodies(row))
    assert request["messages"] == [{"role": "user", "content": "Say hello."}]
    assert response["choices"][0]["message"] == {"role": "assistant", "content": "Hello!"}
    if convention != "openinference":
        assert row["stop_reason"] == "stop"


@pytest.mark.parametrize("encoding", ["json", "protobuf"])
async def test_a_trace_is_a_session_whose_paths_are_made_of_names(told: Ingesting, encoding: str) -> None:
    body = payload(
        span(told, {"openinference.span.kind": "CHAIN"}, name="plan", number=1),
        span(told, {"openinference.span.kind": "AGENT"}, name="search/web", number=2, parent=1),
        span(told, {"openinference.span.kind": "TOOL", "tool.name": "maps"}, name="call", number=3, parent=2),
        span(told, OPENINFERENCE, name="ChatCompletion", number=4, parent=2),
    )
    await send(told, body, encoding)
    rows = {row["span_id"]: row for row in await told.rows()}
    assert {row["session_id"] for row in rows.values()} == {TRACE}
    assert {row["session_name"] for row in rows.values()} == {"planner"}
    assert [rows[f"{number:016x}"]["session_path"] for number in (1, 2, 3, 4)] == [
        "/plan",
        "/plan/search_web",
        "/plan/search_web/call",
        "/plan/search_web/ChatCompletion",
    ]
    assert [rows[f"{number:016x}"]["parent_span_id"] for number in (2, 3)] == [f"{1:016x}", f"{2:016x}"]
    assert (rows[f"{3:016x}"]["model"], rows[f"{3:016x}"]["operation"]) == ("tool:maps", "tool")
    # What holds others together has no tokens of its own: they would count twice.
    assert rows[f"{1:016x}"]["prompt_tokens"] is None


async def test_spans_that_come_alone_have_their_paths_all_the_same(told: Ingesting) -> None:
    """OpenLLMetry without batches sends each span when it ends, children first."""
    placed = {"traceloop.workflow.name": "trip", "traceloop.entity.path": "plan.search"}
    await send(told, payload(span(told, OPENLLMETRY | placed, number=3, parent=2)), "json")
    workflow = {**placed, "traceloop.span.kind": "workflow", "traceloop.entity.name": "trip"}
    await send(told, payload(span(told, workflow, name="trip.workflow", number=1)), "json")
    root, call = await told.rows()
    assert (call["session_path"], root["session_path"]) == ("/trip/plan/search/openai.chat", "/trip")
    assert call["session_name"] == root["session_name"] == "trip"


async def test_association_properties_are_helicones_headers(told: Ingesting) -> None:
    said = {
        "Helicone-User-Id": "ada",
        "Helicone-Property-Tier": "gold",
        "Helicone-Session-Id": "s-1",
        "Helicone-Session-Path": "/a/b",
        "region": "eu",
        "attempt": 2,
    }
    prefixed = {f"traceloop.association.properties.{name}": each for name, each in said.items()}
    await send(told, payload(span(told, OPENLLMETRY | prefixed)), "protobuf", {"Helicone-Property-App": "x"})
    (row,) = await told.rows()
    assert (row["user_id"], row["session_id"], row["session_path"]) == ("ada", "s-1", "/a/b")
    properties = await told.properties(row)
    assert {"Tier": "gold", "region": "eu", "attempt": "2"}.items() <= properties.items()
    assert properties.get("App", properties.get("app")) == "x"


async def test_what_a_span_says_that_a_provider_refused_costs_nothing(told: Ingesting) -> None:
    failed: dict[str, Any] = {"status": {"code": 2, "message": "No"}}
    asked = {name: value for name, value in OPENLLMETRY.items() if "usage" not in name}
    refused = {**asked, "http.response.status_code": 429}
    # Of the other nobody says that it came from the provider.
    await send(told, payload(span(told, asked, **failed), span(told, refused, number=2, **failed)), "json")
    rows = {row["status"]: (row["cost_nano_usd"], row["cost_source"]) for row in await told.rows()}
    assert rows == {429: (0, "no charge"), 500: (None, None)}


@pytest.mark.parametrize("encoding", ["json", "protobuf"])
async def test_a_span_that_failed_is_a_failure(told: Ingesting, encoding: str) -> None:
    failed = {"status": {"code": 2, "message": "Connection refused"}}
    limited = {**OPENLLMETRY, "http.response.status_code": 429}
    await send(told, payload(span(told, OPENLLMETRY, **failed), span(told, limited, number=2, **failed)), encoding)
    rows = await told.rows()
    assert sorted(row["status"] for row in rows) == [429, 500]
    assert {(row["outcome"], row["error_message"]) for row in rows} == {("upstream_error", "Connection refused")}


async def test_the_first_chunk_is_the_first_token(told: Ingesting) -> None:
    made = span(told, OPENLLMETRY)
    at = int(made["startTimeUnixNano"]) + 300_000_000
    made["events"] = [{"name": "llm.content.completion.chunk", "timeUnixNano": str(at)}]
    await send(told, payload(made), "protobuf")
    (row,) = await told.rows()
    assert (row["stream"], row["time_to_first_token"]) == (True, 300)


async def test_a_span_that_is_sent_again_is_one_row(told: Ingesting, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = span(told, GENAI), span(told, GENAI, number=2)
    await send(told, payload(one), "json")
    await send(told, payload(one, other), "protobuf")
    assert sorted(row["span_id"] for row in await told.rows()) == [f"{1:016x}", f"{2:016x}"]
    # Also where it comes to another worker, or later, and twice in one batch.
    monkeypatch.setattr("helicone_gw_logging.ingest.routes.MOST_RECENT", 0)
    third = span(told, GENAI, number=3)
    await send(told, payload(span(told, GENAI, number=4)), "json")
    await send(told, payload(third, one, third, other), "json")
    rows = await told.rows()
    assert sorted(row["span_id"] for row in rows) == [f"{number:016x}" for number in (1, 2, 3, 4)]
    assert all(row["id"][14] == "8" for row in rows)


@pytest.mark.parametrize("encoding", ["json", "protobuf"])
async def test_spans_without_a_valid_trace_are_not_one_session(told: Ingesting, encoding: str) -> None:
    await send(told, payload(*(span(told, GENAI, number=number, traceId="0" * 32) for number in (0, 1))), encoding)
    assert {(row["trace_id"], row["session_id"]) for row in await told.rows()} == {(None, None)}
    assert sorted(row["span_id"] or "" for row in await told.rows()) == ["", "0000000000000001"]


@pytest.mark.parametrize("encoding", ["json", "protobuf"])
async def test_a_trace_that_comes_in_several_calls_is_one_tree(told: Ingesting, encoding: str) -> None:
    """Exporters send what ended, every few seconds; what holds it together ends last."""
    agent, step = span(told, {}, name="agent", number=1), span(told, {}, name="step", number=2, parent=1)
    llm, tool = (span(told, GENAI, name=name, number=n, parent=2) for n, name in ((3, "llm"), (4, "tool")))
    given = {**GENAI, "traceloop.association.properties.Helicone-Session-Path": "/own"}
    own = span(told, given, name="own", number=5, parent=2)
    for call in ([llm, own], [tool, step], [agent]):
        await send(told, payload(*call), encoding)
    await told.plugin.flush()
    reply = await told.running.request("GET", f"/v1/session/{TRACE}/tree")
    found = reply.json()["data"]
    assert [node["path"] for node in found["nodes"]] == [
        "/",
        "/agent",
        "/agent/step",
        "/agent/step/llm",
        "/agent/step/tool",
        "/own",
    ]
    assert {each["path"] for each in found["requests"]} == {node["path"] for node in found["nodes"]} - {"/"}


async def test_messages_may_be_told_by_events(told: Ingesting) -> None:
    bare = {name: each for name, each in GENAI.items() if "messages" not in name}
    made = span(told, bare)
    at = made["startTimeUnixNano"]
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello!"}}
    made["events"] = [
        {"name": "gen_ai.system.message", "timeUnixNano": at, "attributes": attributes({"content": "Be brief."})},
        {"name": "gen_ai.user.message", "timeUnixNano": at, "attributes": attributes({"content": "Say hello."})},
        {"name": "gen_ai.choice", "timeUnixNano": at, "attributes": attributes(choice)},
    ]
    await send(told, payload(made), "protobuf")
    (row,) = await told.rows()
    request, response = map(json.loads, await told.bodies(row))
    assert [message["role"] for message in request["messages"]] == ["system", "user"]
    assert response["choices"][0]["message"]["content"] == "Hello!"


async def test_calls_of_tools_and_their_answers_are_kept(told: Ingesting) -> None:
    flat = {
        **OPENLLMETRY,
        "gen_ai.completion.0.content": None,
        "gen_ai.completion.0.tool_calls.0.id": "call_1",
        "gen_ai.completion.0.tool_calls.0.name": "maps",
        "gen_ai.completion.0.tool_calls.0.arguments": '{"q":"Bern"}',
    }
    parts = [{"type": "tool_call", "id": "call_1", "name": "maps", "arguments": {"q": "Bern"}}]
    whole = {**GENAI, "gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": parts}])}
    for given in (flat, whole):
        await send(told, payload(span(told, {name: each for name, each in given.items() if each is not None})), "json")
    for row in await told.rows():
        response = json.loads((await told.bodies(row))[1])
        (call,) = response["choices"][0]["message"]["tool_calls"]
        assert (call["id"], call["function"]["name"]) == ("call_1", "maps")


async def test_tokens_of_a_cache_are_part_of_the_prompt(told: Ingesting) -> None:
    given = {**GENAI, "gen_ai.provider.name": "anthropic", "gen_ai.request.model": "claude-sonnet-4-5"}
    given |= {"gen_ai.response.model": "claude-sonnet-4-5-20250929", "gen_ai.usage.input_tokens": 1010}
    given["gen_ai.usage.cache_read.input_tokens"] = 1000
    await send(told, payload(span(told, given)), "json")
    (row,) = await told.rows()
    assert (row["prompt_tokens"], row["prompt_cache_read_tokens"]) == (1010, 1000)
    assert row["cost_nano_usd"] == 10 * 3_000 + 1000 * 300 + 5 * 15_000


async def test_exporters_compress_and_name_protobuf_at_either_address(told: Ingesting) -> None:
    fields = {"content-type": "application/x-protobuf", "content-encoding": "gzip"}
    for number, path in enumerate(("/v1/trace/log", "/v1/trace/log-python"), 1):
        body = gzip.compress(as_protobuf(payload(span(told, GENAI, number=number))))
        assert (await told.post(path, body, fields)).status == 200
    assert len(await told.rows()) == 2


async def test_what_is_no_trace_is_400(told: Ingesting) -> None:
    for body in ([], {"resourceSpans": 5}):
        assert (await told.post("/v1/trace/log", body)).status == 400
    reply = await told.post("/v1/trace/log-python", b"\xff\xff\xff", {"content-type": "application/x-protobuf"})
    assert reply.status == 400
    assert await told.rows() == []


@pytest.mark.parametrize("body", [{}, {"resourceSpans": None}, {"resourceSpans": []}])
async def test_a_call_without_spans_is_well_answered(told: Ingesting, body: dict[str, Any]) -> None:
    reply = await told.post("/v1/trace/log", body)
    assert (reply.status, reply.json()) == (200, {})
    assert (await told.post("/v1/trace/log", b"", {"content-type": "application/x-protobuf"})).status == 200
    assert await told.rows() == []


async def test_more_spans_than_a_call_may_have_are_refused_as_a_whole(told: Ingesting) -> None:
    body = payload(*([span(told, {})] * (MAX_SPANS + 1)))
    assert (await told.post("/v1/trace/log", body)).status == 400
    fields = {"content-type": "application/x-protobuf"}
    assert (await told.post("/v1/trace/log-python", as_protobuf(body), fields)).status == 400
    assert await told.rows() == []


@pytest.mark.parametrize("start", ["1000000000", "0", None])
async def test_spans_of_impossible_times_are_rejected_and_the_others_taken(told: Ingesting, start: str | None) -> None:
    """An exporter never sends again what was refused: one span must not take the others of its batch along."""
    ancient = span(told, GENAI, number=2, startTimeUnixNano=start, endTimeUnixNano="2000000000")
    if start is None:
        del ancient["startTimeUnixNano"]
    reply = await told.post("/v1/trace/log", payload(span(told, GENAI), ancient))
    assert (reply.status, reply.json()["partialSuccess"]["rejectedSpans"]) == (200, 1)
    body = as_protobuf(payload(span(told, GENAI), ancient))
    reply = await told.post("/v1/trace/log-python", body, {"content-type": "application/x-protobuf"})
    assert ExportTraceServiceResponse.FromString(reply.body).partial_success.rejected_spans == 1
    assert len(await told.rows()) == 2


async def test_attributes_nested_without_end_are_cut(told: Ingesting) -> None:
    deep: dict[str, Any] = {"stringValue": "x"}
    for _ in range(20):
        deep = {"kvlistValue": {"values": [{"key": "k", "value": deep}]}}
    for number, encoding in enumerate(("json", "protobuf"), 1):
        made = span(told, GENAI, number=number)
        made["attributes"].append({"key": "input.value", "value": deep})
        await send(told, payload(made), encoding)
    assert len(await told.rows()) == 2


async def test_the_exporters_key_is_asked_for_and_never_kept(tmp_path: Path) -> None:
    async with ingesting(tmp_path, {"security": {"keys": {"alice": KEY}}}) as told:
        given = {**OPENLLMETRY, "gen_ai.prompt.0.content": f"my key is {KEY}"}
        body = payload(span(told, given))
        assert (await told.post("/v1/trace/log", body)).status == 401
        await send(told, body, "protobuf", {"Authorization": f"Bearer {KEY}"})
        (row,) = await told.rows()
        assert row["key_name"] == "alice"
        assert KEY.encode() not in b"".join(await told.bodies(row))
