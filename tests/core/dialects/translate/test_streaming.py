"""Streams: the same whatever the network cuts, in order whatever a provider interleaves, and closed at any point."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helicone_gw.dialects import wire_format
from helicone_gw.dialects.translate.base import Destination
from helicone_gw.dialects.translate.translation import Made, Translation, translate
from helicone_gw.headers import Headers
from helicone_gw.helicone import EMPTY
from helicone_gw.model import Request
from helicone_gw.sse import EventSplitter, encode_event, event_data
from helicone_gw.testing.dialects import ToolCall, anthropic, gemini, openai_chat, openai_responses

CALLS = [ToolCall("weather", {"city": "Zürich"}, id="call_1"), ToolCall("weather", {"city": "東京"}, id="call_2")]
PROVIDERS: dict[str, tuple[str, Any]] = {
    "gpt-4o": ("openai", openai_chat),
    "gpt-5-codex": ("openai", openai_responses),
    "claude-sonnet-4-5": ("anthropic", anthropic),
    "gemini-2.5-flash": ("gemini", gemini),
}
CLIENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("openai", {"messages": [{"role": "user", "content": "Hi"}]}),
    "completions": ("openai", {"prompt": "Hi"}),
    "responses": ("openai", {"input": "Hi"}),
    "messages": ("anthropic", {"max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}),
    "stream_generate_content": ("gemini", {"contents": [{"parts": [{"text": "Hi"}]}]}),
}
MADE = Made("made-up", 1700000000)


def translation(operation: str, model: str, *, query: str = "alt=sse", **fields: Any) -> Translation:
    """A streaming request of ``operation`` for the provider of ``model``."""
    dialect, body = CLIENTS[operation]
    data = msgspec.json.encode({**body, "model": model, "stream": True, **fields})
    request = Request("POST", "/", query, Headers(), data, dialect, operation, EMPTY, model=model, stream=True)
    provider, _ = PROVIDERS[model]
    return translate(request, provider, Destination(provider, model))


def translated(how: Translation, pieces: list[bytes]) -> bytes:
    """What the client gets for a stream that comes in these pieces."""
    translator = how.stream(MADE)
    assert translator is not None
    splitter = EventSplitter(1 << 20)
    out = [translator.feed(event) for piece in pieces for event in splitter.feed(piece)]
    assert splitter.flush() == b""
    return b"".join([*out, translator.finish()])


@pytest.mark.parametrize("operation", CLIENTS)
@pytest.mark.parametrize("model", PROVIDERS)
@given(cuts=st.lists(st.integers(0, 6000), max_size=12))
@settings(max_examples=15, deadline=None)
def test_any_split_of_what_comes_gives_the_same(operation: str, model: str, cuts: list[int]) -> None:
    data = PROVIDERS[model][1].stream(["Hel", "lo ☺"], tools=CALLS).body
    places = [0, *sorted(cut % len(data) for cut in cuts), len(data)]
    pieces = [data[start:end] for start, end in pairwise(places)]
    how = translation(operation, model)
    assert translated(how, pieces) == translated(how, [data])


@pytest.mark.parametrize("operation", CLIENTS)
@pytest.mark.parametrize("model", PROVIDERS)
def test_a_stream_says_what_the_whole_answer_says(operation: str, model: str) -> None:
    kit = PROVIDERS[model][1]
    how = translation(operation, model)
    dialect = CLIENTS[operation][0]
    wire = wire_format(dialect, operation)
    assert wire is not None
    reader = wire.stream_reader()
    for event in EventSplitter(1 << 20).feed(translated(how, [kit.stream("Hello there", tools=CALLS).body])):
        assert reader.feed(event).error is None
    whole = wire.reply(how.reply(kit.reply("Hello there", tools=CALLS).body, MADE))
    assert reader.complete
    assert (reader.model, reader.stop_reason) == (whole.model, whole.stop_reason)
    if operation not in ("chat", "completions"):  # who did not ask for usage gets none in those
        assert reader.usage == whole.usage
        assert whole.usage is not None


@pytest.mark.parametrize("operation", CLIENTS)
@pytest.mark.parametrize("model", PROVIDERS)
def test_a_stream_can_be_closed_after_any_event(operation: str, model: str) -> None:
    events = EventSplitter(1 << 20).feed(PROVIDERS[model][1].stream("Hello there", tools=CALLS).body)
    wire = wire_format(CLIENTS[operation][0], operation)
    assert wire is not None
    for count in range(len(events) + 1):
        translator = translation(operation, model).stream(MADE)
        assert translator is not None
        data = b"".join(translator.feed(event) for event in events[:count]) + translator.closing_events("length")
        reader = wire.stream_reader()
        for event in EventSplitter(1 << 20).feed(data):
            assert reader.feed(event).error is None
        assert reader.complete, count
        assert translator.closing_events("length") == b""


@pytest.mark.parametrize("operation", CLIENTS)
@pytest.mark.parametrize("model", PROVIDERS)
def test_a_cut_stream_is_not_made_to_look_whole(operation: str, model: str) -> None:
    events = EventSplitter(1 << 20).feed(PROVIDERS[model][1].stream("Hello there", tools=CALLS).body)
    wire = wire_format(CLIENTS[operation][0], operation)
    assert wire is not None
    reader = wire.stream_reader()
    for event in EventSplitter(1 << 20).feed(translated(translation(operation, model), events[:2])):
        reader.feed(event)
    assert not reader.complete


@pytest.mark.parametrize("operation", CLIENTS)
def test_nothing_follows_an_error(operation: str) -> None:
    events = EventSplitter(1 << 20).feed(anthropic.stream("Hello there").body)
    translator = translation(operation, "claude-sonnet-4-5").stream(MADE)
    assert translator is not None
    for event in events[:3]:
        translator.feed(event)
    failed = translator.feed(anthropic.error_event("Overloaded, sorry."))
    assert b"Overloaded, sorry." in failed
    wire = wire_format(CLIENTS[operation][0], operation)
    assert wire is not None
    facts = [wire.stream_reader().feed(event) for event in EventSplitter(1 << 20).feed(failed)]
    assert [fact.error for fact in facts] == ["Overloaded, sorry."]
    assert [translator.feed(event) for event in events[3:]] == [b""] * len(events[3:])
    assert translator.finish() == translator.closing_events("stop") == b""


def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return encode_event(msgspec.json.encode({"id": "c1", "model": "m", "created": 1, "choices": [choice]}))


def piece(index: int, arguments: str, **head: Any) -> dict[str, Any]:
    name = {"name": head.pop("name")} if "name" in head else {}
    return {"index": index, **head, "function": {**name, "arguments": arguments}}


def test_arguments_of_parallel_calls_may_come_interleaved() -> None:
    events = [
        chunk({"role": "assistant", "tool_calls": [piece(0, '{"a"', id="x", type="function", name="f")]}),
        chunk({"tool_calls": [piece(1, '{"b"', id="y", type="function", name="g")]}),
        chunk({"tool_calls": [piece(0, ":1}")]}),
        chunk({"tool_calls": [piece(1, ":2}")]}),
        chunk({}, "tool_calls"),
        encode_event(b"[DONE]"),
    ]
    out = [json.loads(event_data(event)) for event in EventSplitter(1 << 20).feed(_of(events, "messages"))]
    arguments = {0: "", 1: ""}
    for event in out:
        if event["type"] == "content_block_delta":
            arguments[event["index"]] += event["delta"]["partial_json"]
    assert arguments == {0: '{"a":1}', 1: '{"b":2}'}
    stops = [event["index"] for event in out if event["type"] == "content_block_stop"]
    assert sorted(stops) == [0, 1]
    data = _of(events, "stream_generate_content")
    contents = [
        json.loads(event_data(event))["candidates"][0]["content"] for event in EventSplitter(1 << 20).feed(data)
    ]
    parts = [part for content in contents for part in content["parts"]]
    calls = [part["functionCall"] for part in parts if "functionCall" in part]
    assert [(call["name"], call["args"]) for call in calls] == [("f", {"a": 1}), ("g", {"b": 2})]


def _of(events: list[bytes], operation: str) -> bytes:
    return translated(translation(operation, "gpt-4o"), events)


def test_a_call_ends_when_the_next_one_begins_once_its_arguments_are_whole() -> None:
    events = [
        chunk({"tool_calls": [piece(0, "{}", id="x", type="function", name="f")]}),
        chunk({"tool_calls": [piece(1, "{}", id="y", type="function", name="g")]}),
    ]
    out = [json.loads(event_data(event)) for event in EventSplitter(1 << 20).feed(_of(events, "messages"))]
    kinds = [(event["type"], event.get("index")) for event in out]
    assert kinds.index(("content_block_stop", 0)) < kinds.index(("content_block_start", 1))


def test_tools_are_called_by_the_names_that_the_client_gave_them() -> None:
    name = "a.tool/with dots"
    tools = [{"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}]
    how = translation("chat", "claude-sonnet-4-5", tools=tools)
    (sent,) = msgspec.json.decode(how.outgoing.body)["tools"]
    assert sent["name"] != name
    call = ToolCall(sent["name"], {}, id="toolu_1")
    data = translated(how, [anthropic.stream(None, tools=[call]).body])
    chunks = [event_data(event) for event in EventSplitter(1 << 20).feed(data)]
    (begun,) = [
        call
        for each in chunks
        if each != b"[DONE]"
        for choice in json.loads(each)["choices"]
        for call in choice["delta"].get("tool_calls", ())
        if "id" in call
    ]
    assert begun["function"]["name"] == name
    whole = msgspec.json.decode(how.reply(anthropic.reply(None, tools=[call]).body, MADE))
    assert whole["choices"][0]["message"]["tool_calls"][0]["function"] == {"name": name, "arguments": "{}"}


def test_ids_and_times_that_a_provider_does_not_give_are_made_up() -> None:
    nameless = encode_event(b'{"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}')
    out = _of([nameless, encode_event(b"[DONE]")], "responses")
    first = json.loads(event_data(EventSplitter(1 << 20).feed(out)[0]))["response"]
    assert (first["id"], first["created_at"], first["model"]) == ("resp_made-up", 1700000000, "gpt-4o")
