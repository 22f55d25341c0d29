"""Reframing: any cut of the provider's bytes gives the same server-sent events, and a broken stream never ends well."""

from __future__ import annotations

import itertools
import json
from base64 import b64encode
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw.errors import UpstreamProtocolError
from helicone_gw.eventstream import encode_frame
from helicone_gw.pipeline.reframing import reframing
from helicone_gw.sse import EventSplitter

FRAMES = "application/vnd.amazon.eventstream"
LINES = "application/x-ndjson; charset=utf-8"
CUTS = st.lists(st.integers(0, 2000), max_size=12)


def event(kind: str, payload: object) -> bytes:
    return encode_frame(json.dumps(payload).encode(), {":message-type": "event", ":event-type": kind})


CONVERSE = [
    event("messageStart", {"role": "assistant"}),
    event("contentBlockDelta", {"delta": {"text": "héllo\n"}, "contentBlockIndex": 0}),
    event("messageStop", {"stopReason": "end_turn"}),
]
CONVERSE_EVENTS = [
    b'event: messageStart\ndata: {"role": "assistant"}\n\n',
    b'event: contentBlockDelta\ndata: {"delta": {"text": "h\\u00e9llo\\n"}, "contentBlockIndex": 0}\n\n',
    b'event: messageStop\ndata: {"stopReason": "end_turn"}\n\n',
]
OLLAMA = b'{"model":"m","done":false}\n\r\n{"model":"m","done":true}'
OLLAMA_EVENTS = [b'data: {"model":"m","done":false}\n\n', b'data: {"model":"m","done":true}\n\n']


async def pieces(data: bytes, cuts: list[int]) -> AsyncIterator[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, end in itertools.pairwise(edges):
        yield data[start:end]


async def events(
    content_type: str, data: bytes, cuts: list[int], limit: int = 1 << 16, found: list[bytes] | None = None
) -> list[bytes]:
    """The events; ``found`` has those before an error too."""
    reframe = reframing(content_type)
    assert reframe is not None
    splitter = EventSplitter(1 << 20)
    found = [] if found is None else found
    async for piece in reframe(pieces(data, cuts), limit):
        found += splitter.feed(piece)
        assert splitter.flush() == b"", "not whole events"
    return found


@given(CUTS)
async def test_frames(cuts: list[int]) -> None:
    assert await events(FRAMES, b"".join(CONVERSE), cuts) == CONVERSE_EVENTS


@given(CUTS)
async def test_lines(cuts: list[int]) -> None:
    assert await events(LINES, OLLAMA, cuts) == OLLAMA_EVENTS
    assert await events(LINES, OLLAMA + b"\n", cuts) == OLLAMA_EVENTS


@pytest.mark.parametrize("other", ["text/event-stream", "application/json", "", "application/octet-stream"])
def test_other_types_are_left_alone(other: str) -> None:
    assert reframing(other) is None


async def test_the_events_of_invoked_models_are_taken_out_of_their_chunks() -> None:
    inner = b'{"type":"content_block_stop","index":0}'
    chunk = event("chunk", {"bytes": b64encode(inner).decode(), "p": "abc"})
    assert await events(FRAMES, chunk, []) == [b"event: content_block_stop\ndata: " + inner + b"\n\n"]


@pytest.mark.parametrize("payload", [{"bytes": "!"}, {"bytes": 5}, {"other": 1}, [1]])
async def test_chunks_of_another_shape_stay_as_they_are(payload: object) -> None:
    (found,) = await events(FRAMES, event("chunk", payload), [])
    assert found == b"data: " + json.dumps(payload).encode() + b"\n\n"


@pytest.mark.parametrize(
    ("payload", "headers", "error"),
    [
        (
            b'{"message":"Too many tokens"}',
            {":message-type": "exception", ":exception-type": "throttlingException"},
            {"type": "throttlingException", "message": "Too many tokens"},
        ),
        (
            b"",
            {":message-type": "error", ":error-code": "InternalFailure", ":error-message": "oh"},
            {"type": "InternalFailure", "message": "oh"},
        ),
        (b"[]", {":message-type": "exception"}, {"type": "unknown", "message": "unknown"}),
    ],
)
async def test_exceptions_are_error_events(payload: bytes, headers: dict[str, str], error: dict[str, str]) -> None:
    (found,) = await events(FRAMES, encode_frame(payload, dict(headers)), [])
    name, data = found.decode().rstrip().split("\n")
    assert name == "event: error"
    assert json.loads(data.removeprefix("data: ")) == {"type": "error", "error": error}


@given(CUTS, st.integers(1, 30))
async def test_a_stream_that_stops_inside_a_frame_is_broken_after_what_came_before(cuts: list[int], lost: int) -> None:
    found: list[bytes] = []
    with pytest.raises(UpstreamProtocolError, match="cut"):
        await events(FRAMES, b"".join(CONVERSE)[:-lost], cuts, found=found)
    assert found == CONVERSE_EVENTS[:2]


@given(CUTS)
async def test_damage_is_told_after_what_came_before(cuts: list[int]) -> None:
    damaged = CONVERSE[0] + CONVERSE[1][:-1] + b"\x00"
    found: list[bytes] = []
    with pytest.raises(UpstreamProtocolError, match="damaged"):
        await events(FRAMES, damaged, cuts, found=found)
    assert found == CONVERSE_EVENTS[:1]


@pytest.mark.parametrize(
    ("content_type", "data"), [(FRAMES, CONVERSE[1]), (LINES, b"x" * 41 + b"\n"), (LINES, b"{}\n" + b"x" * 41)]
)
async def test_an_event_that_is_too_long_breaks_the_stream(content_type: str, data: bytes) -> None:
    with pytest.raises(UpstreamProtocolError, match="longer than 40 bytes"):
        await events(content_type, data, [], limit=40)
