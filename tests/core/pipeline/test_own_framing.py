"""Events as Ollama's and Bedrock's own clients read them."""

from __future__ import annotations

import pytest

from helicone_gw.eventstream import Frame, FrameDecoder
from helicone_gw.headers import Headers
from helicone_gw.helicone import EMPTY
from helicone_gw.model import Request
from helicone_gw.pipeline.own_framing import FramedSink, own_framing
from helicone_gw.pipeline.reframing import frame_event
from helicone_gw.sse import encode_event
from tests.core.pipeline.test_arrays import Client


def sink(client: Client, dialect: str, operation: str) -> FramedSink:
    framing = own_framing(Request("POST", "/", "", Headers(), b"{}", dialect, operation, EMPTY))
    assert framing is not None
    return FramedSink(client, framing)


async def written(dialect: str, operation: str, events: bytes, cut: int) -> Client:
    """What a client gets of ``events`` that come in two pieces."""
    client = Client()
    framed = sink(client, dialect, operation)
    await framed.start(200, ((b"content-type", b"text/event-stream"), (b"x-a", b"b")))
    for piece in (events[:cut], events[cut:]):
        if piece:
            await framed.send(piece)
    await framed.finish()
    return client


def frames(client: Client) -> list[Frame]:
    decoder = FrameDecoder()
    found = decoder.feed(client.body)
    assert not decoder.pending
    return found


@pytest.mark.parametrize("cut", [0, 1, 9, 20, 30])
@pytest.mark.parametrize("operation", ["chat", "generate"])
async def test_an_event_is_a_line_wherever_it_is_cut(operation: str, cut: int) -> None:
    events = b": ping\n\n" + encode_event(b'{"a":1}') + encode_event(b'{"done":true}')
    client = await written("ollama", operation, events, cut)
    assert client.body == b'{"a":1}\n{"done":true}\n'
    assert client.headers == ((b"content-type", b"application/x-ndjson"), (b"x-a", b"b"))
    assert client.ends == ["finished"]


async def test_an_error_is_a_line_with_its_message() -> None:
    client = await written("ollama", "chat", encode_event(b'{"error":{"message":"Cut.","type":"x"}}'), 0)
    assert client.body == b'{"error":"Cut."}\n'


@pytest.mark.parametrize("cut", [0, 1, 9, 20, 60])
async def test_an_event_is_a_frame_of_its_name(cut: int) -> None:
    events = encode_event(b'{"role":"assistant"}', "messageStart") + encode_event(b'{"stopReason":"x"}', "messageStop")
    client = await written("bedrock", "converse", events, cut)
    assert [(frame.text(":event-type"), frame.payload) for frame in frames(client)] == [
        ("messageStart", b'{"role":"assistant"}'),
        ("messageStop", b'{"stopReason":"x"}'),
    ]
    assert {frame.text(":message-type") for frame in frames(client)} == {"event"}
    assert client.headers[0] == (b"content-type", b"application/vnd.amazon.eventstream")


@pytest.mark.parametrize(
    ("kind", "named", "exception"),
    [("throttlingException", "error", "throttlingException"), ("upstream_error", None, "internalServerException")],
)
async def test_an_error_is_an_exception(kind: str, named: str | None, exception: str) -> None:
    error = b'{"error":{"type":"%s","message":"Cut."}}' % kind.encode()
    (frame,) = frames(await written("bedrock", "converse", encode_event(error, named), 0))
    assert frame.text(":message-type") == "exception"
    assert frame.text(":exception-type") == exception
    assert frame.payload == b'{"message":"Cut."}'


@pytest.mark.parametrize("cut", [0, 1, 30])
async def test_an_event_of_an_invoked_model_is_base64_in_a_chunk(cut: int) -> None:
    events = encode_event(b'{"type":"message_stop"}', "message_stop") + encode_event(b"[DONE]")
    client = await written("bedrock", "invoke", events, cut)
    (frame,) = frames(client)
    assert (frame.text(":event-type"), frame.payload) == ("chunk", b'{"bytes":"eyJ0eXBlIjoibWVzc2FnZV9zdG9wIn0="}')
    assert frame_event(frame) == encode_event(b'{"type":"message_stop"}', "message_stop")
    (frame,) = frames(await written("bedrock", "invoke", encode_event(b'{"error":{"message":"Cut."}}'), 0))
    assert frame.payload == b'{"message":"Cut."}'


def test_the_first_api_of_cohere_streams_lines_to_whom_asks_for_no_events() -> None:
    def framing(path: str, **headers: str) -> str | None:
        found = own_framing(Request("POST", path, "", Headers(headers), b"{}", "cohere", "other", EMPTY))
        return None if found is None else found.content_type

    assert framing("/v1/chat") == framing("/v1/generate") == "application/stream+json"
    assert framing("/v1/chat", accept="text/event-stream") is None
    assert framing("/v2/chat") is framing("/v1/models") is None


@pytest.mark.parametrize(("dialect", "operation"), [("openai", "chat"), ("bedrock", "embed"), ("ollama", "embed")])
def test_everybody_else_reads_events(dialect: str, operation: str) -> None:
    assert own_framing(Request("POST", "/", "", Headers(), b"{}", dialect, operation, EMPTY)) is None
