"""One connection and one request after another on it: replies as they arrive, and both kinds of back-pressure."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator

import httpx
import pytest

from helicone_gw.upstream.http1.connection import HIGH_WATER
from tests.core.upstream.http1.serving import OK, Served, answering, asking, serving, transport, turns, until, whole

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

# Replies


async def test_a_reply_that_came_as_a_whole_needs_no_connection_any_more() -> None:
    async with serving(answering(OK)) as server, transport() as made:
        reply = await made.send(asking(server))
        assert (reply.status, reply.headers, reply.buffered) == (200, [(b"content-length", b"2")], b"ok")
        assert made.counters.idle == 1
        assert [piece async for piece in reply.body] == [b"ok"]
        await reply.aclose()
        assert made.counters.idle == 1


@pytest.mark.parametrize("reply", [b"HTTP/1.1 204 No Content\r\n\r\n", CHUNKED + b"0\r\n\r\n"])
async def test_a_reply_without_body_came_as_a_whole(reply: bytes) -> None:
    async with serving(answering(reply)) as server, transport() as made:
        answer = await made.send(asking(server))
        assert answer.buffered == b""
        assert [piece async for piece in answer] == []


async def test_what_arrives_while_nobody_reads_comes_as_one_piece() -> None:
    go = asyncio.Event()

    async def script(served: Served) -> None:
        await served.request()
        await served.say(CHUNKED)
        await go.wait()
        await served.say(b"1\r\na\r\n", b"1\r\nb\r\n", b"1\r\nc\r\n")
        await served.gone()

    async with serving(script) as server, transport() as made:
        reply = await made.send(asking(server))
        assert reply.buffered is None
        go.set()
        await turns(30)
        assert await anext(reply) == b"abc"
        await reply.aclose()


async def test_a_whole_body_is_waited_for_once() -> None:
    async def script(served: Served) -> None:
        await served.request()
        await served.say(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n", b"ab", b"cd", b"ef")
        await served.gone()

    async with serving(script) as server, transport() as made:
        reply = await made.send(asking(server))
        assert await reply.read(6) == b"abcdef"
        assert await reply.read(6) == b""
        assert made.counters.idle == 1


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_body_that_is_too_large_to_hold_goes_on_behind_what_was_read(framing: str) -> None:
    size, limit = 3 * HIGH_WATER, HIGH_WATER + 1000

    async def script(served: Served) -> None:
        await served.request()
        if framing == "length":
            await served.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        else:
            await served.say(CHUNKED)
        for _ in range(size // 1024):
            piece = b"x" * 1024
            await served.say(piece if framing == "length" else b"400\r\n" + piece + b"\r\n")
        await served.say(b"" if framing == "length" else b"0\r\n\r\n")
        await served.gone()

    async with serving(script) as server, transport() as made:
        reply = await made.send(asking(server))
        first = await reply.read(limit)
        assert limit < len(first) < size
        assert len(first) + sum([len(piece) async for piece in reply]) == size


async def test_what_came_before_a_break_is_delivered_before_its_error() -> None:
    async def script(served: Served) -> None:
        await served.request()
        await served.say(CHUNKED + b"3\r\nabc\r\n5\r\nd")

    async with serving(script) as server, transport() as made:
        reply = await made.send(asking(server))
        await turns(30)
        assert await anext(reply) == b"abcd"
        with pytest.raises(httpx.RemoteProtocolError):
            await anext(reply)
        await reply.aclose()
        assert [piece async for piece in reply] == []


async def test_a_reply_that_is_forgotten_gives_its_connection_back() -> None:
    async def script(served: Served) -> None:
        await served.request()
        await served.say(CHUNKED + b"3\r\nabc\r\n")
        await served.gone()

    async with serving(script) as server, transport() as made:
        reply = await made.send(asking(server))
        assert made.counters.active == 1
        del reply
        gc.collect()
        await until(lambda: made.counters.open == 0)


# Back-pressure


async def test_a_slow_reader_slows_the_server_down() -> None:
    sent = 0

    async def script(served: Served) -> None:
        nonlocal sent
        await served.request()
        await served.say(b"HTTP/1.1 200 OK\r\n\r\n")
        while sent < 64 * 2**20:
            served.writer.write(b"x" * 2**16)
            await served.writer.drain()
            sent += 2**16

    async with serving(script) as server, transport() as made:
        reply = await made.send(asking(server))
        before = -1
        while before != sent:
            before = sent
            await asyncio.sleep(0.05)
        assert sent < 64 * 2**20
        piece = await anext(reply)
        # What one more read of the socket brings may lie on top.
        assert len(piece) <= HIGH_WATER + 256 * 1024
        received = len(piece) + sum([len(each) async for each in reply])
        assert received == 64 * 2**20


async def test_after_a_pause_the_connection_serves_the_next_request() -> None:
    size = 4 * HIGH_WATER

    async def script(served: Served) -> None:
        while True:
            await served.request()
            await served.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)

    async with serving(script) as server, transport() as made:
        for _ in range(3):
            reply = await made.send(asking(server))
            await asyncio.sleep(0.01)
            assert sum([len(piece) async for piece in reply]) == size
        assert made.counters.opened == 1


async def test_a_slow_server_slows_an_upload_down() -> None:
    read = asyncio.Event()
    given = 0

    async def upload() -> AsyncIterator[bytes]:
        nonlocal given
        for _ in range(1024):
            given += 2**16
            yield b"x" * 2**16

    async def script(served: Served) -> None:
        await served.reader.readuntil(b"\r\n\r\n")
        await read.wait()
        await served.reader.readexactly(2**26)
        await served.say(OK)

    async with serving(script) as server, transport() as made:
        task = asyncio.ensure_future(whole(made, asking(server, upload(), length=2**26)))
        before = -1
        while before != given:
            before = given
            await asyncio.sleep(0.05)
        assert given < 2**26
        read.set()
        assert await task == b"ok"


# Uploads


@pytest.mark.parametrize("size", [0, 1, 65536, 65537, 3_000_000])
async def test_bodies_of_every_size_arrive_and_the_connection_stays(size: int) -> None:
    received: list[bytes] = []

    async def script(served: Served) -> None:
        while True:
            received.append((await served.request()).partition(b"\r\n\r\n")[2])
            await served.say(OK)

    body = bytes(n % 251 for n in range(size))
    async with serving(script) as server, transport() as made:
        for _ in range(2):
            assert await whole(made, asking(server, body)) == b"ok"
        assert made.counters.opened == 1
    assert received == [body, body]


async def pieces(
    *parts: bytes, then: BaseException | None = None, wait: asyncio.Event | None = None
) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
    if wait is not None:
        await wait.wait()
    if then is not None:
        raise then


@pytest.mark.parametrize(
    ("length", "wire"),
    [(6, b"abcdef"), (None, b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n")],
)
async def test_a_stream_goes_out_as_its_length_says(length: int | None, wire: bytes) -> None:
    received = b""

    async def script(served: Served) -> None:
        nonlocal received
        while True:
            await served.reader.readuntil(b"\r\n\r\n")
            received = await served.reader.readexactly(len(wire))
            await served.say(OK)

    async with serving(script) as server, transport() as made:
        for _ in range(2):
            assert await whole(made, asking(server, pieces(b"abc", b"", b"def"), length=length)) == b"ok"
        assert made.counters.opened == 1
    assert received == wire


@pytest.mark.parametrize("length", [2, 4])
async def test_a_stream_of_another_length_than_it_said_is_not_sent_as_whole(length: int) -> None:
    said = b""

    async def script(served: Served) -> None:
        nonlocal said
        said = await served.gone()

    async with serving(script) as server, transport() as made:
        with pytest.raises(httpx.LocalProtocolError):
            await made.send(asking(server, pieces(b"abc"), length=length))
        assert made.counters.open == 0
        await turns(20)
    assert not said.endswith(b"abc" + b"x")
    assert len(said.partition(b"\r\n\r\n")[2]) != length


async def test_what_the_stream_raises_is_raised_and_the_connection_ends() -> None:
    problem = ValueError("mine")

    async def script(served: Served) -> None:
        await served.gone()

    async with serving(script) as server, transport() as made:
        with pytest.raises(ValueError, match="mine") as raised:
            await made.send(asking(server, pieces(b"abc", then=problem), length=9))
        assert raised.value is problem
        assert made.counters.open == 0


async def test_what_the_stream_raises_after_the_head_breaks_the_body() -> None:
    go = asyncio.Event()

    async def script(served: Served) -> None:
        await served.reader.readuntil(b"\r\n\r\n")
        await served.say(CHUNKED + b"1\r\na\r\n")
        await served.gone()

    async with serving(script) as server, transport() as made:
        upload = pieces(b"abc", wait=go, then=ValueError("mine"))
        reply = await made.send(asking(server, upload, length=9))
        assert await anext(reply) == b"a"
        go.set()
        with pytest.raises(ValueError, match="mine"):
            await anext(reply)
        await reply.aclose()


@pytest.mark.parametrize("kind", ["stream", "bytes"])
async def test_an_early_reply_is_delivered_at_once_and_the_connection_is_not_used_again(kind: str) -> None:
    never = asyncio.Event()

    async def script(served: Served) -> None:
        await served.reader.readuntil(b"\r\n\r\n")
        await served.say(OK)
        await never.wait()

    async with serving(script) as server, transport() as made:
        body = pieces(b"abc", wait=never) if kind == "stream" else b"x" * 2**25
        reply = await made.send(asking(server, body, length=9 if kind == "stream" else None))
        assert reply.buffered == b"ok"
        assert made.counters.open == 0


async def test_an_early_reply_may_go_on_beside_the_upload() -> None:
    go = asyncio.Event()

    async def script(served: Served) -> None:
        await served.reader.readuntil(b"\r\n\r\n")
        await served.say(CHUNKED + b"1\r\na\r\n")
        await served.reader.readexactly(6)
        await served.say(b"1\r\nb\r\n0\r\n\r\n")
        await served.request()
        await served.say(OK)

    async def upload() -> AsyncIterator[bytes]:
        yield b"abc"
        await go.wait()
        yield b"def"

    async with serving(script) as server, transport() as made:
        reply = await made.send(asking(server, upload(), length=6))
        assert await anext(reply) == b"a"
        go.set()
        assert [piece async for piece in reply] == [b"b"]
        assert await whole(made, asking(server)) == b"ok"
        assert made.counters.opened == 1


async def test_nothing_reads_the_upload_any_more_once_it_has_failed() -> None:
    state = "unread"
    never = asyncio.Event()

    async def upload() -> AsyncIterator[bytes]:
        nonlocal state
        state = "read"
        try:
            yield b"abc"
            await never.wait()
        finally:
            await asyncio.sleep(0)
            state = "left"

    async def script(served: Served) -> None:
        await served.reader.readuntil(b"\r\n\r\n")
        await served.say(b"nonsense\r\n\r\n")

    async with serving(script) as server, transport() as made:
        with pytest.raises(httpx.RemoteProtocolError):
            await made.send(asking(server, upload(), length=6))
        assert state == "left"
