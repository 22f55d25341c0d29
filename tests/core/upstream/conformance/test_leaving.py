"""Callers that leave, at any moment: their connection goes with them, and their place is another's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.core.upstream.conformance.clients import Client, everywhere
from tests.core.upstream.conformance.peer import OK, Connection, listening, turns

Make = Callable[..., Client]


@everywhere()
async def test_an_answer_left_unread_takes_its_connection_with_it(make: Make) -> None:
    client = make(max_connections=1)
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1000

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(OK if connection.number == 3 else reply)
        await connection.gone()

    async with listening(script) as peer:
        for read in (0, 1, 1):
            answer = await client.open(peer.url)
            if read:
                assert await anext(aiter(answer))
            await answer.close()
            await answer.close()
        assert (await client.whole(peer.url)).body == b"ok"
        assert len(peer.connections) == 4


@everywhere()
async def test_a_cancelled_request_at_any_moment_leaves_the_pool_usable(make: Make) -> None:
    client = make(max_connections=1)
    reply = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n", b"2\r\nok\r\n", b"0\r\n\r\n"

    async def script(connection: Connection) -> None:
        while True:
            request = await connection.request()
            if b"/good" in request:
                await connection.send(OK)
            else:
                await connection.send(*reply)

    async def upload():
        yield b"ab"
        await turns(2)
        yield b"cd"

    async with listening(script) as peer:
        for moment in range(30):
            bodies = [b"{}", upload()]
            tasks = [asyncio.ensure_future(client.whole(f"{peer.url}/bad", body)) for body in bodies]
            await turns(moment)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            answer = await client.whole(f"{peer.url}/good")
            assert (answer.failed, answer.body) == (None, b"ok"), moment


@everywhere()
async def test_a_cancelled_waiter_leaves_its_place_to_the_next(make: Make) -> None:
    client = make(max_connections=1)
    release = asyncio.Event()

    async def script(connection: Connection) -> None:
        while True:
            await connection.request()
            await release.wait()
            connection.write(OK)

    async with listening(script) as peer:
        tasks = [asyncio.ensure_future(client.whole(peer.url)) for _ in range(10)]
        await turns(20)
        for task in tasks[:9:2]:
            task.cancel()
        await turns(2)
        release.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [getattr(result, "body", None) for result in results[1::2]] == [b"ok"] * 5
        assert (await client.whole(peer.url)).body == b"ok"


@everywhere()
async def test_who_goes_while_reading_closes_the_connection(client: Client) -> None:
    left = asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab")
        await connection.gone()
        left.set()

    async with listening(script) as peer:
        reply = await client.open(peer.url)

        async def read() -> None:
            async for _ in reply:
                pass

        reading = asyncio.ensure_future(read())
        await turns(5)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await reply.close()
        async with asyncio.timeout(5):
            await left.wait()
