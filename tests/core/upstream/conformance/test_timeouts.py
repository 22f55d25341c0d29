"""Every wait has its own bound, and what comes too late is told as what it is."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable

import pytest

from tests.core.upstream.conformance.clients import Client, everywhere
from tests.core.upstream.conformance.peer import OK, Connection, listening, turns

Make = Callable[..., Client]
SOON = 0.05
"""Seconds: of the bound that is to be reached. The others are far off."""


@everywhere()
async def test_a_server_that_never_answers(make: Make) -> None:
    client = make(first_byte=SOON)

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.gone()

    async with listening(script) as peer:
        for _ in range(2):
            assert (await client.whole(peer.url)).failed == "timeout"
        assert len(peer.requests) == 2, "what was too slow is not sent again"


@everywhere()
@pytest.mark.parametrize("head", [b"H", b"HTTP/1.1 200 OK\r\nX: y", b"HTTP/1.1 103 Early Hints\r\n\r\n"])
async def test_a_server_that_stalls_in_the_head(make: Make, head: bytes) -> None:
    client = make(first_byte=SOON)

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(head)
        await connection.gone()

    async with listening(script) as peer:
        assert (await client.whole(peer.url)).failed == "timeout"


@everywhere()
@pytest.mark.parametrize(
    "begin",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nabc",
    ],
)
async def test_a_server_that_stalls_in_the_body(make: Make, begin: bytes) -> None:
    client = make(idle=SOON)

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(begin)
        await connection.gone()

    async with listening(script) as peer:
        for _ in range(2):
            answer = await client.whole(peer.url)
            assert answer.failed == "timeout"
            assert b"abc".startswith(answer.body)


@everywhere()
async def test_a_body_may_take_longer_than_any_of_its_pauses(make: Make) -> None:
    client = make(idle=0.8)
    pieces = 18

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % pieces)
        for _ in range(pieces):
            await asyncio.sleep(0.05)
            await connection.send(b"x")

    async with listening(script) as peer:
        assert (await client.whole(peer.url)).body == b"x" * pieces


@everywhere()
async def test_nobody_hurries_who_reads_slowly(make: Make) -> None:
    client = make(idle=SOON)
    body = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n", b"abc", b"def"

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(*body)
        await connection.gone()

    async with listening(script) as peer:
        reply = await client.open(peer.url)
        await asyncio.sleep(4 * SOON)
        assert b"".join([piece async for piece in reply]) == b"abcdef"
        await reply.close()


@everywhere()
async def test_a_server_that_never_reads(make: Make) -> None:
    client = make(idle=SOON)

    async def script(connection: Connection) -> None:
        connection.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.Event().wait()

    async with listening(script) as peer:
        answer = await client.whole(peer.url, b"x" * (32 << 20))
        assert answer.failed == "timeout"


@everywhere()
async def test_a_server_that_never_reads_an_upload(make: Make) -> None:
    client = make(idle=SOON)
    taken = 0

    async def script(connection: Connection) -> None:
        connection.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.Event().wait()

    async def upload() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            yield b"x" * 65536
            taken += 65536

    async with listening(script) as peer:
        assert (await client.whole(peer.url, upload())).failed == "timeout"
        assert taken < 16 << 20, "no more is taken than fits into the kernel's buffers and a little"


@everywhere()
async def test_a_source_that_thinks_is_no_slow_server(make: Make) -> None:
    client = make(idle=SOON, first_byte=5)
    if client.way == "plugin":
        pytest.skip("a plugin's read timeout counts from the end of the upload, whose source it is itself")

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(OK)

    async def upload() -> AsyncIterator[bytes]:
        yield b"a"
        await asyncio.sleep(3 * SOON)
        yield b"b"

    async with listening(script) as peer:
        assert (await client.whole(peer.url, upload())).body == b"ok"


@everywhere()
async def test_a_connection_that_is_never_accepted(make: Make) -> None:
    client = make(connect=SOON)
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = []
        try:
            for _ in range(4):
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex(full.getsockname())
                fillers.append(filler)
            await turns(5)
            assert (await client.whole(f"http://127.0.0.1:{full.getsockname()[1]}")).failed == "connect"
        finally:
            for filler in fillers:
                filler.close()


@everywhere()
async def test_a_tls_handshake_that_never_ends(make: Make) -> None:
    client = make(connect=SOON)

    async def script(connection: Connection) -> None:
        await connection.gone()

    async with listening(script) as peer:
        answer = await client.whole(peer.url.replace("http://", "https://"))
        assert answer.failed == "connect"


@everywhere()
async def test_nobody_listens(client: Client) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert (await client.whole(f"http://127.0.0.1:{port}")).failed == "connect"


@everywhere()
async def test_a_name_that_nobody_has(client: Client) -> None:
    assert (await client.whole("http://nobody.invalid/")).failed == "connect"
