"""OpenAI chat: replies, streams and texts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw.dialects.base import EventFacts, Reply
from helicone_gw.dialects.openai_chat import ChatFormat
from helicone_gw.errors import MalformedBody
from helicone_gw.model import Usage
from helicone_gw.sse import EventSplitter, encode_event, event_data

CHAT = ChatFormat()
STREAM_USAGE = Usage(
    input_tokens=2006,
    output_tokens=300,
    cache_read_tokens=1920,
    reasoning_tokens=64,
    input_audio_tokens=0,
    output_audio_tokens=0,
    service_tier="default",
)


def chunk(**changes: Any) -> bytes:
    value = {"id": "c1", "object": "chat.completion.chunk", "created": 7, "model": "m", "choices": []}
    return encode_event(json.dumps({**value, **changes}).encode())


def delta(finish_reason: str | None = None, index: int = 0, **members: Any) -> bytes:
    return chunk(choices=[{"index": index, "delta": members, "finish_reason": finish_reason}])


def test_a_unary_reply(reply_body: Callable[[str], bytes]) -> None:
    assert CHAT.reply(reply_body("chat.json")) == Reply(
        model="gpt-4o-2024-08-06",
        usage=Usage(
            input_tokens=19,
            output_tokens=10,
            cache_read_tokens=0,
            reasoning_tokens=4,
            input_audio_tokens=3,
            output_audio_tokens=2,
            cache_audio_read_tokens=1,
            service_tier="flex",
        ),
        stop_reason="tool_calls",
    )
    assert CHAT.reply_text(reply_body("chat.json")) == ["Looking it up.", '{"city":"Paris"}']


def test_a_stream_event_by_event(recorded: Callable[[str], list[bytes]]) -> None:
    reader = CHAT.stream_reader()
    facts = [reader.feed(event) for event in recorded("chat.sse")]
    assert facts == [
        EventFacts(preamble=True),
        EventFacts(content=True),
        EventFacts(content=True),
        EventFacts(),
        EventFacts(usage_only=True),
        EventFacts(terminal=True),
    ]
    assert (reader.model, reader.stop_reason, reader.complete) == ("gpt-4o-2024-08-06", "stop", True)
    assert reader.usage == STREAM_USAGE


@given(st.data())
def test_a_stream_cut_anywhere_reads_the_same(data: st.DataObject) -> None:
    stream = chunk(choices=[], prompt_filter_results=[]) + delta(content="a\nb") + delta("stop") + b": ping\n\n"
    stream += chunk(usage={"prompt_tokens": 1, "completion_tokens": 2}) + b"data: [DONE]\n\n"
    cut = data.draw(st.integers(0, len(stream)))
    splitter, reader = EventSplitter(1 << 16), CHAT.stream_reader()
    facts = [reader.feed(event) for part in (stream[:cut], stream[cut:]) for event in splitter.feed(part)]
    assert [fact.content for fact in facts] == [False, True, False, False, False, False]
    assert (reader.usage, reader.complete, reader.stop_reason) == (Usage(1, 2), True, "stop")


@pytest.mark.parametrize(
    ("event", "facts"),
    [
        (delta(role="assistant", content=""), EventFacts(preamble=True)),
        (delta(role="assistant", content=None, refusal=None), EventFacts(preamble=True)),
        (delta(content="x"), EventFacts(content=True)),
        (delta(refusal="I cannot"), EventFacts(content=True)),
        (delta(reasoning_content="hm"), EventFacts(content=True)),
        (delta(tool_calls=[{"index": 0, "function": {"arguments": "{"}}]), EventFacts(content=True)),
        (delta(audio={"data": "UklG"}), EventFacts(content=True)),
        (delta("stop"), EventFacts()),
        (chunk(choices=[], prompt_filter_results=[{}]), EventFacts(preamble=True)),
        (chunk(choices=[], usage=None), EventFacts(preamble=True)),
        (chunk(choices=[], usage={"prompt_tokens": 1}), EventFacts(usage_only=True)),
        (
            chunk(choices=[{"index": 0, "delta": {"content": "x"}}], usage={"prompt_tokens": 1}),
            EventFacts(content=True),
        ),
        (b": OPENROUTER PROCESSING\n\n", EventFacts(preamble=True)),
        (b"\n", EventFacts(preamble=True)),
        (b"data: [DONE]\n\n", EventFacts(terminal=True)),
        (b"data:[DONE]\r\n\r\n", EventFacts(terminal=True)),
        (b"data: not json\n\n", EventFacts()),
        (b"data: 5\n\n", EventFacts()),
        (b'data: {"hello":"world"}\n\n', EventFacts()),
        (b'data: {"error":null,"choices":[]}\n\n', EventFacts(preamble=True)),
        (b'data: {"error":{"message":"busy","type":"server_error"}}\n\n', EventFacts(error="busy", error_status=500)),
        (
            b'data: {"error":{"message":"slow down","code":"rate_limit_exceeded"}}\n\n',
            EventFacts(error="slow down", error_status=429),
        ),
        (b'data: {"error":{"message":"no","code":404}}\n\n', EventFacts(error="no", error_status=404)),
        (b'data: {"error":{"message":"no","code":"503"}}\n\n', EventFacts(error="no", error_status=503)),
        (b'data: {"error":"plain"}\n\n', EventFacts(error="plain", error_status=502)),
        (b'event: error\ndata: {"message":"named","code":429}\n\n', EventFacts(error="named", error_status=429)),
        (b"event: error\ndata: overloaded\n\n", EventFacts(error="overloaded", error_status=502)),
        (
            b'data: {"object":"error","message":"too long","code":400}\n\n',
            EventFacts(error="too long", error_status=400),
        ),
        (
            chunk(
                error={"code": 502, "message": "gone"},
                choices=[{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}],
            ),
            EventFacts(error="gone", error_status=502),
        ),
        (
            b'data: {"choices":{"odd":1},"error":{"message":"x","code":500}}\n\n',
            EventFacts(error="x", error_status=500),
        ),
    ],
)
def test_facts_of_one_event(event: bytes, facts: EventFacts) -> None:
    assert CHAT.stream_reader().feed(event) == facts


def test_the_last_usage_wins_and_may_stand_in_other_places() -> None:
    reader = CHAT.stream_reader()
    assert reader.usage is None
    reader.feed(chunk(usage={"prompt_tokens": 5, "completion_tokens": 1}))
    reader.feed(chunk(usage={"prompt_tokens": 5, "completion_tokens": 2}))
    reader.feed(chunk(usage=None))
    assert reader.usage == Usage(5, 2)
    reader.feed(chunk(x_groq={"id": "req", "usage": {"prompt_tokens": 6, "completion_tokens": 3}}))
    assert reader.usage == Usage(6, 3)
    reader.feed(chunk(choices=[{"index": 0, "delta": {}, "usage": {"prompt_tokens": 7, "completion_tokens": 4}}]))
    assert reader.usage == Usage(7, 4)


def test_openrouters_cost_is_exact() -> None:
    reader = CHAT.stream_reader()
    reader.feed(encode_event(b'{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"cost":0.000012345}}'))
    assert reader.usage == Usage(1, 2, cost=12_345)


def test_a_stream_without_done_is_not_complete_though_it_stopped() -> None:
    reader = CHAT.stream_reader()
    for event in (delta(content="x"), delta("length")):
        reader.feed(event)
    assert (reader.complete, reader.stop_reason) == (False, "length")


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("moderation", "content_filter"),
        ("budget", "length"),
        ("stop", "stop"),
        ("whatever", "stop"),
        ("SAFETY", "content_filter"),
    ],
)
def test_closing_finishes_what_is_open(reason: str, finish: str) -> None:
    reader = CHAT.stream_reader()
    for event in (delta(content="x"), delta("stop", index=1), delta(content="y", index=2)):
        reader.feed(event)
    closing = EventSplitter(1 << 16).feed(reader.closing_events(reason))
    assert closing[-1] == b"data: [DONE]\n\n"
    value = json.loads(event_data(closing[0]))
    assert [(choice["index"], choice["finish_reason"]) for choice in value["choices"]] == [(0, finish), (2, finish)]
    assert (value["id"], value["model"], value["created"]) == ("c1", "m", 7)
    other = CHAT.stream_reader()
    assert [other.feed(event).terminal for event in closing] == [False, True]


def test_an_index_of_any_shape_is_survived() -> None:
    reader = CHAT.stream_reader()
    shapes: list[Any] = [[0], {}, "0", None, -1, 10**30, True]
    for index in shapes:
        reader.feed(chunk(choices=[{"index": index, "delta": {"content": "x"}}]))
    assert json.loads(event_data(reader.closing_events("stop").split(b"\n\n")[0]))["choices"][0]["index"] == 0


def test_closing_adds_nothing_to_what_has_ended() -> None:
    reader = CHAT.stream_reader()
    reader.feed(delta("stop"))
    assert reader.closing_events("stop") == b"data: [DONE]\n\n"
    reader.feed(b"data: [DONE]\n\n")
    assert reader.closing_events("stop") == b""


def test_prompt_text_is_every_role_and_part_in_order() -> None:
    body = {
        "model": "m",
        "user": "not text",
        "messages": [
            {"role": "system", "content": "sys"},
            {"role": "developer", "content": [{"type": "text", "text": "dev"}]},
            {
                "role": "user",
                "name": "bob",
                "content": [
                    {"type": "text", "text": "look"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                    {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                    {"type": "file", "file": {"file_data": "AAAA", "filename": "f.pdf"}},
                ],
            },
            {
                "role": "assistant",
                "content": None,
                "refusal": "no",
                "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": '{"q":"args"}'}}],
            },
            {"role": "tool", "tool_call_id": "1", "content": "result"},
        ],
        "prediction": {"type": "content", "content": "guess"},
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
    }
    expected = ["sys", "dev", "look", "no", '{"q":"args"}', "result", "guess"]
    assert CHAT.prompt_text(json.dumps(body).encode()) == expected
    assert CHAT.prompt_text(b'{"messages":[],"prompt":"p"}') == ["p"]


def test_a_guard_sees_text_that_only_lenient_parsers_read() -> None:
    assert CHAT.prompt_text(b'{"messages":[{"content":"cut \\ud83d","role":"user"}]}') == ["cut �"]
    with pytest.raises(MalformedBody):
        CHAT.prompt_text(b'{"messages":')


def test_a_reply_that_is_no_json_says_nothing_but_has_text() -> None:
    assert CHAT.reply(b"<html>") == Reply()
    assert CHAT.reply(b'{"error":{"message":"m","type":"t"}}') == Reply(error="m")
    assert CHAT.reply(b'{"choices":[{"error":{"message":"in a choice"}}]}') == Reply(error="in a choice")
    assert CHAT.reply_text(b"<html>") == ["<html>"]
    assert CHAT.reply_text(b"\xff\xfe") == []


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=4),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "choices",
                        "delta",
                        "index",
                        "finish_reason",
                        "usage",
                        "error",
                        "x_groq",
                        "model",
                        "content",
                        "code",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_is_read_without_raising(value: Any) -> None:
    body = json.dumps(value).encode()
    CHAT.reply(body)
    CHAT.reply_text(body)
    reader = CHAT.stream_reader()
    reader.feed(encode_event(body))
    reader.feed(encode_event(body, "error"))
    assert reader.usage is None or isinstance(reader.usage, Usage)
    reader.closing_events("stop")


@pytest.mark.parametrize(
    ("body", "prompt"),
    [
        (b'{"model": "m", "messages": [], "prompt": "Hi \\"you\\""}', 'Hi "you"'),
        (b'{"prompt": "Hi", "messages": [ ] , "n": 1}', "Hi"),
        (b'{"prompt": "Hi", "n": 1}', "Hi"),
        (b'{"messages": [{"role": "user", "content": "x"}], "prompt": "Hi"}', None),
        (b'{"messages": [], "prompt": ["Hi"]}', None),
        (b'{"messages": [], "prompt": null}', None),
        (b'{"messages": []}', None),
    ],
)
def test_a_prompt_beside_no_messages_is_one_message_of_the_user(body: bytes, prompt: str | None) -> None:
    wire = ChatFormat()
    envelope = wire.envelope(body)
    assert envelope.prompt == prompt
    if prompt is not None:
        made = json.loads(wire.with_prompt_as_message(body, prompt))
        assert made.pop("messages") == [{"role": "user", "content": prompt}]
        assert made == {name: value for name, value in json.loads(body).items() if name not in ("messages", "prompt")}
