"""Answers on their way up, and bodies that are still arriving."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from helicone_gw import Headers, Response
from helicone_gw.pipeline.answer import Answer, LiveStream


async def of(*pieces: bytes, pause: float = 0.0) -> AsyncIterator[bytes]:
    for piece in pieces:
        await asyncio.sleep(pause)
        yield piece


async def test_reading_to_the_end() -> None:
    live = LiveStream(of(b"a", b"b"), events=False)
    assert [await live.read(), await live.read(), await live.read(), await live.read()] == [b"a", b"b", None, None]


@pytest.mark.virtual_time
async def test_a_read_that_was_waited_for_too_long_is_taken_up_again() -> None:
    live = LiveStream(of(b"a", b"b", pause=10), events=False)
    read = live.start_reading()
    assert live.start_reading() is read
    done, _ = await asyncio.wait({read}, timeout=1)
    assert not done
    assert await live.read() == b"a"
    assert live.pending is None
    assert await live.read() == b"b"


@pytest.mark.virtual_time
async def test_cancelling_a_read_that_was_taken_up_stops_it() -> None:
    live = LiveStream(of(b"a", pause=10), events=False)
    pending = live.start_reading()
    reading = asyncio.ensure_future(live.read())
    await asyncio.sleep(1)
    reading.cancel()
    await asyncio.wait({reading})
    assert reading.cancelled()
    await asyncio.wait({pending})
    assert pending.cancelled()


@pytest.mark.virtual_time
async def test_closing_stops_the_read_first_and_then_lets_go() -> None:
    order: list[str] = []

    async def source() -> AsyncIterator[bytes]:
        try:
            await asyncio.sleep(60)
            yield b""
        finally:
            order.append("read stopped")

    async def close() -> None:
        order.append("closed")

    live = LiveStream(source(), events=False, close=close)
    live.start_reading()
    await asyncio.sleep(0)
    await live.aclose()
    assert order == ["read stopped", "closed"]
    assert live.pending is None


def test_a_plugins_buffered_answer() -> None:
    answer = Answer.of_response(Response(201, Headers({"x-a": "1"}), b"body"), 2, 1024)
    assert (answer.status, answer.layer, answer.body, answer.live) == (201, 2, b"body", None)
    assert Answer.of_response(Response(204, body=None), 0, 1024).body == b""


@pytest.mark.parametrize(
    ("content_type", "events"), [("text/event-stream; charset=utf-8", True), ("audio/mpeg", False), (None, False)]
)
async def test_a_plugins_streamed_answer(content_type: str | None, events: bool) -> None:
    ended: list[int] = []

    async def source() -> AsyncIterator[bytes]:
        try:
            yield b"a"
            yield b"b"
        finally:
            ended.append(1)

    headers = Headers({} if content_type is None else {"content-type": content_type})
    answer = Answer.of_response(Response(200, headers, None, source()), 1, 1024)
    assert answer.body is None
    assert answer.live is not None
    assert answer.live.events is events
    assert (answer.live.splitter is not None) is events
    assert await answer.live.read() == b"a"
    await answer.aclose()
    assert ended == [1]


async def test_a_stream_that_cannot_be_closed_is_none_the_worse() -> None:
    class Pieces:
        def __aiter__(self) -> AsyncIterator[bytes]:
            return self

        async def __anext__(self) -> bytes:
            raise StopAsyncIteration

    await Answer.of_response(Response(200, body=None, stream=Pieces()), 1, 1024).aclose()


async def test_an_answer_lets_go_of_its_own_connection_too() -> None:
    closed: list[int] = []

    async def close() -> None:
        closed.append(1)

    await Answer(101, Headers(), 0, close=close).aclose()
    assert closed == [1]
