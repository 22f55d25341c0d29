"""Events as the elements of one JSON array, for Gemini's clients that asked for no events."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw.headers import Headers, RawHeaders
from helicone_gw.helicone import EMPTY
from helicone_gw.model import Request
from helicone_gw.pipeline.arrays import ArraySink, asking_for_events, wants_array
from helicone_gw.sse import encode_event


class Client:
    def __init__(self) -> None:
        self.disconnected = False
        self.headers: RawHeaders = ()
        self.pieces: list[bytes] = []
        self.ends: list[str] = []

    async def start(self, status: int, headers: RawHeaders) -> None:
        self.headers = headers

    async def send(self, data: bytes) -> None:
        assert data, "nothing was sent"
        self.pieces.append(data)

    async def finish(self, last: bytes = b"") -> None:
        self.pieces.append(last)
        self.ends.append("finished")

    async def abort(self) -> None:
        self.ends.append("aborted")

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)


EVENTS = [encode_event(json.dumps({"n": number}).encode()) for number in range(4)]


@pytest.mark.parametrize(
    ("operation", "query", "wanted"),
    [
        ("stream_generate_content", "", True),
        ("stream_generate_content", "key=x&alt=json", True),
        ("stream_generate_content", "key=x&alt=sse", False),
        ("stream_generate_content", "%24alt=sse", False),
        ("generate_content", "", False),
    ],
)
def test_who_wants_an_array(operation: str, query: str, wanted: bool) -> None:
    request = Request("POST", "/x", query, Headers(), b"{}", "gemini", operation, EMPTY)
    assert wants_array(request) is wanted


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("", "alt=sse"),
        ("key=x%26", "key=x%26&alt=sse"),
        ("alt=json&key=x&$alt=proto", "key=x&alt=sse"),
        ("key=x&alt=sse&b", "key=x&alt=sse&b"),
    ],
)
def test_providers_are_asked_for_events_all_the_same(query: str, asked: str) -> None:
    assert asking_for_events(query) == asked


@given(st.lists(st.integers(1, 40)))
async def test_any_cut_gives_the_same_array(cuts: list[int]) -> None:
    client, data = Client(), b": hello\n\n" + b"".join(EVENTS)
    sink = ArraySink(client)
    for cut in cuts:
        await sink.send(data[:cut])
        data = data[cut:]
    await sink.finish(data)
    assert json.loads(client.body) == [{"n": number} for number in range(4)]
    assert client.ends == ["finished"]


async def test_a_stream_of_nothing_is_an_empty_array() -> None:
    client = Client()
    await ArraySink(client).finish()
    assert client.body == b"[]"


async def test_a_last_event_without_its_blank_line_is_an_element() -> None:
    client = Client()
    sink = ArraySink(client)
    await sink.send(EVENTS[0] + b'data: {"n": 1}')
    await sink.finish()
    assert json.loads(client.body) == [{"n": 0}, {"n": 1}]


async def test_an_error_is_the_last_element_and_what_is_broken_off_without_one_stays_open() -> None:
    client = Client()
    sink = ArraySink(client)
    await sink.send(EVENTS[0])
    await sink.fail(encode_event(b'{"error": {}}'))
    await sink.abort()
    assert json.loads(client.body) == [{"n": 0}, {"error": {}}]
    assert client.ends == ["aborted"]
    client = Client()
    sink = ArraySink(client)
    await sink.send(EVENTS[0])
    await sink.abort()
    assert client.body == b'[{"n": 0}'


async def test_the_head_says_json_and_a_client_that_left_has_left() -> None:
    client = Client()
    sink = ArraySink(client)
    await sink.start(200, ((b"x-a", b"1"), (b"content-type", b"text/event-stream")))
    assert client.headers == ((b"content-type", b"application/json"), (b"x-a", b"1"))
    assert sink.disconnected is False
    client.disconnected = True
    assert sink.disconnected is True
