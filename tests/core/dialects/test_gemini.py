"""Gemini: replies, streams and texts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw.dialects import wire_format
from helicone_gw.dialects.base import EventFacts, Reply, WireFormat
from helicone_gw.dialects.gemini import GeminiFormat
from helicone_gw.model import Usage
from helicone_gw.sse import encode_event, event_data

GENERATE = GeminiFormat("generate_content")
USAGE = Usage(
    input_tokens=15,
    output_tokens=38,
    cache_read_tokens=4,
    reasoning_tokens=30,
    input_audio_tokens=7,
    cache_audio_read_tokens=3,
    output_image_tokens=6,
)


def wire(operation: str) -> WireFormat:
    found = wire_format("gemini", operation)
    assert found is not None
    return found


def chunk(**members: Any) -> bytes:
    return encode_event(json.dumps(members).encode())


def candidate(*parts: Any, finish: str | None = None, index: int = 0) -> dict[str, Any]:
    value: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}, "index": index}
    return value if finish is None else {**value, "finishReason": finish}


def test_a_stream_event_by_event(recorded: Callable[[str], list[bytes]]) -> None:
    reader = GENERATE.stream_reader()
    assert [reader.feed(event) for event in recorded("gemini.sse")] == [
        EventFacts(preamble=True),
        EventFacts(content=True),
        EventFacts(content=True, terminal=True),
    ]
    assert (reader.model, reader.stop_reason, reader.complete) == ("gemini-2.5-flash", "STOP", True)
    assert reader.usage == USAGE


def test_unary_replies_and_arrays_of_chunks_say_the_same(recorded: Callable[[str], list[bytes]]) -> None:
    chunks = [event_data(event) for event in recorded("gemini.sse")]
    reply = Reply("gemini-2.5-flash", USAGE, "STOP")
    assert GENERATE.reply(chunks[-1]) == reply
    array = b"[" + b",\r\n".join(chunks) + b"]"
    assert wire("stream_generate_content").reply(array) == reply
    assert wire("stream_generate_content").reply_text(array) == ["Once", " upon"]


@pytest.mark.parametrize(
    ("event", "facts"),
    [
        (chunk(candidates=[candidate({"text": "a"})]), EventFacts(content=True)),
        (chunk(candidates=[candidate({"functionCall": {"name": "f", "args": {}}})]), EventFacts(content=True)),
        (chunk(candidates=[candidate({"text": "hm", "thought": True})]), EventFacts(content=True)),
        (chunk(candidates=[candidate({"text": "", "thoughtSignature": "AA"})]), EventFacts(preamble=True)),
        (chunk(candidates=[candidate(finish="MAX_TOKENS")]), EventFacts(terminal=True)),
        (chunk(usageMetadata={"promptTokenCount": 1}), EventFacts(preamble=True)),
        (chunk(promptFeedback={"blockReason": "SAFETY"}), EventFacts(terminal=True)),
        (
            chunk(error={"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}),
            EventFacts(error="overloaded", error_status=503),
        ),
        (
            b'data: [{"error":{"message":"quota","status":"RESOURCE_EXHAUSTED"}}]\n\n',
            EventFacts(error="quota", error_status=429),
        ),
        (b"event: error\ndata: gone\n\n", EventFacts(error="gone")),
        (
            b'data: {"candidates":{"odd":1},"error":{"message":"x","code":500}}\n\n',
            EventFacts(error="x", error_status=500),
        ),
        (b": ping\n\n", EventFacts(preamble=True)),
        (b"data: x\n\n", EventFacts()),
        (b"data: []\n\n", EventFacts()),
    ],
)
def test_facts_of_one_event(event: bytes, facts: EventFacts) -> None:
    assert GENERATE.stream_reader().feed(event) == facts


def test_a_stream_is_complete_when_every_candidate_is() -> None:
    reader = GENERATE.stream_reader()
    reader.feed(chunk(candidates=[candidate({"text": "a"}), candidate({"text": "b"}, index=1)]))
    assert not reader.feed(chunk(candidates=[candidate(finish="STOP", index=1)])).terminal
    assert not reader.complete
    assert reader.feed(chunk(candidates=[candidate(finish="SAFETY")])).terminal
    assert (reader.complete, reader.stop_reason) == (True, "SAFETY")
    late = reader.feed(chunk(usageMetadata={"promptTokenCount": 3, "candidatesTokenCount": 4}))
    assert not late.terminal
    assert reader.usage == Usage(3, 4)


@pytest.mark.parametrize(("reason", "finish"), [("length", "MAX_TOKENS"), ("moderation", "SAFETY"), ("stop", "STOP")])
def test_closing_finishes_every_open_candidate(
    recorded: Callable[[str], list[bytes]], reason: str, finish: str
) -> None:
    reader = GENERATE.stream_reader()
    for event in recorded("gemini.sse")[:2]:
        reader.feed(event)
    closing = reader.closing_events(reason)
    value = json.loads(event_data(closing))
    assert [(item["index"], item["finishReason"]) for item in value["candidates"]] == [(0, finish)]
    assert (value["modelVersion"], value["responseId"]) == ("gemini-2.5-flash", "r1")
    assert value["usageMetadata"]["thoughtsTokenCount"] == 30
    assert reader.feed(closing).terminal
    assert reader.closing_events(reason) == b""


def test_a_blocked_prompt_has_a_stop_reason() -> None:
    usage = b'{"promptTokenCount":5,"totalTokenCount":5}'
    body = b'{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"},"usageMetadata":' + usage + b"}"
    assert GENERATE.reply(body) == Reply(None, Usage(5, 0), "PROHIBITED_CONTENT")


def test_counting_tokens_uses_none_up() -> None:
    assert wire("count_tokens").reply(b'{"totalTokens":31,"promptTokensDetails":[]}') == Reply()


def test_embeddings_report_what_they_say() -> None:
    assert wire("embed_content").reply(b'{"embedding":{"values":[0.1]}}') == Reply()
    body = b'{"embedding":{"values":[0.1]},"usageMetadata":{"promptTokenCount":4}}'
    assert wire("embed_content").reply(body).usage == Usage(4)


@pytest.mark.parametrize(
    ("operation", "body", "result"),
    [
        ("generate_content", b'{"contents":[]}', b'{"contents":[]}'),
        ("generate_content", b'{"contents":[{"role":"model"}]}', b'{"contents":[{"role":"model"}]}'),
        ("embed_content", b'{"model": "models/old", "content":{}}', b'{"model": "models/new", "content":{}}'),
        ("embed_content", b'{"model":"old"}', b'{"model":"new"}'),
        ("embed_content", b'{"model":null}', b'{"model":null}'),
        (
            "batch_embed_contents",
            b'{"requests":[{"model":"models/a","content":{"model":"x"}}, 7, {"model":"models/b"}]}',
            b'{"requests":[{"model":"models/new","content":{"model":"x"}}, 7, {"model":"models/new"}]}',
        ),
        (
            "count_tokens",
            b'{"generateContentRequest":{"model":"models/a","contents":[]}}',
            b'{"generateContentRequest":{"model":"models/new","contents":[]}}',
        ),
        ("count_tokens", b'{"contents":[]}', b'{"contents":[]}'),
    ],
)
def test_with_model_follows_the_address(operation: str, body: bytes, result: bytes) -> None:
    assert wire(operation).with_model(body, "new") == result


def test_there_is_no_metadata_and_no_asking() -> None:
    body = b'{"metadata":{"a":1},"stream":true}'
    assert GENERATE.without_metadata(body, frozenset({"a"})) == body
    assert GENERATE.asking_for_usage(body) is None


def test_prompt_text_is_every_part() -> None:
    body = {
        "systemInstruction": {"parts": [{"text": "sys"}]},
        "contents": [
            {"role": "user", "parts": [{"text": "hi"}, {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]},
            {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"q": "args", "deep": {"x": ["y"]}}}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"out": "result"}}}]},
            {"role": "model", "parts": [{"executableCode": {"language": "PYTHON", "code": "print()"}}]},
            {"role": "model", "parts": [{"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "done"}}]},
        ],
        "generationConfig": {"stopSequences": ["no"]},
    }
    expected = ["sys", "hi", "args", "y", "result", "print()", "done"]
    assert GENERATE.prompt_text(json.dumps(body).encode()) == expected
    assert GENERATE.prompt_text(
        b'{"system_instruction":{"parts":{"text":"s"}},"contents":{"parts":[{"text":"c"}]}}'
    ) == ["s", "c"]
    assert wire("embed_content").prompt_text(b'{"content":{"parts":[{"text":"e"}]}}') == ["e"]
    batch = (
        b'{"requests":[{"model":"models/m","content":{"parts":[{"text":"a"}]}},{"content":{"parts":[{"text":"b"}]}}]}'
    )
    assert wire("batch_embed_contents").prompt_text(batch) == ["a", "b"]
    count = b'{"generateContentRequest":{"contents":[{"parts":[{"text":"n"}]}]}}'
    assert wire("count_tokens").prompt_text(count) == ["n"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=4),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["candidates", "content", "parts", "text", "index", "finishReason", "usageMetadata"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_is_read_without_raising(value: Any) -> None:
    body = json.dumps(value).encode()
    GENERATE.reply(body)
    GENERATE.reply_text(body)
    reader = GENERATE.stream_reader()
    reader.feed(encode_event(body))
    reader.feed(encode_event(body, "error"))
    reader.closing_events("stop")
