"""Connections: used again, never too many, never lost to a request that went away, never one that is dead already."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.core.upstream.conformance.clients import Client, Failed, everywhere
from tests.core.upstream.conformance.peer import OK, Connection, each, listening, turns

Make = Callable[..., Client]


@everywhere()
async def test_a_thousand_requests_take_one_connection(client: Client) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    count = 0

    async def script(connection: Connection) -> None:
        nonlocal count
        while True:
            await connection.request()
            count += 1
            connection.write(chunked if count % 2 else OK)

    async with listening(script) as peer:
        for _ in range(1000):
            assert (await client.whole(peer.url)).body == b"ok"
        assert len(peer.connections) == 1


@everywhere()
async def test_requests_over_the_bound_wait_for_their_turn(make: Make) -> None:
    client = make(max_connections=3)
    busy = most = 0

    async def script(connection: Connection) -> None:
        nonlocal busy, most
        while True:
            await connection.request()
            busy += 1
            most = max(most, busy)
            await turns(3)
            busy -= 1
            connection.write(OK)

    async with listening(script) as peer:
        answers = await asyncio.gather(*(client.whole(peer.url) for _ in range(60)))
        assert [answer.body for answer in answers] == [b"ok"] * 60
        assert most <= 3
        assert len(peer.connections) <= 3


@everywhere()
async def test_one_host_s_idle_connections_make_room_for_another_host(make: Make) -> None:
    client = make(max_connections=2)
    async with listening(each(OK)) as first, listening(each(OK)) as second:
        for peer in (first, second) * 3:
            answers = await asyncio.gather(*(client.whole(peer.url) for _ in range(2)))
            assert [answer.body for answer in answers] == [b"ok"] * 2


@everywhere()
async def test_who_waits_in_vain_is_told_so_and_takes_nobody_s_place(make: Make) -> None:
    client = make(max_connections=1, first_byte=0.1, read=5)
    release = asyncio.Event()

    async def script(connection: Connection) -> None:
        while True:
            await connection.request()
            await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
            await release.wait()
            await connection.send(b"ok")

    async with listening(script) as peer:
        holder = await client.open(peer.url)
        assert (await client.whole(peer.url)).failed in {"connect", "timeout"}
        release.set()
        assert b"".join([piece async for piece in holder]) == b"ok"
        await holder.close()
        assert (await client.whole(peer.url)).body == b"ok"
        assert len(peer.connections) == 1


@everywhere()
@pytest.mark.parametrize("body", ["bytes", "stream"])
async def test_a_connection_closed_while_idle_is_not_used(client: Client, body: str) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(OK)

    async def stream():
        yield b"ab"

    async with listening(script) as peer:
        for _ in range(5):
            answer = await client.whole(peer.url, b"ab" if body == "bytes" else stream())
            assert answer.body == b"ok"
            await turns(5)
        assert len(peer.connections) == len(peer.requests) == 5


@everywhere(httpx="httpcore does not send a request again")
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_request_that_met_a_closing_connection_is_sent_again(client: Client, how: str) -> None:
    # The server gives up the idle connection at the very moment at which the request comes.
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(OK)
        await connection.request()
        if how == "reset":
            connection.reset()

    async with listening(script) as peer:
        for _ in range(3):
            assert (await client.whole(peer.url)).body == b"ok"
        assert len(peer.connections) == 3
        assert len(peer.requests) == 5, "each but the first was sent twice"


@everywhere()
async def test_a_request_is_not_sent_again_once_something_of_a_reply_came(client: Client) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(OK)
        await connection.request()
        await connection.send(b"HTTP/1.1 2")

    async with listening(script) as peer:
        assert (await client.whole(peer.url)).body == b"ok"
        assert (await client.whole(peer.url)).failed == "protocol"
        assert len(peer.requests) == 2


@everywhere()
async def test_a_request_on_a_fresh_connection_is_not_sent_again(client: Client) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()

    async with listening(script) as peer:
        assert (await client.whole(peer.url)).failed == "protocol"
        assert len(peer.requests) == 1


@everywhere()
async def test_an_upload_that_was_read_from_is_not_sent_again(client: Client) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(OK)
        await connection.head()

    taken: list[int] = []

    async def upload():
        for number in range(3):
            taken.append(number)
            yield b"x"

    async with listening(script) as peer:
        assert (await client.whole(peer.url)).body == b"ok"
        assert (await client.whole(peer.url, upload())).failed == "protocol"
        assert taken == sorted(set(taken)), "nothing was taken twice"


@everywhere()
async def test_what_is_closed_stays_closed(make: Make) -> None:
    client = make()
    gone = asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(OK)
        await connection.gone()
        gone.set()

    async with listening(script) as peer:
        assert (await client.whole(peer.url)).body == b"ok"
        await client.upstream.aclose()
        async with asyncio.timeout(5):
            await gone.wait()


@everywhere()
async def test_many_at_once_get_each_its_own_answer(client: Client) -> None:
    async def script(connection: Connection) -> None:
        while True:
            body = (await connection.request()).partition(b"\r\n\r\n")[2]
            half = len(body) // 2
            connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
            for piece in (body[:half], body[half:]):
                connection.write(piece)
                await asyncio.sleep(0)

    async def one(peer_url: str, number: int) -> None:
        body = b"%d-" % number * 50
        assert (await client.whole(peer_url, body)).body == body

    async with listening(script) as peer:
        for _ in range(2):
            await asyncio.gather(*(one(peer.url, number) for number in range(40)))


@everywhere()
async def test_a_body_may_be_closed_before_anything_of_it_is_read(client: Client) -> None:
    async with listening(each(OK)) as peer:
        for _ in range(3):
            reply = await client.open(peer.url)
            await reply.close()
        with pytest.raises(Failed):
            await client.open("http://127.0.0.1:1/")
