"""Pieces of a stream that come in quick succession are put together, in virtual time."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from helicone_gw.upstream.http1.coalescing import SMALL
from helicone_gw.upstream.http1.connection import HIGH_WATER
from helicone_gw.upstream.http1.reply import WireReply
from tests.core.upstream.http1.serving import turns
from tests.core.upstream.http1.wires import Line

pytestmark = pytest.mark.virtual_time

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"


class Reading:
    """A reply, and what was read of it so far, piece by piece."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.pieces: list[bytes] = []
        self.reply: WireReply
        self.task: asyncio.Task[None]

    async def begin(self, head: bytes = HEAD) -> None:
        asked = self.line.ask()
        await turns(3)
        self.line.wire.say(head)
        self.reply = await asked
        self.task = asyncio.ensure_future(self._read())
        await turns(1)

    async def _read(self) -> None:
        async for piece in self.reply:
            self.pieces.append(piece)

    async def says(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.line.wire.say(piece)
            await turns(3)

    async def leave(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.reply.aclose()
        await turns(3)


async def test_the_first_two_go_on_at_once_and_what_comes_in_the_next_moment_as_one() -> None:
    reading = Reading(Line())
    await reading.begin()
    await reading.says(b"a", b"b", b"c", b"d", b"e")
    assert reading.pieces == [b"a", b"b"]
    await asyncio.sleep(0.0011)
    await turns(3)
    assert reading.pieces == [b"a", b"b", b"cde"]
    await reading.says(b"f", b"g")
    assert reading.pieces == [b"a", b"b", b"cde"]
    await asyncio.sleep(0.0011)
    await turns(3)
    assert reading.pieces[-1] == b"fg"
    assert reading.line.transport._pool.coalescing.rests == 3
    await reading.leave()


async def test_a_slow_stream_is_never_held() -> None:
    reading = Reading(Line())
    await reading.begin()
    for number in range(5):
        await asyncio.sleep(0.003)
        await reading.says(b"%d" % number)
        assert reading.pieces[-1] == b"%d" % number
        assert not reading.line.wire.paused
    await reading.leave()


async def test_the_end_of_a_burst_comes_with_its_last_pieces() -> None:
    reading = Reading(Line())
    await reading.begin(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    await reading.says(*[b"1\r\n%c\r\n" % letter for letter in b"abcdef"], b"0\r\n\r\n")
    await reading.task
    assert reading.pieces == [b"a", b"b", b"cdef"]
    assert reading.line.transport.counters.idle == 1
    assert not reading.line.wire.paused
    await reading.line.transport.aclose()


async def test_large_pieces_are_a_download_and_are_not_held() -> None:
    reading = Reading(Line())
    await reading.begin()
    await reading.says(*[b"x" * SMALL] * 4)
    assert len(reading.pieces) == 4
    await reading.leave()


async def test_nothing_is_held_where_that_is_off() -> None:
    reading = Reading(Line(coalesce=0))
    await reading.begin()
    await reading.says(b"a", b"b", b"c", b"d")
    assert reading.pieces == [b"a", b"b", b"c", b"d"]
    await reading.leave()


async def test_many_streams_rest_on_one_timer() -> None:
    line = Line()
    readings = [Reading(line) for _ in range(3)]
    for reading in readings:
        await reading.begin()
    wires = line.wires
    for _ in range(3):
        for wire in wires:
            wire.say(b"x")
        await turns(3)
    assert [reading.pieces for reading in readings] == [[b"x", b"x"]] * 3
    await asyncio.sleep(0.0011)
    await turns(3)
    assert [reading.pieces for reading in readings] == [[b"x", b"x", b"x"]] * 3
    for reading in readings:
        await reading.leave()


async def test_whoever_leaves_meanwhile_is_gone_for_good() -> None:
    reading = Reading(Line())
    await reading.begin()
    await reading.says(b"a", b"b")
    assert reading.line.wire.paused
    await reading.leave()
    await asyncio.sleep(0.01)
    assert reading.line.transport.counters.open == 0


async def test_a_reader_that_does_not_keep_up_still_stops_the_socket() -> None:
    line = Line()
    asked = line.ask()
    await turns(3)
    line.wire.say(HEAD)
    reply = await asked
    piece = b"y" * (SMALL - 1)
    for _ in range(HIGH_WATER // SMALL + 8):
        line.wire.say(piece)
        await asyncio.sleep(0.0011)
        await turns(2)
    assert line.wire.paused
    held = len(line.wire.unread)
    assert held > 0
    assert len(await anext(reply)) > HIGH_WATER
    await asyncio.sleep(0.0011)
    await turns(3)
    assert not line.wire.unread
    await reply.aclose()


async def test_the_connection_breaks_while_it_rests() -> None:
    reading = Reading(Line())
    await reading.begin()
    await reading.says(b"a", b"b")
    reading.line.wire.abort()
    with pytest.raises(httpx.ReadError):
        await reading.task
    await asyncio.sleep(0.01)
    assert reading.line.transport.counters.open == 0
