"""Requests through the pool over real sockets: reuse, stale connections, cancellation at every step, bounds."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import httpx
import pytest

from helicone_gw.upstream import transport as module
from helicone_gw.upstream.transport import FastTransport
from tests.core.upstream.http1.serving import (
    OK,
    Served,
    answering,
    asking,
    serving,
    transport,
    turns,
    until,
    whole,
)
from tests.core.upstream.http1.wires import Line

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


async def stream(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


# Reuse


async def test_many_requests_use_one_connection() -> None:
    async with serving(answering(OK, CHUNKED + b"2\r\nok\r\n0\r\n\r\n", OK)) as server, transport() as made:
        for _ in range(100):
            assert await whole(made, asking(server)) == b"ok"
        assert (made.counters.opened, made.counters.reused) == (1, 99)


@pytest.mark.parametrize(
    "reply",
    [
        OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
        OK.replace(b"1.1", b"1.0", 1),
        OK + b"x",
        OK + b"\r\n",
        OK + OK,
    ],
    ids=["close", "HTTP/1.0", "junk", "an empty line", "another reply"],
)
async def test_after_some_replies_the_connection_is_not_used_again(reply: bytes) -> None:
    async with serving(answering(reply)) as server, transport() as made:
        for number in range(1, 4):
            assert await whole(made, asking(server)) == b"ok"
            assert made.counters.opened == number
        assert made.counters.reused == 0


@pytest.mark.parametrize("junk", [b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", b"x", b"\r\n"])
async def test_what_comes_unasked_is_nobodys_reply(junk: bytes) -> None:
    async def script(served: Served) -> None:
        await served.request()
        await served.say(OK, junk)
        await served.gone()

    async with serving(script) as server, transport() as made:
        for _ in range(3):
            assert await whole(made, asking(server)) == b"ok"
            await until(lambda: made.counters.open == 0)
        assert made.counters.dropped == 3


async def test_what_the_socket_holds_unread_is_noticed_before_a_request_goes_out() -> None:
    async def script(served: Served) -> None:
        await served.request()
        await served.say(OK)
        await served.gone()

    async with serving(script) as server, transport() as made:
        assert await whole(made, asking(server)) == b"ok"
        await turns(20)
        # The loop has no chance to read this before the next request.
        fd = server.connections[0].writer.get_extra_info("socket").fileno()
        os.write(fd, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        assert await whole(made, asking(server)) == b"ok"
        assert (made.counters.opened, made.counters.dropped, made.counters.stale_retries) == (2, 1, 0)


# Stale connections


def closes_after_one(how: str, seen: list[bytes]) -> Any:
    """A server that closes a connection with the second request on it unanswered."""

    async def script(served: Served) -> None:
        seen.append(await served.request())
        await served.say(OK)
        seen.append(await served.reader.readuntil(b"\r\n\r\n"))
        if how == "reset":
            sock = served.writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            served.writer.transport.abort()

    return script


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("body", [None, b"{}", b"x" * 200_000], ids=["no body", "a small one", "a large one"])
async def test_a_request_that_dies_with_a_used_connection_is_sent_again(how: str, body: bytes | None) -> None:
    seen: list[bytes] = []
    async with serving(closes_after_one(how, seen)) as server, transport() as made:
        assert await whole(made, asking(server, body)) == b"ok"
        assert await whole(made, asking(server, body)) == b"ok"
        assert (made.counters.stale_retries, made.counters.opened) == (1, 2)


async def test_a_request_that_dies_with_a_new_connection_is_not() -> None:
    async def script(served: Served) -> None:
        await served.request()

    async with serving(script) as server, transport() as made:
        with pytest.raises(httpx.RemoteProtocolError):
            await made.send(asking(server))
        assert len(server.connections) == 1


async def test_a_request_is_sent_again_once() -> None:
    async def script(served: Served) -> None:
        await served.request()
        if served is server.connections[0]:
            await served.say(OK)
            await served.request()

    async with serving(script) as server, transport() as made:
        assert await whole(made, asking(server)) == b"ok"
        with pytest.raises(httpx.RemoteProtocolError):
            await made.send(asking(server))
        assert len(server.connections) == 2


async def test_a_reply_that_has_begun_is_not_asked_for_again() -> None:
    async def script(served: Served) -> None:
        await served.request()
        await served.say(OK)
        await served.request()
        await served.say(b"H")

    async with serving(script) as server, transport() as made:
        assert await whole(made, asking(server)) == b"ok"
        with pytest.raises(httpx.RemoteProtocolError):
            await made.send(asking(server))
        assert made.counters.stale_retries == 0


async def test_nonsense_is_not_asked_for_again() -> None:
    async with serving(answering(OK, b"nonsense\r\n\r\n")) as server, transport() as made:
        assert await whole(made, asking(server)) == b"ok"
        with pytest.raises(httpx.RemoteProtocolError):
            await made.send(asking(server))
        assert made.counters.stale_retries == 0


async def test_a_stream_that_was_begun_is_not_sent_again() -> None:
    seen: list[bytes] = []
    async with serving(closes_after_one("close", seen)) as server, transport() as made:
        assert await whole(made, asking(server)) == b"ok"
        with pytest.raises(httpx.TransportError):
            await made.send(asking(server, stream(b"a", b"b"), length=2))
        assert made.counters.stale_retries == 0


async def test_a_server_that_has_had_the_time_to_work_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STALE", -1.0)
    seen: list[bytes] = []
    async with serving(closes_after_one("close", seen)) as server, transport() as made:
        assert await whole(made, asking(server)) == b"ok"
        with pytest.raises(httpx.RemoteProtocolError):
            await made.send(asking(server))


async def test_a_server_that_starts_anew_is_not_noticed() -> None:
    replies = answering(OK)
    async with transport() as made:
        async with serving(replies) as server:
            await asyncio.gather(*(whole(made, asking(server)) for _ in range(5)))
            port = server.origin.port
        await until(lambda: made.counters.open == 0)
        again = await asyncio.start_server(lambda r, w: _answer(r, w), "127.0.0.1", port)
        assert await whole(made, asking(server)) == b"ok"
        again.close()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(asyncio.IncompleteReadError):
        await Served(reader, writer).request()
        writer.write(OK)
    writer.close()


@pytest.mark.virtual_time
@pytest.mark.parametrize("what", ["end", "junk", "break"])
async def test_a_connection_that_ends_as_it_is_handed_over_costs_nothing(what: str) -> None:
    line = Line(total=1)
    first, second = line.ask(), line.ask()
    await turns(5)
    line.wire.say(OK)
    match what:
        case "end":
            line.wire.connection.eof_received()
        case "junk":
            line.wire.say(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        case _:
            line.wire.connection.connection_lost(ConnectionResetError())
    await turns(5)
    assert (await first).buffered == b"ok"
    assert len(line.wires) == 2
    assert line.wires[0].written.count(b"POST") == 1
    line.wire.say(OK)
    assert (await second).buffered == b"ok"
    assert line.transport.counters.open == 1


# Cancellation


def slowly(served_pieces: tuple[bytes, ...]) -> Any:
    async def script(served: Served) -> None:
        while True:
            head = await served.reader.readuntil(b"\r\n\r\n")
            if b"chunked" in head:
                await served.reader.readuntil(b"0\r\n\r\n")
            elif b"content-length: 2\r\n" in head:
                await served.reader.readexactly(2)
            await served.say(*served_pieces)

    return script


PIECES = CHUNKED, b"2\r\nab\r\n", b"2\r\ncd\r\n", b"0\r\n\r\n"


@pytest.mark.parametrize("body", ["bytes", "stream"])
async def test_a_request_may_be_cancelled_at_any_step(body: str) -> None:
    async with serving(slowly(PIECES)) as server, transport(total=2, waiters=10) as made:
        for steps in range(45):
            tasks = [
                asyncio.ensure_future(whole(made, asking(server, b"{}" if body == "bytes" else stream(b"a", b"b"))))
                for _ in range(3)
            ]
            await turns(steps)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert (made.counters.active, made.counters.waiting) == (0, 0), steps
            assert await whole(made, asking(server)) == b"abcd", steps


async def test_many_may_be_cancelled_while_others_wait_for_their_places() -> None:
    choice = random.Random(11)
    async with serving(slowly(PIECES)) as server, transport(total=3) as made:

        async def one() -> None:
            body: Any = b"{}" if choice.random() < 0.5 else stream(b"x" * 1000, b"y")
            assert await whole(made, asking(server, body)) == b"abcd"

        for _ in range(20):
            tasks = [asyncio.ensure_future(one()) for _ in range(8)]
            for task in tasks:
                await turns(choice.randrange(12))
                if choice.random() < 0.7:
                    task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(result is None or isinstance(result, asyncio.CancelledError) for result in results)
            assert (made.counters.active, made.counters.waiting) == (0, 0)
        assert await whole(made, asking(server)) == b"abcd"


async def test_whoever_is_cancelled_when_all_has_come_closes_nothing() -> None:
    async with serving(answering(OK)) as server, transport() as made:
        task = asyncio.ensure_future(made.send(asking(server)))
        await until(lambda: made.counters.idle == 1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert made.counters.idle == 1


async def test_leaving_in_the_middle_closes_the_connection_at_once() -> None:
    left = asyncio.Event()

    async def script(served: Served) -> None:
        await served.request()
        await served.say(CHUNKED + b"1\r\na\r\n")
        await served.gone()
        left.set()

    async with serving(script) as server, transport() as made:
        reply = await made.send(asking(server))
        assert await anext(reply) == b"a"
        await reply.aclose()
        assert made.counters.open == 0
        async with asyncio.timeout(5):
            await left.wait()
        await reply.aclose()


# Bounds


async def test_more_requests_than_connections_wait_their_turn() -> None:
    async with serving(answering(OK)) as server, transport(per_host=3) as made:
        replies = await asyncio.gather(*(whole(made, asking(server)) for _ in range(50)))
        assert replies == [b"ok"] * 50
        assert made.counters.opened == 3
        assert len(server.connections) == 3


async def test_whoever_waits_for_too_long_is_told_so() -> None:
    async def script(served: Served) -> None:
        await served.request()
        await served.gone()

    async with serving(script) as server, transport(total=1) as made:
        first = asyncio.ensure_future(made.send(asking(server)))
        await until(lambda: made.counters.active == 1)
        with pytest.raises(httpx.PoolTimeout):
            await made.send(asking(server, first_byte=0.05))
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)


async def test_idle_connections_make_room_for_other_hosts() -> None:
    async with serving(answering(OK)) as one, serving(answering(OK)) as other, transport(total=1) as made:
        for server in (one, other, one):
            assert await whole(made, asking(server)) == b"ok"
        assert made.counters.evicted == 2


# Closing


async def test_closing_ends_what_is_under_way() -> None:
    async def script(served: Served) -> None:
        await served.request()
        await served.say(CHUNKED + b"1\r\na\r\n")
        await served.gone()

    async with serving(script) as server, transport(total=1) as made:
        reply = await made.send(asking(server))
        waiting = asyncio.ensure_future(made.send(asking(server)))
        reading = asyncio.ensure_future(_drain(reply))
        await turns(20)
        await made.aclose()
        with pytest.raises(httpx.ReadError):
            await reading
        with pytest.raises(httpx.ConnectError):
            await waiting
        with pytest.raises(httpx.ConnectError):
            await made.send(asking(server))
        await made.aclose()


async def _drain(reply: Any) -> None:
    async for _ in reply:
        pass


async def test_nothing_was_done_and_nothing_is_to_be_closed() -> None:
    async with transport() as made:
        assert isinstance(made, FastTransport)
        assert made.tls_resumed == 0
