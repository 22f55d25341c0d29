"""The parsers of ingestion: what strangers send is read, or refused by name; nothing else is ever raised."""

from __future__ import annotations

import json
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw import Headers, Prices
from helicone_gw_logging.ingest import otlp_json
from helicone_gw_logging.ingest.checks import Refused
from helicone_gw_logging.ingest.chunks import rebuild, split
from helicone_gw_logging.ingest.helicone_log import told_of
from helicone_gw_logging.ingest.instants import instant
from helicone_gw_logging.ingest.message import told_of_message
from helicone_gw_logging.ingest.payload import TooLarge, Unreadable, as_json, decoded
from helicone_gw_logging.ingest.spans import Malformed
from helicone_gw_logging.ingest.told import record_of
from helicone_gw_logging.ingest.traces import told_of_spans
from helicone_gw_logging.insert import prepare

NOW = 1_767_225_600.0
CATALOGUE: Any = SimpleNamespace(get=lambda name: None, provider_for_url=lambda url: None)
PRICES = Prices()

# fmt: off
NAMES = st.sampled_from([
    "model", "messages", "choices", "delta", "message", "content", "usage", "text", "type", "object", "input", "prompt",
    "contents", "candidates", "streamed_data", "data", "output", "stopReason", "error", "status", "_type", "toolName",
    "name", "user", "stream", "prompt_tokens", "role", "embedding", "tool", "chat.completion.chunk", "message_start",
])
# fmt: on
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text() | NAMES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(max_size=5), inner, max_size=5),
    max_leaves=12,
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=6)
TIMES = st.just({"seconds": NOW, "milliseconds": 1}) | VALUES


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ({"seconds": 1700000000, "milliseconds": 250}, 1700000000.25),
        ({"seconds": "1700000000", "milliseconds": "250"}, 1700000000.25),
        ({"seconds": 1700000000}, 1700000000.0),
        ("1700000000", 1700000000.0),
        ("1700000000250", 1700000000.25),
        ("4102444799", 4102444799.0),
        ("4102444800", 4102444.8),
        (1700000000250, 1700000000.25),
        ("2023-11-14T22:13:20Z", 1700000000.0),
        ("2023-11-14T23:13:20+01:00", 1700000000.0),
        ("2023-11-14T22:13:20", 1700000000.0),
        ("yesterday", None),
        ("", None),
        ("²", None),
        (True, None),
        ({"seconds": None}, None),
        ({"seconds": 1, "milliseconds": "x"}, None),
        ([], None),
        (10**400, None),
    ],
)
def test_times_as_clients_write_them(value: Any, seconds: float | None) -> None:
    assert instant(value) == seconds


@given(st.lists(st.dictionaries(NAMES, st.integers() | st.text(), min_size=1, max_size=3), min_size=1, max_size=5))
def test_chunks_a_line_each_are_told_apart(chunks: list[dict[str, Any]]) -> None:
    text = "\n".join(msgspec.json.encode(chunk).decode() for chunk in chunks)
    assert split(text) == (chunks, "")
    events = rebuild(chunks, "custom", "other").body.decode()
    assert split(events) == (chunks, "")


@given(st.text())
def test_text_without_a_chunk_stays_as_it_is(text: str) -> None:
    chunks, rest = split(text)
    assert chunks or rest == text


def test_a_name_that_would_break_an_events_line_is_none() -> None:
    assert rebuild([{"type": "a\ndata: b"}], "anthropic", "messages").body.count(b"\n") == 2


@given(
    OBJECTS,
    OBJECTS,
    st.none() | st.text() | st.just("{}\n{}"),
    VALUES,
    st.integers(-1000, 1000) | VALUES,
    TIMES,
    st.sampled_from([None, "openai", "anthropic", "gemini", "custom"]),
)
def test_any_log_call_is_taken_or_refused_by_name(
    request: dict[str, Any],
    answer: dict[str, Any],
    text: str | None,
    meta: Any,
    status: Any,
    at: Any,
    route: str | None,
) -> None:
    body = {
        "providerRequest": {"url": "https://api.openai.com/v1/x", "json": request, "meta": meta},
        "providerResponse": {"json": answer, "textBody": text, "status": status, "headers": {}},
        "timing": {"startTime": at, "endTime": {"seconds": NOW + 1, "milliseconds": 0}, "timeToFirstToken": status},
        "provider": text,
    }
    try:
        told = told_of(as_json(json.dumps(body).encode()), Headers(), CATALOGUE, NOW, route=route)
    except (Refused, Unreadable) as refused:
        assert str(refused)  # noqa: PT017 (it need not be refused)
        return
    record = record_of(told, None, PRICES, max_body=1000, bodies=True)
    assert prepare(record, (), 1000).id == record.id


@given(VALUES | st.fixed_dictionaries({"heliconeMeta": OBJECTS, "log": VALUES}))
def test_any_message_is_taken_or_refused(body: Any) -> None:
    with pytest.raises(Refused):
        told_of_message(body, CATALOGUE, NOW)


ATTRIBUTES = st.lists(
    st.fixed_dictionaries(
        {
            "key": st.sampled_from(
                [
                    "gen_ai.prompt.0.role",
                    "gen_ai.prompt.0.role.more",
                    "gen_ai.prompt.x.role",
                    "gen_ai.completion.0.tool_calls.0.name",
                    "gen_ai.input.messages",
                    "gen_ai.output.messages",
                    "gen_ai.system_instructions",
                    "gen_ai.request.model",
                    "gen_ai.usage.input_tokens",
                    "gen_ai.response.finish_reasons",
                    "gen_ai.operation.name",
                    "llm.input_messages.0.message.contents.0.message_content",
                    "llm.output_messages.0.message.tool_calls.0.tool_call",
                    "traceloop.association.properties.Helicone-User-Id",
                    "traceloop.entity.path",
                    "traceloop.workflow.name",
                    "llm.request.type",
                    "http.status_code",
                ]
            ),
            "value": st.sampled_from(
                [
                    {"stringValue": "chat"},
                    {"stringValue": '[{"role":1,"parts":[{"type":"text"}, 5]}]'},
                    {"stringValue": '[{"parts":[{"type":"tool_call_response","response":{}}]}]'},
                    {"intValue": "5"},
                    {"intValue": -1},
                    {"doubleValue": 1.5},
                    {"boolValue": True},
                    {"arrayValue": {"values": [{"stringValue": "stop"}]}},
                    {"kvlistValue": {"values": [{"key": "text", "value": {"intValue": 5}}]}},
                    {"bytesValue": "AA=="},
                    {},
                    None,
                ]
            ),
        }
    ),
    max_size=8,
)


@given(ATTRIBUTES, VALUES, st.sampled_from(["a" * 32, "0" * 32, "x", None]), st.sampled_from(["b" * 16, "", 5]))
def test_any_span_becomes_a_row_or_is_refused(attributes: Any, status: Any, trace: Any, identifier: Any) -> None:
    span = {
        "traceId": trace,
        "spanId": identifier,
        "parentSpanId": identifier,
        "name": "x",
        "startTimeUnixNano": str(int(NOW * 1e9)),
        "attributes": attributes,
        "status": status,
        "events": [{"name": "gen_ai.choice", "attributes": attributes}, {"name": "gen_ai.user.message"}, status],
    }
    found = otlp_json.spans_of({"resourceSpans": [{"scopeSpans": [{"spans": [span, span]}]}]})
    for told in told_of_spans(found, Headers(), CATALOGUE):
        record = record_of(told, None, PRICES, max_body=1000, bodies=True)
        assert prepare(record, (), 1000).id == record.id


@given(VALUES | st.fixed_dictionaries({"resourceSpans": st.lists(VALUES, max_size=3)}))
def test_anything_else_is_no_trace(body: Any) -> None:
    with suppress(Malformed):
        assert otlp_json.spans_of(body) == []


@given(st.binary(max_size=200), st.sampled_from([None, "", "identity", "gzip", "deflate", "zstd", "br", "x"]))
def test_any_bytes_in_any_coding_are_read_or_refused(body: bytes, coding: str | None) -> None:
    with suppress(TooLarge, Unreadable):
        as_json(decoded(body, coding))


@given(st.text(alphabet=st.characters(codec=None)))
def test_lone_surrogates_are_replaced(text: str) -> None:
    read = as_json(json.dumps([text]).encode())[0]
    assert read == text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
